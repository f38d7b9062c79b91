package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nanolock/nanolock/internal/demo"
)

// Nobody has the other end of the pipe: who waits for it waits for ever.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"policy", "check", path}, {"attack", "--image", path}, {"policy", "import", "--fmap", path}, {"map", "-", "--svg", path}} {
		r := with{stdin: string(demo.RouterYAML)}.do(args...)
		if r.code != exitIO || !strings.Contains(r.err, "a pipe") {
			t.Errorf("%v: exit code %d, %q", args, r.code, r.err)
		}
	}
	if r := do("attack", "--image", "/dev/zero"); r.code != exitIO || !strings.Contains(r.err, "a device") {
		t.Errorf("a device: exit code %d, %q", r.code, r.err)
	}
}

func TestLockedFile(t *testing.T) {
	image := write(t, "image.bin", bytes.Repeat([]byte{1}, 4096))
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if r := do("attack", "--image", image); r.code != exitIO || !strings.Contains(r.err, "locked") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
	if _, _, err := openFile(image); !errors.Is(err, errLocked) {
		t.Errorf("got %v", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	if r := do("attack", "--image", image, "--only", "raw-overwrite"); r.code != exitOK {
		t.Errorf("other readers: exit code %d, %q", r.code, r.err)
	}
}

// process starts the program for real.
func process(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append([]string{asMain + "=1", "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TERM=xterm"}, env...)
	return c
}

func TestInterrupt(t *testing.T) {
	tmp := t.TempDir()
	image := write(t, "image.bin", demo.RouterImage(1))
	c := process(t, []string{"TMPDIR=" + tmp}, "attack", "--memory", "mmap", "--image", image)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for { // until the attack has its copy
		if m, _ := filepath.Glob(filepath.Join(tmp, "nanolock-attack-*", "*")); len(m) > 0 {
			break
		}
		if c.ProcessState != nil || t.Context().Err() != nil {
			t.Fatal("the attack has not begun")
		}
		time.Sleep(time.Millisecond)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d: %s", code, exitInterrupted, stderr.String())
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if b, err := os.ReadFile(image); err != nil || !bytes.Equal(b, demo.RouterImage(1)) {
		t.Error("the image changed")
	}
}

// tty returns both ends of a terminal of 100 columns.
func tty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if err := unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	s, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := unix.IoctlSetWinsize(int(s.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		t.Fatal(err)
	}
	return m, s
}

// onTerminal runs the program with its output on a terminal.
func onTerminal(t *testing.T, env []string, args ...string) string {
	t.Helper()
	m, s := tty(t)
	c := process(t, env, args...)
	c.Stdout, c.Stderr = s, s
	got := make(chan []byte)
	go func() {
		var all []byte
		buf := make([]byte, 4096)
		for {
			n, err := m.Read(buf)
			all = append(all, buf[:n]...)
			if err != nil { // EIO: the other side is closed
				got <- all
				return
			}
		}
	}()
	err := c.Run()
	_ = s.Close()
	if err != nil {
		t.Errorf("%v: %v", args, err)
	}
	return string(<-got)
}

func TestColourOnTerminalsOnly(t *testing.T) {
	policy := write(t, "router.yaml", demo.RouterYAML)
	const colour = "\x1b[48;5;"
	if out := onTerminal(t, nil, "map", policy); !strings.Contains(out, colour) || !strings.Contains(out, "┬") {
		t.Errorf("a terminal gets no colour:\n%q", out)
	}
	for name, env := range map[string][]string{"NO_COLOR": {"NO_COLOR=1"}, "TERM=dumb": {"TERM=dumb"}} {
		if out := onTerminal(t, env, "map", policy); strings.Contains(out, "\x1b[") {
			t.Errorf("%s gets colour", name)
		}
	}
	if out := onTerminal(t, []string{"LANG=C"}, "map", policy); strings.ContainsAny(out, "┬█") {
		t.Error("a terminal that is not UTF-8 gets UTF-8")
	}
	if out := onTerminal(t, []string{"NO_COLOR=1"}, "map", policy, "--color", "always"); !strings.Contains(out, colour) {
		t.Error("--color always does not win")
	}
	if b, err := process(t, nil, "map", policy).Output(); err != nil || strings.Contains(string(b), "\x1b[") {
		t.Errorf("a pipe gets colour, or %v", err)
	}
}

func TestProgress(t *testing.T) {
	out := onTerminal(t, nil, "attack", "--policy", "testdata/small.yaml", "--only", "raw-overwrite,trickboot", "--memory", "sim")
	if !strings.Contains(out, "1/2") || !strings.Contains(out, "2/2") || !strings.Contains(out, "░") {
		t.Errorf("no progress on a terminal:\n%q", out)
	}
	c := process(t, nil, "attack", "--policy", "testdata/small.yaml", "--only", "raw-overwrite", "--memory", "sim")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if _, err := c.Output(); err != nil || stderr.Len() > 0 {
		t.Errorf("progress where nobody looks: %q, %v", stderr.String(), err)
	}
}
