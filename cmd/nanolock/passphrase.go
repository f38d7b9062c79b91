package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

const (
	passphraseVariable = "NANOLOCK_PASSPHRASE"
	maxPassphrase      = 1 << 10 // bytes
)

// secret is where a passphrase comes from: a file, the environment, or a person at
// a terminal, in this order.
type secret struct {
	file string
	none bool
}

// newPassphrase asks for one twice where a person types it. The caller clears it; nil
// is none, on purpose.
func (a *app) newPassphrase(ctx context.Context, s secret) ([]byte, error) {
	if s.none && s.file != "" {
		return nil, usage("say one of them", "--no-passphrase and --passphrase-file do not go together")
	}
	if s.none {
		return nil, nil
	}
	pass, err := a.givenPassphrase(s)
	if err == nil && pass == nil {
		pass, err = a.typedPassphrase(ctx)
	}
	if err == nil && len(pass) == 0 {
		err = usage("choose one, or say --no-passphrase", "the passphrase is empty")
	}
	if err != nil {
		clear(pass)
		return nil, err
	}
	return pass, nil
}

// givenPassphrase is nil if nobody gave one beforehand.
func (a *app) givenPassphrase(s secret) ([]byte, error) {
	if s.file == "" {
		if v := a.env(passphraseVariable); v != "" {
			return []byte(v), nil
		}
		return nil, nil
	}
	var b []byte
	var err error
	if s.file == "-" {
		b, err = io.ReadAll(io.LimitReader(a.in, maxPassphrase+1))
		if err != nil {
			err = ioFailure("standard input", err, "")
		}
	} else {
		b, err = readFile(s.file, maxPassphrase)
	}
	if err != nil {
		return nil, err
	}
	if len(b) > maxPassphrase {
		clear(b)
		return nil, usage("", "the passphrase has more than %d bytes", maxPassphrase)
	}
	line := bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if bytes.ContainsAny(line, "\r\n") {
		clear(b)
		return nil, badInput(s.file, errors.New("more than one line"), "the passphrase is the one line of that file")
	}
	if line == nil {
		line = []byte{}
	}
	return line, nil
}

func (a *app) typedPassphrase(ctx context.Context) ([]byte, error) {
	tty, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return nil, usage("give --passphrase-file or "+passphraseVariable+", or say --no-passphrase",
			"there is no terminal to ask for a passphrase")
	}
	first, err := a.ask(ctx, tty, "Passphrase: ")
	if err != nil || len(first) == 0 {
		return []byte{}, err
	}
	second, err := a.ask(ctx, tty, "Once more:  ")
	defer clear(second)
	if err == nil && subtle.ConstantTimeCompare(first, second) != 1 {
		err = usage("try again", "the passphrases differ")
	}
	if err != nil {
		clear(first)
		return nil, err
	}
	return first, nil
}

// ask reads a line that the terminal does not show. An interrupt ends it, and leaves the
// terminal as it was.
func (a *app) ask(ctx context.Context, tty *os.File, prompt string) ([]byte, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, ioFailure("terminal", err, "")
	}
	fmt.Fprint(a.err, prompt)
	defer fmt.Fprintln(a.err)
	type answer struct {
		line []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		typed <- answer{line, err}
	}()
	select {
	case got := <-typed:
		if got.err != nil {
			return nil, ioFailure("terminal", got.err, "")
		}
		return got.line, nil
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return nil, ctx.Err()
	}
}
