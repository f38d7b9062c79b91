package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// application is what was asked of "order apply".
type application struct {
	desk
	signers people
	write   string
	report  string
	status  string
	wait    bool

	task *task // what write says
}

func (a *app) orderApplyCommand() *cobra.Command {
	r := &application{}
	c := &cobra.Command{
		Use: "apply FILE", Short: "Open a device and give it an order",
		Long: `Opens the device, gives it the order, prints what it answers, and closes it. A grant
opens a session that ends with this command, so it comes with something to do:
--write FILE@REGION[+OFF] writes the file there, by whole erase blocks.

Some challenges die when the device closes: those of kinds challenge, heartbeat and
time, and that of recover. For these --wait opens the device first, writes what
nanolock status says to --status OUT, and waits until somebody puts the signed
order at FILE. Who has the keys here takes --key instead: then an order that nobody
has signed is made fresh for this start and signed.`,
		Example: `  nanolock order apply lifecycle.order --image flash.bin
  nanolock order apply grant.order --image flash.bin --write new.bin@firmware
  nanolock order apply recover.order --image flash.bin --wait --status now.json
  nanolock order apply recover.order --image flash.bin --key alice.key --key bob.key`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return a.orderApply(c, args[0], r) },
	}
	r.flags(c)
	r.developmentFlag(c)
	f := c.Flags()
	f.StringVar(&r.write, "write", "", "grant: FILE@REGION[+OFF], what to write under the session")
	f.StringVar(&r.report, "report", "", "file for the report or certificate that the device answers with")
	f.BoolVar(&r.wait, "wait", false, "open the device first, and wait for FILE")
	f.StringVar(&r.status, "status", "", "with --wait: file for the status, for nanolock order new --status")
	r.signers.flags(c, "key", "sign FILE here, fresh for this start; repeat for more")
	return c
}

// task is a file to be written into a region.
type task struct {
	path, region string
	off          int64
	content      []byte
}

// parseTask reads FILE@REGION[+OFF].
func parseTask(s string) (*task, error) {
	hint := "write --write new.bin@firmware, or new.bin@firmware+0x1000"
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return nil, usage(hint, "--write %q names no file and region", s)
	}
	t := &task{path: s[:at], region: s[at+1:], off: -1}
	if plus := strings.LastIndexByte(t.region, '+'); plus > 0 {
		off, err := parseSize(t.region[plus+1:])
		if err != nil {
			return nil, usage(hint, "--write: %q is no offset", t.region[plus+1:])
		}
		t.region, t.off = t.region[:plus], off
	}
	var err error
	if t.content, err = readImage(t.path); err != nil {
		return nil, err
	}
	return t, nil
}

// fits is what can be said of an order before the device is opened.
func (r *application) fits(path string, m *ownerfiles.Message) error {
	switch {
	case m.Batch():
		return badInput(path, errors.New("it is a batch, and no device takes one"), "make with nanolock order split what each device gets")
	case !m.Signed() && len(r.signers.keys) == 0:
		return badInput(path, ownerfiles.ErrUnsigned, "see nanolock order sign")
	case m.Signed() && len(r.signers.keys) > 0:
		return usage("leave --key away, or name the unsigned order", "%s is signed already", path)
	case m.Order.Kind == order.Grant && r.task == nil:
		return usage("say --write FILE@REGION", "the session of a grant ends with this command, and nothing would be done")
	case m.Order.Kind != order.Grant && r.task != nil:
		return usage("leave --write away", "%v opens no session", m.Order.Kind)
	}
	return nil
}

// applied is what became of an order, in JSON.
type applied struct {
	document
	File   string `json:"file"`
	Kind   string `json:"kind"`
	Device string `json:"device"`
	Digest string `json:"digest"`
	Code   string `json:"code"`
	State  string `json:"state"`
	Epoch  uint32 `json:"epoch"`
	Wrote  int    `json:"wrote,omitempty"`  // bytes
	Report string `json:"report,omitempty"` // file
}

func (a *app) orderApply(c *cobra.Command, path string, r *application) (err error) {
	if r.wait != (r.status != "") {
		return usage("say both", "--wait and --status go together")
	}
	if r.write != "" {
		if r.task, err = parseTask(r.write); err != nil {
			return err
		}
	}
	var m *ownerfiles.Message
	if !r.wait {
		if m, _, err = readMessage(path); err != nil {
			return err
		}
		if err := r.fits(path, m); err != nil {
			return err
		}
	}
	b, err := a.open(c.Context(), &r.desk)
	if err != nil {
		return err
	}
	defer func() {
		if e := b.finish(); err == nil {
			err = e
		}
	}()
	if r.wait {
		if m, err = a.waitFor(c, path, r, b); err != nil {
			return err
		}
	}
	out := applied{document: newDocument(c.CommandPath()), File: path}
	if err := a.deliver(c.Context(), path, r, b, m, &out); err != nil {
		return err
	}
	s := b.Status()
	out.State, out.Epoch = s.State.String(), s.OwnerEpoch
	if a.json {
		a.emit(out)
		return nil
	}
	a.printf("%s %v: accepted; the device is in %s, owner epoch %d\n", a.style.green(a.style.pick("✓", "ok")), m, out.State, out.Epoch)
	if out.Wrote > 0 {
		a.printf("  %d bytes written to %s, the session has ended\n", out.Wrote, r.task.region)
	}
	if out.Report != "" {
		a.printf("  answer in %s\n", out.Report)
	}
	return nil
}

