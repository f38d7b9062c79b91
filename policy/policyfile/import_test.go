package policyfile_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// shape writes the map of a policy, a region per line: name, place, and what is
// set of boot and open.
func shape(p *policy.Policy) string {
	var b strings.Builder
	for _, r := range p.Map {
		fmt.Fprintf(&b, "%s %v", r.Name, r.Span)
		if r.Boot {
			b.WriteString(" boot")
		}
		if r.Access.Write.Mode == policy.Any {
			fmt.Fprintf(&b, " open %d/%dh", r.Wear.Erases, r.Wear.PerHours)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func sameShape(t *testing.T, im *policyfile.Imported, want string) {
	t.Helper()
	var w strings.Builder
	for l := range strings.Lines(want) {
		if l = strings.TrimSpace(l); l != "" {
			w.WriteString(l + "\n")
		}
	}
	if got := shape(im.Policy); got != w.String() {
		t.Errorf("got\n%swant\n%s", got, w.String())
	}
}

// says checks that each of the texts is in a note of its own, and how many notes
// there are.
func says(t *testing.T, im *policyfile.Imported, want ...string) {
	t.Helper()
	left := append([]string(nil), im.Notes...)
next:
	for _, w := range want {
		for i, n := range left {
			if strings.Contains(n, w) {
				left = append(left[:i], left[i+1:]...)
				continue next
			}
		}
		t.Errorf("no note says %q", w)
	}
	for _, n := range left {
		t.Errorf("unexpected note: %s", n)
	}
}

// The notes that every import ends with.
var always = []string{
	"guesses follow", "memory.blank: what is closed reads as erased", "no vault: ", "no authority: nobody can change this policy",
}

func notes(more ...string) []string { return append(more, always...) }

const closed = "none may write or erase one; open what a host has to change (--writable NAME)"

// Maps as routers have them.
func TestImportMTDParts(t *testing.T) {
	for _, c := range []struct {
		name, s string
		o       policyfile.ImportOptions
		want    string
		notes   []string
	}{
		{"ath79, 16 MiB of SPI NOR", "spi0.0:192k(u-boot)ro,64k(u-boot-env)ro,16064k(firmware),64k(art)ro",
			policyfile.ImportOptions{Name: "router", Size: 16 << 20, Granule: 64 << 10}, `
			u-boot 0x0+0x30000 boot
			u-boot-env 0x30000+0x10000
			firmware 0x40000+0xfb0000
			art 0xff0000+0x10000
		`, notes(closed, `"u-boot" was taken for boot code because of its name`,
				`hints of the source that are no rules here: "u-boot": read-only; "u-boot-env": read-only; "art": read-only`)},
		{"ar71xx, the firmware over kernel and rootfs", "console=ttyS0 mtdparts=spi0.0:256k(u-boot)ro,64k(u-boot-env),6336k(rootfs),1344k(kernel),64k(nvram),64k(art),7680k@0x50000(firmware)",
			policyfile.ImportOptions{Size: 8 << 20, Granule: 64 << 10, Writable: []string{"nvram"}}, `
			u-boot 0x0+0x40000 boot
			u-boot-env 0x40000+0x10000
			rootfs 0x50000+0x630000
			kernel 0x680000+0x150000
			nvram 0x7d0000+0x10000 open 27/24h
			art 0x7e0000+0x10000
		`, notes(`"rootfs" lies inside "firmware"`, `"kernel" lies inside "firmware"`, `u-boot" was taken`, `"u-boot": read-only`,
				`became those and the rest of them: "firmware"`, `no partition covers 0x7f0000+0x10000: closed to every host`,
				`"nvram" was opened with a ledger of 27 erases a day, 27 for each of its erase blocks (1): 100000 cycles then last ten years (100000 / 3650); the ledger adds up all blocks, so a host that spends it on one block wears that one out in 3703 days`,
				`change those that were opened: "nvram"`)},
		{"mt7621, NAND with UBI", "mt7621-nand:512k(Bootloader)ro,512k(Config),256k(Factory)ro,4m(kernel),-(ubi)",
			policyfile.ImportOptions{Size: 128 << 20, Granule: 128 << 10, Writable: []string{"ubi", "Config"}}, `
			Bootloader 0x0+0x80000 boot
			Config 0x80000+0x80000 open 108/24h
			Factory 0x100000+0x40000
			kernel 0x140000+0x400000
			ubi 0x540000+0x7ac0000 open 26514/24h
		`, notes(`"Bootloader" was taken`, "the device seems to be NAND", `"Bootloader": read-only; "Factory": read-only`,
				`"ubi": takes all the rest, up to 0x8000000 by the size given`, `"Config" was opened with a ledger of 108`,
				`"ubi" was opened with a ledger of 26514`, `opened: "ubi", "Config"`)},
		{"ramips, borders off the erase blocks", "raspi:192k(uboot)ro,4k(uboot-env),4k(factory),100k(data),-(firmware)",
			policyfile.ImportOptions{Size: 4 << 20, Granule: 64 << 10, Writable: []string{"uboot-env", "factory"}}, `
			uboot 0x0+0x30000 boot
			uboot-env 0x30000+0x1000 open 27/24h
			factory 0x31000+0x1000 open 27/24h
			data 0x32000+0x19000
			firmware 0x4b000+0x3b5000
		`, notes(`"uboot" was taken`, `"uboot": read-only`, `"firmware": takes all the rest`,
				`"uboot-env" was opened, but has no whole erase block of its own: the ledger allows it 27`, `"factory" was opened, but has no whole`,
				`WARNING: "uboot-env" seems to hold the boot loader's environment`,
				`0x30000+0x10000 is shared by "uboot-env" and "factory" and "data": no host may erase it, because not each of them is open`,
				`0x40000+0x10000 is shared by "data" and "firmware": to erase it takes the right to each`, "opened: ")},
		{"ipq40xx, Qualcomm's chain of loaders", "spi0.0:256k(0:SBL1)ro,128k(0:MIBIB)ro,384k(0:QSEE)ro,64k(0:CDT)ro,64k(0:DDRPARAMS)ro,64k(0:APPSBLENV),512k(0:APPSBL)ro,64k(0:ART)ro,-(rest)",
			policyfile.ImportOptions{Size: 16 << 20, Granule: 64 << 10, Writable: []string{"0:APPSBL"}}, `
			0:SBL1 0x0+0x40000 boot
			0:MIBIB 0x40000+0x20000
			0:QSEE 0x60000+0x60000 boot
			0:CDT 0xc0000+0x10000
			0:DDRPARAMS 0xd0000+0x10000
			0:APPSBLENV 0xe0000+0x10000
			0:APPSBL 0xf0000+0x80000 boot open 216/24h
			0:ART 0x170000+0x10000
			rest 0x180000+0xe80000
		`, notes(`"0:SBL1" was taken`, `"0:QSEE" was taken`, `"0:APPSBL" was taken`, `"rest": takes all`, `"0:SBL1": read-only; `,
				`WARNING: "0:APPSBL" seems to be boot code and was opened on request: whoever owns the host can replace what runs before it`,
				`"0:APPSBL" was opened with a ledger of 216`, "opened: ")},
		{"one name for several", "d:64k(data),64k(data),64k(data @0x10000),320k@192k(os),64k@192k(data),64k@320k(data)",
			policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10, Writable: []string{"data @0x10000 #2"}}, `
			data @0x0 0x0+0x10000
			data @0x10000 #2 0x10000+0x10000 open 27/24h
			data @0x10000 0x20000+0x10000
			data @0x30000 0x30000+0x10000
			os (rest) @0x40000 0x40000+0x10000
			data @0x50000 0x50000+0x10000
			os (rest) @0x60000 0x60000+0x20000
		`, notes(`more than one partition is called "data"`, `more than one`, `more than one`, `lies inside "os"`, `lies inside "os"`,
				`4 regions would be called "data": each got its address`, `2 regions would be called "os (rest)"`, "rest of them: \"os\"",
				`no partition covers 0x80000+0x80000`, "was opened with", "opened: ")},
	} {
		t.Run(c.name, func(t *testing.T) {
			im, err := policyfile.ImportMTDParts(c.s, c.o)
			if err != nil {
				t.Fatal(err)
			}
			sound(t, im, c.o.Writable...)
			sameShape(t, im, c.want)
			if !strings.Contains(im.Notes[0], "imported from mtdparts, device ") {
				t.Errorf("first: %s", im.Notes[0])
			}
			says(t, im, c.notes...)
			if p := im.Policy; p.Name != c.o.Name || p.Version != 1 || !p.Memory.Blank || p.Memory.Hidden != nil || p.Authorities != nil {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestImportContainer: the name of a partition with others inside opens them all,
// with what they leave free.
func TestImportContainer(t *testing.T) {
	im, err := policyfile.ImportMTDParts("d:64k(a),512k(firmware),64k@128k(kernel),64k@256k(rootfs)",
		policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10, Writable: []string{"firmware"}})
	if err != nil {
		t.Fatal(err)
	}
	sameShape(t, im, `
		a 0x0+0x10000
		firmware (rest) @0x10000 0x10000+0x10000 open 27/24h
		kernel 0x20000+0x10000 open 27/24h
		firmware (rest) @0x30000 0x30000+0x10000 open 27/24h
		rootfs 0x40000+0x10000 open 27/24h
		firmware (rest) @0x50000 0x50000+0x40000 open 108/24h
	`)
}

// TestImportShared: who may erase a block with two owners.
func TestImportShared(t *testing.T) {
	o := policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10, Writable: []string{"a", "b"}}
	im, err := policyfile.ImportMTDParts("d:96k(a),96k(b),64k(c)", o)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im, "a", "b")
	text := strings.Join(im.Notes, "\n")
	if !strings.Contains(text, `the erase block 0x10000+0x10000 is shared by "a" and "b": hosts may erase it, because each of them is open`) || strings.Count(text, "is shared by") != 1 {
		t.Error(text)
	}
	o.Size, o.Writable = 16<<20, nil
	if im, err = policyfile.ImportMTDParts("d:32k(x)"+strings.Repeat(",64k(p)", 100), o); err != nil {
		t.Fatal(err)
	}
	text = strings.Join(im.Notes, "\n")
	if strings.Count(text, "is shared by") != 32 || !strings.Contains(text, "and 69 more erase blocks are shared") {
		t.Error(text)
	}
	// Smaller than a block and inside it, with gaps on both sides.
	if im, err = policyfile.ImportMTDParts("d:4k@4k(x)", o); err != nil {
		t.Fatal(err)
	}
	if text = strings.Join(im.Notes, "\n"); !strings.Contains(text, `0x0+0x10000 is shared by "x" and the gap 0x0+0x1000 and the gap 0x2000+0xffe000`) {
		t.Error(text)
	}
}

func TestImportLongNames(t *testing.T) {
	long := strings.Repeat("é", 100)
	im, err := policyfile.ImportMTDParts("d:64k("+long+"),64k("+long+"x),128k@128k("+long+"y),64k@128k(z)",
		policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im)
	if n := strings.Count(strings.Join(im.Notes, "\n"), "is longer than 128 bytes: cut"); n != 3 {
		t.Errorf("%d notes about names that were cut", n)
	}
}

// image is an FMAP of 64 KiB with a protected section.
func image() []byte {
	b := append([]byte("__FMAP__"), 1, 1)
	str := func(s string) { b = append(append(b, s...), make([]byte, 32-len(s))...) }
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 0x10000)
	str("BOARD")
	areas := []struct {
		name      string
		off, size uint32
		flags     uint16
	}{{"WP_RO", 0x8000, 0x8000, 0}, {"VPD", 0x8000, 0x1000, 0}, {"RW_MISC", 0, 0x4000, 0}, {"SEALED", 0x4000, 0x2000, 4}, {"INNER", 0x4000, 0x1000, 0}}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(areas)))
	for _, a := range areas {
		b = binary.LittleEndian.AppendUint32(b, a.off)
		b = binary.LittleEndian.AppendUint32(b, a.size)
		str(a.name)
		b = binary.LittleEndian.AppendUint16(b, a.flags)
	}
	return append(b, make([]byte, 0x10000-len(b))...)
}

func TestImportFMAP(t *testing.T) {
	im, err := policyfile.ImportFMAP(image(), policyfile.ImportOptions{Granule: 4096})
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im)
	sameShape(t, im, `
		RW_MISC 0x0+0x4000
		INNER 0x4000+0x1000 boot
		SEALED (rest) 0x5000+0x1000 boot
		VPD 0x8000+0x1000 boot
		WP_RO (rest) 0x9000+0x7000 boot
	`)
	says(t, im, notes(`"INNER" was taken for boot code because it lies in "SEALED"`, `"SEALED (rest)" was taken for boot code because it is a read-only section`,
		`"VPD" was taken for boot code because it lies in "WP_RO"`, `"WP_RO (rest)" was taken`, closed, "covers 0x6000+0x2000", `"SEALED", "WP_RO"`, `"SEALED": read-only`)...)
}

func TestImportLayout(t *testing.T) {
	im, err := policyfile.ImportLayout("00000000:00000fff fd\n00001000:001fffff me\n00200000:007fffff bios\n00700000:0070ffff vars\n",
		policyfile.ImportOptions{Size: 8 << 20, Granule: 4096, Writable: []string{"vars"}})
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im, "vars")
	sameShape(t, im, `
		fd 0x0+0x1000 boot
		me 0x1000+0x1ff000 boot
		bios (rest) @0x200000 0x200000+0x500000 boot
		vars 0x700000+0x10000 open 432/24h
		bios (rest) @0x710000 0x710000+0xf0000 boot
	`)
}
