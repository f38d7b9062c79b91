package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/demo"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// open are attacks that the lock is known not to hold.
var open = []string{}

// The promise of the first page: without flags, in one command, nothing gets
// through. The program is built as users build it.
func TestAttackHolds(t *testing.T) {
	program := filepath.Join(t.TempDir(), "nanolock")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "attack", "--json").Output()
	var rep attackReport
	if e := json.Unmarshal(out, &rep); e != nil {
		t.Fatalf("%v, %v: %s", err, e, out)
	}
	if (err == nil) != rep.Held {
		t.Errorf("held: %v, but %v", rep.Held, err)
	}
	for _, x := range rep.Report.Results {
		if x.Verdict == "beaten" && !slices.Contains(open, x.Name) {
			t.Errorf("%s: %+v", x.Name, x.Breach)
		}
	}
	if rep.Counts["held"] < 80 {
		t.Errorf("only %v", rep.Counts)
	}
	protected := 0
	for _, r := range rep.Report.Regions {
		if r.Protected {
			protected++
		}
	}
	if protected != 8 {
		t.Errorf("%d protected regions, want 8", protected)
	}
}

// attackReport is what scripts read of the JSON.
type attackReport struct {
	Nanolock int
	Command  string
	Held     bool
	Counts   map[string]int
	Notes    []string
	Policy   string
	Report   struct {
		Results []struct {
			Name, Verdict  string
			Tried, Refused int
			By             map[string]int
			Breach         *struct{ What, Region, Rule, Advice string }
		}
		Regions []struct {
			Name, Before, After string
			Protected           bool
		}
	}
}

func attackJSON(t *testing.T, code int, args ...string) (rep attackReport) {
	t.Helper()
	r := do(append([]string{"attack", "--json"}, args...)...)
	if r.code != code {
		t.Fatalf("attack %v: exit code %d, want %d: %s", args, r.code, code, r.err)
	}
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil {
		t.Fatalf("attack %v: %v in %q", args, err, r.out)
	}
	return rep
}

func TestWeakPolicyIsBeaten(t *testing.T) {
	r := do("attack", "--policy", "testdata/weak.yaml", "--only", "trickboot")
	if r.code != exitFindings {
		t.Errorf("exit code %d, want %d: %s", r.code, exitFindings, r.err)
	}
	for _, want := range []string{"WEAK", "GOT THROUGH trickboot", `region "bootloader": write: any`, "change  make write never or a grant"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is missing in\n%s", want, r.out)
		}
	}
	rep := attackJSON(t, exitFindings, "--policy", "testdata/weak.yaml", "--only", "trickboot,wear-out")
	if rep.Held || rep.Counts["beaten"] == 0 {
		t.Errorf("%+v", rep)
	}
	for _, x := range rep.Report.Results {
		if x.Verdict == "beaten" && (x.Breach == nil || x.Breach.Rule == "" || x.Breach.Advice == "") {
			t.Errorf("%s: the breach names no rule or no change: %+v", x.Name, x.Breach)
		}
	}
}

func TestAttackJSON(t *testing.T) {
	rep := attackJSON(t, exitOK, "--policy", "testdata/small.yaml", "--only", "raw-overwrite")
	if rep.Nanolock != 1 || rep.Command != "attack" || !rep.Held || rep.Counts["held"] != 1 || rep.Counts["beaten"] != 0 {
		t.Errorf("%+v", rep)
	}
	x := rep.Report.Results[0]
	if x.Name != "raw-overwrite" || x.Verdict != "held" || x.Refused == 0 || len(x.By) == 0 {
		t.Errorf("%+v", x)
	}
	for _, r := range rep.Report.Regions {
		if r.Protected && (r.Before != r.After || len(r.Before) != 64) {
			t.Errorf("%+v", r)
		}
	}
}

// Attacks on a device take neither policy nor image from the caller, and stand in
// the same report.
func TestAttackDevice(t *testing.T) {
	rep := attackJSON(t, exitOK, "--policy", "testdata/small.yaml", "--memory", "sim", "--only", "order-replayed,raw-overwrite,anchor-reset")
	var got []string
	for _, x := range rep.Report.Results {
		got = append(got, x.Name+" "+x.Verdict)
	}
	if want := "raw-overwrite held, order-replayed held, anchor-reset held"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if r := do("attack", "--list"); !strings.Contains(r.out, "withheld orders") || !strings.Contains(r.out, "order-replayed") {
		t.Errorf("the list has no attacks on devices: %s", r.out)
	}
}

