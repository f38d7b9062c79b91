package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func (a *app) reportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "report", Short: "Check what devices say of themselves",
		Example: `  nanolock report verify router-7.report --key flash.bin.pub
  nanolock report verify flash.bin.certificate --key flash.bin.pub`,
		RunE: onlyCommands,
	}
	c.AddCommand(a.reportVerifyCommand())
	return c
}

// inquiry is what was asked of "report verify".
type inquiry struct{ key, id, nonce, policy string }

func (a *app) reportVerifyCommand() *cobra.Command {
	q := &inquiry{}
	c := &cobra.Command{
		Use: "verify FILE", Short: "Verify a signed report or certificate, and read it",
		Long: `Verifies the signature of a device's report by its public key, which provision has
left beside the image, and prints what the report says. --key may be a folder of .pub
files: the key is then found by the id in the report. Exit code 1 if the report does
not verify, is not of the device or nonce or policy that is expected, or says that
the device is not healthy.

A certificate is the last report of a decommissioned device.`,
		Example: `  nanolock report verify router-7.report --key flash.bin.pub --nonce 0011223344556677
  nanolock report verify router-7.report --key keys --policy router.yaml
  nanolock report verify router-7.report --key flash.bin.pub --json | jq .health`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return a.reportVerify(c, args[0], q) },
	}
	f := c.Flags()
	f.StringVar(&q.key, "key", "", "public key of the device, or a folder of them")
	f.StringVar(&q.id, "id", "", "id of the device that the report has to be of")
	f.StringVar(&q.nonce, "nonce", "", "what the report was asked with, in hex (any)")
	f.StringVar(&q.policy, "policy", "", "policy that has to be in force, and the names of its regions; YAML or CBOR")
	return c
}

// measured is one region's measurement, in JSON.
type measured struct {
	Region uint32 `json:"region"`
	Name   string `json:"name,omitempty"`
	Keyed  bool   `json:"keyed"`
	Digest string `json:"digest"`
}

// certified is what a certificate says beside, in JSON.
type certified struct {
	Order  string   `json:"order"`
	Wiped  []uint32 `json:"wiped"`
	Secret bool     `json:"secret"`
}

// verdict is a report that was looked at, in JSON.
type verdict struct {
	document
	File         string               `json:"file"`
	Verified     bool                 `json:"verified"`
	Good         bool                 `json:"good"` // verified, expected and healthy
	Why          []string             `json:"why"`  // not Good
	Device       string               `json:"device"`
	State        string               `json:"state"`
	Epoch        uint32               `json:"epoch"`
	Policy       ownerfiles.InForce   `json:"policy"`
	Seq          uint64               `json:"seq"`
	Uptime       uint64               `json:"uptime"`
	Nonce        string               `json:"nonce"`
	Denied       uint64               `json:"denied"`
	Anchored     bool                 `json:"anchored"`
	Health       []ownerfiles.Symptom `json:"health"`
	Measurements []measured           `json:"measurements"`
	Certificate  *certified           `json:"certificate,omitempty"`
}

func (a *app) reportVerify(c *cobra.Command, path string, q *inquiry) error {
	if q.key == "" {
		return usage("say --key DEVICE.pub, or the folder that has it", "the id alone verifies nothing: the device's public key is missing")
	}
	nonce := []byte(nil)
	if q.nonce != "" {
		var err error
		if nonce, err = parseNonce(q.nonce); err != nil {
			return err
		}
	}
	msg, err := readFile(path, order.MaxReport)
	if err != nil {
		return err
	}
	r, err := order.ParseReport(msg)
	if err != nil {
		return badInput(path, err, "name what nanolock status --report has written")
	}
	var p *policy.Policy
	if q.policy != "" {
		if p, err = a.readPolicy(q.policy); err != nil {
			return err
		}
	}
	v := newVerdict(c, path, r, p)
	if err := q.judge(v, msg, r, p, nonce); err != nil {
		return err
	}
	v.Good = v.Verified && len(v.Why) == 0
	if a.json {
		a.emit(v)
	} else {
		a.printReport(v)
	}
	if !v.Good {
		return errFindings
	}
	return nil
}

