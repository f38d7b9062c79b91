package policyfile_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/flashmap"
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

// dt writes device trees: a node is opened by its name and closed by "".
type dt struct{ structure, names []byte }

func (w *dt) word(v uint32) { w.structure = binary.BigEndian.AppendUint32(w.structure, v) }

func (w *dt) text(s string) {
	for w.structure = append(append(w.structure, s...), 0); len(w.structure)%4 != 0; {
		w.structure = append(w.structure, 0)
	}
}

func (w *dt) begin(name string) { w.word(1); w.text(name) }
func (w *dt) end()              { w.word(2) }

func (w *dt) prop(name string, value []byte) {
	w.word(3)
	w.word(uint32(len(value)))
	w.word(uint32(len(w.names)))
	w.names = append(append(w.names, name...), 0)
	for w.structure = append(w.structure, value...); len(w.structure)%4 != 0; {
		w.structure = append(w.structure, 0)
	}
}

func (w *dt) str(name, value string) { w.prop(name, append([]byte(value), 0)) }

func (w *dt) cells(name string, v ...uint32) {
	var b []byte
	for _, c := range v {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	w.prop(name, b)
}

// table opens a node with partitions.
func (w *dt) table(name string) {
	w.begin(name)
	w.str("compatible", "fixed-partitions")
	w.cells("#address-cells", 1)
	w.cells("#size-cells", 1)
}

func (w *dt) part(label string, off, size uint32, compatible string) {
	w.begin(fmt.Sprintf("partition@%x", off))
	w.str("label", label)
	w.cells("reg", off, size)
	if compatible != "" {
		w.str("compatible", compatible)
	}
	w.end()
}

func (w *dt) blob() []byte {
	w.word(9)
	at := 40 + 16
	var b []byte
	for _, v := range []int{0xd00dfeed, at + len(w.structure) + len(w.names), at, at + len(w.structure), 40, 17, 16, 0, len(w.names), len(w.structure)} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return append(append(append(b, make([]byte, 16)...), w.structure...), w.names...)
}

// twoChips has a NOR, a NAND, and as many more as wanted whose maps are wrong.
func twoChips(wrong int) []byte {
	w := &dt{}
	w.begin("")
	for i := range wrong {
		w.begin(fmt.Sprintf("flash@%x", 100+i))
		w.table("partitions")
		w.part("a", 0, 0x20000, "")
		w.part("b", 0x10000, 0x20000, "")
		w.end()
		w.end()
	}
	w.begin("flash@0")
	w.str("compatible", "jedec,spi-nor")
	w.table("partitions")
	w.part("first", 0, 0x10000, "brcm,u-boot")
	w.part("settings", 0x10000, 0x10000, "u-boot,env")
	w.begin("partition@20000")
	w.str("compatible", "fixed-partitions")
	w.str("label", "boot")
	w.cells("reg", 0x20000, 0x20000)
	w.cells("#address-cells", 1)
	w.cells("#size-cells", 1)
	w.part("stage 2", 0, 0x10000, "")
	w.end()
	w.end()
	w.end()
	w.begin("nand@1")
	w.str("compatible", "some,nand")
	w.table("partitions")
	w.part("ubi", 0, 0, "linux,ubi")
	w.end()
	w.end()
	w.end()
	return w.blob()
}

func TestImportDeviceTree(t *testing.T) {
	o := policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10, Device: "/flash@0"}
	im, err := policyfile.ImportDeviceTree(twoChips(0), o)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im)
	sameShape(t, im, `
		first 0x0+0x10000 boot
		settings 0x10000+0x10000
		stage 2 0x20000+0x10000 boot
		boot (rest) 0x30000+0x10000 boot
	`)
	says(t, im, notes(`"first" was taken for boot code because of its content, brcm,u-boot`, `"stage 2" was taken for boot code because it lies in "boot"`,
		`"boot (rest)" was taken for boot code because of its name`, closed, "no partition covers 0x40000+0xc0000", `rest of them: "boot"`,
		`no rules here: "first": holds brcm,u-boot; "settings": holds u-boot,env`)...)
	if want := `imported from devicetree, device "/flash@0" (jedec,spi-nor); guesses`; !strings.HasPrefix(im.Notes[0], want) {
		t.Errorf("first: %s", im.Notes[0])
	}
	o.Device, o.Writable = "nand@1", []string{"ubi"}
	if im, err = policyfile.ImportDeviceTree(twoChips(0), o); err != nil {
		t.Fatal(err)
	}
	sound(t, im, "ubi")
	sameShape(t, im, "ubi 0x0+0x100000 open 432/24h")
}

