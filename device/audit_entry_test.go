package device_test

import (
	"errors"
	"testing"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/vault"
)

func TestReadAudit(t *testing.T) {
	digest := [32]byte{1, 2, 3}
	denied := []byte{5, 0, 0, 0, 0, 0, 0, 0}
	for _, tc := range []struct {
		kind   uint16
		body   []byte
		want   string
		order  [32]byte
		denied uint64
	}{
		{vault.AuditReserved + uint16(order.Grant), append(digest[:], denied...), "grant", digest, 5},
		{vault.AuditReserved + uint16(order.Void), append(digest[:], denied...), "void", digest, 5},
		{vault.AuditReserved + 0x100, denied, "frozen", [32]byte{}, 5},
		{1, denied, "denials", [32]byte{}, 5},
		{vault.KindGap, denied, "gap", [32]byte{}, 0},
		{vault.KindAgain, nil, "again", [32]byte{}, 0},
		{vault.AuditReserved + uint16(order.Grant), digest[:8], "grant", [32]byte{}, 0x30201},
		{vault.AuditReserved, denied, "unknown", [32]byte{}, 5},
		{vault.AuditReserved + 255, nil, "unknown", [32]byte{}, 0},
		{vault.AuditReserved + 0x101, nil, "unknown", [32]byte{}, 0},
		{0, nil, "unknown", [32]byte{}, 0},
	} {
		got := device.ReadAudit(vault.Entry{Kind: tc.kind, Body: tc.body, At: 9})
		if got.Kind != tc.want || got.Order != tc.order || got.Denied != tc.denied || got.At != 9 {
			t.Errorf("kind %#x: %+v", tc.kind, got)
		}
	}
}

// What Layout says is where a device has put things.
func TestLayout(t *testing.T) {
	r, err := rig.New(rig.Config{})
	if err != nil {
		t.Fatal(err)
	}
	at := r.Policy.Area("vault").Span
	journal, copies, err := device.Layout(r.Mem, at)
	if err != nil || journal.Off != at.Off || journal.End() != copies.Off || copies.End() != at.End() {
		t.Fatalf("%v, %v, %v of %v", journal, copies, err, at)
	}
	w, err := nvm.NewWindow(r.Mem, copies)
	if err != nil {
		t.Fatal(err)
	}
	c, err := vault.NewCopies(w)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for d, err := range c.All(t.Context()) {
		if _, _, _, err := order.OpenPolicy(d.Bytes, r.ID); err != nil {
			t.Error(err)
		}
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d copies of the policy, want 2", n)
	}
	for _, bad := range []nvm.Span{{Off: 1, Len: 64 << 10}, {Len: 4 << 10}, {Off: 1 << 40, Len: 64 << 10}} {
		if _, _, err := device.Layout(r.Mem, bad); !errors.Is(err, device.ErrConfig) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
