package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/keyfile"
)

// suites are those of cose, the strongest first: completion offers them so.
var suites = []cose.Suite{cose.Ed25519MLDSA65, cose.ESP256MLDSA65, cose.MLDSA65, cose.Ed25519, cose.ESP256}

func suiteNames() (names []string) {
	for _, s := range suites {
		names = append(names, s.String())
	}
	return names
}

// keyReport is what is public of a key, in JSON.
type keyReport struct {
	Name        string   `json:"name"`
	Development bool     `json:"development"`
	Suite       string   `json:"suite"`
	ID          string   `json:"id"`
	Thumbprints []string `json:"thumbprints"` // the kid of each half
	Public      string   `json:"public"`      // as policies hold it
}

func newKeyReport(p *keyfile.Public) keyReport {
	r := keyReport{Name: p.Name, Development: p.Development, Suite: p.Key.Suite().String(), Public: hex.EncodeToString(p.Key.Bytes())}
	id := p.Key.ID()
	r.ID = hex.EncodeToString(id[:])
	for _, t := range p.Key.Thumbprints() {
		r.Thumbprints = append(r.Thumbprints, hex.EncodeToString(t[:]))
	}
	return r
}

// keygen is what "nanolock keygen" was asked for.
type keygen struct {
	suite, out  string
	development bool
	passphrase  secret
}

func (a *app) keygenCommand() *cobra.Command {
	k := &keygen{}
	c := &cobra.Command{
		Use: "keygen NAME", Short: "Make a signing key for an owner, a vendor or an operator",
		Long: `Makes NAME.key, the private key under a passphrase, and NAME.pub, what others need
of it. Neither is ever overwritten. The private key is PKCS#8 as openssl reads it,
one block for each half of the suite; docs/keys.md has the format.

The passphrase comes from --passphrase-file, from ` + passphraseVariable + `, or is
asked for twice at the terminal.`,
		Example: `  nanolock keygen alice
  nanolock keygen release --suite esp256+ml-dsa-65 --out keys --passphrase-file release.txt
  nanolock keygen lab --development --no-passphrase
  nanolock key show alice.pub`,
		Args: takes("NAME"),
		RunE: func(c *cobra.Command, args []string) error { return a.keygen(c, args[0], k) },
	}
	f := c.Flags()
	f.StringVar(&k.suite, "suite", cose.Ed25519MLDSA65.String(), "signature suite: "+strings.Join(suiteNames(), ", "))
	f.StringVar(&k.out, "out", ".", "folder for the two files; it must exist")
	f.BoolVar(&k.development, "development", false, "mark the key as one that developers know; policy lint warns of it")
	f.StringVar(&k.passphrase.file, "passphrase-file", "", "file whose one line is the passphrase; - is standard input")
	f.BoolVar(&k.passphrase.none, "no-passphrase", false, "leave the private key unprotected")
	_ = c.RegisterFlagCompletionFunc("suite", fixed(suiteNames()...))
	_ = c.MarkFlagDirname("out")
	return c
}

