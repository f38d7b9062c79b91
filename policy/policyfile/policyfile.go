// Package policyfile is the form of a policy that people write: YAML, and what
// can be made of the flash maps they already have.
//
// [Parse] reads YAML and refuses what it does not know, with the line; [Format]
// writes it. The importers turn kernel mtdparts strings, device trees, FMAP
// images and flashrom layouts into a conservative policy: everything readable,
// nothing writable, and a note for each thing that was guessed.
package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"

	"github.com/nanolock/nanolock/policy"
)

// MaxFile is the largest policy file in bytes that is read. A hundred thousand
// regions fit.
const MaxFile = 32 << 20

// maxEntries bounds what separates or opens an entry in YAML. The library needs
// several hundred bytes for each, so that three bytes of "{}," would cost a hundred
// times themselves; a map of policy.MaxRegions regions has less than this.
const maxEntries = 1 << 21

// FormatVersion is the value of the key "nanolock" in a policy file.
const FormatVersion = 1

// ErrSyntax is matched by every *Error.
var ErrSyntax = errors.New("policyfile: not a policy")

// Error is one fault in a policy file. Used as *Error only.
type Error struct {
	Line, Column int // from 1; 0 = unknown
	Text         string
}

// Error is "line N: text".
func (e *Error) Error() string {
	if e.Line == 0 {
		return "policy file: " + e.Text
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Text)
}

// Is matches ErrSyntax.
func (e *Error) Is(target error) bool { return target == ErrSyntax }

// Parse reads a policy. It checks the form alone: what the policy says is
// checked by its Validate, Lint and Compile. The error matches ErrSyntax; up to
// 20 faults are joined in it, each an *Error with its line.
func Parse(text []byte) (*policy.Policy, error) {
	if len(text) > MaxFile {
		return nil, &Error{Text: fmt.Sprintf("%d bytes are more than %d", len(text), MaxFile)}
	}
	if n := entries(text); n > maxEntries {
		return nil, &Error{Text: fmt.Sprintf("about %d entries are more than %d: merge neighbours with equal rules", n, maxEntries)}
	}
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) != 1:
		return nil, &Error{Text: "empty: start with \"nanolock: 1\""}
	case err != nil:
		return nil, fromYAML(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{Text: "more than one document: a policy file holds one policy"}
	}
	d := &decoder{}
	p := d.policy(doc.Content[0])
	if len(d.errs) > 0 {
		return nil, errors.Join(d.errs...)
	}
	return p, nil
}

// entries is at least the number of YAML nodes that text can hold, halved.
func entries(text []byte) (n int) {
	for _, s := range [...]string{"\n", "\r", "\u0085", "\u2028", "\u2029", ",", "[", "{", "- ", "-\t", "? ", "?\t"} {
		n += bytes.Count(text, []byte(s))
	}
	return n
}

// fromYAML keeps the library's words and adds the place.
func fromYAML(err error) error {
	var le *yaml.LoadError
	if errors.As(err, &le) {
		return &Error{Line: le.Mark.Line, Column: le.Mark.Column, Text: "not YAML: " + le.Message}
	}
	return &Error{Text: "not YAML: " + err.Error()}
}
