package flashmap

import (
	"fmt"
	"strings"
	"testing"
)

// Strings as router images and boot loaders carry them.
var mtdReal = []struct {
	name, s string
	size    int64
	devices []string
	want    string // of the first device
}{
	{"ath79 16 MiB", "spi0.0:192k(u-boot)ro,64k(u-boot-env)ro,16000k(firmware),64k(art)ro", 0, []string{"spi0.0"}, `
		u-boot 0x0+0x30000 ro
		u-boot-env 0x30000+0x10000 ro
		firmware 0x40000+0xfa0000
		art 0xfe0000+0x10000 ro
	`},
	{"ar71xx with the firmware over kernel and rootfs", "mtdparts=spi0.0:256k(u-boot)ro,64k(u-boot-env)ro,6336k(rootfs),1408k(kernel),64k(nvram),64k(art)ro,7744k@0x50000(firmware)",
		8 << 20, []string{"spi0.0"}, `
		u-boot 0x0+0x40000 ro
		u-boot-env 0x40000+0x10000 ro
		firmware 0x50000+0x790000
		  rootfs 0x50000+0x630000
		  kernel 0x680000+0x160000
		nvram 0x7e0000+0x10000
		art 0x7f0000+0x10000 ro
	`},
	{"mt7621 NAND", "console=ttyS0,57600 mtdparts=mt7621-nand:512k(Bootloader)ro,512k(Config),256k(Factory)ro,4m(kernel),-(ubi) root=/dev/ubiblock0_0",
		128 << 20, []string{"mt7621-nand"}, `
		Bootloader 0x0+0x80000 ro
		Config 0x80000+0x80000
		Factory 0x100000+0x40000 ro
		kernel 0x140000+0x400000
		ubi 0x540000+0x7ac0000
	`},
	{"ramips, the rest unknown", "mtdparts=raspi:192k(uboot)ro,64k(uboot-env),64k(factory)ro,-(firmware)", 0, []string{"raspi"}, `
		uboot 0x0+0x30000 ro
		uboot-env 0x30000+0x10000
		factory 0x40000+0x10000 ro
		firmware 0x50000+0x0
	`},
	{"printed by U-Boot, two devices", "mtdparts=mtdparts=nor0:0x40000(u-boot),0x20000(env);nand0:1M(boot),-(root fs)\n", 0, []string{"nor0", "nand0"}, `
		u-boot 0x0+0x40000
		env 0x40000+0x20000
	`},
	{"a PCI id with colons", "cmdlinepart.mtdparts=0000:00:1f.5:4m(bios)roslc,010000(oct)lk,0X10@0x1000000(hex)rolkslc", 0, []string{"0000:00:1f.5"}, `
		bios 0x0+0x400000 ro slc
		oct 0x400000+0x1000 lk
		hex 0x1000000+0x10 ro lk slc
	`},
	{"a name with spaces and commas, tera suffix", " d:1T(a b, c:d)\t", 0, []string{"d"}, `
		a b, c:d 0x0+0x10000000000
	`},
	{"the last of two counts", "mtdparts=a:1k(x) foo=1 mtdparts=b:2k(y z) quiet", 0, []string{"b"}, `
		y z 0x0+0x800
	`},
	{"the key inside a name", "a:1k(mtdparts=b)", 0, []string{"a"}, `
		mtdparts=b 0x0+0x400
	`},
}

func TestMTDParts(t *testing.T) {
	for _, v := range mtdReal {
		maps, err := MTDParts(v.s, v.size)
		if err != nil || len(maps) != len(v.devices) {
			t.Errorf("%s: %d maps, %v", v.name, len(maps), err)
			continue
		}
		for i, m := range maps {
			sound(t, m)
			if m.Device != v.devices[i] || m.Source != "mtdparts" || m.Size != v.size {
				t.Errorf("%s: %+v", v.name, m)
			}
		}
		same(t, v.name, maps[0], v.want)
	}
}

func TestMTDPartsNotes(t *testing.T) {
	for s, want := range map[string]string{
		"d:8k(all),4k@0(a),4k(b)": `"a" lies inside "all" and was taken as a part of it` + "\n" + `"b" lies inside "all" and was taken as a part of it`,
		"d:4k(a),4k(a)":           `more than one partition is called "a"`,
		"d:4k(a);e:4k(a)":         "several devices are named: the size given was not applied",
		"d:4k(a),4k(b)":           "",
	} {
		maps, err := MTDParts(s, 8192)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		} else if got := strings.Join(maps[0].Notes, "\n"); got != want {
			t.Errorf("%s: %s", s, got)
		}
	}
}

