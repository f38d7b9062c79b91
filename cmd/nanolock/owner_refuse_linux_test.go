package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/keyfile"
)

// Whatever is wrong with files: a code, and a line that says what to do next.
func TestOwnerBadInput(t *testing.T) {
	h := provisioned(t)
	image := h.read("flash.bin")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(h.dir, name) }

	h.stamp()
	h.do("order new lifecycle --state deployed --status now.json --out l.order")
	other := strings.Replace(string(h.read("now.json")), deviceOf(t, h)[:4], map[bool]string{true: "0001", false: "0000"}[deviceOf(t, h)[:4] == "0000"], 1)
	h.file("other.json", []byte(other))
	h.do("order new lifecycle --state deployed --status other.json --out other.order")
	h.do("order sign other.order --key alice.key --key bob.key")
	h.do("order new grant --authority vendor --region 1 --ops write,erase --len 4KiB --status now.json --out g.order")
	h.do("order sign g.order --key release.key")
	h.do("order batch l.order --out l.batch")
	h.file("rubbish", []byte("rubbish"))
	h.file("huge", make([]byte, 300<<10))
	h.file("one", []byte{1})

	h.fails(exitIO, "no such file", "order show nothing.order")
	h.fails(exitIO, "a directory", "order show .")
	h.fails(exitInput, "not an order file", "order show rubbish")
	h.fails(exitInput, "wrong size", "order sign huge --key alice.key")
	h.fails(exitInput, "not signed", "order apply l.order --image flash.bin")
	h.fails(exitInput, "order split", "order apply l.batch --image flash.bin")
	h.fails(exitInput, "for another device", "order apply other.order --image flash.bin")
	h.fails(exitUsage, "--write", "order apply g.order --image flash.bin")
	h.fails(exitUsage, "not the one of the grant", "order apply g.order --image flash.bin --write one@data")
	h.fails(exitInput, "not inside what the grant gives", "order apply g.order --image flash.bin --write one@boot+8KiB")
	h.fails(exitUsage, "names no file and region", "order apply g.order --image flash.bin --write boot")
	h.fails(exitUsage, "opens no session", "order apply other.order --image flash.bin --write one@boot")
	h.fails(exitInput, "none of \"owner\"", "order sign l.order --key release.key --policy policy.yaml")
	h.fails(exitInput, "passphrase", "order sign l.order --key bob.key --passphrase-file rubbish")
	h.fails(exitInput, "name the .key file", "order sign l.order --key alice.pub")
	h.fails(exitInput, "another order", "order merge other.order g.order --out x.order")
	h.fails(exitIO, "exists already", "order new lifecycle --state deployed --status now.json --out l.order")
	h.fails(exitInput, "not a status", "order new lifecycle --state deployed --status rubbish --out x.order")
	h.fails(exitInput, "name a report", "order new policy --policy policy.yaml --report rubbish --out x.order")
	h.fails(exitInput, "ids.txt:2", idList(h))
	h.fails(exitInput, "signatures", "order attach l.order --key-pub alice.pub --signature rubbish --signature one")
	h.fails(exitInput, "order tbs", "order attach l.order --key-pub alice.pub --signature rubbish")
	h.fails(exitInput, "2 of 3 keys", "decommission --image flash.bin --owner-key alice.key --yes")
	h.fails(exitUsage, "--yes", "decommission --image flash.bin --owner-key alice.key --owner-key bob.key")

	h.fails(exitIO, "check the path", "status --image nothing.bin")
	h.fails(exitIO, "no such file", "status --image flash.bin --keystore nothing.secret")
	h.fails(exitIO, "--policy", "status --image rubbish")
	h.do("status --image flash.bin --report r.report")
	h.fails(exitInput, "name a .pub", "report verify r.report --key rubbish")
	h.fails(exitInput, "name what nanolock status --report has written", "report verify rubbish --key flash.bin.pub")
	if r := h.run("report", "verify", "r.report", "--key", "alice.pub"); r.code != exitFindings || !strings.Contains(r.out, "does not verify") {
		t.Errorf("another key: exit code %d, %s%s", r.code, r.out, r.err)
	}
	if r := h.run("report", "verify", "r.report", "--key", "flash.bin.pub", "--nonce", "0011223344556677"); r.code != exitFindings || !strings.Contains(r.out, "another nonce") {
		t.Errorf("another nonce: exit code %d, %s%s", r.code, r.out, r.err)
	}
	h.policy("policy2.yaml", 2)
	if r := h.run("report", "verify", "r.report", "--key", "flash.bin.pub", "--policy", "policy2.yaml"); r.code != exitFindings || !strings.Contains(r.out, "another policy") {
		t.Errorf("another policy: exit code %d, %s%s", r.code, r.out, r.err)
	}
	h.fails(exitInput, "another policy", "provision --policy policy2.yaml --image flash.bin --owner-key alice.key --owner-key bob.key")
	h.fails(exitInput, "2 of 3 keys", "provision --policy policy.yaml --image flash.bin --owner-key alice.key")
	h.fails(exitInput, "none of \"owner\"", "provision --policy policy.yaml --image flash.bin --owner-key alice.key --owner-key release.key")

	// Files that others can read, another device's, and half an image.
	must(os.Chmod(at("flash.bin.secret"), 0o644))
	h.fails(exitInput, "chmod 600", "status --image flash.bin")
	must(os.Chmod(at("flash.bin.secret"), 0o600))
	must(os.Chmod(at("alice.key"), 0o644))
	h.fails(exitInput, "chmod 600", "order sign l.order --key alice.key")
	must(os.Chmod(at("alice.key"), 0o600))
	h.file("second.bin", bytes.Repeat([]byte{0xFF}, 128<<10))
	h.do("provision --policy policy.yaml --image second.bin --create --owner-key alice.key --owner-key bob.key")
	h.fails(exitInput, "the image is of", "status --image flash.bin --keystore second.bin.secret")
	h.fails(exitInput, "the secret of device", "order apply other.order --image flash.bin --keystore second.bin.secret")
	if !bytes.Equal(image[:64<<10], h.read("flash.bin")[:64<<10]) {
		t.Error("a refusal has changed a region")
	}
	h.file("flash.bin", image[:100<<10])
	h.fails(exitInput, "truncated", "status --image flash.bin")
	h.fails(exitInput, "whole flash", "inspect flash.bin")
	h.file("flash.bin", image)
	must(os.Chmod(at("flash.bin"), 0o400))
	h.fails(exitIO, "make the image writable", "status --image flash.bin")
	must(os.Chmod(at("flash.bin"), 0o600))
	h.file("flash.bin.unit", []byte("{}"))
	h.fails(exitInput, "name the policy with --policy", "status --image flash.bin")
	h.do("status --image flash.bin --policy policy.yaml")
	must(os.Remove(at("flash.bin.secret.latch")))
	h.fails(exitIO, "name it with --keystore", "status --image flash.bin --policy policy.yaml")
	h.fails(exitIO, "name it with --keystore", "provision --policy policy.yaml --image flash.bin --create --owner-key alice.key --owner-key bob.key")
}

