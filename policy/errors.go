package policy

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is matched by every refusal of a policy.
var ErrInvalid = errors.New("policy: invalid")

// Finding is one thing that is wrong or unwise: where, what, and what to do.
type Finding struct {
	Where string // "region NAME", "hidden area NAME", "authority NAME", "memory"
	Text  string
	Fix   string
}

// String is "where: text; fix".
func (f Finding) String() string {
	if f.Fix == "" {
		return f.Where + ": " + f.Text
	}
	return f.Where + ": " + f.Text + "; " + f.Fix
}

// maxFindings bounds an error about a hostile policy.
const maxFindings = 20

// InvalidError lists what is wrong with a policy, at most 20 findings of it. It
// matches ErrInvalid.
type InvalidError struct {
	Findings []Finding
	More     int // findings not listed
}

// Error lists the findings, a line each.
func (e *InvalidError) Error() string {
	lines := make([]string, 0, len(e.Findings)+1)
	for _, f := range e.Findings {
		lines = append(lines, f.String())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return ErrInvalid.Error() + ": " + strings.Join(lines, "\n")
}

// Is matches ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// findings collects what a check has to say.
type findings struct {
	list []Finding
	more int
}

func (f *findings) add(where, fix, text string, args ...any) {
	if len(f.list) >= maxFindings {
		f.more++
		return
	}
	f.list = append(f.list, Finding{Where: where, Text: fmt.Sprintf(text, args...), Fix: fix})
}

func (f *findings) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return &InvalidError{f.list, f.more}
}
