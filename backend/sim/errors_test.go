package sim_test

import (
	"errors"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

func TestECCErrorIsUncorrectable(t *testing.T) {
	var err error = &sim.ECCError{Span: nvm.Span{Off: 8, Len: 8}, Bits: 2}
	if !errors.Is(err, nvm.ErrUncorrectable) || errors.Is(err, nvm.ErrRange) {
		t.Errorf("%v matches the wrong errors", err)
	}
}