func idList(h *household) string {
	h.file("ids.txt", []byte("# units\nnobody\n"))
	return "order new policy --policy policy.yaml --devices ids.txt --counter 1 --out x.order"
}

// An owner whose keys are in a safe: ids go there, one batch is signed with
// detached signatures, and what comes back provisions all units. A copied secret
// is refused on both sides, and everybody else gets through.
func TestFactoryWithFiles(t *testing.T) {
	h := newHousehold(t)
	provision := "provision --policy policy.yaml --dir units "
	h.do(provision + "--count 4 --image flash.bin --create --ids")
	for _, suffix := range []string{".secret", ".secret.latch"} {
		h.file("units/unit-0004.bin"+suffix, h.read("units/unit-0002.bin"+suffix))
	}
	r := h.run(strings.Fields(provision + "--count 4 --ids")...)
	if r.code != exitInput || strings.Count(r.err, "the same secret as another unit") != 2 || strings.Count(r.out, "\n") != 2 {
		t.Fatalf("copied secret: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	h.file("ids.txt", []byte(r.out))
	for _, dir := range []string{"orders", "signed"} {
		if err := os.Mkdir(filepath.Join(h.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.do("order new policy --policy policy.yaml --devices ids.txt --epoch 1 --counter 1 --out orders")
	golden(t, "order-batch.txt", anonymous(h.do("order batch orders --out all.batch")))
	golden(t, "order-show-batch.txt", anonymous(h.do("order show all.batch orders --policy policy.yaml")))
	h.fails(exitInput, "not signed", "order split all.batch orders --out signed")
	for _, who := range []string{"alice", "carol"} {
		h.file("tbs", []byte(strings.TrimSpace(h.do("order tbs all.batch --key-pub "+who+".pub"))))
		h.file("sig", signHex(t, h, who, "tbs"))
		h.do("order attach all.batch --key-pub " + who + ".pub --signature sig")
	}
	h.do("order split all.batch orders --out signed")
	h.fails(exitInput, "these are not its orders", "order split all.batch "+firstIn(t, h, "orders")+" --out signed")
	r = h.run(strings.Fields(provision + "--order signed --json")...)
	if r.code != exitInput {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	done := 0
	for line := range strings.Lines(r.out) {
		var u unitLine
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if u.Error == "" && u.State == "manufacturing" && u.Policy == "household" {
			done++
		} else if u.Code != exitInput || !strings.Contains(u.Error, "the same secret") {
			t.Errorf("%+v", u)
		}
	}
	if done != 2 {
		t.Errorf("%d units are provisioned, want 2: %s", done, r.out)
	}
	h.do("status --image units/unit-0001.bin")
	h.fails(exitInput, "no order for device", "provision --policy policy.yaml --image flash.bin --create --order signed")
}

// signHex signs what order tbs printed, as a safe would.
func signHex(t *testing.T, h *household, who, tbs string) []byte {
	t.Helper()
	msg, err := hex.DecodeString(string(h.read(tbs)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := keyfile.Load(filepath.Join(h.dir, who+".key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := k.Signer().SignHalf(cose.AlgEd25519, msg)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(hex.EncodeToString(sig) + "\n")
}

func firstIn(t *testing.T, h *household, dir string) string {
	t.Helper()
	m, err := filepath.Glob(filepath.Join(h.dir, dir, "*"))
	if err != nil || len(m) == 0 {
		t.Fatal(err)
	}
	return m[0]
}

// A cut between two units, or an interrupt, is made good by the same command.
func TestProvisionGoesOn(t *testing.T) {
	h := newHousehold(t)
	line := "provision --policy policy.yaml --dir units --count 3 --create --owner-key alice.key --owner-key carol.key --json"
	h.do(strings.Replace(line, "--count 3", "--count 2", 1))
	out := h.do(line)
	if strings.Count(out, `"before":true`) != 2 || strings.Count(out, "\n") != 3 {
		t.Errorf("the second time: %s", out)
	}
	if out = h.do(line); strings.Count(out, `"before":true`) != 3 {
		t.Errorf("the third time: %s", out)
	}
}

func TestProvisionInterrupted(t *testing.T) {
	h := newHousehold(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.w.ctx = ctx
	h.fails(exitInterrupted, "the same command goes on", "provision --policy policy.yaml --dir units --count 2 --create --owner-key alice.key --owner-key carol.key")
}

// A person is asked before a device ends, and typing anything else ends nothing.
func TestDecommissionAsks(t *testing.T) {
	h := provisioned(t)
	for _, tc := range []struct {
		types string
		code  int
	}{{"no", exitUsage}, {deviceOf(t, h)[:8], exitOK}} {
		p := &person{t: t, dir: h.dir}
		p.master, p.slave = tty(t)
		p.cmd = process(t, []string{passphraseVariable + "=pass phrase"}, "decommission", "--image", filepath.Join(h.dir, "flash.bin"),
			"--owner-key", filepath.Join(h.dir, "alice.key"), "--owner-key", filepath.Join(h.dir, "carol.key"))
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.slave, p.slave, p.slave
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p.until("to go on: ")
		if _, err := p.master.WriteString(tc.types + "\n"); err != nil {
			t.Fatal(err)
		}
		p.leaves(tc.code)
		_, err := os.Stat(filepath.Join(h.dir, "flash.bin.certificate"))
		if (err == nil) != (tc.code == exitOK) {
			t.Errorf("typed %q: certificate: %v", tc.types, err)
		}
	}
}
