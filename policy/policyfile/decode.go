package policyfile

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

const maxErrors = 20

// decoder collects faults instead of stopping at the first: people fix files in
// one go.
type decoder struct {
	errs   []error
	nextID uint32
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)})
	}
}

// fields calls the setter of each key of a mapping. Unknown and repeated keys,
// and keys that are not plain, are faults.
func (d *decoder) fields(n *yaml.Node, what string, set map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s: want a mapping (key: value)", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		f, ok := set[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode || !ok:
			d.fail(k, "unknown key %q in %s: want %s", k.Value, what, keys(set))
		case seen[k.Value]:
			d.fail(k, "key %q twice in %s", k.Value, what)
		case v.Kind == yaml.AliasNode:
			d.fail(v, "%s: write the value out: anchors are not followed", k.Value)
		default:
			seen[k.Value] = true
			f(v)
		}
	}
}

func keys[V any](m map[string]V) string {
	var s []string
	for k := range m {
		s = append(s, k)
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

func (d *decoder) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s: want a list", what)
		return
	}
	for _, c := range n.Content {
		each(c)
	}
}

func (d *decoder) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(n, "want a word")
		return ""
	}
	return n.Value
}

func (d *decoder) boolean(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
		d.fail(n, "want true or false, not %q", n.Value)
	}
	return n.Value == "true"
}

