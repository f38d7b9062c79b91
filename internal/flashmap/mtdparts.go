package flashmap

import (
	"fmt"
	"strings"
)

const (
	srcMTDParts = "mtdparts"
	maxMTDParts = 1 << 18 // bytes; a kernel command line has 4 KiB at most
)

// MTDParts reads partitions in the syntax that Linux takes on its command line
// (CONFIG_MTD_CMDLINE_PARTS) and U-Boot keeps in the variable of that name:
//
//	[mtdparts=]<mtd-id>:<part>[,<part>…][;<mtd-id>:<part>…]
//	<part> = <size>[@<offset>](<name>)[ro][lk][slc]
//
// A size or offset is decimal, octal (0…) or hexadecimal (0x…) with an optional
// suffix K, M, G, T, P or E in either case; the size "-" is all the rest and
// comes last. Without an offset a partition follows the one before it. s may
// also be a whole command line; then the last mtdparts= in it counts. Linux
// makes up a name for a partition without one; here it is an error, because
// what is protected by name must have a name of its own.
//
// size is that of the device, 0 if unknown. It serves a string that names one
// device; with several, use [Map.WithSize] on each map.
func MTDParts(s string, size int64) ([]Map, error) {
	p := &mtdParser{s: s, names: map[string]bool{}}
	if len(s) > maxMTDParts {
		return nil, p.errorf(0, ErrLimit, "%d bytes: pass at most %d", len(s), maxMTDParts)
	}
	if size < 0 || size > MaxSize {
		return nil, p.errorf(-1, ErrRange, "a device of %d bytes: the size must be in 0..%d", size, MaxSize)
	}
	start, end := mtdBody(s)
	if start == end {
		return nil, p.errorf(start, ErrNone, "the string is empty: write <mtd-id>:<size>(<name>),…")
	}
	several := strings.Contains(s[start:end], ";")
	if several {
		p.size = 0
	} else {
		p.size = size
	}
	for at := start; at <= end; {
		p.i, p.end = at, end
		if k := strings.IndexByte(s[at:end], ';'); k >= 0 {
			p.end = at + k
		}
		at = p.end + 1
		if err := p.device(); err != nil {
			return nil, err
		}
	}
	if several && size != 0 {
		for i := range p.maps {
			p.maps[i].Notes = append(p.maps[i].Notes, "several devices are named: the size given was not applied")
		}
	}
	return p.maps, nil
}

// mtdBody finds the definition inside a bare string or a command line, where a
// space outside a name ends it.
func mtdBody(s string) (start, end int) {
	const key = "mtdparts="
	isSpace := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	for start, end = 0, len(s); ; {
		k := strings.LastIndex(s[:end], key)
		if k < 0 {
			start, end = 0, len(s)
			break
		}
		// "cmdlinepart.mtdparts=" is how the driver as a module spells it, and
		// U-Boot prints "mtdparts=mtdparts=".
		if k == 0 || isSpace(s[k-1]) || s[k-1] == '.' || s[k-1] == '=' {
			start, end = k+len(key), len(s)
			for i, named := start, false; i < len(s); i++ {
				if named = s[i] == '(' || named && s[i] != ')'; !named && isSpace(s[i]) {
					return start, i
				}
			}
			break
		}
		end = k
	}
	for end > start && isSpace(s[end-1]) {
		end--
	}
	for start < end && isSpace(s[start]) {
		start++
	}
	return start, end
}

type mtdParser struct {
	s      string
	i, end int // the rest of the device definition at hand is s[i:end]
	size   int64
	names  map[string]bool // devices seen
	maps   []Map
}

func (p *mtdParser) errorf(pos int, kind error, format string, a ...any) error {
	return &Error{srcMTDParts, pos, kind, fmt.Sprintf(format, a...)}
}

// device reads one <mtd-id>:<part>[,<part>…].
func (p *mtdParser) device() error {
	start, head := p.i, p.s[p.i:p.end]
	if k := strings.IndexByte(head, '('); k >= 0 {
		head = head[:k]
	}
	// The id of a PCI device has colons of its own: the last one before the
	// first name counts.
	k := strings.LastIndexByte(head, ':')
	if k < 0 {
		return p.errorf(start, ErrSyntax, "no device: write <mtd-id>: before the partitions")
	}
	id := head[:k]
	if bad := checkName(id); bad != "" {
		return p.errorf(start, ErrSyntax, "device: %s", bad)
	}
	if p.names[id] {
		return p.errorf(start, ErrSyntax, "device %q is defined twice: merge the two", id)
	}
	if len(p.maps) == MaxMaps {
		return p.errorf(start, ErrLimit, "more than %d devices: split the string", MaxMaps)
	}
	p.names[id] = true
	p.i += k + 1
	items, err := p.parts()
	if err != nil {
		return err
	}
	m := Map{Source: srcMTDParts, Device: id, Size: p.size}
	if m.Parts, m.Notes, err = arrange(srcMTDParts, items, p.size); err != nil {
		return err
	}
	p.maps = append(p.maps, m)
	return nil
}

