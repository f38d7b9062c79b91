package sim

import (
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// Errors of the simulator, beside those of package nvm.
var (
	// ErrConfig: New refuses the Config; the text says which field.
	ErrConfig = errors.New("sim: impossible configuration")
	// ErrNoPower: the part is off, see Flash.PowerCut. Nothing was done, or the
	// operation was under way when the power went.
	ErrNoPower = errors.New("sim: no power")
	// ErrFailed: the part reports that a program or an erase failed (F12, F13).
	ErrFailed = errors.New("sim: the part reports failure")
	// ErrOrder: a page in front of one programmed since the erase (NAND). It is
	// also nvm.ErrProgrammed: only an erase helps.
	ErrOrder = fmt.Errorf("%w: pages of a block go in order", nvm.ErrProgrammed)
	// ErrPartial: more programs of one page than Config.NOP between two erases. It
	// is also nvm.ErrProgrammed.
	ErrPartial = fmt.Errorf("%w: too many programs of one page", nvm.ErrProgrammed)
	// ErrReplay: an id that names no torn state of this operation.
	ErrReplay = errors.New("sim: no such torn state")
)

// ECCError is a read of a unit with more wrong bits than the part corrects
// (F17). No byte of that unit was returned. It matches nvm.ErrUncorrectable.
type ECCError struct {
	Span nvm.Span // the unit
	Bits int      // wrong bits; 0 if a torn program or erase left no code word at all
}

// Error says where and how much.
func (e *ECCError) Error() string {
	return fmt.Sprintf("sim: uncorrectable unit %v: %d wrong bits", e.Span, e.Bits)
}

// Is matches nvm.ErrUncorrectable.
func (e *ECCError) Is(target error) bool { return target == nvm.ErrUncorrectable }

func refuse(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, a...))
}
