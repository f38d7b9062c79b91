package device

import (
	"github.com/nanolock/nanolock/nvm"
)

// Layout tells how a vault is divided on a memory: where the journal is and where
// the verbatim copies. It is for tools that look at an image; vault zero is what
// Config means by it. ErrConfig if the memory cannot carry it.
func Layout(mem nvm.NVM, vault nvm.Span) (journal, copies nvm.Span, err error) {
	s, err := newSettings(mem, &Config{Vault: vault})
	if err != nil {
		return journal, copies, err
	}
	return s.journal, s.copies, nil
}
