package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/ownerfiles"
)

func (a *app) orderSignCommand() *cobra.Command {
	p, out, pol := &people{}, "", ""
	c := &cobra.Command{
		Use: "sign FILE", Short: "Sign an order or a batch, or add signatures to one",
		Long: `Adds the signatures of one or more keys to an order. The file is replaced by one
with the signatures so far, unless --out names another: people on several machines
hand it on, or sign copies of it and use "order merge". Look at what you sign first:
nanolock order show FILE.`,
		Example: `  nanolock order sign lifecycle-3f0c6d6be2bd1a1b.order --key alice.key
  nanolock order sign grant.order --key alice.key --key bob.key --out grant-signed.order --policy router.yaml
  nanolock order sign january.batch --key safe.key --passphrase-file safe.txt`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return a.orderSign(c, args[0], out, pol, p) },
	}
	p.flags(c, "key", "private key to sign with; repeat for more")
	c.Flags().StringVar(&out, "out", "", "file for the result (FILE itself)")
	c.Flags().StringVar(&pol, "policy", "", "policy of the device: refuse keys that are not of the order's authority")
	return c
}

func (a *app) orderSign(c *cobra.Command, path, out, pol string, p *people) error {
	if len(p.keys) == 0 {
		return usage("say --key FILE.key", "nobody signs")
	}
	if err := p.check(); err != nil {
		return err
	}
	m, _, err := readMessage(path)
	if err != nil {
		return err
	}
	signers, wipe, err := a.signers(c.Context(), p)
	if err != nil {
		return err
	}
	wipe()
	if pol != "" {
		known, err := a.readPolicy(pol)
		if err != nil {
			return err
		}
		for i, s := range signers {
			if ownerfiles.Holder(known, m.Authority(), s.Public()) == "" {
				return badInput(p.keys[i], fmt.Errorf("the key is none of %q in %s", m.Authority(), pol), "take a key of "+m.Authority())
			}
		}
	}
	for i, s := range signers {
		if err := m.Sign(s); err != nil {
			return deviceFailure(p.keys[i], err)
		}
	}
	out, err = writeMessage(m, path, out)
	if err != nil {
		return err
	}
	return a.showSigned(c, m, out, len(signers))
}

// showSigned says what a file holds now.
func (a *app) showSigned(c *cobra.Command, m *ownerfiles.Message, path string, added int) error {
	s, err := m.Check(nil)
	if err != nil {
		return deviceFailure(path, err)
	}
	digest := m.Digest()
	if a.json {
		a.emit(struct {
			document
			File   string `json:"file"`
			Digest string `json:"digest"`
			Added  int    `json:"added"`
		}{newDocument(c.CommandPath()), path, hex.EncodeToString(digest[:]), added})
		return nil
	}
	a.printf("%s %s  %v: %d %s added", a.style.green(a.style.pick("✓", "ok")), path, m, added, plural(added, "signer", "signers"))
	if s.Missing > 0 {
		a.printf(", %d more of %q must sign", s.Missing, s.Authority)
	}
	a.printf("\n")
	return nil
}

func (a *app) orderMergeCommand() *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use: "merge FILE FILE...", Short: "Put the signatures of copies of one order together",
		Example: `  nanolock order merge alice/grant.order bob/grant.order --out grant.order
  nanolock order merge safe-1.batch safe-2.batch safe-3.batch --out january.batch`,
		Args: atLeast("FILE", 2),
		RunE: func(c *cobra.Command, args []string) error { return a.orderMerge(c, args, out) },
	}
	c.Flags().StringVar(&out, "out", "", "file for the result")
	return c
}

// atLeast checks that there are some arguments.
func atLeast(name string, n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("usage: "+c.UseLine(), "%s is missing", name)
		}
		return nil
	}
}

func (a *app) orderMerge(c *cobra.Command, paths []string, out string) error {
	if out == "" {
		return usage("say --out FILE", "a file for the result is missing")
	}
	m, _, err := readMessage(paths[0])
	if err != nil {
		return err
	}
	for _, path := range paths[1:] {
		other, _, err := readMessage(path)
		if err != nil {
			return err
		}
		if err := m.Merge(other); err != nil {
			return deviceFailure(path, err)
		}
	}
	if _, err := writeMessage(m, paths[0], out); err != nil {
		return err
	}
	return a.showSigned(c, m, out, len(paths)-1)
}

// encodings of bytes to be signed and of signatures.
var encodings = map[string]func([]byte) string{
	"hex":    hex.EncodeToString,
	"base64": base64.StdEncoding.EncodeToString,
	"raw":    func(b []byte) string { return string(b) },
}

