package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/nanolock/nanolock/internal/demo"
	"github.com/nanolock/nanolock/internal/flashpic"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// target is what is attacked: a policy and the image that it guards.
type target struct {
	policy     *policy.Policy
	policyFrom string
	image      []byte
	imageFrom  string
	notes      []string // what was guessed or added
}

// target reads what was named and makes up the rest.
func (a *app) target(r *assault) (*target, error) {
	if len(r.writable) > 0 && (r.policy != "" || r.image == "") {
		return nil, usage("change the policy instead", "--writable is for an image without a policy")
	}
	t := &target{policyFrom: "built-in router", imageFrom: fmt.Sprintf("made up, seed %d", r.seed)}
	if r.policy == "" && r.image == "" {
		t.policy, t.image = demo.Router(), demo.RouterImage(r.seed)
		return t, nil
	}
	if r.image != "" {
		b, err := readImage(r.image)
		if err != nil {
			return nil, err
		}
		t.image, t.imageFrom = b, r.image
	}
	if r.policy == "" {
		return t, t.guess(r)
	}
	p, _, err := a.load(r.policy, &r.part)
	if err != nil {
		return nil, err
	}
	t.policy, t.policyFrom = p, r.policy
	if p.Memory.Size > maxImage {
		return nil, badInput(r.policy, fmt.Errorf("%w: %d bytes of flash are more than %d", errSize, p.Memory.Size, maxImage),
			"attack needs several copies in memory; try a smaller map")
	}
	if r.image == "" {
		t.image = madeUp(p, r.seed)
		return t, nil
	}
	return t, t.fits(r)
}

// fits refuses an image of another flash: what is missing would have to be made
// up, and what is too much has no rules.
func (t *target) fits(r *assault) error {
	have, want := int64(len(t.image)), t.policy.Memory.Size
	if have == want {
		return nil
	}
	word, hint := "smaller", "take an image of the whole flash"
	if have > want {
		word, hint = "larger", "take an image of this flash alone, or the policy of the larger one"
	}
	return badInput(r.image, fmt.Errorf("%w: the image has %d bytes (%s), %s than the flash of %s: %d (%s)", errSize,
		have, flashpic.Size(have), word, r.policy, want, flashpic.Size(want)), hint)
}

// guess makes a policy for an image that came alone: as closed as can be.
func (t *target) guess(r *assault) error {
	granule, err := guessGranule(r, int64(len(t.image)))
	if err != nil {
		return err
	}
	if odd := int64(len(t.image)) % granule; odd != 0 {
		t.notes = append(t.notes, fmt.Sprintf("the copy is filled up with %d bytes 0xFF to whole erase blocks of %s",
			granule-odd, flashpic.Size(granule)))
		t.image = append(t.image, bytes.Repeat([]byte{0xFF}, int(granule-odd))...)
	}
	p, notes, err := policyOfImage(t.image, granule, r.writable)
	if err != nil {
		return badInput(r.image, err, "write a policy and name it with --policy")
	}
	t.policy, t.policyFrom = p, "made from the image"
	t.notes = append(t.notes, notes...)
	return nil
}

// guessGranule is what was asked for, or what SPI NOR of that size is mostly
// erased in.
func guessGranule(r *assault, size int64) (int64, error) {
	granule := int64(64 << 10)
	if size < 1<<20 {
		granule = 4 << 10
	}
	return granule, setSize("erase-size", r.part.erase, &granule)
}

// wholeImage protects every byte.
func wholeImage(size, granule int64) *policy.Policy {
	return &policy.Policy{
		Name: "whole image", Version: 1, Memory: policy.Memory{Size: size, Granule: granule},
		Map: []policy.Region{{ID: 1, Name: "image", Span: nvm.Span{Len: size}, Boot: true,
			Access: policy.Access{Read: policy.Rule{Mode: policy.Any}}}},
	}
}

// madeUp fills every region for the most part, so that there is something to
// destroy and room to add to.
func madeUp(p *policy.Policy, seed uint64) []byte {
	img := bytes.Repeat([]byte{0xFF}, int(p.Memory.Size))
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	rng := rand.NewChaCha8(key)
	for i := range p.Map {
		s := p.Map[i].Span
		_, _ = rng.Read(img[s.Off : s.Off+s.Len*3/4]) // never fails
	}
	return img
}
