package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/go-tpm/tpm2/transport"
)

// openTPM opens a device file, or starts a simulated TPM whose state is in dir.
func openTPM(dir, which string) (chip transport.TPM, stop func(), err error) {
	if which != "swtpm" {
		f, err := os.OpenFile(which, os.O_RDWR, 0)
		if err != nil {
			return nil, nil, err
		}
		return transport.FromReadWriter(f), func() { f.Close() }, nil
	}
	socket := filepath.Join(dir, "tpm")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket,
		"--ctrl", "type=unixio,path="+socket+".ctrl", "--flags", "not-need-init,startup-clear")
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			return transport.FromReadWriter(conn), func() { conn.Close(); end() }, nil
		}
	}
	end()
	return nil, nil, fmt.Errorf("swtpm does not answer at %s within %v", socket, patience)
}
