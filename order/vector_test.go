package order_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
)

var update = flag.Bool("update", false, "write testdata/*.hex and testdata/refused.txt anew")

const vectorHead = `# Vectors of orders and reports, version 1 of the wire. docs/wire/order.md says
# what they are; docs/wire/cose.md says how they are signed. Each line is a name
# and a value in hexadecimal. Seeds are 32 bytes of one number, and signatures
# are deterministic. These keys are published. Trust them nowhere.
`

// vectors is all that the file holds, in its order.
func vectors(t *testing.T) string {
	t.Helper()
	var w strings.Builder
	w.WriteString(vectorHead)
	line := func(name string, b []byte) { fmt.Fprintf(&w, "%s %x\n", name, b) }
	note := func(s string) { fmt.Fprintf(&w, "\n# %s\n", s) }
	s := cose.Ed25519
	note("The keys of authorities, suite 1, and their ids; one of three owner keys suffices.")
	for _, a := range []struct {
		name string
		n    byte
	}{{"owner.1", 1}, {"owner.2", 2}, {"owner.3", 3}, {order.Operations, operationsKey}, {order.Vendor, vendorKey}, {order.Platform, platformKey}, {service, serviceKey}} {
		id := signer(s, a.n).Public().ID()
		line(a.name+".seed", bytes.Repeat([]byte{a.n}, 32))
		line(a.name+".public", signer(s, a.n).Public().Bytes())
		line(a.name+".id", id[:])
	}
	note("The device and the owner's root: suite 1, threshold 1, the three ids.")
	line("device", device[:])
	line("epoch", []byte{epoch})
	root := ring(t, s).Root()
	line("root", root[:])
	for _, k := range kinds {
		o := sampleOrder(t, k)
		note(fmt.Sprintf("Kind %d, %v, by %s.", k, k, o.Authority))
		digest := mustOpen(t, ring(t, s), signed(t, s, o)).Digest
		line(k.String()+".payload", marshal(t, o))
		line(k.String()+".digest", digest[:])
		line(k.String()+".message", signed(t, s, o))
	}
	note("A thaw of a device whose keys are of suite 4: both halves of operations.")
	line("hybrid.public", signer(cose.Ed25519MLDSA65, operationsKey).Public().Bytes())
	line("hybrid.message", signed(t, cose.Ed25519MLDSA65, sampleOrder(t, order.Thaw)))
	note("Leaf 2 of a batch of 3, which holds the order of kind 3 above; the others are for devices that differ in the last byte.")
	b, err := order.NewBatch(batchOrders(t))
	if err != nil {
		t.Fatal(err)
	}
	env := sealed(t, b.Payload(), cose.Batch, signer(s, ownerKey))
	leaf, err := b.Leaf(env, 2)
	if err != nil {
		t.Fatal(err)
	}
	line("batch.payload", b.Payload())
	line("batch.envelope", env)
	line("batch.leaf", leaf)
	note("A report and the certificate of a decommissioned device.")
	line("report.seed", bytes.Repeat([]byte{deviceKey}, 32))
	line("report.public", signer(s, deviceKey).Public().Bytes())
	line("report.message", signReport(t, s, sampleReport(s)))
	line("certificate.message", signReport(t, s, certificate(s)))
	note("A report of which every list is empty.")
	line("least.message", signReport(t, s, leastReport(s)))
	note("Messages of the courier port: the challenge of class root for the owner is asked for, and answered.")
	c := order.ChallengeOf(fill(0x4b), 3, order.Owner, order.ClassRoot, 41, nil)
	line("request.challenge", marshal(t, &order.Request{Type: order.ReqChallenge, Authority: order.Owner, Class: order.ClassRoot}))
	line("reply.challenge", marshal(t, &order.Reply{Type: order.ReqChallenge, Challenge: c}))
	note("And the reply to the order of kind 2 above, delivered a second time.")
	digest := mustOpen(t, ring(t, s), signed(t, s, sampleOrder(t, order.Policy))).Digest
	line("reply.stale", marshal(t, &order.Reply{Type: order.ReqDeliver, Code: order.Stale, Detail: "used", Kind: order.Policy, Digest: digest}))
	note("Challenges: key 32 times 4b. The epoch, authority, class, counter and salt are in the name.")
	for _, c := range challenges {
		h := order.ChallengeOf(fill(0x4b), c.epoch, c.authority, c.class, c.counter, c.salt)
		line(fmt.Sprintf("challenge/%d/%s/%d/%d/%x", c.epoch, c.authority, c.class, c.counter, c.salt), h[:])
	}
	return w.String()
}

var challenges = []struct {
	epoch     uint32
	authority string
	class     order.Class
	counter   uint64
	salt      []byte
}{
	{3, order.Owner, order.ClassRoot, 41, nil},
	{3, order.Owner, order.ClassRoot, 42, nil},
	{3, service, order.ClassOperate, 0, nil},
	{4, order.Operations, order.ClassOperate, 1 << 40, nil},
	{3, order.Platform, order.ClassLive, 0, []byte("boot id of 16 b.")},
}

