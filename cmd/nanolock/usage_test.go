package main

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/demo"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// commands walks the tree.
func commands(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, k := range c.Commands() {
		commands(k, do)
	}
}

func newApp() *app { return &app{env: func(string) string { return "" }} }

func TestEveryCommandExplainsItself(t *testing.T) {
	commands(newApp().root(), func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no summary or no example", c.CommandPath())
		}
		path := strings.Fields(c.CommandPath())[1:]
		if r := do(append(path, "--help")...); r.code != 0 || !strings.Contains(r.out, "nanolock") {
			t.Errorf("%s --help: exit code %d, %q", c.CommandPath(), r.code, r.out)
		}
	})
}

// Examples must not rot: their commands and flags exist.
func TestExamplesParse(t *testing.T) {
	commands(newApp().root(), func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(regexp.MustCompile(`"\$\([^)]*\)"`).ReplaceAllString(line, "X"))
			if len(words) == 0 || words[0] != "nanolock" {
				continue
			}
			root := newApp().root()
			found, rest, err := root.Find(words[1:])
			if err != nil || found == root {
				t.Errorf("%s: %v", strings.TrimSpace(line), err)
				continue
			}
			for _, w := range rest {
				name, _, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
				if strings.HasPrefix(w, "--") && found.Flag(name) == nil {
					t.Errorf("%s: no flag --%s", strings.TrimSpace(line), name)
				}
			}
		}
	})
}

// someID is one as devices, keys and challenges have it.
const someID = "0101010101010101010101010101010101010101010101010101010101010101"

