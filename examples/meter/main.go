// Command meter is the life of an electricity meter whose lock keeps its keys in a TPM:
// from the factory through firmware, tariffs, a stolen order, a flash that somebody put
// back, new owner's keys and a cleared TPM to its end.
//
//	go run ./examples/meter                     # starts a swtpm of its own
//	go run ./examples/meter -tpm /dev/tpmrm0    # a real TPM, which is not cleared
//
// A real TPM keeps the EK, the counter, the latch and the mark of the end: evict 0x81004E4C and
// undefine the four indices from 0x01804E4C on before another run.
//
// The host in it is the meter's application processor: it has a handle and nothing else.
// The people sign orders somewhere else; that their keys are in this program is what an
// example has to do.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func main() {
	which := flag.String("tpm", "swtpm", "swtpm, or the TPM's device file")
	flag.Parse()
	dir, err := os.MkdirTemp("", "meter-")
	if err == nil {
		err = run(context.Background(), dir, *which, os.Stdout)
		os.RemoveAll(dir)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// unexpected is an error that ends the story; a refusal that belongs to it is told.
type unexpected struct{ error }

func check(err error) {
	if err != nil {
		panic(unexpected{err})
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// run tells the story with an image in dir.
func run(ctx context.Context, dir, which string, out io.Writer) (err error) {
	chip, stop, err := openTPM(dir, which)
	if err != nil {
		return err
	}
	defer stop()
	defer func() {
		if p := recover(); p != nil {
			u, ok := p.(unexpected)
			if !ok {
				panic(p)
			}
			err = u.error
		}
	}()
	m := &meter{ctx: ctx, chip: chip, image: filepath.Join(dir, "flash.bin"), out: out}
	defer m.off()
	m.factory()
	m.host()
	m.firmware()
	m.oldFlash()
	m.household()
	m.newKeys()
	m.evidence()
	if which == "swtpm" {
		m.cleared()
	}
	m.end()
	return nil
}

// factory makes flash, keys and the first state. The owner has signed the policy for
// this very device.
func (m *meter) factory() {
	m.build()
	id := m.keys.Identity()
	m.say("factory: the meter has a key in its TPM (%v) and is nobody's yet", id.Class)
	m.provision()
	s := m.dev.Status()
	m.say("factory: provisioned with policy %s %d, in %v", s.PolicyName, s.PolicyVersion, s.State)
	m.say("factory: calibrate: %s", answer(m.write("calibration", 0, "gain=1.0023")))
	check(m.lifecycle(policy.Deployed))
	m.say("factory: the meter is %v", m.dev.Status().State)
}

// host does what the meter's application does, and then what malware in its place does.
func (m *meter) host() {
	m.say("host: log a reading: %s", answer(m.write("events", 0, "1 kWh 42;")))
	m.say("host: log the next: %s", answer(m.write("events", 9, "2 kWh 43;")))
	m.say("malware: a reading that was lower: %s", answer(m.write("events", 9, "2 kWh 01;")))
	m.say("malware: calibrate again: %s", answer(m.write("calibration", 16, "gain=0.5")))
	m.say("malware: a cheaper tariff: %s", answer(m.write("tariff", 0, "0.01")))
	m.say("malware: an implant: %s", answer(m.write("boot", 0, "implant")))
	m.say("malware: read the customer's key: %s", answer(m.read("customer key")))
}

// firmware is installed by a grant of the vendor, which is bound to the digests of the
// content: the host that carries it out can write nothing else.
func (m *meter) firmware() {
	image := bytes.Repeat([]byte{0xFF}, 2*granule)
	copy(image, "firmware 2.0, first block")
	copy(image[granule:], "firmware 2.0, second block")
	g := m.whole("firmware")
	g.Len, g.Ops = uint64(len(image)), order.OpWrite|order.OpErase
	for b := range 2 {
		g.Digests = append(g.Digests, sha256.Sum256(image[b*granule:][:granule]))
	}
	msg := must(m.order(order.Vendor, order.Grant, g))
	session := must(m.session(msg))
	at := m.pol.Region("firmware").Span.Off
	check(session.Erase(at, int64(len(image))))
	m.say("vendor: grants firmware 2.0; something else in its place: %s",
		answer(program(session, at, bytes.Repeat([]byte("implant "), granule/8))))
	m.say("vendor: firmware 2.0: %s", answer(program(session, at, image)))
	m.endSessions()
	_, err := m.session(msg)
	m.say("thief: the same order again: %s", answer(err))

	session = m.granted("utility", "tariff")
	m.say("utility: a new tariff: %s", answer(program(session, m.pol.Region("tariff").Span.Off, []byte("day=0.31 night=0.19"))))
	m.endSessions()
}

// oldFlash puts a copy of the whole flash back, from before a grant was used. The TPM's
// counter has gone on, so the meter knows, and waits for its owner.
func (m *meter) oldFlash() {
	m.off()
	old := must(os.ReadFile(m.image))
	m.start()
	msg := must(m.order("utility", order.Grant, m.whole("tariff")))
	must(m.session(msg))
	m.off()
	check(os.WriteFile(m.image, old, 0o600))
	m.start()
	m.say("thief: puts an old copy of the flash back; the anchor is ahead of it: %v", m.dev.Status().Health&order.AnchorAhead != 0)
	_, err := m.session(msg)
	m.say("thief: the order that was fresh then: %s", answer(err))
	m.say("host: read the tariff: %s", answer(m.read("tariff")))
	m.recover()
	m.say("owner: orders to recover; degraded: %v, owner epoch %d", m.dev.Status().Degraded, m.epoch)
}

// household: a key that only its customer's orders reach.
func (m *meter) household() {
	session := m.granted("customer", "customer key")
	m.say("customer: stores a key: %s", answer(program(session, m.pol.Region("customer key").Span.Off, []byte("the customer's key"))))
	m.endSessions()
	m.say("host: read it: %s", answer(m.read("customer key")))
}

// newKeys: the owner's key is replaced, by an order of the old one that holds the new.
func (m *meter) newKeys() {
	old := m.rotate()
	m.say("owner: has a new key, and the meter obeys it; owner epoch %d", m.epoch)
	now := m.people[order.Owner]
	m.people[order.Owner] = old
	err := m.lifecycle(policy.RMA)
	m.people[order.Owner] = now
	m.say("thief: an order by the old key: %s", answer(err))
}

// evidence is how somebody far away believes it: the report is signed by a key that the
// TPM's attestation key certified, and that one is in the TPM whose EK the maker knows.
func (m *meter) evidence() {
	nonce := []byte("asked by the fleet")
	msg := must(m.dev.Report(m.ctx, nonce))
	e := must(tpm.ParseEvidence(m.keys.Identity().Evidence))
	m.say("fleet: the key is certified by a TPM: %s", answer(e.Verify(m.keys.Identity())))
	ch := must(e.Challenge([]byte("only this TPM")))
	m.say("fleet: the TPM opens what was encrypted to it: %v", string(must(m.keys.Activate(m.ctx, ch))) == "only this TPM")
	r := must(order.OpenReport(msg, m.dev.Identity(), nonce))
	m.say("fleet: report: %v, policy %d, %d measurements, anchor in %v, anchored: %v", policy.State(r.State),
		r.PolicyVersion, len(r.Measurements), keystore.Class(r.Anchor.Kind), r.Anchor.Value == r.Anchor.Through)
}

// cleared: whoever has the TPM's lockout password ends all its keys. That device is
// gone for good; its flash goes on serving what is public, under the rules that are
// linked into the program, and gets a new identity from its owner.
func (m *meter) cleared() {
	must(tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}}.Execute(m.chip))
	m.off()
	m.start()
	m.say("thief: clears the TPM; degraded: %v", m.dev.Status().Degraded)
	m.say("host: read the firmware: %s", answer(m.read("firmware")))
	m.say("malware: a cheaper tariff: %s", answer(m.write("tariff", 0, "0.01")))
	m.say("malware: read the customer's key: %s", answer(m.read("customer key")))
	_, err := m.dev.Challenge("utility", order.ClassOperate)
	m.say("utility: wants to order something: %s", answer(err))
	m.off()
	m.newIdentity()
	m.provision()
	check(m.lifecycle(policy.Deployed))
	m.say("owner: provisions the new identity; degraded: %v, owner epoch %d", m.dev.Status().Degraded, m.epoch)
	m.say("host: read the firmware: %s", answer(m.read("firmware")))
}

// end takes the meter off the wall. What it says last is for the owner's records.
func (m *meter) end() {
	msg := must(m.order(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.Decommissioned)}))
	reply := must(m.dev.Apply(m.ctx, msg))
	r := must(order.OpenReport(reply.Report, m.dev.Identity(), nil))
	m.say("owner: the end; the certificate says %v, %d region wiped, secret ended: %v",
		policy.State(r.State), len(r.Certificate.Wiped), r.Certificate.Secret)
	m.off()
	_, err := tpm.Open(m.ctx, m.chip, m.blob, nil)
	m.say("thief: the meter from the scrapheap has no secret: %v", errors.Is(err, keystore.ErrAbsent))
}
