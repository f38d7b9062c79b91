package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nanolock/nanolock/internal/keyfile"
)

// person sits at a terminal and types.
type person struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	cmd    *exec.Cmd
	dir    string
	seen   bytes.Buffer
}

func sit(t *testing.T) *person {
	t.Helper()
	p := &person{t: t, dir: t.TempDir()}
	p.master, p.slave = tty(t)
	p.cmd = process(t, nil, "keygen", "alice", "--suite", "ed25519", "--out", p.dir)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.slave, p.slave, p.slave
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// until reads what the terminal shows until text is there.
func (p *person) until(text string) {
	p.t.Helper()
	b := make([]byte, 256)
	for !strings.Contains(p.seen.String(), text) {
		n, err := p.master.Read(b)
		if err != nil {
			p.t.Fatalf("waiting for %q: %v after %q", text, err, p.seen.String())
		}
		p.seen.Write(b[:n])
	}
}

// enters types a line once nothing of it would be shown.
func (p *person) enters(line string) {
	p.t.Helper()
	for p.echoes() {
		if p.t.Context().Err() != nil {
			p.t.Fatal("the terminal goes on showing what is typed")
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := p.master.WriteString(line + "\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) echoes() bool {
	p.t.Helper()
	s, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}

func (p *person) leaves(code int) {
	p.t.Helper()
	_ = p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("exit code %d, want %d: %q", got, code, p.seen.String())
	}
	if !p.echoes() {
		p.t.Error("the terminal is left dumb")
	}
}

func TestTypedPassphrase(t *testing.T) {
	p := sit(t)
	p.until("Passphrase: ")
	p.enters("tr0ub4dor")
	p.until("Once more:")
	p.enters("tr0ub4dor")
	p.until("public: ")
	p.leaves(exitOK)
	if strings.Contains(p.seen.String(), "tr0ub4dor") {
		t.Errorf("the passphrase is shown: %q", p.seen.String())
	}
	if _, err := keyfile.Load(filepath.Join(p.dir, "alice.key"), []byte("tr0ub4dor")); err != nil {
		t.Error(err)
	}
}

func TestTypedWrongly(t *testing.T) {
	p := sit(t)
	p.until("Passphrase: ")
	p.enters("one")
	p.until("Once more:")
	p.enters("two")
	p.until("differ")
	p.leaves(exitUsage)

	p = sit(t)
	p.until("Passphrase: ")
	p.enters("")
	p.until("the passphrase is empty")
	p.leaves(exitUsage)

	p = sit(t)
	p.until("Passphrase: ")
	for p.echoes() {
		time.Sleep(time.Millisecond)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.until("interrupted")
	p.leaves(exitInterrupted)
	if left, err := os.ReadDir(p.dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