func TestImportPick(t *testing.T) {
	o := policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10}
	for _, c := range []struct {
		device string
		wrong  int
		text   string
	}{
		{"", 0, `not one device: the source has several: name one of these (--device): "/flash@0", "/nand@1"`},
		{"flash", 0, `none is called "flash"`},
		{"", 1, "the map of another device is wrong (/flash@64: devicetree: partitions overlap in part"},
		{"flash@64", 1, `none is called "flash@64"`},
	} {
		o.Device = c.device
		_, err := policyfile.ImportDeviceTree(twoChips(c.wrong), o)
		refusal(t, err, policyfile.ErrDevice, c.text)
		var e *policyfile.ImportError
		if errors.As(err, &e) && len(e.Choices) != 2 || c.wrong > 0 && !errors.Is(err, flashmap.ErrOverlap) {
			t.Errorf("%+v", e)
		}
	}
	o.Device = "/flash@0"
	im, err := policyfile.ImportDeviceTree(twoChips(2), o)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im)
	if !strings.Contains(im.Notes[1], "the map of another device is wrong: /flash@64: ") || !strings.Contains(im.Notes[1], "; /flash@65: ") {
		t.Errorf("second: %s", im.Notes[1])
	}
}

func refusal(t *testing.T, err, kind error, text string) {
	t.Helper()
	var e *policyfile.ImportError
	if !errors.Is(err, kind) || !errors.Is(err, policyfile.ErrImport) || !errors.As(err, &e) || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want %v with %q", err, kind, text)
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

func TestImportRefuses(t *testing.T) {
	const s = "spi0.0:192k(u-boot)ro,64k(env),-(firmware)"
	good := policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10}
	for _, c := range []struct {
		name, s string
		do      func(*policyfile.ImportOptions)
		kind    error
		text    string
	}{
		{"no size", s, func(o *policyfile.ImportOptions) { o.Size = 0 }, policyfile.ErrSize, "give its size in bytes (--size)"},
		{"no granule", s, func(o *policyfile.ImportOptions) { o.Granule = 0 }, policyfile.ErrSize, "erase block is: give it in bytes (--granule)"},
		{"granule of three", s, func(o *policyfile.ImportOptions) { o.Granule = 3 }, policyfile.ErrSize, "power of two"},
		{"granule negative", s, func(o *policyfile.ImportOptions) { o.Granule = -4096 }, policyfile.ErrSize, "power of two"},
		{"size off the granule", s, func(o *policyfile.ImportOptions) { o.Size++ }, policyfile.ErrSize, "divides the size"},
		{"size negative", s, func(o *policyfile.ImportOptions) { o.Size = -1 << 20 }, policyfile.ErrSize, "size must be in"},
		{"size too small", s, func(o *policyfile.ImportOptions) { o.Size = 128 << 10 }, policyfile.ErrSize, "beyond"},
		{"too many blocks", s, func(o *policyfile.ImportOptions) { o.Size, o.Granule = 1<<47, 1 }, policyfile.ErrImport, "erase blocks are more than"},
		{"name of the product", s, func(o *policyfile.ImportOptions) { o.Name = "a\x1b[2J" }, policyfile.ErrImport, "printable"},
		{"writable that is not there", s, func(o *policyfile.ImportOptions) { o.Writable = []string{"env", "data"} }, policyfile.ErrWritable,
			`"data" cannot be made writable: name one of these (--writable): "u-boot", "env", "firmware"`},
		{"writable that is two", "d:64k(a),64k(a)", func(o *policyfile.ImportOptions) { o.Writable = []string{"a"} }, policyfile.ErrWritable, `"a @0x0", "a @0x10000"`},
		{"writable that is two containers", "d:128k(x),128k(x),64k@0(a),64k@128k(b)", func(o *policyfile.ImportOptions) { o.Writable = []string{"x"} }, policyfile.ErrWritable, `"b"`},
		{"another device", s, func(o *policyfile.ImportOptions) { o.Device = "spi1.0" }, policyfile.ErrDevice, `"spi0.0"`},
		{"two devices", "a:64k(x);b:64k(y)", func(*policyfile.ImportOptions) {}, policyfile.ErrDevice, `"a", "b"`},
		{"no map", "", func(*policyfile.ImportOptions) {}, policyfile.ErrImport, "the string is empty"},
		{"hundreds to choose from", "d:" + strings.Repeat("4k(p),", 300) + "4k(q)", func(o *policyfile.ImportOptions) { o.Size, o.Writable = 4<<20, []string{"p"} }, policyfile.ErrWritable, "and 269 more"},
	} {
		o := good
		c.do(&o)
		im, err := policyfile.ImportMTDParts(c.s, o)
		if im != nil {
			t.Errorf("%s: a policy", c.name)
		}
		t.Run(c.name, func(t *testing.T) { refusal(t, err, c.kind, c.text) })
	}
	_, err := policyfile.ImportFMAP([]byte("none"), good)
	refusal(t, err, policyfile.ErrImport, "no flash map found")
	_, err = policyfile.ImportFMAP(image(), good)
	refusal(t, err, policyfile.ErrSize, "the source says that the device has 0x10000 bytes")
	_, err = policyfile.ImportLayout("what is this", good)
	refusal(t, err, policyfile.ErrImport, "line 1")
	_, err = policyfile.ImportDeviceTree([]byte("no tree"), good)
	refusal(t, err, policyfile.ErrImport, "")
	if !errors.Is(err, flashmap.ErrSyntax) {
		t.Errorf("the reader's error is lost: %v", err)
	}
}

