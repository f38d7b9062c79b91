//go:build !race

// The attack looks at every byte of the simulated flash after each attempt, which
// takes twenty times as long under the race detector and shows it nothing that
// the smaller images of the other tests do not.

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nanolock/nanolock/internal/flashmap"
	"github.com/nanolock/nanolock/internal/flashpic"
	"github.com/nanolock/nanolock/internal/testdeps"
)

// Firmware that nobody here wrote: the files that Debian's packages install. All
// else that they install is attacked with NANOLOCK_LONG=1.
var firmware = []struct{ pkg, path string }{
	{"ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd"},
	{"ovmf", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"ovmf", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
	{"ovmf", "/usr/share/ovmf/OVMF.fd"},
	{"seabios", "/usr/share/seabios/bios.bin"},
	{"seabios", "/usr/share/seabios/bios-256k.bin"},
	{"seabios", "/usr/share/seabios/vgabios-stdvga.bin"},
	{"u-boot-qemu", "/usr/lib/u-boot/qemu_arm/u-boot.bin"},
	{"u-boot-qemu", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"},
	{"u-boot-qemu", "/usr/lib/u-boot/qemu-riscv64/u-boot.bin"},
	{"u-boot-qemu", "/usr/lib/u-boot/maltael/u-boot.bin"},
	{"u-boot-qemu", "/usr/lib/u-boot/qemu-x86/u-boot.rom"},
}

// installed are those files, or everything like them.
func installed(t *testing.T) (paths []string) {
	t.Helper()
	for _, f := range firmware {
		paths = append(paths, testdeps.File(t, f.pkg, f.path))
	}
	if !testdeps.Long() {
		return paths
	}
	for _, pattern := range []string{"/usr/share/OVMF/*.fd", "/usr/share/seabios/*.bin", "/usr/lib/u-boot/*/u-boot.bin", "/usr/lib/u-boot/*/u-boot.rom"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, more...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// siege attacks a copy of an image, and sees to it that what the attack was given
// is the same file afterwards, with the same bytes and of the same time.
func siege(t *testing.T, code int, image []byte, args ...string) attackReport {
	t.Helper()
	path := write(t, "image.bin", image)
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	rep := attackJSON(t, code, append([]string{"--image", path}, args...)...)
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(old) || after.Mode() != before.Mode() {
		t.Errorf("the image is another file: %v, was %v: %v", after, before, err)
	}
	if b, err := os.ReadFile(path); err != nil || sha256.Sum256(b) != sha256.Sum256(image) {
		t.Errorf("the image changed: %v", err)
	}
	return rep
}

// unharmed checks that every region that no host may change is what it was, and
// that there is at least one.
func unharmed(t *testing.T, rep attackReport) {
	t.Helper()
	protected := 0
	for _, r := range rep.Report.Regions {
		if !r.Protected {
			continue
		}
		protected++
		if r.Before != r.After || len(r.Before) != 2*sha256.Size {
			t.Errorf("region %q was %s, is %s", r.Name, r.Before, r.After)
		}
	}
	if protected == 0 {
		t.Error("nothing was protected")
	}
}

// withstood checks that nothing got through, and that something tried to.
func withstood(t *testing.T, rep attackReport) {
	t.Helper()
	unharmed(t, rep)
	if tried, refused := effort(rep); !rep.Held || rep.Counts["beaten"] != 0 || rep.Counts["held"] < 30 || tried < 500 || refused < 500 {
		t.Errorf("held: %v, %v, %d accesses tried, %d refused", rep.Held, rep.Counts, tried, refused)
	}
}

func effort(rep attackReport) (tried, refused int) {
	for _, r := range rep.Report.Results {
		tried, refused = tried+r.Tried, refused+r.Refused
	}
	return tried, refused
}

// tell hands a row to whoever reads the log of a run that passes.
func tell(t *testing.T, what string, size int64, rep attackReport) {
	t.Helper()
	tried, refused := effort(rep)
	t.Attr("firmware", fmt.Sprintf("%-44s %9s %4d held %3d beaten %6d tried %6d refused",
		what, flashpic.Size(size), rep.Counts["held"], rep.Counts["beaten"], tried, refused))
}

// brief is a short name of a file: the last two parts of its path.
func brief(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}

// An image alone, as somebody has it on the first day: no byte of it changes.
func TestFirmwareHolds(t *testing.T) {
	for _, path := range installed(t) {
		t.Run(brief(path), func(t *testing.T) {
			image, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rep := siege(t, exitOK, image)
			withstood(t, rep)
			tell(t, brief(path), int64(len(image)), rep)
		})
	}
}

// weakPolicy lets hosts write the first half, which boots.
func weakPolicy(size, granule int64) []byte {
	half := (size/2 + granule - 1) / granule * granule
	return fmt.Appendf(nil, `nanolock: 1
name: weak
version: 1
memory: {size: %d, granule: %d}
map:
  - {name: boot, size: %d, boot: true, read: any, write: any, erase: any}
  - {name: rest, size: %d, read: any}
`, size, granule, half, size-half)
}

// The same images under a policy that is wrong: the attack has to say so, or what
// it says of the others means nothing.
func TestFirmwareUnderWeakPolicyFalls(t *testing.T) {
	const granule = 4 << 10
	for _, path := range installed(t) {
		t.Run(brief(path), func(t *testing.T) {
			image, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// A flash holds whole blocks.
			image = append(image, bytes.Repeat([]byte{0xFF}, -len(image)&(granule-1))...)
			rules := write(t, "weak.yaml", weakPolicy(int64(len(image)), granule))
			rep := siege(t, exitFindings, image, "--policy", rules)
			unharmed(t, rep) // the half that no host may write
			if rep.Held || rep.Counts["beaten"] == 0 {
				t.Errorf("held: %v, %v", rep.Held, rep.Counts)
			}
			for _, r := range rep.Report.Results {
				if r.Verdict == "beaten" && (r.Breach == nil || r.Breach.Region != "boot" || r.Breach.Rule == "" || r.Breach.Advice == "") {
					t.Errorf("%s: %+v", r.Name, r.Breach)
				}
			}
			tell(t, brief(path)+", weak", int64(len(image)), rep)
			said := do("attack", "--policy", rules, "--image", write(t, "image.bin", image), "--only", "trickboot").out
			for _, want := range []string{"GOT THROUGH trickboot", `rule    region "boot": write: any`, "change  "} {
				if !strings.Contains(said, want) {
					t.Errorf("%q is missing in\n%s", want, said)
				}
			}
		})
	}
}

// Flash maps in the language of fmaptool, with room for SeaBIOS in COREBOOT.
var coreboot = map[string]string{
	"one bootblock": `FLASH@0xfff00000 0x100000 {
	FMAP 0x1000
	RW_NVRAM 0x10000
	COREBOOT(CBFS)
}
`,
	"two slots": `FLASH@0xffc00000 0x400000 {
	RW_SECTION_A 0x100000 {
		VBLOCK_A 0x10000
		FW_MAIN_A(CBFS)
		RW_FWID_A 0x40
	}
	RW_NVRAM 0x10000
	RW_MISC 0xf0000 {
		UNIFIED_MRC_CACHE 0x20000
		RW_ELOG 0x4000
	}
	WP_RO@0x200000 0x200000 {
		RO_VPD 0x4000
		FMAP 0x1000
		COREBOOT(CBFS)
	}
}
`,
}

// corebootImage builds an image as coreboot's own build does.
func corebootImage(t *testing.T, layout string) []byte {
	t.Helper()
	fmaptool, cbfstool := testdeps.Program(t, "fmaptool"), testdeps.Program(t, "cbfstool")
	payload := testdeps.File(t, "seabios", "/usr/share/seabios/bios-256k.bin")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "board.fmd"), []byte(layout), 0o600); err != nil {
		t.Fatal(err)
	}
	cbfs := "COREBOOT"
	if strings.Contains(layout, "FW_MAIN_A(CBFS)") {
		cbfs += ",FW_MAIN_A"
	}
	for _, args := range [][]string{
		{fmaptool, "board.fmd", "board.fmap"},
		{cbfstool, "board.rom", "create", "-M", "board.fmap", "-r", cbfs},
		{cbfstool, "board.rom", "add", "-f", payload, "-n", "fallback/payload", "-t", "raw", "-r", cbfs},
	} {
		c := exec.CommandContext(t.Context(), args[0], args[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	image, err := os.ReadFile(filepath.Join(dir, "board.rom"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(payload); err != nil || !bytes.Contains(image, b) {
		t.Fatalf("the payload is not in the image: %v", err)
	}
	return image
}

// imports makes a policy file and sees whether the other commands take it.
func imports(t *testing.T, args ...string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "policy.yaml")
	for _, args := range [][]string{
		append([]string{"policy", "import", "-o", file}, args...),
		{"policy", "check", file},
		{"map", file},
	} {
		if r := do(args...); r.code != exitOK || r.out == "" {
			t.Fatalf("%v: exit code %d: %s%s", args, r.code, r.out, r.err)
		}
	}
	return file
}

func TestFirmwareWithFMAP(t *testing.T) {
	for name, layout := range coreboot {
		t.Run(name, func(t *testing.T) {
			image := corebootImage(t, layout)
			rom := write(t, "board.rom", image)
			for how, args := range map[string][]string{
				"closed": {}, "open NVRAM": {"--writable", "RW_NVRAM"},
			} {
				rules := imports(t, append([]string{"--fmap", rom, "--granule", "4KiB"}, args...)...)
				rep := siege(t, exitOK, image, "--policy", rules)
				withstood(t, rep)
				tell(t, "coreboot, "+name+", "+how, int64(len(image)), rep)
			}
			rep := siege(t, exitOK, image) // the map that it carries, without being told
			withstood(t, rep)
			if len(rep.Report.Regions) < 3 {
				t.Errorf("the map in the image was not used: %v", rep.Notes)
			}
		})
	}
}

// trees are the device trees of Debian's kernels in an order that has nothing to
// do with what they hold: the first few are a sample.
func trees(t *testing.T) (paths []string) {
	t.Helper()
	dir := testdeps.Firmware(t, "dtb")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".dtb") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	testdeps.Need(t, len(paths) > 0, "a device tree in "+dir)
	slices.SortFunc(paths, func(x, y string) int {
		a, b := sha256.Sum256([]byte(brief(x))), sha256.Sum256([]byte(brief(y)))
		return cmp.Or(bytes.Compare(a[:], b[:]), strings.Compare(x, y))
	})
	return paths
}

// sized is the smallest usual part that holds a map, and its erase block.
func sized(m flashmap.Map) (size, granule int64) {
	if size = m.Size; size == 0 {
		size = 1 << 16
		for _, p := range m.Flat() {
			for size <= p.Off || size < p.Off+p.Len {
				size *= 2
			}
		}
	}
	for granule = 64 << 10; size%granule != 0; {
		granule /= 2
	}
	return size, granule
}

func TestFirmwareOfDeviceTrees(t *testing.T) {
	most, largest := 6, int64(32<<20)
	if testdeps.Long() {
		most, largest = 1<<30, 256<<20
	}
	attacked, drawn := 0, 0
	seen := map[string]bool{} // boards of a family share their map
	for _, path := range trees(t) {
		dtb, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		maps, err := flashmap.DeviceTree(dtb)
		if err != nil || attacked >= most {
			continue // policyfile's tests say which, and why
		}
		for _, m := range maps {
			size, granule := sized(m)
			same := fmt.Sprint(size, m.Parts)
			if (size > largest || seen[same]) && !testdeps.Long() {
				continue
			}
			seen[same] = true
			t.Run(strings.TrimSuffix(brief(path), ".dtb")+" "+m.Device, func(t *testing.T) {
				rules := imports(t, "--dtb", path, "--device", m.Device, "--size", fmt.Sprint(size), "--granule", fmt.Sprint(granule))
				drawn++
				if size > largest {
					return // several copies of it in memory
				}
				attacked++
				rep := siege(t, exitOK, bytes.Repeat([]byte{0xFF}, int(size)), "--policy", rules)
				withstood(t, rep)
				tell(t, strings.TrimSuffix(brief(path), ".dtb"), size, rep)
			})
		}
	}
	t.Logf("%d flash maps imported, checked and drawn; %d attacked", drawn, attacked)
	if attacked < 6 {
		t.Errorf("only %d device trees had a map to attack", attacked)
	}
}
