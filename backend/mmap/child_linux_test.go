package mmap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// childEnv names what this test binary is to do as a child; childPath, with which
// file.
const (
	childEnv  = "MMAP_TEST_CHILD"
	childPath = "MMAP_TEST_PATH"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := child(job, os.Getenv(childPath)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child runs in a process of its own.
func child(job, path string) error {
	o := &Options{Geometry: rewrite, ReadOnly: job == "reader"}
	mem, err := Open(path, o)
	if job == "open" {
		if !errors.Is(err, ErrLocked) {
			return fmt.Errorf("open: %v", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	switch job {
	case "store":
		mem.Bytes()[100] = 1 // dies here
		return nil
	case "sync":
		if _, err := mem.WriteAt([]byte("durable"), 5000); err != nil {
			return err
		}
		if err := mem.Sync(); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin) // until killed or told to end
	return err
}

func command(job, path string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+job, childPath+"="+path)
	return c
}

// started is a child that has said "ready".
func started(t *testing.T, job, path string) *exec.Cmd {
	t.Helper()
	c := command(job, path)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return c
}

// TestLock: one writer or many readers, in this process and in others.
func TestLock(t *testing.T) {
	path := made(t, rewrite)
	c := started(t, "writer", path)
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(path, &Options{ReadOnly: readOnly}); !errors.Is(err, ErrLocked) {
			t.Errorf("while a child writes, read-only %v: %v", readOnly, err)
		}
	}
	_ = c.Process.Kill()
	_ = c.Wait()

	started(t, "reader", path)
	if _, err := Open(path, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("while a child reads: %v", err)
	}
	opened(t, path, &Options{ReadOnly: true})

	path = made(t, rewrite)
	m := opened(t, path, nil)
	if _, err := Open(path, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("twice in one process: %v", err)
	}
	if out, err := command("open", path).CombinedOutput(); err != nil {
		t.Errorf("a child opens what is open here: %v\n%s", err, out)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	opened(t, path, nil)
}

// TestStoreDies: the mapping that Bytes hands out cannot be written.
func TestStoreDies(t *testing.T) {
	path := made(t, rewrite)
	var stderr bytes.Buffer
	c := command("store", path)
	c.Stderr = &stderr
	var exit *exec.ExitError
	if err := c.Run(); !errors.As(err, &exit) || !strings.Contains(stderr.String(), "SIGSEGV") {
		t.Errorf("a store in the mapping: %v\n%s", err, &stderr)
	}
	b, err := os.ReadFile(path)
	if err != nil || b[100] != 0xFF {
		t.Errorf("the store came through, %v", err)
	}
}

// TestKill: what was synced outlives a process that could not say goodbye.
func TestKill(t *testing.T) {
	path := made(t, rewrite)
	c := started(t, "sync", path)
	if err := c.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	m := opened(t, path, nil)
	p := make([]byte, 7)
	if _, err := m.ReadAt(p, 5000); err != nil || string(p) != "durable" {
		t.Errorf("%q, %v", p, err)
	}
}