func TestUsageErrors(t *testing.T) {
	tests := []struct{ args, want string }{
		{"frobnicate", "unknown command"},
		{"atack", "did you mean attack"},
		{"policy frobnicate", "unknown command"},
		{"policy check", "FILE is missing"},
		{"policy check a b", `unexpected argument "b"`},
		{"policy check - --frobnicate", "unknown flag"},
		{"policy check - --program mram", "say clear-bits"},
		{"policy check - --erase-size many", "is no size"},
		{"policy lint - --state asleep", "say manufacturing"},
		{"policy plan - --slowdown 0", "makes no sense"},
		{"policy explain - burn 0 1", "say read, write or erase"},
		{"policy explain - read x 1", "neither an address nor a size"},
		{"policy explain - read nowhere", `no region "nowhere"`},
		{"policy explain - read 0 1 --as emperor", `no authority "emperor"`},
		{"policy explain - read 0 1 --expect maybe", "say allow or deny"},
		{"policy explain - read", "OFF, LEN is missing"},
		{"map - --width -1", "makes no sense"},
		{"map - --color blue", "say --color auto"},
		{"map - --json --svg -", "both want standard output"},
		{"completion ksh", "say bash, zsh, fish or powershell"},
		{"completion", "SHELL is missing"},
		{"keygen", "NAME is missing"},
		{"keygen a b", `unexpected argument "b"`},
		{"keygen ../a", "choose another name"},
		{"keygen .a", "choose another name"},
		{"keygen alice --suite rsa", "say ed25519+ml-dsa-65"},
		{"keygen alice", "no terminal to ask"},
		{"keygen alice --no-passphrase --passphrase-file x", "do not go together"},
		{"key frobnicate", "unknown command"},
		{"key show", "FILE.pub is missing"},
		{"provision", "no policy is named"},
		{"provision --policy -", "no image is named"},
		{"provision --policy - --image x --dir y", "do not go together"},
		{"provision --policy - --image x --count 3", "--count is for many"},
		{"provision --policy - --dir x --count -1", "makes no sense"},
		{"provision --policy - --dir x --keystore y", "--keystore is for one device"},
		{"provision --policy - --image x --ids --order y", "--ids signs nothing"},
		{"provision --policy - --image x --owner-key y --order z", "do not go together"},
		{"provision --policy - --image x", "nobody signs the policy"},
		{"status", "no image is named"},
		{"status --image x --nonce 00", "write 8 to 64 bytes"},
		{"order frobnicate", "unknown command"},
		{"order new", "KIND is missing"},
		{"order new batch", "unknown kind"},
		{"order new install", "unknown kind"},
		{"order new grant", "say --authority"},
		{"order new grant --authority vendor", "no device is named"},
		{"order new thaw --authority vendor", "signs no orders of kind thaw"},
		{"order new thaw --state rma", "does not belong to orders of kind thaw"},
		{"order new policy --device 00", "no policy is named"},
		{"order new lifecycle --state rma --device 00", "64 hexadecimal digits"},
		{"order new lifecycle --state rma --device " + someID, "--challenge HEX"},
		{"order new lifecycle --state rma --challenge 00 --device " + someID, "write 64 hexadecimal digits"},
		{"order new lifecycle --state asleep --challenge " + someID + " --device " + someID, "say manufacturing"},
		{"order new void --to 3 --device " + someID, "--counter N"},
		{"order new void --counter 1 --device " + someID, "--to N"},
		{"order new void --to 3 --class none --counter 1 --device " + someID, "say root, operate or audit"},
		{"order new void --to 3 --counter 1 --device " + someID + " --device " + someID, "is there twice"},
		{"order new void --to 3 --counter 1 --status x", "--status and --report tell"},
		{"order new keys", "say --rotate FILE.order, or --revoke ID"},
		{"order new keys --revoke x --counter 1 --device " + someID, "nanolock key show"},
		{"order new transfer", "--policy-order is missing"},
		{"order new time --not-after tomorrow", "is no time"},
		{"order new challenge --nonce 00 --challenge " + someID + " --device " + someID, "write 8 to 64 bytes"},
		{"order new grant --authority vendor --challenge " + someID + " --device " + someID, "no region is named"},
		{"order new grant --authority vendor --region boot --challenge " + someID + " --device " + someID, "give its number"},
		{"order new grant --authority vendor --region 1 --challenge " + someID + " --device " + someID, "say --ops"},
		{"order new grant --authority vendor --region 1 --ops burn --challenge " + someID + " --device " + someID, "unknown operation"},
		{"order new grant --authority vendor --region 1 --ops read --challenge " + someID + " --device " + someID, "say --len"},
		{"order new grant --authority vendor --region 1 --ops read --len x --challenge " + someID + " --device " + someID, "is no size"},
		{"order new grant --authority vendor --region 1 --ops read --off x --len 1 --challenge " + someID + " --device " + someID, "is no offset"},
		{"order new grant --authority vendor --policy - --region boot --challenge " + someID + " --device " + someID, `no region "boot"`},
		{"order new grant --authority vendor --policy - --region bootloader --challenge " + someID + " --device " + someID, `grants nothing to "vendor"`},
		{"order sign x", "nobody signs"},
		{"order sign", "FILE is missing"},
		{"order sign x --key a --key b --key c --passphrase-file d --passphrase-file e", "2 passphrase files for 3 keys"},
		{"order merge x", "FILE is missing"},
		{"order merge x y", "say --out"},
		{"order tbs x", "say --key-pub"},
		{"order tbs x --format morse", "say hex, base64 or raw"},
		{"order attach x", "--key-pub or --signature is missing"},
		{"order batch", "ORDER is missing"},
		{"order batch x", "say --out"},
		{"order split x", "BATCH or ORDER is missing"},
		{"order split x y", "say --out FOLDER"},
		{"order show", "FILE is missing"},
		{"order apply", "FILE is missing"},
		{"order apply x --wait", "go together"},
		{"report verify", "FILE is missing"},
		{"report verify x", "the device's public key is missing"},
		{"report verify x --key y --nonce z", "write 8 to 64 bytes"},
		{"inspect", "IMAGE is missing"},
		{"decommission", "nobody signs"},
		{"attack here", `unexpected argument "here"`},
		{"attack --memory cloud", "say both, sim or mmap"},
		{"attack --only nothing", "attack --list"},
		{"attack --writable data", "--writable is for an image"},
		{"attack --seed -1", "invalid argument"},
	}
	for _, tc := range tests {
		r := with{stdin: string(demo.RouterYAML)}.do(strings.Fields(tc.args)...)
		if r.code != exitUsage || !strings.Contains(r.err, tc.want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("nanolock %s: exit code %d, %q; want %d and %q", tc.args, r.code, r.err, exitUsage, tc.want)
		}
	}
}

