package ownerfiles

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Field is one thing that an order says.
type Field struct {
	Name  string
	Value any    // for programs
	Text  string // for people
}

func field(name string, value any, format string, args ...any) Field {
	return Field{name, value, fmt.Sprintf(format, args...)}
}

// Describe lists what an order says. p may be nil: then regions have numbers and
// no names.
func Describe(o *order.Order, p *policy.Policy) []Field {
	id := o.Device.String()
	list := []Field{
		field("kind", o.Kind.String(), "%v", o.Kind),
		field("device", id, "%s", id),
		field("epoch", o.Epoch, "%d", o.Epoch),
		field("authority", o.Authority, "%s", o.Authority),
	}
	if o.Kind.Opening() {
		c := hex.EncodeToString(o.Fresh.Challenge)
		list = append(list, field("challenge", c, "%s", c))
	} else {
		list = append(list, field("counter", o.Fresh.Counter, "%d", o.Fresh.Counter))
	}
	if o.NotAfter != 0 {
		t := "far in the future"
		if o.NotAfter < 1<<40 {
			t = time.Unix(int64(o.NotAfter), 0).UTC().Format(time.RFC3339)
		}
		list = append(list, field("not-after", o.NotAfter, "%s", t))
	}
	return append(list, describeBody(o, p)...)
}

func describeBody(o *order.Order, p *policy.Policy) []Field {
	switch b := o.Body.(type) {
	case *order.GrantBody:
		return describeGrant(b, p)
	case *order.LifecycleBody:
		st := policy.State(b.State).String()
		return []Field{field("state", st, "%s", st)}
	case *order.KeysBody:
		var ids []string
		for _, id := range b.Revoke {
			ids = append(ids, hex.EncodeToString(id[:]))
		}
		if ids != nil {
			return []Field{field("revoke", ids, "%s", strings.Join(ids, ", "))}
		}
		return describePolicy(o)
	case *order.RecoverBody:
		st := policy.State(b.State).String()
		list := []Field{field("state", st, "%s", st)}
		for _, u := range b.Usage {
			list = append(list, field(fmt.Sprintf("usage-%d", u.Region), u, "%s: %d erases, %d allowed, %d rounds, mark %d, sealed %v",
				regionName(p, u.Region), u.Erases, u.Allowed, u.Rounds, u.Mark, u.Sealed))
		}
		return append(list, describePolicy(o)...)
	case *order.PolicyBody, *order.TransferBody:
		return describePolicy(o)
	case *order.VoidBody:
		return []Field{field("of", b.Authority, "%s", b.Authority), field("class", b.Class.String(), "%v", b.Class), field("to", b.To, "%d", b.To)}
	case *order.LiveBody:
		if len(b.Nonce) > 0 {
			s := hex.EncodeToString(b.Nonce)
			return []Field{field("nonce", s, "%s", s)}
		}
	case *order.TimeBody:
		return []Field{field("unix", b.Unix, "%d", b.Unix)}
	}
	return nil
}

func describeGrant(b *order.GrantBody, p *policy.Policy) []Field {
	var ops []string
	for i, name := range []string{"read", "write", "erase"} {
		if b.Ops>>i&1 == 1 {
			ops = append(ops, name)
		}
	}
	content := "any"
	if b.Digests != nil {
		content = fmt.Sprintf("these %d erase blocks alone", len(b.Digests))
	}
	list := []Field{
		field("region", b.Region, "%s", regionName(p, b.Region)),
		field("ops", strings.Join(ops, ","), "%s", strings.Join(ops, ", ")),
		field("off", b.Off, "%#x", b.Off),
		field("len", b.Len, "%#x (%d bytes)", b.Len, b.Len),
		field("bytes", b.Bytes, "%d may be programmed", b.Bytes),
		field("erases", b.Erases, "%d erase blocks", b.Erases),
		field("uptime", b.Uptime, "%d s", b.Uptime),
		field("content", len(b.Digests), "%s", content),
	}
	return list
}

func regionName(p *policy.Policy, id uint32) string {
	if p != nil {
		for i := range p.Map {
			if p.Map[i].ID == id {
				return fmt.Sprintf("%s (%d)", p.Map[i].Name, id)
			}
		}
	}
	return fmt.Sprint(id)
}

// describePolicy tells of the policy that the order carries.
func describePolicy(o *order.Order) []Field {
	p, err := PolicyIn(o)
	switch {
	case err != nil:
		return []Field{field("policy", nil, "unreadable: %v", err)}
	case p == nil:
		return nil
	}
	d, _ := PolicyDigest(p) // it was just read
	type pol struct {
		Name    string `json:"name"`
		Version uint64 `json:"version"`
		Digest  string `json:"digest"`
	}
	s := hex.EncodeToString(d[:])
	return []Field{field("policy", pol{p.Name, p.Version, s}, "%s, version %d, digest %s", p.Name, p.Version, s)}
}
