package main

import (
	"bytes"
	"fmt"

	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// policyOfImage makes a policy of the flash map that an image carries: an FMAP,
// or the partitions that its boot loader tells the kernel. Without one all of the
// image is protected, as it is with one, but the names are missing.
func policyOfImage(image []byte, granule int64, writable []string) (*policy.Policy, []string, error) {
	o := policyfile.ImportOptions{Name: "image", Size: int64(len(image)), Granule: granule, Writable: writable}
	var notes []string
	if bytes.Contains(image, []byte("__FMAP__")) {
		im, err := policyfile.ImportFMAP(image, o)
		if err == nil {
			return im.Policy, im.Notes, nil
		}
		notes = append(notes, fmt.Sprintf("the FMAP in the image is not used: %v", err))
	}
	for _, s := range mtdpartsIn(image) {
		im, err := policyfile.ImportMTDParts(s, o)
		if err == nil {
			return im.Policy, im.Notes, nil
		}
		notes = append(notes, fmt.Sprintf("%q in the image is not used: %v", cut(s, 60), err))
	}
	if len(writable) > 0 {
		return nil, nil, fmt.Errorf("%q cannot be made writable: no flash map that has it was found in the image", writable[0])
	}
	return wholeImage(int64(len(image)), granule), append(notes, "no flash map was found in the image: all of it is protected"), nil
}

// maxHints bounds how many strings of an image are tried as a map.
const maxHints = 8

// mtdpartsIn finds what looks like mtdparts in the environment or the defaults of
// a boot loader: printable text up to its end.
func mtdpartsIn(image []byte) (found []string) {
	key := []byte("mtdparts=")
	for at := 0; len(found) < maxHints; {
		i := bytes.Index(image[at:], key)
		if i < 0 {
			break
		}
		at += i
		end := at
		for end < len(image) && end-at < 4096 && image[end] > ' ' && image[end] < 0x7F {
			end++
		}
		if s := string(image[at:end]); bytes.ContainsRune(image[at:end], '(') {
			found = append(found, s)
		}
		at += len(key)
	}
	return found
}