func TestAttackList(t *testing.T) {
	r := do("attack", "--list")
	if r.code != 0 || strings.Count(r.out, "\n") < 50 || !strings.Contains(r.out, "trickboot") {
		t.Errorf("exit code %d\n%s", r.code, r.out)
	}
	if r := do("attack", "--list", "--json"); !json.Valid([]byte(r.out)) {
		t.Errorf("no JSON: %q", r.out)
	}
}

func TestAttackEveryMemory(t *testing.T) {
	for _, m := range []string{"both", "sim", "mmap"} {
		rep := attackJSON(t, exitOK, "--policy", "testdata/small.yaml", "--memory", m, "--only", "raw-overwrite,view-write")
		if held := rep.Counts["held"]; held != 2 && m != "sim" || held == 0 {
			t.Errorf("%s: %v", m, rep.Counts)
		}
	}
}

// The parts that NAND and files are, with the same policy.
func TestAttackOtherParts(t *testing.T) {
	for _, args := range [][]string{{"--program", "once-page"}, {"--program", "rewrite"}, {"--erase-size", "4KiB"}, {"--state", "rma"}} {
		rep := attackJSON(t, exitOK, append(args, "--policy", "testdata/small.yaml", "--only", "raw-overwrite", "--memory", "sim")...)
		if rep.Counts["held"] != 1 {
			t.Errorf("%v: %v", args, rep.Counts)
		}
	}
}

// An image of its own is attacked under a policy that is made for it, and is not
// touched.
func TestAttackImageAlone(t *testing.T) {
	router := demo.RouterImage(3)[:2<<20]
	env := bytes.Clone(router)
	copy(env[0x30100:], "mtdparts=spi0.0:192k(u-boot)ro,64k(env),64k(art)ro,1m(firmware),-(data)\x00")
	badEnv := bytes.Clone(router)
	copy(badEnv[0x30100:], "mtdparts=spi0.0:192k(u-boot)ro,64m(env)\x00")
	tests := []struct {
		name, policy string
		image        []byte
		args         []string
		note         string
		regions      int
	}{
		{"no map", "made from the image", router, nil, "no flash map was found", 1},
		{"odd size", "made from the image", router[:1_500_001], nil, "filled up with 7327 bytes 0xFF", 1},
		{"one byte", "made from the image", router[:1], nil, "filled up with 4095 bytes 0xFF", 1},
		{"odd size, small blocks", "made from the image", router[:1_500_001], []string{"--erase-size", "4096"}, "filled up with 3231 bytes", 1},
		{"U-Boot's mtdparts", "made from the image", env, nil, "imported from mtdparts", 5},
		{"writable", "made from the image", env, []string{"--writable", "data"}, "opened", 5},
		{"mtdparts of another flash", "made from the image", badEnv, nil, "is not used", 1},
		{"FMAP", "made from the image", fmapImage(), []string{"--erase-size", "4096"}, "imported from fmap", 2},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			path := write(t, "image.bin", tc.image)
			if err := os.Chmod(path, 0o444); err != nil {
				t.Fatal(err)
			}
			rep := attackJSON(t, exitOK, append(tc.args, "--image", path, "--only", "raw-overwrite")...)
			if rep.Policy != tc.policy || !strings.Contains(strings.Join(rep.Notes, "\n"), tc.note) {
				t.Errorf("policy %q, notes %q", rep.Policy, rep.Notes)
			}
			if len(rep.Report.Regions) != tc.regions {
				t.Errorf("regions %+v, want %d", rep.Report.Regions, tc.regions)
			}
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, tc.image) {
				t.Error("the image changed")
			}
		})
	}
}

// fmapImage is the smallest image that carries its own map.
func fmapImage() []byte {
	img := bytes.Repeat([]byte{0xFF}, 0x10000)
	field := func(s string) []byte { return append([]byte(s), make([]byte, 32-len(s))...) }
	var b bytes.Buffer
	b.WriteString("__FMAP__\x01\x00")
	b.Write(make([]byte, 8))
	b.Write([]byte{0, 0, 1, 0})
	b.Write(field("FLASH"))
	b.Write([]byte{2, 0})
	b.Write([]byte{0, 0, 0, 0, 0, 0x80, 0, 0})
	b.Write(field("RO_SECTION"))
	b.Write([]byte{4, 0})
	b.Write([]byte{0, 0x80, 0, 0, 0, 0x80, 0, 0})
	b.Write(field("RW_DATA"))
	b.Write([]byte{0, 0})
	copy(img[0x1000:], b.Bytes())
	return img
}

