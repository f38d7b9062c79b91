package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/keyfile"
)

// household is an owner without a server: a folder with keys, a policy, and units.
type household struct {
	t   *testing.T
	dir string
	w   with
}

const householdPolicy = `nanolock: 1
name: household
version: %d
memory:
  size: 128KiB
  granule: 4KiB
  blank: true
  hidden:
    - {name: audit, id: 90, kind: audit, at: 48KiB, size: 16KiB}
    - {name: vault, id: 91, kind: vault, at: 64KiB, size: 64KiB}
authorities:
  - name: owner
    suite: ed25519
    threshold: 2
    keys:
      - {name: alice, public: "%x"}
      - {name: bob, public: "%x"}
      - {name: carol, public: "%x"}
  - name: vendor
    suite: ed25519
    threshold: 1
    keys:
      - {name: release, public: "%x"}
  - name: platform
    suite: ed25519
    threshold: 1
    keys:
      - {name: cloud, public: "%x"}
map:
  - {name: boot, id: 1, at: 0, size: 16KiB, boot: true, read: any, write: grant vendor, erase: grant vendor}
  - {name: data, id: 2, at: 16KiB, size: 16KiB, read: any, write: any, erase: any, wear: {erases: 200, hours: 24}}
  - {name: keys, id: 3, at: 32KiB, size: 8KiB, confidential: true, read: never, write: never, erase: never}
`

var householders = []string{"alice", "bob", "carol", "release", "cloud"}