// Linux numbers partitions in the order of the string, not of the addresses.
func TestMTDPartsIndex(t *testing.T) {
	maps, err := MTDParts("d:4k@4k(b),4k@0(a),8k@0(all)", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range maps[0].Flat() {
		if want := map[string]int{"b": 0, "a": 1, "all": 2}[p.Name]; p.Index != want {
			t.Errorf("%s: %d", p.Name, p.Index)
		}
	}
}

func TestMTDPartsRefuses(t *testing.T) {
	for _, v := range []struct {
		s    string
		size int64
		kind error
		off  int
	}{
		{"", 0, ErrNone, 0},
		{" \n", 0, ErrNone, 0},
		{"mtdparts=", 0, ErrNone, 9},
		{"64k(x)", 0, ErrSyntax, 0},
		{":64k(x)", 0, ErrSyntax, 0},
		{"d:", 0, ErrSyntax, 2},
		{"d:64k(x),", 0, ErrSyntax, 9},
		{"d:64k(x);", 0, ErrSyntax, 9},
		{"d:64k(x);d:64k(y)", 0, ErrSyntax, 9},
		{"d:64k", 0, ErrSyntax, 5},
		{"d:64k()", 0, ErrSyntax, 5},
		{"d:64k(x", 0, ErrSyntax, 5},
		{"d:64k(a\x07)", 0, ErrSyntax, 5},
		{"d:64k(x)rx", 0, ErrSyntax, 8},
		{"d:64k(x)roro", 0, ErrSyntax, 10},
		{"d:64k(x)lklk", 0, ErrSyntax, 10},
		{"d:k(x)", 0, ErrSyntax, 2},
		{"d:0xk(x)", 0, ErrSyntax, 2},
		{"d:089(x)", 0, ErrSyntax, 3},
		{"d:0(x)", 0, ErrSyntax, 2},
		{"d:-64k(x)", 0, ErrSyntax, 3},
		{"d:64k@(x)", 0, ErrSyntax, 6},
		{"d:64k@-(x)", 0, ErrSyntax, 6},
		{"d:64kk(x)", 0, ErrSyntax, 5},
		{"d:-(x),64k(y)", 0, ErrSyntax, 6},
		{"d:99999999999999999999(x)", 0, ErrRange, 2},
		{"d:0xffffffffffffffff(x)", 0, ErrRange, 2},
		{"d:1025T(x)", 0, ErrRange, 2},
		{"d:16E(x)", 0, ErrRange, 2},
		{"d:1@1E(x)", 0, ErrRange, 4},
		{"d:256T(x),256T(y)", 0, ErrRange, 10},
		{"d:256T(x),-(y)", 0, ErrRange, 10},
		{"d:64k(x),64k(y)", 100 << 10, ErrRange, 9},
		{"d:64k(x),-(y)", 64 << 10, ErrRange, 9},
		{"d:64k(x),-@65k(y)", 64 << 10, ErrRange, 9},
		{"d:64k(x),64k@32k(y)", 0, ErrOverlap, 9},
		{"mtdparts=d:64k(x),64k@32k(y) quiet", 0, ErrOverlap, 18},
		{"d:1(x)", -1, ErrRange, -1},
		{strings.Repeat("x", maxMTDParts+1), 0, ErrLimit, 0},
		{"d:" + strings.Repeat("1(x),", MaxParts) + "1(y)", 0, ErrLimit, 1 + 5*MaxParts},
		{"d:1(x)" + manyDevices(MaxMaps), 0, ErrLimit, len("d:1(x)"+manyDevices(MaxMaps-1)) + 1},
	} {
		maps, err := MTDParts(v.s, v.size)
		name := v.s[:min(len(v.s), 40)]
		if refused(t, name, err, v.kind, v.off); maps != nil {
			t.Errorf("%s: maps with the error", name)
		}
	}
}

func manyDevices(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ";d%d:1(x)", i)
	}
	return b.String()
}

func FuzzMTDParts(f *testing.F) {
	for _, v := range mtdReal {
		f.Add(v.s, v.size)
	}
	f.Fuzz(func(t *testing.T, s string, size int64) {
		maps, err := MTDParts(s, size)
		if (err == nil) != (len(maps) > 0) {
			t.Fatalf("%d maps, %v", len(maps), err)
		}
		for _, m := range maps {
			sound(t, m)
			if sized, err := m.WithSize(1 << 30); err == nil {
				sound(t, sized)
			}
		}
	})
}
