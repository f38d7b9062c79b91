package main

import (
	"os"
	"path/filepath"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/keyfile"
)

// quorum of the owners have to sign.
const quorum = 2

// person has a computer: a folder that nobody else looks into.
type person struct {
	name, home string
	public     *cose.PublicKey
}

// passphrase is what the person types. Yours is not in a program.
func (p *person) passphrase() []byte { return []byte("the passphrase of " + p.name) }

// hire has everybody make a key; nanolock keygen does the same.
func hire(dir string, names ...string) (people []*person, err error) {
	for _, name := range names {
		p := &person{name: name, home: filepath.Join(dir, name)}
		if err := os.Mkdir(p.home, 0o700); err != nil {
			return nil, err
		}
		k, err := keyfile.Generate(cose.Ed25519, nil)
		if err != nil {
			return nil, err
		}
		if err := k.Save(p.keyFile(), p.passphrase()); err != nil {
			return nil, err
		}
		k.Wipe()
		p.public = k.Public()
		people = append(people, p)
	}
	return people, nil
}

func (p *person) keyFile() string { return filepath.Join(p.home, p.name+".key") }

// sign reads a payload from the stick, signs it as a batch, and leaves an envelope
// with this person's signature beside it.
func (p *person) sign(payload string) (string, error) {
	b, err := os.ReadFile(payload)
	if err != nil {
		return "", err
	}
	k, err := keyfile.Load(p.keyFile(), p.passphrase())
	if err != nil {
		return "", err
	}
	defer k.Wipe()
	signed, err := cose.Sign(b, cose.Batch, k.Signer())
	if err != nil {
		return "", err
	}
	file := payload + "." + p.name
	return file, os.WriteFile(file, signed, 0o644)
}
