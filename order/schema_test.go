package order_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
)

func document(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("../docs/wire/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCDDL: the schema that others implement names each key that this build
// knows, with its number, and whether it may be absent; and no other key.
func TestCDDL(t *testing.T) {
	text := document(t, "order.cddl") + document(t, "report.cddl") + document(t, "courier.cddl")
	line := regexp.MustCompile(`^  (\? )?(-?\d+): .*; ([\w-]+)$`)
	schema := order.Schema()
	for _, o := range schema {
		_, rest, found := strings.Cut(text, "\n"+o.Name+" = {\n")
		body, _, closed := strings.Cut(rest, "}\n")
		if !found || !closed {
			t.Errorf("%s is missing", o.Name)
			continue
		}
		var got, want []string
		for l := range strings.SplitSeq(strings.TrimSuffix(body, "\n"), "\n") {
			if l == "" {
				continue
			}
			m := line.FindStringSubmatch(l)
			if m == nil {
				t.Errorf("%s: line %q", o.Name, l)
				continue
			}
			got = append(got, fmt.Sprint(m[1], m[2], " ", m[3]))
		}
		for _, k := range o.Keys {
			optional := ""
			if k.Optional {
				optional = "? "
			}
			want = append(want, fmt.Sprint(optional, k.Number, " ", k.Name))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %q, the code %q", o.Name, got, want)
		}
	}
	for l := range strings.Lines(text) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(l), " = {"); ok && !slices.ContainsFunc(schema, func(o order.Object) bool { return o.Name == name }) {
			t.Errorf("the schema has a map %s", name)
		}
	}
	for _, limit := range []int{order.MaxMessage, order.MaxPolicy, order.MaxDigests, order.MaxUsage, order.MaxRevoke, order.MaxUptime, order.MaxNonce,
		order.MaxBatch, order.MaxBatch - 1, order.MaxMeasurements, order.MaxBlock, order.MaxDetail} {
		if !regexp.MustCompile(`\D` + fmt.Sprint(limit) + `\D`).MatchString(text) {
			t.Errorf("the limit %d is missing", limit)
		}
	}
}

// TestDocumentTables: the table of kinds and that of who may sign what are those
// of the code.
func TestDocumentTables(t *testing.T) {
	text := document(t, "order.md")
	for _, k := range kinds {
		fresh := "counter"
		if k.Opening() {
			fresh = "challenge"
		}
		row := fmt.Sprintf("| %d | %v | %v | %s |", k, k, k.Class(), fresh)
		if !strings.Contains(text, "\n"+row) {
			t.Errorf("order.md has no row %q", row)
		}
	}
	for role, ks := range allowed {
		if role == "nobody" {
			continue
		}
		name := "`" + role + "`"
		if role == service {
			name = "every other name"
		}
		row := "| " + name + " |"
		for k := range 256 {
			if slices.Contains(ks, order.Kind(k)) {
				row += fmt.Sprintf(" %d,", k)
			}
		}
		if !strings.Contains(text, "\n"+strings.TrimSuffix(row, ",")+" |") {
			t.Errorf("order.md has no row %q", row)
		}
	}
	text = document(t, "courier.md")
	for c := order.OK; c <= order.Failed; c++ {
		if row := fmt.Sprintf("| %d | %v |", c, c); !strings.Contains(text, "\n"+row) {
			t.Errorf("courier.md has no row %q", row)
		}
	}
}

// TestDocumentExamples: the bytes of the annotated examples are vectors.
func TestDocumentExamples(t *testing.T) {
	_, v := readVectors(t)
	least := parse(t, v["least.message"]).Payload()
	pairs := regexp.MustCompile(`^ *((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  .*)?$`)
	for _, c := range []struct {
		file, name string
		want       []byte
	}{
		{"order.md", "thaw.payload", v["thaw.payload"]},
		{"order.md", "batch.payload", v["batch.payload"]},
		{"report.md", "the payload of least.message", least},
		{"courier.md", "request.challenge", v["request.challenge"]},
		{"courier.md", "reply.challenge", v["reply.challenge"]},
		{"courier.md", "reply.stale", v["reply.stale"]},
	} {
		_, rest, found := strings.Cut(document(t, c.file), "\nExample, "+c.name+":\n\n")
		var got []byte
		for l := range strings.SplitSeq(rest, "\n") {
			m := pairs.FindStringSubmatch(l)
			if m == nil {
				break
			}
			got = append(got, unhex(t, m[1])...)
		}
		if !found || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %s is %x, want %x", c.file, c.name, got, c.want)
		}
	}
	if _, err := order.ParseReport(sealed(t, least, cose.Report, signer(cose.Ed25519, deviceKey))); err != nil {
		t.Error(err)
	}
}
