package policyfile

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Format writes p as a policy file that Parse reads back as p. Each note becomes
// a comment at the top.
func Format(p *policy.Policy, notes ...string) []byte {
	var w writer
	for _, n := range notes {
		for _, line := range strings.Split(n, "\n") {
			w.line(0, "# %s", line)
		}
	}
	w.line(0, "nanolock: %d", FormatVersion)
	if p.Name != "" {
		w.line(0, "name: %s", quote(p.Name))
	}
	w.line(0, "version: %d", p.Version)
	w.memory(&p.Memory)
	w.authorities(p.Authorities)
	if len(p.Map) > 0 {
		w.line(0, "map:")
	}
	for i := range p.Map {
		w.region(&p.Map[i])
	}
	return []byte(w.String())
}

type writer struct{ strings.Builder }

func (w *writer) line(indent int, format string, args ...any) {
	w.WriteString(strings.Repeat("  ", indent))
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

func (w *writer) flag(indent int, name string, on bool) {
	if on {
		w.line(indent, "%s: true", name)
	}
}

func (w *writer) span(indent int, s nvm.Span) {
	w.line(indent, "at: %#x", s.Off)
	w.line(indent, "size: %s", FormatSize(s.Len))
}

func (w *writer) memory(m *policy.Memory) {
	w.line(0, "memory:")
	w.line(1, "size: %s", FormatSize(m.Size))
	w.line(1, "granule: %s", FormatSize(m.Granule))
	w.flag(1, "blank", m.Blank)
	if len(m.Hidden) > 0 {
		w.line(1, "hidden:")
	}
	for _, a := range m.Hidden {
		w.line(2, "- name: %s", quote(a.Name))
		w.line(3, "id: %d", a.ID)
		w.line(3, "kind: %v", a.Kind)
		w.span(3, a.Span)
		w.flag(3, "courier", a.Courier)
	}
}

func (w *writer) authorities(list []policy.Authority) {
	if len(list) > 0 {
		w.line(0, "authorities:")
	}
	for _, a := range list {
		w.line(1, "- name: %s", quote(a.Name))
		w.line(2, "suite: %v", a.Suite)
		w.line(2, "threshold: %d", a.Threshold)
		if len(a.Keys) > 0 {
			w.line(2, "keys:")
		}
		for _, k := range a.Keys {
			w.line(3, "- name: %s", quote(k.Name))
			w.line(4, "public: %s", quote(hex.EncodeToString(k.Public)))
			w.flag(4, "development", k.Development)
		}
	}
}

func (w *writer) region(r *policy.Region) {
	w.line(1, "- name: %s", quote(r.Name))
	w.line(2, "id: %d", r.ID)
	w.span(2, r.Span)
	w.flag(2, "boot", r.Boot)
	w.flag(2, "confidential", r.Confidential)
	w.access(2, r.Access)
	if u := r.Update; u != nil {
		w.line(2, "update: {%s}", strings.Join(pairs("slot", u.Slot, "staging", u.Staging, "golden", u.Golden), ", "))
	}
	if r.Wear != (policy.Wear{}) {
		w.line(2, "wear: {erases: %d, hours: %d}", r.Wear.Erases, r.Wear.PerHours)
	}
	if r.In != nil {
		w.line(2, "in:%s", map[bool]string{true: " {}"}[len(r.In) == 0])
	}
	for _, st := range policy.States() {
		if a, ok := r.In[st]; ok && a == (policy.Access{}) {
			w.line(3, "%v: {}", st)
		} else if ok {
			w.line(3, "%v:", st)
			w.access(4, a)
		}
	}
}

func pairs(kv ...string) (out []string) {
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] != "" {
			out = append(out, kv[i]+": "+quote(kv[i+1]))
		}
	}
	return out
}

func (w *writer) access(indent int, a policy.Access) {
	for _, r := range []struct {
		name string
		rule policy.Rule
	}{{"read", a.Read}, {"write", a.Write}, {"erase", a.Erase}} {
		if r.rule != (policy.Rule{}) {
			w.line(indent, "%s: %s", r.name, quote(r.rule.String()))
		}
	}
	w.flag(indent, "blank", a.Blank)
}

// quote leaves plain words alone and quotes whatever YAML could read as
// something else.
func quote(s string) string {
	plain := s != ""
	for _, word := range [...]string{"true", "false", "null", "yes", "no", "on", "off"} {
		plain = plain && !strings.EqualFold(s, word)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		plain = plain && (letter || i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.' || c == ' ' && i < len(s)-1 || c == '+'))
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}