func parseSuite(name string) (cose.Suite, error) {
	for _, s := range suites {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, usage("say "+strings.Join(suiteNames(), ", "), "unknown --suite %q", name)
}

func (a *app) keygen(c *cobra.Command, name string, k *keygen) error {
	suite, err := parseSuite(k.suite)
	if err != nil {
		return err
	}
	if err := keyfile.CheckName(name); err != nil {
		return usage("choose another name", "%q: %w", name, err)
	}
	private, public := filepath.Join(k.out, name+".key"), filepath.Join(k.out, name+".pub")
	for _, path := range []string{private, public} { // before anybody types anything
		if _, err := os.Lstat(path); err == nil {
			return exists(path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return ioFailure(path, err, hintFor(err, nil))
		}
	}
	pass, err := a.newPassphrase(c.Context(), k.passphrase)
	if err != nil {
		return err
	}
	defer clear(pass)
	key, err := keyfile.Generate(suite, a.random)
	if err != nil {
		return ioFailure("random numbers", err, "")
	}
	defer key.Wipe()
	p := &keyfile.Public{Name: name, Development: k.development, Key: key.Public()}
	if err := save(key, p, private, public, pass); err != nil {
		return err
	}
	a.showNew(c, p, private, public, len(pass) > 0)
	return nil
}

// save writes both files or none.
func save(key *keyfile.Key, p *keyfile.Public, private, public string, pass []byte) error {
	if err := key.Save(private, pass); err != nil {
		return saveFailure(private, err)
	}
	if err := p.Save(public); err != nil {
		os.Remove(private) // it is ours: it was not there before
		return saveFailure(public, err)
	}
	return nil
}

func saveFailure(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return exists(path)
	}
	return ioFailure(path, err, hintFor(err, nil))
}

func exists(path string) error {
	return ioFailure(path, errors.New("it exists already, and keys are not overwritten"), "choose another name or folder")
}

func (a *app) showNew(c *cobra.Command, p *keyfile.Public, private, public string, protected bool) {
	r := newKeyReport(p)
	if !protected {
		fmt.Fprintf(a.err, "nanolock: WARNING: %s has no passphrase: whoever reads the file can sign as %q\n", private, p.Name)
	}
	if a.json {
		type files struct {
			Private string `json:"private"`
			Public  string `json:"public"`
		}
		a.emit(struct {
			document
			keyReport
			Files     files `json:"files"`
			Protected bool  `json:"protected"`
		}{newDocument(c.CommandPath()), r, files{private, public}, protected})
		return
	}
	under := "under a passphrase"
	if !protected {
		under = "WITHOUT A PASSPHRASE"
	}
	a.printf("%s key %s made\n", a.style.green(a.style.pick("✓", "ok")), a.style.bold(strconv.Quote(p.Name)))
	a.printKey(r)
	a.printf("private  %s, %s\npublic   %s\n\n", private, under, public)
	a.printf("Next: keep a copy of the private key in another place, and give the owner of a policy a\n" +
		"second key: devices whose only key is lost take no orders any more. Then put the key\n" +
		"into the policy:\n\n")
	a.printYAML(r)
}

func (a *app) printKey(r keyReport) {
	a.printf("suite    %s\n", r.Suite)
	if r.Development {
		a.printf("         %s\n", a.style.yellow("for development: not for devices that leave the house"))
	}
	a.printf("id       %s\n", r.ID)
}

// printYAML prints what a policy says of an authority with this key.
func (a *app) printYAML(r keyReport) {
	a.printf(`authorities:
  - name: owner
    suite: %s
    threshold: 1
    keys:
      - name: %s
        public: "%s"
`, r.Suite, strconv.Quote(r.Name), r.Public)
	if r.Development {
		a.printf("        development: true\n")
	}
}

func (a *app) keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "key", Short: "Look at keys",
		Example: `  nanolock key show alice.pub
  nanolock key show alice.pub --json | jq -r .id`,
		RunE: onlyCommands,
	}
	c.AddCommand(a.keyShowCommand())
	return c
}

func (a *app) keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE.pub", Short: "Show a public key, and how a policy names it",
		Long: `Reads what "nanolock keygen" made for others. Nobody has signed that file: compare
the id with the one that its owner reads to you.`,
		Example: `  nanolock key show alice.pub
  nanolock key show alice.pub --json | jq -r .public`,
		Args: takes("FILE.pub"),
		RunE: func(c *cobra.Command, args []string) error { return a.keyShow(c, args[0]) },
	}
}

func (a *app) keyShow(c *cobra.Command, path string) error {
	text, err := readFile(path, maxKeyFile)
	if err != nil {
		return err
	}
	p, err := keyfile.ParsePublic(text)
	if err != nil {
		hint := "name the .pub file that keygen made"
		if strings.HasSuffix(path, ".key") {
			hint = "the .pub file beside it is the one to show"
		}
		return badInput(path, err, hint)
	}
	r := newKeyReport(p)
	if a.json {
		a.emit(struct {
			document
			File string `json:"file"`
			keyReport
		}{newDocument(c.CommandPath()), path, r})
		return nil
	}
	a.printf("key      %s\n", a.style.bold(strconv.Quote(p.Name)))
	a.printKey(r)
	for i, t := range r.Thumbprints {
		a.printf("%-8s %s  %v\n", map[bool]string{true: "kid"}[i == 0], t, p.Key.Suite().Algs()[i])
	}
	a.printf("\nIn a policy:\n\n")
	a.printYAML(r)
	return nil
}
