package policy_test

import (
	"errors"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// The blocks of a slot are those of its region in the same order: the same number
// of each size is not enough.
func TestSlotBlocksInOrder(t *testing.T) {
	g := nvm.Geometry{Size: 96, EraseSize: 16, ProgramSize: 1,
		Blocks: []nvm.EraseArea{{Len: 16, EraseSize: 16}, {Len: 64, EraseSize: 32}, {Len: 16, EraseSize: 16}}}
	p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: 96, Granule: 16, Hidden: []policy.Area{
		{ID: 2, Name: "b", Span: nvm.Span{Off: 48, Len: 48}, Kind: policy.Slot}}},
		Map: []policy.Region{{ID: 1, Name: "a", Span: nvm.Span{Len: 48}, Update: &policy.Update{Slot: "b"}}}}
	if err := p.Validate(g); !errors.Is(err, policy.ErrInvalid) {
		t.Errorf("16 and 32 beside 32 and 16: %v", err)
	}
}
