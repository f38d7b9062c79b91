// Command router guards the flash of an OpenWrt router. The policy is made of the
// partitions that the kernel is told on its command line; the flash is a mapped
// image. What a running system really writes, its overlay, goes through; all
// else is refused.
//
//	go run ./examples/router
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// cmdline is what the boot loader gives the kernel of a router with 16 MiB of
// SPI NOR.
const cmdline = "console=ttyS0,115200 rootfstype=squashfs,jffs2 mtdparts=spi0.0:" +
	"192k(u-boot)ro,64k(u-boot-env),64k(factory)ro,2m(kernel),10m(rootfs),-(rootfs_data)"

const (
	size    = 16 << 20
	granule = 64 << 10
)

func main() {
	dir, err := os.MkdirTemp("", "router-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := run(filepath.Join(dir, "flash.bin"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run guards a new flash image and lets a host at it.
func run(image string, out io.Writer) error {
	im, err := policyfile.ImportMTDParts(cmdline, policyfile.ImportOptions{
		Name: "example-router", Size: size, Granule: granule,
		Writable: []string{"rootfs_data"}, // the overlay; nothing else
	})
	if err != nil {
		return err
	}
	for _, note := range im.Notes {
		fmt.Fprintln(out, "note:", note)
	}
	geo := im.Policy.Geometry()
	if err := mmap.Create(image, geo); err != nil {
		return err
	}
	flash, err := mmap.Open(image, &mmap.Options{Geometry: geo})
	if err != nil {
		return err
	}
	defer flash.Close()
	if err := install(flash); err != nil {
		return err
	}
	lock, err := nanolock.New(flash, im.Policy, nil)
	if err != nil {
		return err
	}
	defer lock.Close()
	return host(lock.Host(), out)
}

// install is the factory: it writes to the flash itself, before there is a lock.
func install(flash nvm.NVM) error {
	for off, content := range map[int64]string{
		0x00000: "U-Boot 2024.01", 0x30000: "bootdelay=1", 0x40000: "calibration",
		0x50000: "kernel", 0x250000: "hsqs root file system",
	} {
		if _, err := nvm.ProgramAll(flash, []byte(content), off); err != nil {
			return err
		}
	}
	return nil
}

// host does what a router's system does, and then what malware on it does.
func host(flash nvm.NVM, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	try := func(what string, err error) {
		answer := "done"
		if err != nil {
			answer = err.Error()
		}
		fmt.Fprintf(w, "%s\t%s\n", what, answer)
	}
	program := func(off int64, content string) error {
		_, err := flash.WriteAt([]byte(content), off)
		return err
	}
	read := func(off int64) error {
		_, err := flash.ReadAt(make([]byte, 64), off)
		return err
	}
	try("start: read the kernel", read(0x50000))
	try("start: read the calibration", read(0x40000))
	try("overlay: erase a block", flash.Erase(0xc50000, granule))
	try("overlay: save the settings", program(0xc50000, "config wifi-iface"))
	try("overlay: sync", flash.Sync())
	try("malware: patch the boot loader", program(0x00000, "implant"))
	try("malware: change bootcmd", program(0x30000, "bootcmd=run evil"))
	try("malware: erase the calibration", flash.Erase(0x40000, granule))
	try("malware: replace the kernel", flash.Erase(0x50000, 2<<20))
	try("malware: reach from the overlay into the root", flash.Erase(0xc40000, 2*granule))
	try("malware: wipe the chip", flash.Erase(0, size))
	return w.Flush()
}
