package policyfile_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/flashmap"
	"github.com/nanolock/nanolock/internal/testdeps"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// sound checks what holds of every import that succeeded.
func sound(t testing.TB, im *policyfile.Imported, writable ...string) {
	t.Helper()
	p := im.Policy
	g := p.Geometry()
	if err := p.Validate(g); err != nil {
		t.Errorf("does not validate: %v", err)
	}
	table, err := p.Compile(g, policy.Deployed)
	if err != nil {
		t.Fatalf("does not compile: %v", err)
	}
	if q, err := policyfile.Parse(policyfile.Format(p, im.Notes...)); err != nil || !reflect.DeepEqual(p, q) {
		t.Errorf("changed by writing and reading the file: %v", err)
	}
	b, err := p.MarshalBinary()
	var q policy.Policy
	if err != nil || q.UnmarshalBinary(b) != nil || !reflect.DeepEqual(p, &q) {
		t.Errorf("changed by its binary form: %v", err)
	}
	for i, r := range p.Map {
		open := false
		for _, w := range writable {
			open = open || w == r.Name
		}
		whole := nvm.Span{Off: r.Span.Off, Len: r.Span.Len}
		if d := table.Explain(nvm.Read, whole, nil); !d.Allow || d.Metered {
			t.Errorf("%q cannot be read: %+v", r.Name, d)
		}
		if d := table.Explain(nvm.Write, whole, nil); d.Allow != open {
			t.Errorf("%q: write %+v", r.Name, d)
		}
		if open != (r.Wear != policy.Wear{}) || open && r.Access.Erase.Mode != policy.Any || !open && r.Access.Erase.Mode != policy.Never {
			t.Errorf("%q: %+v, %+v", r.Name, r.Access, r.Wear)
		}
		if r.ID != uint32(i+1) || r.Update != nil || r.In != nil {
			t.Errorf("%q: %+v", r.Name, r)
		}
	}
	for _, n := range im.Notes {
		if strings.ContainsAny(n, "\n\r\x00\x1b") || n == "" {
			t.Errorf("note %q", n)
		}
	}
}

// sizeFor is a size for a map that says none: the next power of two.
func sizeFor(m flashmap.Map) int64 {
	if m.Size != 0 {
		return m.Size
	}
	size := int64(1 << 16)
	for _, p := range m.Flat() {
		for size <= p.Off || size < p.Off+p.Len {
			size *= 2
		}
	}
	return size
}

// granuleFor is the largest erase block up to 64 KiB that fits a size.
func granuleFor(size int64) int64 {
	g := int64(64 << 10)
	for size%g != 0 {
		g /= 2
	}
	return g
}

type realCounts struct {
	trees, without, wrong, devices, regions, boot, shared int
}

