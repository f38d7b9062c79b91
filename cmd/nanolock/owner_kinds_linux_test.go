package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/keyfile"
)

// Every kind of order can be made, signed and obeyed with files alone.
func TestOrderKinds(t *testing.T) {
	h := provisioned(t)
	id := deviceOf(t, h)
	order := func(kind, flags string, keys ...string) string {
		t.Helper()
		h.stamp()
		file := kind + ".order"
		_ = os.Remove(filepath.Join(h.dir, file))
		h.do("order new " + kind + " --status now.json --out " + file + " " + flags)
		line := "order sign " + file
		if kind == "challenge" || kind == "time" || kind == "heartbeat" { // their challenges die with the start
			line = "order apply " + file + " --image flash.bin"
		}
		for _, k := range keys {
			line += " --key " + k + ".key"
		}
		out := h.do(line)
		if strings.HasPrefix(line, "order sign") {
			h.do("order show " + file + " --policy policy.yaml")
			out = h.do("order apply " + file + " --image flash.bin --json")
		}
		return out
	}
	order("void", "--of vendor --class operate --to 7", "alice", "bob")
	if out := h.do("status --image flash.bin"); !strings.Contains(out, "operate  counter 7") {
		t.Errorf("after void: %s", out)
	}
	order("challenge", "--nonce 8899aabbccddeeff", "cloud")
	h.do("report verify flash.bin.report --key flash.bin.pub --nonce 8899aabbccddeeff")
	order("time", "", "cloud")
	order("time", "--unix 1900000000", "cloud")
	order("heartbeat", "", "cloud")

	order("lifecycle", "--state deployed", "alice", "carol")
	order("lifecycle", "--state rma", "bob", "carol")
	order("lifecycle", "--state deployed", "bob", "carol")

	release, err := keyfile.LoadPublic(filepath.Join(h.dir, "release.pub"))
	if err != nil {
		t.Fatal(err)
	}
	order("keys", "--revoke "+newKeyReport(release).ID, "alice", "bob")
	h.stamp()
	h.fails(exitInput, "knows no", "order new grant --authority vendor --region 1 --ops write --len 4KiB --status now.json --out none.order")

	// The owner's keys rotate: dora comes, alice goes.
	h.ok("keygen", "dora", "--suite", "ed25519", "--no-passphrase")
	alice, dora := h.public("alice"), h.public("dora")
	h.policy("policy2.yaml", 2)
	h.file("policy2.yaml", []byte(strings.Replace(strings.Replace(string(h.read("policy2.yaml")), alice, dora, 1), "name: alice", "name: dora", 1)))
	h.do("order new policy --policy policy2.yaml --device " + id + " --epoch 2 --counter 1 --out next.order")
	h.do("order sign next.order --key dora.key --key bob.key")
	order("keys", "--rotate next.order", "alice", "bob")
	var now struct{ Epoch int }
	if err := json.Unmarshal([]byte(h.do("status --image flash.bin --json")), &now); err != nil || now.Epoch != 2 {
		t.Errorf("owner epoch %d, %v", now.Epoch, err)
	}
	h.fails(exitInput, "the device goes to 3", "order new transfer --policy-order next.order --device "+id+" --epoch 2 --challenge "+id+" --out t.order")

	// And the device is sold.
	h.policy("policy3.yaml", 3)
	h.do("order new policy --policy policy3.yaml --device " + id + " --epoch 3 --counter 1 --out sale.order")
	h.do("order sign sale.order --key alice.key --key bob.key")
	order("transfer", "--policy-order sale.order", "dora", "bob")
	if out := h.do("status --image flash.bin"); !strings.Contains(out, "epoch     3") || !strings.Contains(out, "was-rma") {
		t.Errorf("after the sale: %s", out)
	}
}

func (h *household) public(who string) string {
	h.t.Helper()
	var k struct{ Public string }
	if err := json.Unmarshal([]byte(h.do("key show "+who+".pub --json")), &k); err != nil {
		h.t.Fatal(err)
	}
	return k.Public
}
