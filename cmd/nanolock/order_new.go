package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// drafting is what was asked of "order new".
type drafting struct {
	body      bodyFlags
	devices   []string
	list      string
	statuses  []string
	reports   []string
	epoch     uint32
	authority string
	challenge string
	counter   uint64
	notAfter  string
	out       string
}

// kindNames are those that "order new" writes.
var kindNames = []string{"grant", "policy", "keys", "lifecycle", "thaw", "transfer", "recover", "void", "challenge", "heartbeat", "time"}

func parseKind(s string) (order.Kind, error) {
	for k := order.Kind(1); k < order.Batch; k++ {
		if k.Valid() && k.String() == s {
			for _, name := range kindNames {
				if name == s {
					return k, nil
				}
			}
		}
	}
	return 0, usage("say "+strings.Join(kindNames, ", "), "unknown kind of order %q", s)
}

func (a *app) orderNewCommand() *cobra.Command {
	d := &drafting{}
	c := &cobra.Command{
		Use: "new KIND", Short: "Write an order that nobody has signed yet",
		Long: `Writes the order of a kind for a device. Device, owner epoch and what makes the
order fresh come from --status, what "nanolock status --json" printed; or of kinds
with a counter from --report; or from --device, --epoch and --challenge or --counter.
With several devices there is one order for each, in the folder --out.

  grant      opens a session: --authority --region --ops [--off --len --bytes
             --erases --uptime --content FILE]
  policy     --policy FILE
  keys       --rotate FILE.order, a signed policy order for the next owner epoch,
             or --revoke ID
  lifecycle  --state manufacturing, deployed, rma or decommissioned
  thaw       ends a freeze
  transfer   --policy-order FILE.order, that the new owner has signed
  recover    --policy-order FILE.order --state STATE
  void       --of AUTHORITY --class root, operate or audit --to N
  challenge  --nonce HEX; heartbeat; time [--unix N]

Who may sign what: the owner grant, policy, keys, lifecycle, transfer, recover and
void; operations grant, thaw and void of its own; vendor grant; platform challenge,
heartbeat and time; every other authority grant, for the regions that name it.`,
		Example: `  nanolock order new lifecycle --state deployed --status router-7.json
  nanolock order new grant --authority vendor --region firmware --policy router.yaml --content new.bin --status router-7.json
  nanolock order new policy --policy router.yaml --devices ids.txt --epoch 1 --counter 1 --out orders`,
		Args:      takes("KIND"),
		ValidArgs: kindNames,
		RunE:      func(c *cobra.Command, args []string) error { return a.orderNew(c, args[0], d) },
	}
	f := c.Flags()
	f.StringArrayVar(&d.devices, "device", nil, "id of a device; repeat for more")
	f.StringVar(&d.list, "devices", "", "file with the id of a device at the beginning of each line")
	f.StringArrayVar(&d.statuses, "status", nil, "what nanolock status --json printed, or a folder of such .json files; repeat for more")
	f.StringArrayVar(&d.reports, "report", nil, "report of a device, for kinds with a counter; repeat for more")
	f.Uint32Var(&d.epoch, "epoch", 1, "with --device: owner epoch")
	f.StringVar(&d.authority, "authority", "", "who gives the order (the owner; operations for thaw; platform for challenge, heartbeat and time)")
	f.StringVar(&d.challenge, "challenge", "", "with --device: the challenge that the order answers, in hex")
	f.Uint64Var(&d.counter, "counter", 0, "with --device: a number above that of the last such order")
	f.StringVar(&d.notAfter, "not-after", "", "the order ends then: 2027-01-31T12:00:00Z (never)")
	f.StringVar(&d.out, "out", "", "file, or with several devices a folder (KIND-DEVICE.order here)")
	d.body.flags(c)
	return c
}

// author is who gives orders of a kind, if nobody says.
func author(k order.Kind) string {
	switch k {
	case order.Grant:
		return ""
	case order.Thaw:
		return order.Operations
	case order.Challenge, order.Heartbeat, order.Time:
		return order.Platform
	}
	return order.Owner
}

func (a *app) orderNew(c *cobra.Command, name string, d *drafting) error {
	kind, err := parseKind(name)
	if err != nil {
		return err
	}
	if d.authority == "" {
		d.authority = author(kind)
	}
	switch {
	case d.authority == "":
		return usage("say --authority vendor, or whom the region's rule names", "nobody gives the grant")
	case !order.MaySign(d.authority, kind):
		return usage("see nanolock order new --help", "%q signs no orders of kind %v", d.authority, kind)
	}
	if err := d.body.check(c, kind); err != nil {
		return err
	}
	until, err := parseTime(d.notAfter)
	if err != nil {
		return err
	}
	drafts, err := d.drafts(kind)
	if err != nil {
		return err
	}
	var p *policy.Policy
	if d.body.policy != "" {
		if p, err = a.readPolicy(d.body.policy); err != nil {
			return err
		}
	}
	var messages []*ownerfiles.Message
	for _, o := range drafts {
		o.NotAfter = until
		if o.Body, err = d.body.body(kind, o, p); err != nil {
			return err
		}
		m, err := ownerfiles.New(o)
		if err != nil {
			return deviceFailure("", err)
		}
		messages = append(messages, m)
	}
	return a.writeDrafts(c, d, messages)
}

