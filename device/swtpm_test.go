package device_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/internal/testdeps"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
	"github.com/nanolock/nanolock/policy"
)

// tpmChip is a swtpm on a folder of its own.
type tpmChip struct {
	t   testing.TB
	dir string
	cmd *exec.Cmd
}

func newTPM(t testing.TB) *tpmChip {
	t.Helper()
	dir, err := os.MkdirTemp("", "tpm-") // a socket's path has little room
	ok(t, err)
	c := &tpmChip{t: t, dir: dir}
	t.Cleanup(func() { c.off(); os.RemoveAll(dir) })
	c.on()
	return c
}

func (c *tpmChip) socket() string { return filepath.Join(c.dir, "s") }

func (c *tpmChip) on() {
	c.t.Helper()
	c.cmd = exec.Command(testdeps.Program(c.t, "swtpm"), "socket", "--tpm2", "--tpmstate", "dir="+c.dir,
		"--server", "type=unixio,path="+c.socket(), "--ctrl", "type=unixio,path="+c.socket()+".ctrl",
		"--flags", "not-need-init,startup-clear")
	ok(c.t, c.cmd.Start())
	for range 1000 {
		if tr, err := linuxudstpm.Open(c.socket()); err == nil {
			if _, err = (tpm2.GetRandom{BytesRequested: 1}).Execute(tr); err == nil {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatal("swtpm does not come up")
}

func (c *tpmChip) off() {
	if c.cmd != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}

// client is somebody else's connection.
func (c *tpmChip) client() transport.TPM {
	c.t.Helper()
	tr, err := linuxudstpm.Open(c.socket())
	ok(c.t, err)
	return tr
}

// wire is the lock's connection, which does to a command what hook says.
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

// meter is a rig whose keystore is a TPM.
type meter struct {
	*rig.Rig
	t    testing.TB
	chip *tpmChip
	wire *wire
	blob []byte
	mend bool
	kerr error // of the keystore's last opening
}

// newMeter provisions and deploys one that boots "firmware".
func newMeter(t testing.TB) *meter {
	t.Helper()
	c := newTPM(t)
	m := &meter{t: t, chip: c, wire: &wire{TPM: c.client()}}
	_, blob, err := tpm.Create(ctx, m.wire, nil)
	ok(t, err)
	m.blob = blob
	base := new(policy.Policy) // what every host may read is linked into the program
	cfg := rig.Config{Keystore: m.open, Policy: func(p *policy.Policy) { *base = *p.Clone() }}
	cfg.Device.Baseline = base
	m.Rig, err = rig.New(cfg)
	ok(t, err)
	boot := m.Policy.Region("boot").Span
	_, err = m.Mem.WriteAt([]byte("firmware"), boot.Off)
	ok(t, err)
	ok(t, m.Lifecycle(policy.Deployed))
	t.Cleanup(func() { _ = m.Device.Close() })
	return m
}

// open is what the placement does at each start: a keystore that cannot be opened is
// none, and the device says so.
func (m *meter) open() (keystore.Keystore, error) {
	ks, err := tpm.Open(ctx, m.wire, m.blob, &tpm.Config{Mend: m.mend})
	if m.kerr = err; err != nil {
		return nil, nil
	}
	return ks, nil
}

func nobody(h tpm2.TPMHandle) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: h, Auth: tpm2.PasswordAuth(nil)}
}

const nvCounter = tpm2.TPMHandle(0x01804E4C) // the latch is in the next two

// undefine is what whoever has the owner hierarchy's password can do.
func (m *meter) undefine(h tpm2.TPMHandle) (pub tpm2.TPMSNVPublic) {
	m.t.Helper()
	tr := m.chip.client()
	r, err := tpm2.NVReadPublic{NVIndex: h}.Execute(tr)
	ok(m.t, err)
	p, err := r.NVPublic.Contents()
	ok(m.t, err)
	_, err = tpm2.NVUndefineSpace{AuthHandle: nobody(tpm2.TPMRHOwner), NVIndex: tpm2.NamedHandle{Handle: h, Name: r.NVName}}.Execute(tr)
	ok(m.t, err)
	return *p
}

// replace puts an index of one's own in the place of the lock's.
func (m *meter) replace(h tpm2.TPMHandle) {
	m.t.Helper()
	pub := m.undefine(h)
	pub.Attributes.Written, pub.Attributes.WriteLocked = false, false
	_, err := tpm2.NVDefineSpace{AuthHandle: nobody(tpm2.TPMRHOwner), PublicInfo: tpm2.New2B(pub)}.Execute(m.chip.client())
	ok(m.t, err)
}

func (m *meter) clear() {
	m.t.Helper()
	_, err := tpm2.Clear{AuthHandle: nobody(tpm2.TPMRHLockout)}.Execute(m.chip.client())
	ok(m.t, err)
}

// lockOut fails to guess the password of a key until the TPM takes no more guesses.
func (m *meter) lockOut() {
	m.t.Helper()
	tr := m.chip.client()
	template := tpm2.ECCSRKTemplate
	template.ObjectAttributes.NoDA = false
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte("right")}}}}.Execute(tr)
	ok(m.t, err)
	for range 40 {
		_, err = tpm2.Create{ParentHandle: tpm2.AuthHandle{Handle: r.ObjectHandle, Name: r.Name, Auth: tpm2.PasswordAuth([]byte("wrong"))},
			InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tr)
		if errors.Is(err, tpm2.TPMRCLockout) {
			break
		}
	}
	is(m.t, "lockout", err, tpm2.TPMRCLockout)
	_, err = tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tr)
	ok(m.t, err)
}

// step opens the keystore a second time, as who runs code beside the lock and has its
// blob can, and takes the anchor up.
func (m *meter) step(n uint64) {
	m.t.Helper()
	ks, err := tpm.Open(ctx, m.chip.client(), m.blob, nil)
	ok(m.t, err)
	now, err := ks.Anchor().Read(ctx)
	ok(m.t, err)
	ok(m.t, ks.Anchor().Advance(ctx, now+n))
}

// backup copies what the TPM remembers, which only a simulated or a broken one lets go of.
func (m *meter) backup() (restore func()) {
	m.t.Helper()
	const name = "tpm2-00.permall"
	m.chip.off()
	b, err := os.ReadFile(filepath.Join(m.chip.dir, name))
	ok(m.t, err)
	m.chip.on()
	return func() {
		m.chip.off()
		ok(m.t, os.WriteFile(filepath.Join(m.chip.dir, name), b, 0o600))
		m.chip.on()
	}
}

func code(cmd []byte) tpm2.TPMCC { return tpm2.TPMCC(binary.BigEndian.Uint32(cmd[6:])) }
