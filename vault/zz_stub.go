package vault

import "errors"

var ErrElsewhere = errors.New("x")