func parseTime(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Unix() <= 0 {
		return 0, usage("write 2027-01-31T12:00:00Z", "--not-after %q is no time", s)
	}
	return uint64(t.Unix()), nil
}

func (a *app) writeDrafts(c *cobra.Command, d *drafting, messages []*ownerfiles.Message) error {
	type written struct {
		File   string `json:"file"`
		Device string `json:"device"`
		Digest string `json:"digest"`
	}
	files := []written{}
	for _, m := range messages {
		path := orderFile(m.Order)
		if len(messages) > 1 || isDir(d.out) {
			path = filepath.Join(d.out, path)
		} else if d.out != "" {
			path = d.out
		}
		if err := writeNew(path, m.Payload); err != nil {
			return err
		}
		digest := m.Digest()
		files = append(files, written{path, m.Order.Device.String(), hex.EncodeToString(digest[:])})
	}
	if a.json {
		a.emit(struct {
			document
			Orders []written `json:"orders"`
		}{newDocument(c.CommandPath()), files})
		return nil
	}
	for i, f := range files {
		a.printf("%s %s  %v, to be signed by %s\n", a.style.green(a.style.pick("✓", "ok")), f.File, messages[i], messages[i].Authority())
	}
	return nil
}

// drafts are orders without a body, one for each device.
func (d *drafting) drafts(kind order.Kind) (list []*order.Order, err error) {
	if len(d.statuses)+len(d.reports) > 0 && (d.challenge != "" || d.counter != 0 || len(d.devices) > 0 || d.list != "") {
		return nil, usage("leave the others away", "--status and --report tell device, epoch, challenge and counter")
	}
	for _, f := range []func(order.Kind) ([]*order.Order, error){d.fromStatus, d.fromReports, d.fromFlags} {
		more, err := f(kind)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	seen := map[order.DeviceID]bool{}
	for _, o := range list {
		if seen[o.Device] {
			return nil, usage("name each device once", "device %v is there twice", o.Device)
		}
		seen[o.Device] = true
	}
	if len(list) == 0 {
		return nil, usage("say --status FILE.json, or --device ID", "no device is named")
	}
	return list, nil
}

func (d *drafting) fromStatus(kind order.Kind) (list []*order.Order, err error) {
	files, err := filesIn(d.statuses, ".json")
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		b, err := readFile(path, ownerfiles.MaxStatus)
		if err != nil {
			return nil, err
		}
		s, err := ownerfiles.ParseStatus(b)
		if err != nil {
			return nil, badInput(path, err, "name what nanolock status --json printed")
		}
		o := &order.Order{Kind: kind, Authority: d.authority}
		if err := s.Fill(o); err != nil {
			return nil, badInput(path, err, "the device must know the authority, and be open to such orders")
		}
		list = append(list, o)
	}
	return list, nil
}

func (d *drafting) fromReports(kind order.Kind) (list []*order.Order, err error) {
	for _, path := range d.reports {
		b, err := readFile(path, order.MaxReport)
		if err != nil {
			return nil, err
		}
		r, err := order.ParseReport(b)
		if err != nil {
			return nil, badInput(path, err, "name a report, as nanolock status --report writes them")
		}
		o := &order.Order{Kind: kind, Authority: d.authority}
		if err := ownerfiles.FillFrom(r, o); err != nil {
			return nil, badInput(path, err, "take --status")
		}
		list = append(list, o)
	}
	return list, nil
}

func (d *drafting) fromFlags(kind order.Kind) (list []*order.Order, err error) {
	ids, err := d.ids()
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	fresh := order.Fresh{Counter: d.counter}
	switch {
	case kind.Opening() && (d.challenge == "" || d.counter != 0):
		return nil, usage("say --challenge HEX, or take --status", "%v answers a challenge", kind)
	case !kind.Opening() && (d.counter == 0 || d.challenge != ""):
		return nil, usage("say --counter N, or take --status", "%v carries a counter", kind)
	case kind.Opening() && len(ids) > 1:
		return nil, usage("take --status for each", "no two devices have the same challenge")
	case kind.Opening():
		fresh.Challenge, err = hex.DecodeString(d.challenge)
		if err != nil || len(fresh.Challenge) != 32 {
			return nil, usage("write 64 hexadecimal digits", "--challenge %q is none", d.challenge)
		}
	}
	for _, id := range ids {
		list = append(list, &order.Order{Kind: kind, Device: id, Epoch: d.epoch, Authority: d.authority, Fresh: fresh})
	}
	return list, nil
}

func (d *drafting) ids() (ids []order.DeviceID, err error) {
	for _, s := range d.devices {
		id, err := ownerfiles.ParseID(s)
		if err != nil {
			return nil, usage("write the id that nanolock status tells", "--device: %w", err)
		}
		ids = append(ids, id)
	}
	if d.list == "" {
		return ids, nil
	}
	text, err := readFile(d.list, maxMap)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		id, err := ownerfiles.ParseID(words[0])
		if err != nil {
			return nil, badInput(fmt.Sprintf("%s:%d", d.list, n), err, "each line begins with an id")
		}
		ids = append(ids, id)
	}
	if lines.Err() != nil {
		return nil, badInput(d.list, errors.New("a line is too long"), "each line begins with an id")
	}
	return ids, nil
}