func batchOrders(t testing.TB) []*order.Order {
	t.Helper()
	return append(fleet(2), sampleOrder(t, order.Keys))
}

// readVectors reads the committed file.
func readVectors(t testing.TB) (text string, values map[string][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.hex")
	if err != nil {
		t.Fatal(err)
	}
	values = map[string][]byte{}
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		name, value, _ := strings.Cut(l, " ")
		values[name] = unhex(t, value)
	}
	return string(b), values
}

// TestVectors holds the published vectors against the code, in both directions.
func TestVectors(t *testing.T) {
	got := vectors(t)
	if *update {
		if err := os.WriteFile("testdata/vectors.hex", []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, v := readVectors(t)
	if text != got {
		t.Error("testdata/vectors.hex is not what the code makes")
	}
	k := ring(t, cose.Ed25519)
	for _, kind := range kinds {
		name := kind.String()
		o, err := order.Parse(v[name+".payload"])
		if err != nil || o.Kind != kind || !bytes.Equal(marshal(t, o), v[name+".payload"]) {
			t.Errorf("%v: %v", kind, err)
			continue
		}
		opened := mustOpen(t, k, v[name+".message"])
		if !bytes.Equal(opened.Digest[:], v[name+".digest"]) || !bytes.Equal(marshal(t, &opened.Order), v[name+".payload"]) {
			t.Errorf("%v: opened as %+v", kind, opened)
		}
	}
	mustOpen(t, ring(t, cose.Ed25519MLDSA65), v["hybrid.message"])
	if o := mustOpen(t, k, v["batch.leaf"]); !o.Batch || !bytes.Equal(o.Digest[:], v["keys.digest"]) {
		t.Errorf("leaf: %+v", o)
	}
	for _, name := range []string{"report.message", "certificate.message", "least.message"} {
		key, err := cose.ParsePublicKey(cose.Ed25519, v["report.public"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := order.OpenReport(v[name], key, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// refusedBy are the functions that a line of testdata/refused.txt can name.
func refusedBy(t testing.TB, by string, b []byte) error {
	t.Helper()
	switch by {
	case "open":
		return second(ring(t, cose.Ed25519).Open(b, device, epoch))
	case "open-policy":
		_, _, _, err := order.OpenPolicy(b, device)
		return err
	case "open-report":
		return second(order.OpenReport(b, signer(cose.Ed25519, deviceKey).Public(), []byte("nonce of the platform")))
	case "parse-request":
		return second(order.ParseRequest(b))
	case "parse-reply":
		return second(order.ParseReply(b))
	}
	t.Fatalf("unknown function %q", by)
	return nil
}

var errorNames = map[string]error{
	"malformed": order.ErrMalformed, "foreign": order.ErrForeign, "epoch": order.ErrEpoch, "authority": order.ErrAuthority,
	"signature": order.ErrSignature, "keys": order.ErrKeys, "unverified": order.ErrUnverified, "nonce": order.ErrNonce,
}

const refusedHead = `# Messages that are refused: function, error, the message in hexadecimal, and
# what is wrong with it. They meet the policy, device and epoch of vectors.hex; a
# report is asked for with the nonce of the report there.
`

// TestRefused holds the published negative vectors against the code.
func TestRefused(t *testing.T) {
	if *update {
		var w strings.Builder
		w.WriteString(refusedHead)
		for _, n := range negatives(t) {
			fmt.Fprintf(&w, "%s %s %x %s\n", n.by, n.err, n.msg, n.what)
		}
		if err := os.WriteFile("testdata/refused.txt", []byte(w.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("testdata/refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(text)) {
		if l[0] != '#' {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	want := negatives(t)
	if len(lines) != len(want) || len(lines) < 40 {
		t.Fatalf("%d lines for %d cases", len(lines), len(want))
	}
	for i, l := range lines {
		f := strings.SplitN(l, " ", 4)
		if len(f) != 4 || f[0] != want[i].by || f[1] != want[i].err || f[2] != hexOf(want[i].msg) || f[3] != want[i].what {
			t.Errorf("line %q is not %q", l, want[i].what)
			continue
		}
		err := refusedBy(t, f[0], unhex(t, f[2]))
		if err == nil {
			t.Errorf("%s: accepted", f[3])
			continue
		}
		if oneKind(t, err); !errors.Is(err, errorNames[f[1]]) {
			t.Errorf("%s: %v, not %s", f[3], err, f[1])
		}
	}
	for name := range errorNames {
		if !slices.ContainsFunc(want, func(n negative) bool { return n.err == name }) {
			t.Errorf("no line for %s", name)
		}
	}
}
