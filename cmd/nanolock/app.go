package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/term"
)

// app is one run of the program: where it reads and writes, and what was asked
// of all commands alike.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	random   io.Reader // of new keys; nil is crypto/rand

	json  bool
	color string
	ascii bool
	style style // of out
}

// run is the program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	a := &app{in: stdin, out: stdout, err: stderr, env: os.Getenv}
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(a.err, "nanolock: internal error: %v; please report it with what follows\n%s", r, debug.Stack())
			code = exitInternal
		}
	}()
	out := &sticky{w: a.out}
	a.out = out
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil && out.err != nil {
		err = ioFailure("standard output", out.err, "")
	}
	var quiet silent
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &quiet):
		return int(quiet)
	}
	f := asFailure(err)
	a.complain(cmd.CommandPath(), f)
	return f.code
}

// complain says what went wrong: to people on standard error, to programs as the
// one document on standard output.
func (a *app) complain(command string, f *failure) {
	fmt.Fprintf(a.err, "nanolock: %v\n", f)
	if !a.json {
		return
	}
	type report struct {
		Code  int    `json:"code"`
		Kind  string `json:"kind"`
		Where string `json:"where,omitempty"`
		Text  string `json:"text"`
		Hint  string `json:"hint,omitempty"`
	}
	a.emit(struct {
		document
		Error report `json:"error"`
	}{newDocument(command), report{f.code, kindOf(f.code), f.where, f.err.Error(), f.hint}})
}

// document is the head of everything that --json prints.
type document struct {
	Format  int    `json:"nanolock"` // of the document; 1
	Command string `json:"command"`  // "policy lint"
}

func newDocument(path string) document {
	return document{1, strings.TrimPrefix(strings.TrimPrefix(path, "nanolock"), " ")}
}

// emit prints the one JSON document of a run.
func (a *app) emit(v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(err) // only our own types come here
	}
	_, _ = a.out.Write(b.Bytes())
}

// emitLine prints one JSON document of many, on a line of its own.
func (a *app) emitLine(v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // only our own types come here
	}
	_, _ = a.out.Write(b.Bytes())
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

// sticky remembers the first error of a writer, so that a full disk or a closed
// pipe is not taken for success.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// terminal tells the width of w if it is a terminal.
func terminal(w io.Writer) (width int, ok bool) {
	if s, is := w.(*sticky); is {
		w = s.w
	}
	f, is := w.(*os.File)
	if !is || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	return width, true
}