// parts reads <part>[,<part>…] to the end of the device definition.
func (p *mtdParser) parts() ([]item, error) {
	var items []item
	var next int64
	for {
		it, rest, err := p.part(next)
		if err != nil {
			return nil, err
		}
		it.Index = len(items)
		items = append(items, it)
		next = it.Off + it.Len // cannot overflow in MaxParts steps; arrange checks it
		switch {
		case p.i == p.end:
			return items, nil
		case p.s[p.i] != ',':
			return nil, p.errorf(p.i, ErrSyntax, "%q behind a partition: write a comma, or ro, lk, slc in this order", p.s[p.i])
		case rest:
			return nil, p.errorf(p.i, ErrSyntax, "a partition behind one that takes all the rest: put the \"-\" last")
		case len(items) == MaxParts:
			return nil, p.errorf(p.i, ErrLimit, "more than %d partitions: split the map", MaxParts)
		}
		p.i++
	}
}

// part reads <size>[@<offset>](<name>)[ro][lk][slc].
func (p *mtdParser) part(next int64) (it item, rest bool, err error) {
	it.pos, it.Off = p.i, next
	if rest = p.take("-"); !rest {
		at := p.i
		if it.Len, err = p.number("size"); err != nil {
			return it, false, err
		}
		if it.Len == 0 {
			return it, false, p.errorf(at, ErrSyntax, "the size is 0: remove the partition, or write - for all the rest")
		}
	}
	if p.take("@") {
		if it.Off, err = p.number("offset"); err != nil {
			return it, false, err
		}
	}
	if it.Name, err = p.name(); err != nil {
		return it, false, err
	}
	it.ReadOnly = p.take("ro")
	for _, f := range [...]string{"lk", "slc"} { // locked at power-up; pseudo-SLC
		if p.take(f) {
			it.Flags = append(it.Flags, f)
		}
	}
	if rest && p.size > 0 {
		it.Len = max(p.size-it.Off, 0)
	}
	return it, rest, nil
}

// take skips word if it comes next.
func (p *mtdParser) take(word string) bool {
	if !strings.HasPrefix(p.s[p.i:p.end], word) {
		return false
	}
	p.i += len(word)
	return true
}

func (p *mtdParser) name() (string, error) {
	at := p.i
	if !p.take("(") {
		return "", p.errorf(at, ErrSyntax, "a partition without a name: write (name) behind its size and offset")
	}
	k := strings.IndexByte(p.s[p.i:p.end], ')')
	if k < 0 {
		return "", p.errorf(at, ErrSyntax, "the name has no end: write a closing parenthesis")
	}
	name := p.s[p.i : p.i+k]
	if bad := checkName(name); bad != "" {
		return "", p.errorf(at, ErrSyntax, "%s", bad)
	}
	p.i += k + 1
	return name, nil
}

// number reads a size the way Linux's memparse does: a C integer constant and
// one suffix letter, each a further 2^10.
func (p *mtdParser) number(what string) (int64, error) {
	at, base := p.i, int64(10)
	switch {
	case p.take("0x") || p.take("0X"):
		base = 16
	case p.i < p.end && p.s[p.i] == '0':
		base = 8
	}
	var v int64
	first := p.i
	for ; p.i < p.end; p.i++ {
		d := digit(p.s[p.i])
		if d >= base {
			break
		}
		if v = v*base + d; v > MaxSize {
			return 0, p.errorf(at, ErrRange, "the %s is above %#x: correct it", what, MaxSize)
		}
	}
	switch {
	case p.i < p.end && digit(p.s[p.i]) < 10:
		return 0, p.errorf(p.i, ErrSyntax, "a %s that starts with 0 is octal: leave the 0 out", what)
	case p.i == first:
		return 0, p.errorf(at, ErrSyntax, "no %s: write a number such as 64k, 0x10000 or 65536", what)
	}
	if p.i < p.end {
		if k := strings.IndexByte("KMGTPE", p.s[p.i]&^0x20); k >= 0 {
			p.i++
			if v > MaxSize>>(10*(k+1)) {
				return 0, p.errorf(at, ErrRange, "the %s is above %#x: correct it", what, MaxSize)
			}
			v <<= 10 * (k + 1)
		}
	}
	return v, nil
}

// digit is the value of a digit in any base up to 16; 99 for no digit.
func digit(c byte) int64 {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10
	}
	return 99
}