func (d *decoder) number(n *yaml.Node, limit int64) int64 {
	v, err := ParseSize(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || v > limit {
		d.fail(n, "want a number of at most %d, not %q", limit, n.Value)
		return 0
	}
	return v
}

func (d *decoder) bytes(n *yaml.Node) int64 {
	v, err := ParseSize(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.fail(n, "want a size such as 65536, 0x10000, 64KiB or 16MiB, not %q", n.Value)
	}
	return v
}

func (d *decoder) rule(n *yaml.Node) policy.Rule {
	r, err := policy.ParseRule(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.fail(n, "unknown rule %q: want never, any, append, once or \"grant AUTHORITY\"", n.Value)
	}
	return r
}

func (d *decoder) policy(n *yaml.Node) *policy.Policy {
	p := &policy.Policy{}
	versioned := false
	var regions, hidden *yaml.Node
	d.fields(n, "the policy", map[string]func(*yaml.Node){
		"nanolock": func(v *yaml.Node) {
			if versioned = true; v.Value != "1" {
				d.fail(v, "format %q is not known here: want nanolock: %d", v.Value, FormatVersion)
			}
		},
		"name":        func(v *yaml.Node) { p.Name = d.text(v) },
		"version":     func(v *yaml.Node) { p.Version = uint64(d.number(v, 1<<62)) },
		"memory":      func(v *yaml.Node) { hidden = d.memory(v, &p.Memory) },
		"authorities": func(v *yaml.Node) { d.authorities(v, p) },
		"map":         func(v *yaml.Node) { regions = v },
	})
	if !versioned {
		d.fail(n, "key \"nanolock\" is missing: start with \"nanolock: 1\"")
	}
	// Regions first: an id that is not given is the next free number, and
	// those of regions should not depend on hidden areas.
	if regions != nil {
		at := int64(0)
		d.list(regions, "map", func(v *yaml.Node) {
			r := d.region(v, at)
			at = end(r.Span)
			p.Map = append(p.Map, r)
		})
	}
	if hidden != nil {
		at := end(lastSpan(p.Map))
		d.list(hidden, "hidden", func(v *yaml.Node) {
			a := d.area(v, at)
			at = end(a.Span)
			p.Memory.Hidden = append(p.Memory.Hidden, a)
		})
	}
	return p
}

func lastSpan(m []policy.Region) nvm.Span {
	if len(m) == 0 {
		return nvm.Span{}
	}
	return m[len(m)-1].Span
}

// end of a span that nothing has checked yet.
func end(s nvm.Span) int64 {
	if !s.In(nvm.MaxSize) {
		return 0
	}
	return s.End()
}

func (d *decoder) memory(n *yaml.Node, m *policy.Memory) (hidden *yaml.Node) {
	d.fields(n, "memory", map[string]func(*yaml.Node){
		"size":    func(v *yaml.Node) { m.Size = d.bytes(v) },
		"granule": func(v *yaml.Node) { m.Granule = d.bytes(v) },
		"blank":   func(v *yaml.Node) { m.Blank = d.boolean(v) },
		"hidden":  func(v *yaml.Node) { hidden = v },
	})
	return hidden
}

// id takes the given number, or the next one.
func (d *decoder) id(given uint32) uint32 {
	if given == 0 {
		given = d.nextID + 1
	}
	d.nextID = max(d.nextID, given)
	return given
}

func (d *decoder) area(n *yaml.Node, at int64) policy.Area {
	a := policy.Area{Span: nvm.Span{Off: at}}
	d.fields(n, "a hidden area", map[string]func(*yaml.Node){
		"name": func(v *yaml.Node) { a.Name = d.text(v) },
		"id":   func(v *yaml.Node) { a.ID = uint32(d.number(v, 1<<32-1)) },
		"at":   func(v *yaml.Node) { a.Span.Off = d.bytes(v) },
		"size": func(v *yaml.Node) { a.Span.Len = d.bytes(v) },
		"kind": func(v *yaml.Node) {
			k, err := policy.ParseAreaKind(d.text(v))
			if a.Kind = k; err != nil {
				d.fail(v, "unknown kind %q: want vault, audit, slot, staging, golden or digests", v.Value)
			}
		},
		"courier": func(v *yaml.Node) { a.Courier = d.boolean(v) },
	})
	a.ID = d.id(a.ID)
	return a
}

func (d *decoder) region(n *yaml.Node, at int64) policy.Region {
	r := policy.Region{Span: nvm.Span{Off: at}}
	set := d.access(&r.Access)
	for k, f := range map[string]func(*yaml.Node){
		"name":         func(v *yaml.Node) { r.Name = d.text(v) },
		"id":           func(v *yaml.Node) { r.ID = uint32(d.number(v, 1<<32-1)) },
		"at":           func(v *yaml.Node) { r.Span.Off = d.bytes(v) },
		"size":         func(v *yaml.Node) { r.Span.Len = d.bytes(v) },
		"boot":         func(v *yaml.Node) { r.Boot = d.boolean(v) },
		"confidential": func(v *yaml.Node) { r.Confidential = d.boolean(v) },
		"update":       func(v *yaml.Node) { r.Update = d.update(v) },
		"wear":         func(v *yaml.Node) { d.wear(v, &r.Wear) },
		"in":           func(v *yaml.Node) { r.In = d.states(v) },
	} {
		set[k] = f
	}
	d.fields(n, "a region", set)
	r.ID = d.id(r.ID)
	return r
}

func (d *decoder) access(a *policy.Access) map[string]func(*yaml.Node) {
	return map[string]func(*yaml.Node){
		"read":  func(v *yaml.Node) { a.Read = d.rule(v) },
		"write": func(v *yaml.Node) { a.Write = d.rule(v) },
		"erase": func(v *yaml.Node) { a.Erase = d.rule(v) },
		"blank": func(v *yaml.Node) { a.Blank = d.boolean(v) },
	}
}

func (d *decoder) states(n *yaml.Node) map[policy.State]policy.Access {
	in := map[policy.State]policy.Access{}
	set := map[string]func(*yaml.Node){}
	for _, st := range policy.States() {
		set[st.String()] = func(v *yaml.Node) {
			var a policy.Access
			d.fields(v, "the rules in "+st.String(), d.access(&a))
			in[st] = a
		}
	}
	d.fields(n, "in", set)
	return in
}

func (d *decoder) update(n *yaml.Node) *policy.Update {
	u := &policy.Update{}
	d.fields(n, "update", map[string]func(*yaml.Node){
		"slot":    func(v *yaml.Node) { u.Slot = d.text(v) },
		"staging": func(v *yaml.Node) { u.Staging = d.text(v) },
		"golden":  func(v *yaml.Node) { u.Golden = d.text(v) },
	})
	return u
}

func (d *decoder) wear(n *yaml.Node, w *policy.Wear) {
	d.fields(n, "wear", map[string]func(*yaml.Node){
		"erases": func(v *yaml.Node) { w.Erases = uint32(d.number(v, 1<<32-1)) },
		"hours":  func(v *yaml.Node) { w.PerHours = uint32(d.number(v, 1<<32-1)) },
	})
}

func (d *decoder) authorities(n *yaml.Node, p *policy.Policy) {
	d.list(n, "authorities", func(v *yaml.Node) {
		a := policy.Authority{}
		d.fields(v, "an authority", map[string]func(*yaml.Node){
			"name":      func(v *yaml.Node) { a.Name = d.text(v) },
			"threshold": func(v *yaml.Node) { a.Threshold = int(d.number(v, policy.MaxKeys)) },
			"suite": func(v *yaml.Node) {
				s, err := policy.ParseSuite(d.text(v))
				if a.Suite = s; err != nil {
					d.fail(v, "unknown suite %q: want ed25519, esp256, ml-dsa-65, ed25519+ml-dsa-65 or esp256+ml-dsa-65", v.Value)
				}
			},
			"keys": func(v *yaml.Node) { d.list(v, "keys", func(v *yaml.Node) { a.Keys = append(a.Keys, d.key(v)) }) },
		})
		p.Authorities = append(p.Authorities, a)
	})
}

func (d *decoder) key(n *yaml.Node) policy.Key {
	var k policy.Key
	d.fields(n, "a key", map[string]func(*yaml.Node){
		"name":        func(v *yaml.Node) { k.Name = d.text(v) },
		"development": func(v *yaml.Node) { k.Development = d.boolean(v) },
		"public": func(v *yaml.Node) {
			b, err := hex.DecodeString(d.text(v))
			if k.Public = b; err != nil {
				d.fail(v, "public: want hexadecimal digits")
			}
		},
	})
	return k
}
