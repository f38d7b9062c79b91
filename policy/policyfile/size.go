package policyfile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nanolock/nanolock/nvm"
)

var units = []struct {
	name  string
	shift uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}

// ParseSize reads a number of bytes: decimal or 0x hexadecimal, or decimal with
// KiB, MiB, GiB or TiB. Units of a thousand are refused: flash has none, and a
// region that is 2.4 % too short is found late.
func ParseSize(s string) (int64, error) {
	digits, shift := s, uint(0)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, shift = strings.TrimSpace(rest), u.shift
		}
	}
	base := 10
	if h, ok := strings.CutPrefix(digits, "0x"); ok && shift == 0 {
		digits, base = h, 16
	}
	v, err := strconv.ParseUint(strings.ReplaceAll(digits, "_", ""), base, 63)
	if err != nil || strings.HasPrefix(digits, "_") || v > uint64(1<<62)>>shift {
		return 0, fmt.Errorf("policyfile: %q is not a size: want 65536, 0x10000, 64KiB or 16MiB", s)
	}
	return int64(v << shift), nil
}

// FormatSize writes what ParseSize reads, in the largest whole unit.
func FormatSize(n int64) string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; n > 0 && n%(1<<u.shift) == 0 && n <= nvm.MaxSize {
			return strconv.FormatInt(n>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