// With --json standard output holds one document even if nothing worked.
func TestErrorsAsJSON(t *testing.T) {
	for _, tc := range []struct {
		args string
		code int
		kind string
	}{
		{"policy check /no/such/file --json", exitIO, "io"},
		{"policy lint testdata/broken.yaml --json", exitInput, "input"},
		{"attack --memory cloud --json", exitUsage, "usage"},
	} {
		r := do(strings.Fields(tc.args)...)
		var doc struct {
			Nanolock int
			Command  string
			Error    struct {
				Code       int
				Kind, Text string
			}
		}
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			t.Fatalf("%s: %v in %q", tc.args, err, r.out)
		}
		if r.code != tc.code || doc.Error.Code != tc.code || doc.Error.Kind != tc.kind || doc.Error.Text == "" || doc.Nanolock != 1 ||
			!strings.HasPrefix(tc.args, doc.Command) {
			t.Errorf("%s: exit code %d, %+v", tc.args, r.code, doc)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := do("completion", shell)
		if r.code != 0 || !strings.Contains(r.out, "nanolock") || len(r.out) < 1000 {
			t.Errorf("%s: exit code %d, %d bytes", shell, r.code, len(r.out))
		}
		if r := do("completion", shell, "--json"); !json.Valid([]byte(r.out)) {
			t.Errorf("%s --json: %q", shell, r.out)
		}
	}
	for args, want := range map[string]string{"policy ": "explain", "policy explain x ": "erase", "attack --memory ": "mmap"} {
		if r := do(append([]string{"__complete"}, strings.Split(args, " ")...)...); !strings.Contains(r.out, want) {
			t.Errorf("completing %q: %q, want %q in it", args, r.out, want)
		}
	}
}

func TestVersion(t *testing.T) {
	if r := do("version"); r.code != 0 || !strings.HasPrefix(r.out, "nanolock ") {
		t.Errorf("%+v", r)
	}
	if r := do("--version"); r.code != 0 || !strings.HasPrefix(r.out, "nanolock ") {
		t.Errorf("%+v", r)
	}
	if r := do("version", "--json"); !strings.Contains(r.out, `"go": "go`) {
		t.Errorf("%+v", r)
	}
}

// brokenPipe fails like the pipe of a pager that was left.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("broken pipe") }

func TestOutputFails(t *testing.T) {
	a := &app{in: strings.NewReader(string(demo.RouterYAML)), out: brokenPipe{}, err: &strings.Builder{}, env: func(string) string { return "" }}
	if code := a.run(t.Context(), []string{"map", "-"}); code != exitIO {
		t.Errorf("exit code %d, want %d", code, exitIO)
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	var err strings.Builder
	a := &app{in: nil, out: &strings.Builder{}, err: &err, env: func(string) string { return "" }}
	if code := a.run(t.Context(), []string{"policy", "check", "-"}); code != exitInternal || !strings.Contains(err.String(), "please report") {
		t.Errorf("exit code %d, %q", code, err.String())
	}
}

// What plan counts is what the heap holds.
func TestRAMIsCounted(t *testing.T) {
	const n = 20_000
	p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: n << 12, Granule: 4096}}
	for i := range n {
		p.Map = append(p.Map, policy.Region{ID: uint32(i + 1), Name: fmt.Sprintf("region-%05d", i), Span: nvm.Span{Off: int64(i) << 12, Len: 4096}})
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	table, err := p.Compile(p.Geometry(), 0)
	if err != nil {
		t.Fatal(err)
	}
	got := heap() - before
	plan := newRAMPlan(p, table)
	runtime.KeepAlive(table)
	// Denials belong to the lock, names to the policy.
	want := plan.Arrays + n*(entryBytes64-3*8)
	if math.Abs(float64(got-want)) > 0.05*float64(want) && math.MaxInt == math.MaxInt64 {
		t.Errorf("the table takes %d bytes, plan says %d: entryBytes64 and entryBytes32 follow policy.entry", got, want)
	}
	runtime.KeepAlive(p)
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"0", "64k", "64KiB", "0x10000", "16M", "1g", "-1", "k", "0k", "9223372036854775807", "99999999999G", "1_000", "0xk"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseSize(s)
		if err == nil && v < 0 {
			t.Errorf("parseSize(%q) = %d", s, v)
		}
	})
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{"64k": 65536, "64K": 65536, "16M": 16 << 20, "1g": 1 << 30, "0x10": 16, "10": 10, "2MiB": 2 << 20} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "64kb", "64KB", "-1", "1.5M", "0k", "99999999999G"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("parseSize(%q) = %d", s, got)
		}
	}
}
