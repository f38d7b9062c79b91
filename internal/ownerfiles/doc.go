// Package ownerfiles is what an owner without a server does with files: orders
// that are signed by several people on several machines, batches of them, the
// image of a device's flash with its keystore beside, and what such a device says
// of itself.
//
// It prints nothing and asks nobody; command nanolock does.
package ownerfiles

import (
	"errors"
	"fmt"
)

// The kinds of failure, for errors.Is, beside those of packages order and device.
var (
	// ErrMalformed: not an order file, in none of its forms.
	ErrMalformed = errors.New("not an order file")
	// ErrUnsigned: nobody has signed it yet, or too few have.
	ErrUnsigned = errors.New("not signed")
	// ErrSigned: it cannot be signed again, or not by this key.
	ErrSigned = errors.New("cannot be signed")
	// ErrOther: the files belong to different orders.
	ErrOther = errors.New("of another order")
	// ErrDuplicate: two units have one secret.
	ErrDuplicate = errors.New("the same secret as another unit")
)

func refuse(kind error, format string, args ...any) error {
	return fmt.Errorf("%w: %w", kind, fmt.Errorf(format, args...))
}
