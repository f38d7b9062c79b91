package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Exit codes. They are under the compatibility promise; exitCodes explains them.
const (
	exitOK          = 0
	exitFindings    = 1
	exitUsage       = 2
	exitInput       = 3
	exitIO          = 4
	exitInternal    = 5
	exitInterrupted = 130
)

// exitCodes is the table of "nanolock help exit-codes".
var exitCodes = []struct {
	code       int
	kind, text string
}{
	{exitOK, "ok", "all is well: the policy is valid, nothing got through"},
	{exitFindings, "findings", "lint has something to say, an attack got through, an answer was not the expected one, a device or report is not as it should be"},
	{exitUsage, "usage", "a command, flag or argument that does not exist or does not fit"},
	{exitInput, "input", "a policy, image, flash map, key or order was read and cannot be right, or a device refuses it"},
	{exitIO, "io", "a file could not be read or written: missing, there already, locked, a directory, a pipe"},
	{exitInternal, "internal", "a bug in nanolock; please report it"},
	{exitInterrupted, "interrupted", "stopped by Ctrl-C or SIGTERM; nothing was changed, or the same command goes on"},
}

func kindOf(code int) string {
	for _, e := range exitCodes {
		if e.code == code {
			return e.kind
		}
	}
	return "internal"
}

// What can be wrong with a file that was named. Errors wrap these.
var (
	errNotFile = errors.New("not a regular file")
	errLocked  = errors.New("another program has locked it")
	errSize    = errors.New("wrong size")
)

// silent ends a command with that exit code; its output has said why.
type silent int

func (s silent) Error() string { return kindOf(int(s)) }

const (
	errFindings = silent(exitFindings)
	errInvalid  = silent(exitInput)
)

// A failure is an error as people want it: what happened, where, and what to do
// next.
type failure struct {
	code  int
	where string // a file, a flag; "" = none
	err   error
	hint  string
}

func (f *failure) Error() string {
	s, join := f.err.Error(), "; "
	if strings.Contains(s, "\n") { // several faults: a line for each
		s, join = "\n  "+strings.ReplaceAll(s, "\n", "\n  "), "\n  "
	} else if f.where != "" {
		s = " " + s
	}
	if f.where != "" {
		s = f.where + ":" + s
	}
	if f.hint != "" {
		s += join + f.hint
	}
	return s
}

func (f *failure) Unwrap() error { return f.err }

func usage(hint, format string, args ...any) error {
	return &failure{exitUsage, "", fmt.Errorf(format, args...), hint}
}

func badInput(where string, err error, hint string) error {
	return &failure{exitInput, where, err, hint}
}

func ioFailure(where string, err error, hint string) error {
	return &failure{exitIO, where, bare(err), hint}
}

// bare takes the path off an error that names it already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// asFailure gives every error a code. What no command classified comes from the
// parser of the command line.
func asFailure(err error) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled):
		return &failure{exitInterrupted, "", errors.New("interrupted: nothing was changed"), ""}
	}
	return &failure{exitUsage, "", err, "see nanolock help"}
}
