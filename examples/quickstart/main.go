// Command quickstart puts a lock before a flash, in an image here: open the memory, read the
// policy, and give the host the handle instead of the memory.
//
//	go run ./examples/quickstart
package main

import (
	_ "embed"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/policy/policyfile"
)

//go:embed policy.yaml
var rules []byte

func main() {
	dir, err := os.MkdirTemp("", "quickstart-")
	check(err)
	defer os.RemoveAll(dir)
	guard(filepath.Join(dir, "flash.bin"), os.Stdout)
}

func guard(image string, out io.Writer) {
	pol, err := policyfile.Parse(rules)
	check(err)
	check(mmap.Create(image, pol.Geometry())) // yours is there already
	mem, err := mmap.Open(image, &mmap.Options{Geometry: pol.Geometry()})
	check(err)
	defer mem.Close()
	lock, err := nanolock.New(mem, pol, nil)
	check(err)
	defer lock.Close()

	host := lock.Host() // an nvm.NVM: whoever used mem uses this now
	_, err = host.WriteAt([]byte("volume=11"), 0x40000)
	fmt.Fprintln(out, "write settings:  ", err)
	_, err = host.WriteAt([]byte("implant"), 0)
	fmt.Fprintln(out, "write bootloader:", err)
	fmt.Fprintln(out, "erase bootloader:", host.Erase(0, 0x10000))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