// TestRealDeviceTrees imports every flash map in the device trees of Debian's
// kernels.
func TestRealDeviceTrees(t *testing.T) {
	dir := testdeps.Firmware(t, "dtb")
	var n realCounts
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".dtb") {
			return err
		}
		dtb, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n.trees++
		t.Run(filepath.Base(path), func(t *testing.T) { n.tree(t, dtb) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	testdeps.Need(t, n.trees > 0, "a device tree in "+dir)
	t.Logf("%d trees, %d of them without partitions, %d with a map that cannot be true; imported %d devices with %d regions, %d of them boot code; %d devices share erase blocks",
		n.trees, n.without, n.wrong, n.devices, n.regions, n.boot, n.shared)
	if n.devices < 20 {
		t.Errorf("only %d devices: the trees are not what they should be", n.devices)
	}
}

func (n *realCounts) tree(t *testing.T, dtb []byte) {
	maps, err := flashmap.DeviceTree(dtb)
	switch {
	case err != nil:
		_, imp := policyfile.ImportDeviceTree(dtb, policyfile.ImportOptions{Size: 1 << 30, Granule: 1 << 16})
		var e *policyfile.ImportError
		if !errors.As(imp, &e) || !errors.Is(imp, policyfile.ErrImport) {
			t.Errorf("not the typed error: %v", imp)
		}
		if errors.Is(err, flashmap.ErrNone) {
			n.without++
		} else {
			n.wrong++
			t.Logf("refused: %v", err)
		}
	case len(maps) > 1:
		_, err := policyfile.ImportDeviceTree(dtb, policyfile.ImportOptions{})
		var e *policyfile.ImportError
		if !errors.Is(err, policyfile.ErrDevice) || !errors.As(err, &e) || len(e.Choices) != len(maps) {
			t.Errorf("several devices: %v", err)
		}
	}
	for _, m := range maps {
		if _, err := policyfile.ImportDeviceTree(dtb, policyfile.ImportOptions{Device: m.Device}); !errors.Is(err, policyfile.ErrSize) {
			t.Errorf("%s: without size and granule: %v", m.Device, err)
		}
		size := sizeFor(m)
		im, err := policyfile.ImportDeviceTree(dtb, policyfile.ImportOptions{Device: m.Device, Size: size, Granule: granuleFor(size)})
		if err != nil {
			t.Errorf("%s: %v", m.Device, err)
			continue
		}
		sound(t, im)
		n.devices++
		n.regions += len(im.Policy.Map)
		for _, r := range im.Policy.Map {
			if r.Boot {
				n.boot++
			}
		}
		if strings.Contains(strings.Join(im.Notes, "\n"), "is shared by") {
			n.shared++
		}
	}
}

// A Chromebook's layout in miniature, in the language of fmaptool.
const coreboot = `FLASH@0xff800000 0x800000 {
	SI_ALL 0x200000 {
		SI_DESC 0x1000
		SI_ME
	}
	SI_BIOS 0x600000 {
		RW_SECTION_A 0x1f0000 {
			VBLOCK_A 0x10000
			FW_MAIN_A(CBFS)
			RW_FWID_A 0x40
		}
		RW_MISC 0x10000 {
			UNIFIED_MRC_CACHE 0x8000
			RW_ELOG 0x4000
			RW_NVRAM 0x2000
		}
		WP_RO@0x200000 0x400000 {
			RO_VPD 0x4000
			RO_SECTION {
				FMAP 0x800
				RO_FRID 0x40
				GBB 0xef000
				COREBOOT(CBFS)
			}
		}
	}
}
`

// TestRealFMAP imports what coreboot's own tools write.
func TestRealFMAP(t *testing.T) {
	fmaptool, cbfstool := testdeps.Program(t, "fmaptool"), testdeps.Program(t, "cbfstool")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "board.fmd"), []byte(coreboot), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{fmaptool, "board.fmd", "board.fmap"},
		{cbfstool, "board.rom", "create", "-M", "board.fmap", "-r", "COREBOOT,FW_MAIN_A"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	for _, file := range []string{"board.fmap", "board.rom"} {
		image, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		im, err := policyfile.ImportFMAP(image, policyfile.ImportOptions{Granule: 4096, Writable: []string{"RW_ELOG", "UNIFIED_MRC_CACHE"}})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		sound(t, im, "RW_ELOG", "UNIFIED_MRC_CACHE")
		var boot, other []string
		for _, r := range im.Policy.Map {
			if r.Boot {
				boot = append(boot, r.Name)
			} else {
				other = append(other, r.Name)
			}
		}
		if got, want := strings.Join(boot, " "), "SI_DESC SI_ME VBLOCK_A FW_MAIN_A RO_VPD FMAP RO_FRID GBB COREBOOT"; got != want {
			t.Errorf("%s: boot code is %s, want %s", file, got, want)
		}
		if got, want := strings.Join(other, " "), "RW_FWID_A UNIFIED_MRC_CACHE RW_ELOG RW_NVRAM RW_MISC (rest)"; got != want {
			t.Errorf("%s: the rest is %s, want %s", file, got, want)
		}
		t.Logf("%s: %d regions, %d notes", file, len(im.Policy.Map), len(im.Notes))
	}
}