// waitFor writes the status and waits for the order that it leads to.
func (a *app) waitFor(c *cobra.Command, path string, r *application, b *bench) (*ownerfiles.Message, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, usage("remove it", "%s is there already: it cannot answer a challenge of this start", path)
	}
	s, err := ownerfiles.StatusOf(b.Device, nil, b.keys.Anchor() != nil)
	if err != nil {
		return nil, deviceFailure(r.image, err)
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, deviceFailure(r.image, err)
	}
	if err := writeFile(r.status, append(text, '\n'), r.image); err != nil {
		return nil, err
	}
	fmt.Fprintf(a.err, "nanolock: %s is written; waiting for %s\n", r.status, path)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, ioFailure(path, err, hintFor(err, nil))
		}
		select {
		case <-c.Context().Done():
			return nil, c.Context().Err()
		case <-tick.C:
			b.Poll(c.Context())
		}
	}
	m, _, err := readMessage(path)
	if err == nil {
		err = r.fits(path, m)
	}
	return m, err
}

// deliver gives the order to the device and does what it was for.
func (a *app) deliver(ctx context.Context, path string, r *application, b *bench, m *ownerfiles.Message, out *applied) error {
	var err error
	if !m.Signed() {
		if m, err = a.signNow(ctx, r, b, m); err != nil {
			return err
		}
	}
	msg, err := m.Bytes()
	if err != nil {
		return deviceFailure(path, err)
	}
	var place nvm.Span
	if r.task != nil { // before the grant is spent
		if place, err = r.task.place(b.Policy(), m.Order); err != nil {
			return err
		}
	}
	reply, err := b.Apply(ctx, msg)
	if err != nil {
		return refusedBy(path, err)
	}
	digest := m.Digest()
	out.Kind, out.Device, out.Digest, out.Code = m.Order.Kind.String(), m.Order.Device.String(), hex.EncodeToString(digest[:]), reply.Code.String()
	if reply.Session != nil {
		if err := r.task.perform(b, *reply.Session, place, m.Order); err != nil {
			return err
		}
		out.Wrote = len(r.task.content)
	}
	if len(reply.Report) == 0 {
		return nil
	}
	if out.Report = r.report; out.Report == "" {
		out.Report = r.image + ".report"
		if m.Order.Kind == order.Lifecycle {
			out.Report = r.image + certificateSuffix
		}
	}
	return writeFile(out.Report, reply.Report, r.image)
}

// refusedBy says that it was the device who refused.
func refusedBy(path string, err error) error {
	f := asFailure(deviceFailure(path, err))
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{f.code, path, fmt.Errorf("the device refuses it (%v): %w", codeOf(err), f.err), f.hint}
}

// signNow makes an unsigned order fresh for this start and signs it.
func (a *app) signNow(ctx context.Context, r *application, b *bench, m *ownerfiles.Message) (*ownerfiles.Message, error) {
	signers, wipe, err := a.signers(ctx, &r.signers)
	if err != nil {
		return nil, err
	}
	wipe()
	o := *m.Order
	if id := b.ID(); o.Device != id {
		return nil, deviceFailure("", fmt.Errorf("%w: for %v, this is %v", order.ErrForeign, o.Device, id))
	}
	if err := ownerfiles.FillLive(b.Device, &o); err != nil {
		return nil, deviceFailure(r.image, err)
	}
	if m, err = ownerfiles.New(&o); err != nil {
		return nil, deviceFailure("", err)
	}
	for i, s := range signers {
		if err := m.Sign(s); err != nil {
			return nil, deviceFailure(r.signers.keys[i], err)
		}
	}
	return m, nil
}

// place is where in the memory the task goes. It is inside what the grant gives.
func (t *task) place(p *policy.Policy, o *order.Order) (nvm.Span, error) {
	g, ok := o.Body.(*order.GrantBody)
	if !ok || p == nil {
		return nvm.Span{}, usage("", "--write needs a grant and a device with a policy")
	}
	r := p.Region(t.region)
	if r == nil || r.ID != g.Region {
		return nvm.Span{}, usage(fmt.Sprintf("the grant is for region %d", g.Region), "--write: region %q is not the one of the grant", t.region)
	}
	off := t.off
	if off < 0 {
		off = int64(g.Off)
	}
	n := int64(len(t.content))
	if uint64(off) < g.Off || uint64(off)-g.Off > g.Len || uint64(n) > g.Len-(uint64(off)-g.Off) {
		return nvm.Span{}, badInput(t.path, fmt.Errorf("%d bytes at %#x are not inside what the grant gives: %#x+%#x", n, off, g.Off, g.Len), "have a larger grant signed")
	}
	return nvm.Span{Off: r.Span.Off + off, Len: n}, nil
}

// perform writes under a session and ends it.
func (t *task) perform(b *bench, id order.SessionID, place nvm.Span, o *order.Order) error {
	h, err := b.Session(id)
	if err != nil {
		return deviceFailure(t.path, err)
	}
	g, _ := o.Body.(*order.GrantBody) // place has seen to that
	err = ownerfiles.Write(h, t.content, place.Off, g.Digests != nil)
	if e := b.EndSession(id); err == nil && e != nil {
		err = e
	}
	if err != nil {
		return &failure{exitInput, t.path, fmt.Errorf("not written whole: %w", err), "the grant is spent: have another one signed, for what the write needs"}
	}
	return nil
}