// judge says what is wrong with a report.
func (q *inquiry) judge(v *verdict, msg []byte, r *order.Report, p *policy.Policy, nonce []byte) error {
	key, err := q.find(r.Device)
	if err != nil {
		return err
	}
	object := func(format string, args ...any) { v.Why = append(v.Why, fmt.Sprintf(format, args...)) }
	if _, err := order.OpenReport(msg, key, nonce); errors.Is(err, order.ErrNonce) {
		object("another nonce: it answers another question, or is an old one")
		v.Verified = true
	} else if err != nil {
		object("it does not verify: %v", err)
	} else {
		v.Verified = true
	}
	if q.id != "" {
		id, err := ownerfiles.ParseID(q.id)
		if err != nil {
			return usage("write the id that nanolock status tells", "--id: %w", err)
		}
		if id != r.Device {
			object("it is of device %v", r.Device)
		}
	}
	if p != nil {
		want, err := ownerfiles.PolicyDigest(p)
		if err != nil {
			return badInput(q.policy, err, "see nanolock policy check")
		}
		if want != r.PolicyDigest {
			object("another policy is in force: version %d with digest %x", r.PolicyVersion, r.PolicyDigest)
		}
	}
	if !ownerfiles.Healthy(r.Health) {
		object("the device is not healthy")
	}
	return nil
}

// find returns the key to verify with: the one that was named, or of a folder
// that of the device.
func (q *inquiry) find(id order.DeviceID) (*cose.PublicKey, error) {
	if !isDir(q.key) {
		p, err := readPublic(q.key)
		if err != nil {
			return nil, err
		}
		return p.Key, nil
	}
	files, err := filesIn([]string{q.key}, ".pub")
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		if p, err := readPublic(path); err == nil && p.Key.ID() == id {
			return p.Key, nil
		}
	}
	return nil, badInput(filepath.Clean(q.key), fmt.Errorf("no .pub file of device %v is in it", id), "provision leaves the key beside the image")
}

func newVerdict(c *cobra.Command, path string, r *order.Report, p *policy.Policy) *verdict {
	v := &verdict{document: newDocument(c.CommandPath()), File: path, Why: []string{}, Device: r.Device.String(),
		State: policy.State(r.State).String(), Epoch: r.Epoch, Seq: r.Seq, Uptime: r.Uptime, Nonce: hex.EncodeToString(r.Nonce),
		Policy: ownerfiles.InForce{Version: r.PolicyVersion, Digest: hex.EncodeToString(r.PolicyDigest[:])},
		Denied: r.Audit.Denied, Anchored: r.Anchor.Kind != 0, Health: ownerfiles.Symptoms(r.Health), Measurements: []measured{}}
	names := map[uint32]string{}
	if p != nil {
		v.Policy.Name = p.Name
		for i := range p.Map {
			names[p.Map[i].ID] = p.Map[i].Name
		}
	}
	for _, m := range r.Measurements {
		v.Measurements = append(v.Measurements, measured{m.Region, names[m.Region], m.Keyed, hex.EncodeToString(m.Digest[:])})
	}
	if r.Certificate != nil {
		wiped := append([]uint32{}, r.Certificate.Wiped...)
		v.Certificate = &certified{hex.EncodeToString(r.Certificate.Order[:]), wiped, r.Certificate.Secret}
	}
	return v
}

func (a *app) printReport(v *verdict) {
	row := func(name, format string, args ...any) {
		a.printf("%s %s\n", a.style.dim(pad(name, 9)), fmt.Sprintf(format, args...))
	}
	if v.Good {
		a.printf("%s %s is signed by the device, and good\n", a.style.green(a.style.pick("✓", "ok")), v.File)
	}
	for _, why := range v.Why {
		a.printf("%s %s: %s\n", a.style.red(a.style.pick("✗", "!!")), v.File, why)
	}
	row("device", "%s", v.Device)
	row("state", "%s", v.State)
	row("policy", "version %d, digest %s", v.Policy.Version, v.Policy.Digest)
	row("epoch", "%d", v.Epoch)
	row("report", "number %d, %d s after the start, nonce %s", v.Seq, v.Uptime, v.Nonce)
	row("denied", "%d accesses in this start", v.Denied)
	a.printHealth(v.Health)
	for _, m := range v.Measurements {
		kind := ""
		if m.Keyed {
			kind = "  (keyed)"
		}
		name := m.Name
		if name == "" {
			name = "region " + fmt.Sprint(m.Region)
		}
		row("measured", "%s  %s%s", m.Digest, name, kind)
	}
	if v.Certificate != nil {
		a.printf("%s\n", a.style.bold("certificate: the device is decommissioned"))
		row("order", "%s", v.Certificate.Order)
		row("wiped", "%d confidential %s", len(v.Certificate.Wiped), plural(len(v.Certificate.Wiped), "region", "regions"))
		row("secret", "%s", map[bool]string{true: "destroyed", false: "the keystore cannot destroy it: do it yourself"}[v.Certificate.Secret])
	}
}