func (a *app) orderTBSCommand() *cobra.Command {
	key, format, half := "", "hex", 0
	c := &cobra.Command{
		Use: "tbs FILE", Short: "Print the bytes that a key elsewhere has to sign",
		Long: `Prints for each half of a public key the bytes that its private half has to sign,
for keys in an HSM or a safe. Ed25519 and ML-DSA-65 (empty context) sign them as they
are, P-256 their SHA-256. They do not depend on who else signs. Bring the signatures
back with "order attach".`,
		Example: `  nanolock order tbs grant.order --key-pub safe.pub
  nanolock order tbs grant.order --key-pub safe.pub --half 1 --format raw > to-sign.bin`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return a.orderTBS(c, args[0], key, format, half) },
	}
	f := c.Flags()
	f.StringVar(&key, "key-pub", "", "public key of who signs")
	f.StringVar(&format, "format", "hex", "hex, base64 or raw")
	f.IntVar(&half, "half", 0, "print this half alone, from 1 (all, a line for each)")
	_ = c.RegisterFlagCompletionFunc("format", fixed("hex", "base64", "raw"))
	return c
}

func (a *app) orderTBS(c *cobra.Command, path, key, format string, half int) error {
	encode, ok := encodings[format]
	switch {
	case !ok:
		return usage("say hex, base64 or raw", "unknown --format %q", format)
	case key == "":
		return usage("say --key-pub FILE.pub", "whose bytes is missing")
	}
	m, _, err := readMessage(path)
	if err != nil {
		return err
	}
	k, err := readPublic(key)
	if err != nil {
		return err
	}
	tbs, err := m.ToBeSigned(k.Key)
	if err != nil {
		return deviceFailure(path, err)
	}
	if half < 0 || half > len(tbs) || format == "raw" && half == 0 && len(tbs) > 1 && !a.json {
		return usage("", "say --half 1 to %d: the key has so many halves", len(tbs))
	}
	type part struct {
		Half  int    `json:"half"`
		Alg   string `json:"alg"`
		Bytes string `json:"bytes"` // hex
	}
	var parts []part
	for i, b := range tbs {
		if half != 0 && half != i+1 {
			continue
		}
		parts = append(parts, part{i + 1, k.Key.Suite().Algs()[i].String(), hex.EncodeToString(b)})
		if a.json {
			continue
		}
		a.printf("%s", encode(b))
		if format != "raw" {
			a.printf("\n")
		}
	}
	if a.json {
		a.emit(struct {
			document
			File   string `json:"file"`
			Halves []part `json:"halves"`
		}{newDocument(c.CommandPath()), path, parts})
	}
	return nil
}

func (a *app) orderAttachCommand() *cobra.Command {
	key, out, signatures := "", "", []string(nil)
	c := &cobra.Command{
		Use: "attach FILE", Short: "Add signatures that were made elsewhere",
		Long: `Adds the signatures over what "order tbs" printed: one file for each half of the key,
in its order, raw, in hex or in base64; of P-256 also in DER. They are verified first.`,
		Example: `  nanolock order attach grant.order --key-pub safe.pub --signature grant.sig
  nanolock order attach grant.order --key-pub safe.pub --signature classical.sig --signature mldsa.sig --out signed.order`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.orderAttach(c, args[0], key, out, signatures)
		},
	}
	f := c.Flags()
	f.StringVar(&key, "key-pub", "", "public key of who signed")
	f.StringArrayVar(&signatures, "signature", nil, "signature of one half; repeat for the other")
	f.StringVar(&out, "out", "", "file for the result (FILE itself)")
	return c
}

// maxSignature is more than any signature in hex.
const maxSignature = int64(16) << 10

func (a *app) orderAttach(c *cobra.Command, path, key, out string, files []string) error {
	if key == "" || len(files) == 0 {
		return usage("see nanolock order attach --help", "--key-pub or --signature is missing")
	}
	m, _, err := readMessage(path)
	if err != nil {
		return err
	}
	k, err := readPublic(key)
	if err != nil {
		return err
	}
	var sigs [][]byte
	for _, f := range files {
		b, err := readFile(f, maxSignature)
		if err != nil {
			return err
		}
		sigs = append(sigs, binaryOf(b))
	}
	if err := m.Attach(k.Key, sigs...); err != nil {
		hint := "sign what nanolock order tbs prints for this very file and key"
		if errors.Is(err, ownerfiles.ErrSigned) && len(sigs) != len(k.Key.Suite().Algs()) {
			hint = "give --signature once for each half"
		}
		return badInput(strings.Join(files, ", "), err, hint)
	}
	if out, err = writeMessage(m, path, out); err != nil {
		return err
	}
	return a.showSigned(c, m, out, 1)
}

// binaryOf undoes hex or base64; no signature is text by chance.
func binaryOf(b []byte) []byte {
	text := strings.Join(strings.Fields(string(b)), "")
	if raw, err := hex.DecodeString(text); err == nil && len(raw) > 0 {
		return raw
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) > 0 {
		return raw
	}
	return b
}
