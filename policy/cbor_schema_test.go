package policy

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCDDL: the schema that others implement names each key that this build
// knows, with its number, and whether it may be absent; and no other key.
func TestCDDL(t *testing.T) {
	text, err := os.ReadFile("../docs/wire/policy.cddl")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^  (\? )?(\d+): .*; (\w+)$`)
	for _, o := range objects {
		_, rest, found := strings.Cut(string(text), "\n"+o.name+" = {\n")
		body, _, closed := strings.Cut(rest, "\n}\n")
		if !found || !closed {
			t.Errorf("%s is missing", o.name)
			continue
		}
		var got, want []string
		for l := range strings.SplitSeq(body, "\n") {
			m := line.FindStringSubmatch(l)
			if m == nil {
				t.Errorf("%s: line %q", o.name, l)
				continue
			}
			got = append(got, fmt.Sprint(m[1], m[2], " ", m[3]))
		}
		for key, name := range o.fields[1:] {
			optional := "? "
			if slices.Contains(o.required, int64(key+1)) {
				optional = ""
			}
			want = append(want, fmt.Sprint(optional, key+1, " ", name))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %q, the code %q", o.name, got, want)
		}
	}
	checkNumbers(t, string(text), map[Mode]string{Any: "any", Append: "append", Once: "once"})
	checkNumbers(t, string(text), stateNames)
	checkNumbers(t, string(text), areaNames)
	checkNumbers(t, string(text), suiteNames)
	for _, limit := range []int{MaxRegions, MaxAuthorities, MaxKeys, MaxName, MaxUpdates, maxPublic} {
		if !strings.Contains(string(text), fmt.Sprint(limit)) {
			t.Errorf("the limit %d is missing", limit)
		}
	}
}

func checkNumbers[K interface{ ~uint8 }](t *testing.T, text string, names map[K]string) {
	for k, name := range names {
		if l := fmt.Sprintf("\n%s = %d\n", strings.ReplaceAll(name, "+", "-"), k); !strings.Contains(text, l) {
			t.Errorf("%q is missing", l)
		}
	}
}

// TestSchemaSound: maps of fewer than 24 keys have a head of one byte, which the
// encoder counts in; and the longest key is that of a suite.
func TestSchemaSound(t *testing.T) {
	longest := 0
	for s := range suiteNames {
		longest = max(longest, s.PublicLen())
	}
	if longest != maxPublic {
		t.Errorf("the longest key has %d bytes, the wire takes %d", longest, maxPublic)
	}
	for _, o := range objects {
		if len(o.fields) > 24 {
			t.Errorf("%s has %d keys", o.name, len(o.fields)-1)
		}
	}
}
