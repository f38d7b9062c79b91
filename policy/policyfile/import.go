package policyfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nanolock/nanolock/internal/flashmap"
	"github.com/nanolock/nanolock/policy"
)

// ImportOptions say what a flash map does not. The zero value takes all from the
// map.
type ImportOptions struct {
	Name string // of the product

	// Size of the memory and Granule, its erase block, in bytes. 0 takes them
	// from the map, and few maps say either.
	Size, Granule int64

	// Device picks one of several in the source, by its name there or the last
	// part of its path.
	Device string

	// Writable names the regions that a host really has to change, by the
	// names that the policy has without it. The name of a partition with others
	// inside opens all of them.
	Writable []string
}

// Imported is a policy made of a flash map, and all that was guessed, left out or
// should be looked at, a line each. Format puts the notes on top of the file.
type Imported struct {
	Policy *policy.Policy
	Notes  []string
}

// What keeps a map from becoming a policy. Every *ImportError matches ErrImport.
var (
	ErrImport   = errors.New("policyfile: no policy can be made of this flash map")
	ErrSize     = errors.New("policyfile: the size or the erase block of the memory is missing or wrong")
	ErrDevice   = errors.New("policyfile: not one device")
	ErrWritable = errors.New("policyfile: not a region of the map")
)

// ImportError says why there is no policy, and what to do.
type ImportError struct {
	Kind    error // ErrImport, ErrSize, ErrDevice or ErrWritable
	Text    string
	Choices []string // devices or regions that there are to name
	Err     error    // what the reader of the map said; may be nil
}

// Error is the kind, the text, and the first of the choices.
func (e *ImportError) Error() string {
	s := e.Kind.Error() + ": " + e.Text
	if len(e.Choices) > 0 {
		s += ": " + capped(quoted(e.Choices), ", ")
	}
	return s
}

// Is matches ErrImport and the kind.
func (e *ImportError) Is(target error) bool { return target == ErrImport || target == e.Kind }

// Unwrap returns what the reader of the map said.
func (e *ImportError) Unwrap() error { return e.Err }

// ImportMTDParts reads the mtdparts of a kernel or boot loader: the bare string
// or a whole command line.
//
// This and the other importers make the most careful policy that the device can
// still start with: every region may be read by any host, none may be written or
// erased, and what no partition covers is closed. What the source marks
// read-only, it would let a host unmark; such hints become notes.
func ImportMTDParts(s string, o ImportOptions) (*Imported, error) {
	maps, err := flashmap.MTDParts(s, 0)
	return importOne(maps, err, o)
}

// ImportDeviceTree reads a flattened device tree (.dtb).
func ImportDeviceTree(dtb []byte, o ImportOptions) (*Imported, error) {
	maps, err := flashmap.DeviceTree(dtb)
	return importOne(maps, err, o)
}

// ImportFMAP reads the FMAP inside a firmware image, as coreboot writes it.
func ImportFMAP(image []byte, o ImportOptions) (*Imported, error) {
	m, err := flashmap.FMAP(image)
	if err != nil {
		return importOne(nil, err, o)
	}
	return importOne([]flashmap.Map{m}, nil, o)
}

// ImportLayout reads a flashrom layout file.
func ImportLayout(text string, o ImportOptions) (*Imported, error) {
	m, err := flashmap.Layout(text)
	if err != nil {
		return importOne(nil, err, o)
	}
	return importOne([]flashmap.Map{m}, nil, o)
}

func importOne(maps []flashmap.Map, err error, o ImportOptions) (*Imported, error) {
	m, err := pick(maps, err, o.Device)
	if err != nil {
		return nil, err
	}
	return importMap(m, o)
}

// pick finds the device that is meant. One whose map is wrong counts as one of
// several: to pass it over silently could protect the wrong chip.
func pick(maps []flashmap.Map, err error, device string) (flashmap.Map, error) {
	if len(maps) == 0 {
		return flashmap.Map{}, &ImportError{Kind: ErrImport, Text: err.Error(), Err: err}
	}
	var names []string
	var found []flashmap.Map
	for _, m := range maps {
		names = append(names, m.Device)
		if m.Device == device {
			found = []flashmap.Map{m}
			break
		}
		if device == "" || strings.HasSuffix(m.Device, "/"+device) {
			found = append(found, m)
		}
	}
	fail := func(text string) (flashmap.Map, error) {
		return flashmap.Map{}, &ImportError{ErrDevice, text, names, err}
	}
	switch {
	case device != "" && len(found) == 0:
		return fail(fmt.Sprintf("none is called %q: name one of these (--device)", device))
	case device == "" && err != nil:
		return fail(fmt.Sprintf("the map of another device is wrong (%v): name the one that is meant (--device)", err))
	case len(found) > 1:
		return fail("the source has several: name one of these (--device)")
	}
	m := found[0]
	if err != nil {
		m.Notes = append(slices.Clone(m.Notes), "the map of another device is wrong: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return m, nil
}

// quoted quotes each of a list of names.
func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return out
}

// maxListed bounds a note or error about a hostile map.
const maxListed = 32

// capped joins the first of a list and counts the rest.
func capped(list []string, sep string) string {
	if len(list) <= maxListed {
		return strings.Join(list, sep)
	}
	return strings.Join(list[:maxListed], sep) + fmt.Sprintf("%sand %d more", sep, len(list)-maxListed)
}
