package tpm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/nanolock/nanolock/internal/testdeps"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
)

var ctx = context.Background()

const patience = 20 * time.Second // of a bound that a good run never meets

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chip is a swtpm on a folder of its own.
type chip struct {
	dir string
	cmd *exec.Cmd
}

func newChip(t testing.TB) *chip {
	t.Helper()
	c := &chip{dir: t.TempDir()}
	c.on(t)
	t.Cleanup(c.off)
	return c
}

func (c *chip) socket() string { return filepath.Join(c.dir, "s") }

func (c *chip) on(t testing.TB) {
	t.Helper()
	c.cmd = exec.Command(testdeps.Program(t, "swtpm"), "socket", "--tpm2", "--tpmstate", "dir="+c.dir,
		"--server", "type=unixio,path="+c.socket(), "--ctrl", "type=unixio,path="+c.socket()+".ctrl",
		"--flags", "not-need-init,startup-clear")
	must(t, c.cmd.Start())
	for range 1000 {
		if tr, err := linuxudstpm.Open(c.socket()); err == nil {
			if _, err = (tpm2.GetRandom{BytesRequested: 1}).Execute(tr); err == nil {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("swtpm does not come up")
}

// off takes the power: no shutdown command, the process dies.
func (c *chip) off() {
	if c.cmd != nil {
		c.cmd.Process.Kill()
		c.cmd.Wait()
		c.cmd = nil
	}
}

// client is a connection; each command dials anew, so that several can be used in turn.
func (c *chip) client(t testing.TB) transport.TPM {
	t.Helper()
	tr, err := linuxudstpm.Open(c.socket())
	must(t, err)
	return tr
}

// handles are the transient objects and loaded sessions.
func (c *chip) handles(t testing.TB) (list []tpm2.TPMHandle) {
	t.Helper()
	for _, first := range []uint32{0x80000000, 0x02000000} {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 32}.Execute(c.client(t))
		must(t, err)
		h, err := r.CapabilityData.Data.Handles()
		must(t, err)
		list = append(list, h.Handle...)
	}
	return list
}

func (c *chip) clean(t testing.TB) {
	t.Helper()
	if h := c.handles(t); len(h) != 0 {
		t.Errorf("left in the TPM: %x", h)
	}
}

// wire is a transport that does to a command what hook says.
type wire struct {
	transport.TPM
	mu   sync.Mutex
	hook func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error)
}

func (w *wire) set(hook func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

func (w *wire) Send(cmd []byte) ([]byte, error) {
	w.mu.Lock()
	hook := w.hook
	w.mu.Unlock()
	if hook == nil {
		return w.TPM.Send(cmd)
	}
	return hook(cmd, w.TPM.Send)
}

func code(cmd []byte) tpm2.TPMCC { return tpm2.TPMCC(binary.BigEndian.Uint32(cmd[6:])) }

// device is a keystore on a chip of its own.
type device struct {
	*tpm.Keystore
	chip *chip
	wire *wire
	blob []byte
	cfg  tpm.Config
}

func newDevice(t testing.TB, cfg tpm.Config) *device {
	t.Helper()
	c := newChip(t)
	d := &device{chip: c, wire: &wire{TPM: c.client(t)}, cfg: cfg}
	if d.cfg.Timeout == 0 {
		d.cfg.Timeout = patience
	}
	var err error
	d.Keystore, d.blob, err = tpm.Create(ctx, d.wire, &d.cfg)
	must(t, err)
	return d
}

func (d *device) reopen(t testing.TB) (*device, error) {
	t.Helper()
	n := &device{chip: d.chip, wire: &wire{TPM: d.chip.client(t)}, blob: d.blob, cfg: d.cfg}
	var err error
	n.Keystore, err = tpm.Open(ctx, n.wire, n.blob, &n.cfg)
	return n, err
}

func record(n byte) keystore.Record {
	return keystore.Record{Root: [32]byte{n, 1}, Epoch: uint64(n)}
}

// typed tells whether err is one of the kinds.
func typed(err error, kinds ...error) bool {
	for _, k := range kinds {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}
