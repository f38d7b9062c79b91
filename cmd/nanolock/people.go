package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/keyfile"
)

// people are those whose private keys are here.
type people struct {
	keys, passphrases []string
}

func (p *people) flags(c *cobra.Command, name, about string) {
	f := c.Flags()
	f.StringArrayVar(&p.keys, name, nil, about)
	f.StringArrayVar(&p.passphrases, "passphrase-file", nil, "file whose one line is the passphrase, for all keys or one for each; - is standard input ("+passphraseVariable+", or the terminal)")
	_ = c.MarkFlagFilename(name, "key")
}

// signers opens the keys. The caller calls wipe when it has signed.
func (a *app) signers(ctx context.Context, p *people) (list []*cose.Signer, wipe func(), err error) {
	var open []*keyfile.Key
	wipe = func() {
		for _, k := range open {
			k.Wipe()
		}
	}
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	given := map[string][]byte{}
	defer func() {
		for _, pass := range given {
			clear(pass)
		}
	}()
	for i, path := range p.keys {
		k, err := a.openKey(ctx, path, p.source(i), given)
		if err != nil {
			wipe()
			return nil, nil, err
		}
		open = append(open, k)
		list = append(list, k.Signer())
	}
	return list, wipe, nil
}

func (p *people) check() error {
	if n := len(p.passphrases); n > 1 && n != len(p.keys) {
		return usage("give one for all keys, or one for each", "%d passphrase files for %d keys", n, len(p.keys))
	}
	return nil
}

// source is where the passphrase of key i comes from; "" is environment or terminal.
func (p *people) source(i int) string {
	switch len(p.passphrases) {
	case 0:
		return ""
	case 1:
		return p.passphrases[0]
	}
	return p.passphrases[i]
}

// openKey opens one key. given remembers passphrases, for standard input can be
// read once.
func (a *app) openKey(ctx context.Context, path, source string, given map[string][]byte) (*keyfile.Key, error) {
	if _, err := readFile(path, maxKeyFile); err != nil {
		return nil, err
	}
	if filepath.Ext(path) == ".pub" {
		return nil, badInput(path, errors.New("it is the public key, which signs nothing"), "name the .key file beside it")
	}
	k, err := keyfile.Load(path, nil) // one without passphrase
	if errors.Is(err, keyfile.ErrPassphrase) {
		pass, ok := given[source]
		if !ok || source == "" && a.env(passphraseVariable) == "" {
			if pass, err = a.passphraseFor(ctx, path, source); err != nil {
				return nil, err
			}
			given[source] = pass
		}
		k, err = keyfile.Load(path, pass)
	}
	switch {
	case err == nil:
		return k, a.sameAsPublic(path, k)
	case errors.Is(err, keyfile.ErrExposed):
		return nil, badInput(path, err, "chmod 600 it, and consider making a new key")
	case errors.Is(err, keyfile.ErrPassphrase):
		return nil, badInput(path, err, "try another passphrase")
	case errors.Is(err, keyfile.ErrMalformed):
		return nil, badInput(path, err, "name the .key file that keygen made")
	}
	return nil, ioFailure(path, err, hintFor(err, nil))
}

// sameAsPublic compares a key with the public one beside it, if there is one: a
// file that somebody else wrote must not be signed with unnoticed.
func (a *app) sameAsPublic(path string, k *keyfile.Key) error {
	public := path[:len(path)-len(filepath.Ext(path))] + ".pub"
	if _, err := os.Stat(public); err != nil || filepath.Ext(path) != ".key" {
		return nil
	}
	p, err := readPublic(public)
	if err != nil {
		return err
	}
	if !p.Key.Equal(k.Public()) {
		return badInput(path, fmt.Errorf("its public key is not the one in %s", public), "find out which of the two was changed")
	}
	return nil
}

func readPublic(path string) (*keyfile.Public, error) {
	text, err := readFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	p, err := keyfile.ParsePublic(text)
	if err != nil {
		return nil, badInput(path, err, "name a .pub file")
	}
	return p, nil
}

// passphraseFor asks for the passphrase of a key that exists.
func (a *app) passphraseFor(ctx context.Context, path, source string) ([]byte, error) {
	pass, err := a.givenPassphrase(secret{file: source})
	if err != nil || pass != nil {
		return pass, err
	}
	tty, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return nil, usage("give --passphrase-file or "+passphraseVariable, "%s has a passphrase, and there is no terminal to ask for it", path)
	}
	return a.ask(ctx, tty, "Passphrase of "+path+": ")
}