func TestAttackImageThatDoesNotFit(t *testing.T) {
	policy := write(t, "router.yaml", demo.RouterYAML)
	for name, size := range map[string]int{"smaller": 8 << 20, "larger": 17 << 20, "empty": 0} {
		content := bytes.Repeat([]byte{0xA5}, size)
		image := write(t, "image.bin", content)
		r := do("attack", "--policy", policy, "--image", image)
		if r.code != exitInput || !strings.Contains(r.err, name) || !strings.Contains(r.err, image) {
			t.Errorf("%s: exit code %d, %q", name, r.code, r.err)
		}
		if b, _ := os.ReadFile(image); !bytes.Equal(b, content) {
			t.Errorf("%s: the image changed", name)
		}
	}
}

func TestAttackMemoryThatCannotBe(t *testing.T) {
	for _, args := range []string{"--erase-size 48", "--program once-page --program-size 3", "--erase-size 128KiB"} {
		r := do(append([]string{"attack"}, strings.Fields(args)...)...)
		if r.code != exitUsage && r.code != exitInput || r.err == "" {
			t.Errorf("%s: exit code %d, %q", args, r.code, r.err)
		}
	}
}

func TestAttackInterruptedAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := (with{ctx: ctx}).do("attack"); r.code != exitInterrupted || !strings.Contains(r.err, "interrupted") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
}

func TestImport(t *testing.T) {
	dir := t.TempDir()
	layout := filepath.Join(dir, "chip.layout")
	if err := os.WriteFile(layout, []byte("00000000:0000ffff boot\n00010000:000fffff data\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fmap := filepath.Join(dir, "bios.bin")
	if err := os.WriteFile(fmap, fmapImage(), 0o644); err != nil {
		t.Fatal(err)
	}
	const parts = "mtdparts=spi0.0:192k(u-boot)ro,64k(env),-(data)"
	tests := []struct {
		args string
		code int
		want string
	}{
		{"--mtdparts " + parts + " --size 1m --granule 64k", 0, `"u-boot"`},
		{"--mtdparts " + parts + " --size 1m --granule 64k --writable data --name box", 0, "wear:"},
		{"--layout " + layout + " --size 1MiB --granule 4KiB", 0, "name: data"},
		{"--fmap " + fmap + " --granule 4KiB", 0, "name: RW_DATA"},
		{"--mtdparts " + parts + " --granule 64k", exitInput, "--size"},
		{"--mtdparts " + parts + " --size 1m", exitInput, "--granule"},
		{"--mtdparts " + parts + " --size 1m --granule 64k --writable nothing", exitInput, `"data"`},
		{"--mtdparts nonsense --size 1m --granule 64k", exitInput, "--mtdparts"},
		{"--dtb " + layout + " --size 1m --granule 64k", exitInput, layout},
		{"--fmap " + layout, exitInput, "FMAP"},
		{"--fmap " + dir, exitIO, "a directory"},
		{"--mtdparts x --fmap y", exitUsage, "mtdparts"},
		{"--mtdparts " + parts + " --size 1q", exitUsage, "is no size"},
		{"", exitUsage, "name one with --mtdparts"},
		{"--layout " + layout + " --size 1MiB --granule 4KiB -o " + layout, exitUsage, "is an input"},
	}
	for _, tc := range tests {
		r := do(append([]string{"policy", "import"}, strings.Fields(tc.args)...)...)
		if r.code != tc.code || !strings.Contains(r.out+r.err, tc.want) {
			t.Errorf("import %s: exit code %d, want %d and %q\n%s%s", tc.args, r.code, tc.code, tc.want, r.out, r.err)
		}
		if r.code == 0 {
			p, err := policyfile.Parse([]byte(r.out))
			if err != nil || p.Validate(p.Geometry()) != nil {
				t.Errorf("import %s: what was written is no policy: %v", tc.args, err)
			}
		}
	}
	out := filepath.Join(dir, "policy.yaml")
	r := do("policy", "import", "--layout", layout, "--size", "1MiB", "--granule", "4KiB", "-o", out, "--json")
	if r.code != 0 || !json.Valid([]byte(r.out)) || do("policy", "check", out).code != 0 {
		t.Errorf("%+v", r)
	}
}