// TestBootNames: what is taken for boot code, and what is not.
func TestBootNames(t *testing.T) {
	for names, boot := range map[string]bool{
		"u-boot,uboot,U-Boot 2,Bootloader,boot,bl2,BL31,fip,fip_a,NAND.SPL.backup1,QSPI.U_BOOT,X-Loader,MLO,u-boot-spl,fsbl,barebox,0:APPSBL,tee1,at91bootstrap,RedBoot,cfe,boot0": true,
		"u-boot-env,ubootenv,barebox-environment,kernel,rootfs,firmware,data,art,factory,boot-log,bootcount,boot config,me,bios,ubi,nvram,blob,teeth,spline,reboot":                false,
	} {
		for name := range strings.SplitSeq(names, ",") {
			im, err := policyfile.ImportMTDParts("d:64k("+name+")", policyfile.ImportOptions{Size: 1 << 20, Granule: 1 << 16})
			if err != nil {
				t.Fatal(err)
			}
			if got := im.Policy.Map[0].Boot; got != boot {
				t.Errorf("%q: boot is %t", name, got)
			}
		}
	}
}

// FuzzImport: no map makes a policy that does not hold.
func FuzzImport(f *testing.F) {
	f.Add("d:192k(u-boot)ro,64k(env),-(firmware)", []byte(nil), uint8(0))
	f.Add("d:64k(a),64k(a),128k(null),64k@128k(Null)", []byte(nil), uint8(3))
	f.Add("0:fff a\n2000:2fff b:\n2800:28ff c\n", []byte(nil), uint8(1))
	f.Add("", twoChips(1), uint8(2))
	f.Add("", image()[:600], uint8(4))
	f.Fuzz(func(t *testing.T, s string, b []byte, writable uint8) {
		o := policyfile.ImportOptions{Size: 1 << 24, Granule: 4096, Device: "/flash@0"}
		for i, try := range []func() (*policyfile.Imported, error){
			func() (*policyfile.Imported, error) { return policyfile.ImportDeviceTree(b, o) },
			func() (*policyfile.Imported, error) { o.Device = ""; return policyfile.ImportMTDParts(s, o) },
			func() (*policyfile.Imported, error) { return policyfile.ImportLayout(s, o) },
			func() (*policyfile.Imported, error) { o.Size = 0; return policyfile.ImportFMAP(b, o) },
		} {
			im, err := try()
			if err != nil {
				if !errors.Is(err, policyfile.ErrImport) {
					t.Fatalf("%d: not a typed error: %v", i, err)
				}
				continue
			}
			sound(t, im)
			o.Writable = []string{im.Policy.Map[int(writable)%len(im.Policy.Map)].Name}
			if im, err = try(); err != nil {
				t.Fatalf("%d: %q: %v", i, o.Writable, err)
			}
			sound(t, im, o.Writable...)
			o.Writable = nil
		}
	})
}
