package order_test

import (
	"slices"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
)

// roles are the names of the table and two that are in no table.
var roles = []string{order.Owner, order.Operations, order.Vendor, order.Platform, service, "nobody"}

// allowed is the table once more, as docs/wire/order.md has it.
var allowed = map[string][]order.Kind{
	order.Owner:      {1, 2, 3, 4, 8, 9, 10, 64},
	order.Operations: {1, 5, 10},
	order.Vendor:     {1, 6, 7},
	order.Platform:   {6, 7, 16, 17, 18},
	service:          {1},
	"nobody":         {1},
}

func TestTable(t *testing.T) {
	for _, role := range roles {
		for k := range 256 {
			if got, want := order.MaySign(role, order.Kind(k)), slices.Contains(allowed[role], order.Kind(k)); got != want {
				t.Errorf("%s, kind %d: %v", role, k, got)
			}
		}
	}
	for k := range 256 {
		if order.MaySign("", order.Kind(k)) {
			t.Errorf("an authority without a name may sign kind %d", k)
		}
	}
}

// TestTableOpen walks all pairs of an authority and a kind, signed as an order
// and in a batch.
func TestTableOpen(t *testing.T) {
	k := ring(t, cose.Ed25519)
	for _, role := range roles {
		for _, kind := range kinds {
			o := sampleOrder(t, kind)
			o.Authority = role
			if kind == order.Void {
				o.Body = &order.VoidBody{Authority: role, Class: order.ClassOperate, To: 5}
			}
			who := signer(cose.Ed25519, strangerKey)
			if n := keyOf[role]; n != 0 {
				who = signer(cose.Ed25519, n)
			}
			may := slices.Contains(allowed[role], kind) && role != "nobody"
			if _, err := k.Open(sign(t, o, who), device, epoch); may != (err == nil) {
				t.Errorf("%s, %v: %v", role, kind, err)
			} else if !may {
				refused(t, err, order.ErrAuthority)
			}
			if _, err := k.Open(forgedBatch(t, o, who), device, epoch); (may && role == order.Owner) != (err == nil) {
				t.Errorf("%s, %v in a batch: %v", role, kind, err)
			} else if err != nil {
				refused(t, err, order.ErrAuthority)
			}
		}
	}
}

func TestVoids(t *testing.T) {
	k := ring(t, cose.Ed25519)
	for _, c := range []struct {
		who, whose string
		class      order.Class
		ok         bool
	}{
		{order.Owner, order.Owner, order.ClassRoot, true},
		{order.Owner, order.Operations, order.ClassRoot, true},
		{order.Owner, service, order.ClassOperate, true},
		{order.Owner, order.Owner, order.ClassAudit, true},
		{order.Owner, order.Operations, order.ClassAudit, false},
		{order.Operations, order.Operations, order.ClassOperate, true},
		{order.Operations, order.Operations, order.ClassAudit, true},
		{order.Operations, order.Operations, order.ClassRoot, false},
		{order.Operations, order.Owner, order.ClassOperate, false},
		{order.Operations, order.Owner, order.ClassRoot, false},
		{order.Operations, order.Owner, order.ClassAudit, false},
		{order.Operations, service, order.ClassOperate, false},
	} {
		o := sampleOrder(t, order.Void)
		o.Authority, o.Body = c.who, &order.VoidBody{Authority: c.whose, Class: c.class, To: 9}
		_, err := k.Open(signed(t, cose.Ed25519, o), device, epoch)
		if c.ok != (err == nil) {
			t.Errorf("%+v: %v", c, err)
		} else if err != nil {
			refused(t, err, order.ErrAuthority)
		}
	}
}

func TestKinds(t *testing.T) {
	type row struct {
		class   order.Class
		opening bool
	}
	want := map[order.Kind]row{
		1: {1, true}, 2: {0, false}, 3: {0, false}, 4: {0, true}, 5: {1, true}, 6: {1, false}, 7: {1, false},
		8: {0, true}, 9: {0, true}, 10: {0, false}, 16: {7, true}, 17: {7, true}, 18: {7, true},
	}
	names := map[string]bool{}
	for i := range 256 {
		k := order.Kind(i)
		w, valid := want[k]
		if k.Valid() != valid || k.Opening() != w.opening || valid && k.Class() != w.class {
			t.Errorf("kind %d: valid %v, opening %v, class %v", i, k.Valid(), k.Opening(), k.Class())
		}
		if !valid && k.Class() <= order.ClassLive {
			t.Errorf("kind %d has class %v", i, k.Class())
		}
		if names[k.String()] {
			t.Errorf("kind %d is called %v, as another is", i, k)
		}
		names[k.String()] = true
	}
	if len(want) != len(kinds) {
		t.Errorf("%d kinds are tested", len(kinds))
	}
	if s := order.ClassAudit.String() + order.Class(6).String() + order.Thaw.String() + order.Batch.String() + order.Kind(99).String(); s != "auditclass(6)thawbatchkind(99)" {
		t.Error(s)
	}
}