func newHousehold(t *testing.T) *household {
	t.Helper()
	h := &household{t: t, dir: t.TempDir(), w: with{env: map[string]string{passphraseVariable: "pass phrase"}}}
	if err := os.Chmod(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range householders {
		protect := "--no-passphrase"
		if name == "bob" {
			protect = "--suite=ed25519" // and a passphrase
		}
		h.ok("keygen", name, "--suite", "ed25519", protect)
	}
	h.policy("policy.yaml", 1)
	h.file("flash.bin", bytes.Repeat([]byte{0xFF}, 128<<10))
	return h
}

// policy writes the policy of a version.
func (h *household) policy(name string, version int) {
	h.t.Helper()
	args := []any{version}
	for _, who := range householders {
		p, err := keyfile.LoadPublic(filepath.Join(h.dir, who+".pub"))
		if err != nil {
			h.t.Fatal(err)
		}
		args = append(args, p.Key.Bytes())
	}
	h.file(name, fmt.Appendf(nil, householdPolicy, args...))
}

func (h *household) file(name string, content []byte) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), content, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *household) read(name string) []byte {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// run runs a command in the folder.
func (h *household) run(args ...string) result {
	h.t.Helper()
	here, err := os.Getwd()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chdir(h.dir); err != nil {
		h.t.Fatal(err)
	}
	defer os.Chdir(here)
	return h.w.do(args...)
}

// ok runs a command that has to work, and returns what it prints.
func (h *household) ok(args ...string) string {
	h.t.Helper()
	r := h.run(args...)
	if r.code != exitOK {
		h.t.Fatalf("nanolock %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// do is ok of one line.
func (h *household) do(line string) string {
	h.t.Helper()
	return h.ok(strings.Fields(line)...)
}

// fails runs a command that has to fail so.
func (h *household) fails(code int, want, line string) {
	h.t.Helper()
	r := h.run(strings.Fields(line)...)
	if r.code != code || !strings.Contains(r.err, want) {
		h.t.Errorf("nanolock %s: exit code %d, want %d and %q\n%s%s", line, r.code, code, want, r.out, r.err)
	}
}

// provisioned is a household with a device.
func provisioned(t *testing.T) *household {
	h := newHousehold(t)
	h.do("provision --policy policy.yaml --image flash.bin --create --owner-key alice.key --owner-key bob.key")
	return h
}

// stamp writes the status to a file for order new.
func (h *household) stamp() {
	h.t.Helper()
	h.file("now.json", []byte(h.do("status --image flash.bin --json")))
}

// named is what differs from run to run: ids, digests, challenges, times.
var named = regexp.MustCompile(`[0-9a-f]{14,}`)

// anonymous gives each such name a number, in order of appearance.
func anonymous(s string) string {
	seen := map[string]string{}
	s = named.ReplaceAllStringFunc(s, func(x string) string {
		if seen[x] == "" {
			seen[x] = fmt.Sprintf("HEX%d-%d", len(x), len(seen))
		}
		return seen[x]
	})
	s = regexp.MustCompile(`"(seconds|uptime)":( ?)[0-9][0-9.e-]*`).ReplaceAllString(s, `"$1":${2}0`)
	s = regexp.MustCompile(`\d+ s after the start`).ReplaceAllString(s, "0 s after the start")
	return regexp.MustCompile(`, \d+ s: `).ReplaceAllString(s, ", 0 s: ")
}

// The whole story with files, as docs tell it.
func TestOwnerStory(t *testing.T) {
	h := newHousehold(t)
	say := func(file, line string) {
		t.Helper()
		out := anonymous(h.do(line))
		if strings.HasSuffix(file, ".json") && !json.Valid([]byte(out)) {
			t.Errorf("%s: not one JSON document", line)
		}
		golden(t, file, out)
	}
	say("provision.txt", "provision --policy policy.yaml --image flash.bin --create --owner-key alice.key --owner-key bob.key")
	say("provision-again.json", "provision --policy policy.yaml --image flash.bin --owner-key carol.key --owner-key bob.key --json")
	say("status.txt", "status --image flash.bin")
	say("status.json", "status --image flash.bin --json")

	// New firmware: the vendor signs for this content alone.
	h.stamp()
	h.file("new.bin", bytes.Repeat([]byte("firmware"), 1250))
	say("order-new.txt", "order new grant --authority vendor --region boot --policy policy.yaml --content new.bin --status now.json --out grant.order")
	say("order-show-unsigned.txt", "order show grant.order --policy policy.yaml")
	say("order-sign.txt", "order sign grant.order --key release.key --policy policy.yaml")
	say("order-show.txt", "order show grant.order --policy policy.yaml")
	say("order-show.json", "order show grant.order --policy policy.yaml --json")
	say("order-apply.txt", "order apply grant.order --image flash.bin --write new.bin@boot")
	if !bytes.HasPrefix(h.read("flash.bin"), h.read("new.bin")) {
		t.Error("the image does not begin with what was written")
	}
	h.fails(exitInput, "stale", "order apply grant.order --image flash.bin --write new.bin@boot")

	// Two of three owners send it off, on two machines.
	h.stamp()
	h.do("order new lifecycle --state deployed --status now.json --out a.order")
	h.file("b.order", h.read("a.order"))
	h.do("order sign a.order --key alice.key")
	say("order-sign-more.json", "order sign b.order --key bob.key --json")
	h.fails(exitInput, "unsigned", "order apply a.order --image flash.bin")
	h.do("order merge a.order b.order --out ab.order")
	say("order-apply.json", "order apply ab.order --image flash.bin --json")

	// A new policy, made from what a report says.
	h.do("status --image flash.bin --report now.report")
	h.policy("policy2.yaml", 2)
	h.do("order new policy --policy policy2.yaml --report now.report --out p2.order")
	say("order-show-policy.txt", "order show p2.order")
	h.do("order sign p2.order --key alice.key --key carol.key")
	h.do("order apply p2.order --image flash.bin")
	h.fails(exitInput, "stale", "order apply p2.order --image flash.bin")

	h.do("status --image flash.bin --report now.report --nonce 0011223344556677")
	say("report.txt", "report verify now.report --key flash.bin.pub --nonce 0011223344556677 --policy policy2.yaml")
	say("report.json", "report verify now.report --key . --json")
	kept := [][]byte{h.read("flash.bin"), h.read("flash.bin.secret"), h.read("flash.bin.secret.latch")}
	say("inspect.txt", "inspect flash.bin")
	say("inspect-keys.txt", "inspect flash.bin --keystore flash.bin.secret --policy policy2.yaml")
	say("inspect.json", "inspect flash.bin --json")
	for i, name := range []string{"flash.bin", "flash.bin.secret", "flash.bin.secret.latch"} {
		if !bytes.Equal(kept[i], h.read(name)) {
			t.Errorf("inspect has changed %s", name)
		}
	}

	say("decommission.txt", "decommission --image flash.bin --owner-key alice.key --owner-key bob.key --yes")
	say("certificate.json", "report verify flash.bin.certificate --key flash.bin.pub --json")
	say("inspect-end.txt", "inspect flash.bin")
	h.fails(exitIO, "decommissioned", "status --image flash.bin")
	certificate := h.read("flash.bin.certificate")
	if err := os.Remove(filepath.Join(h.dir, "flash.bin.certificate")); err != nil {
		t.Fatal(err)
	}
	h.do("decommission --image flash.bin --owner-key alice.key --owner-key bob.key --yes")
	if !bytes.Equal(certificate, h.read("flash.bin.certificate")) {
		t.Error("the certificate in the image is another one")
	}
	if bytes.Equal(kept[0], h.read("flash.bin")) {
		t.Error("decommissioning has changed nothing")
	}
}

// The order to recover answers a challenge that dies with the device's start: it
// is signed where the keys are, while the device waits.
func TestRecoverWithFiles(t *testing.T) {
	for _, how := range []string{"here", "elsewhere"} {
		t.Run(how, func(t *testing.T) {
			h := provisioned(t)
			h.stamp()
			image := h.read("flash.bin")
			copy(image[64<<10:], bytes.Repeat([]byte{0xFF}, 16<<10)) // the journal
			h.file("flash.bin", image)
			r := h.run("status", "--image", "flash.bin")
			if r.code != exitFindings || !strings.Contains(r.out, "vault-lost") || !strings.Contains(r.out, "kind recover") {
				t.Fatalf("exit code %d: %s%s", r.code, r.out, r.err)
			}
			golden(t, "status-lost.txt", anonymous(r.out))
			id := deviceOf(t, h)
			h.policy("policy2.yaml", 2)
			h.do("order new policy --policy policy2.yaml --device " + id + " --epoch 2 --counter 1 --out next.order")
			h.do("order sign next.order --key alice.key --key bob.key")
			if how == "here" {
				h.do("order new recover --policy-order next.order --state manufacturing --device " + id +
					" --epoch 1 --challenge " + strings.Repeat("00", 32) + " --out r.order")
				h.do("order apply r.order --image flash.bin --key alice.key --key bob.key")
			} else {
				h.answered("r.order", "order new recover --policy-order next.order --state manufacturing --status live.json --out r.tmp",
					"order sign r.tmp --key alice.key --key bob.key")
			}
			out := h.do("status --image flash.bin")
			if !strings.Contains(out, "version 2") || !strings.Contains(out, "epoch     2") {
				t.Errorf("after recovering: %s", out)
			}
		})
	}
}

// answered applies an order that is made and signed while the device waits.
func (h *household) answered(file string, lines ...string) {
	h.t.Helper()
	done := make(chan result, 1)
	live := filepath.Join(h.dir, "live.json")
	go func() {
		done <- h.w.do("order", "apply", filepath.Join(h.dir, file), "--image", filepath.Join(h.dir, "flash.bin"), "--wait", "--status", live)
	}()
	for {
		if _, err := os.Stat(live); err == nil {
			break
		}
		select {
		case r := <-done:
			h.t.Fatalf("exit code %d: %s", r.code, r.err)
		default:
		}
	}
	for _, line := range lines {
		h.do(line)
	}
	if err := os.Rename(filepath.Join(h.dir, "r.tmp"), filepath.Join(h.dir, file)); err != nil {
		h.t.Fatal(err)
	}
	if r := <-done; r.code != exitOK {
		h.t.Fatalf("exit code %d: %s", r.code, r.err)
	}
}

func deviceOf(t *testing.T, h *household) string {
	t.Helper()
	var u struct{ Device string }
	if err := json.Unmarshal(h.read("flash.bin.unit"), &u); err != nil {
		t.Fatal(err)
	}
	return u.Device
}
