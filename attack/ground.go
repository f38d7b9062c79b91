package attack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// ground is the memory that one attack after the other is run on.
type ground struct {
	c       Config
	raw     nvm.NVM
	geo     nvm.Geometry
	golden  []byte // the image as it was opened
	want    []byte // kept equal to golden between attacks
	scratch []byte
	damage  map[string]Digest // of regions, as attacks that succeeded left them
}

func newGround(c Config) (*ground, error) {
	if c.Policy == nil || c.Open == nil {
		return nil, fmt.Errorf("%w: Config needs a Policy and Open", ErrConfig)
	}
	if c.New == nil {
		c.New = Guard
	}
	if c.Attacks == nil {
		c.Attacks = Catalogue()
	}
	if c.State == 0 {
		c.State = policy.Deployed
	}
	if c.Patience == 0 {
		c.Patience = 10 * time.Second
	}
	c.Policy = c.Policy.Clone()
	g := &ground{c: c, damage: map[string]Digest{}}
	if err := g.open(); err != nil {
		return nil, err
	}
	if err := c.Policy.Validate(g.geo); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return g, nil
}

func (g *ground) open() error {
	raw, err := g.c.Open()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	g.raw, g.geo = raw, raw.Geometry()
	if err := g.geo.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	image := make([]byte, g.geo.Size)
	if _, err := raw.ReadAt(image, 0); err != nil {
		return fmt.Errorf("%w: reading the image: %w", ErrConfig, err)
	}
	if g.golden != nil && !bytes.Equal(image, g.golden) {
		return fmt.Errorf("%w: Open returned another image than before", ErrConfig)
	}
	if g.golden == nil {
		g.golden, g.scratch = image, make([]byte, len(image))
	}
	g.want = bytes.Clone(image) // a fresh one: a lock that hangs may hold the old
	return nil
}

// try runs one attack and leaves the memory as it was.
func (g *ground) try(a Attack) (Result, error) {
	t := newTarget(g)
	res := Result{Attack: a}
	err := t.open(g.c.Policy, g.c.State)
	if err != nil {
		t.chip.fail(Breach{What: fmt.Sprintf("the lock refuses a valid policy: %v", err)})
	} else {
		err = t.run(a)
	}
	t.finish()
	res.Tried, res.Refused, res.By = t.tried, t.refused, t.by
	var na notApplicable
	switch b := t.chip.breach; {
	case b != nil:
		res.Verdict, res.Breach = Beaten, b
		if b.Span.Len > 0 && b.Span.In(g.geo.Size) && b.After == (Digest{}) {
			b.After = t.chip.digest(b.Span)
		}
		g.damaged(t)
	case errors.As(err, &na):
		res.Why = na.why
	case err != nil:
		return res, fmt.Errorf("attack %s: %w", a.Name, err)
	default:
		res.Verdict = Held
	}
	return res, g.restore(t)
}

// run calls the attack. A lock that panics on what a host asks for is beaten.
func (t *Target) run(a Attack) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.Fail(Breach{What: fmt.Sprintf("panic: %v", v), Advice: firstFrames()})
		}
	}()
	return a.Run(t)
}

// firstFrames says where a panic came from, without the frames of the runner.
func firstFrames() string {
	stack := debug.Stack()
	if i := bytes.Index(stack, []byte("panic(")); i >= 0 {
		stack = stack[i:]
	}
	return string(stack[:min(len(stack), 600)])
}

// restore puts the image back: only blocks that were touched.
func (g *ground) restore(t *Target) error {
	if t.hung || t.chip.marked {
		return g.open()
	}
	for b := range t.chip.touched {
		s := g.geo.Block(b)
		copy(g.want[s.Off:s.End()], g.golden[s.Off:s.End()])
		if err := g.rewrite(s); err != nil {
			return fmt.Errorf("%w: the image cannot be put back: %w", ErrConfig, err)
		}
	}
	return nil
}

func (g *ground) rewrite(s nvm.Span) error {
	if err := g.raw.Erase(s.Off, s.Len); err != nil {
		return err
	}
	step := max(g.geo.PageSize, g.geo.ProgramSize, 256)
	for at := s.Off; at < s.End(); at += step {
		p := g.golden[at:min(at+step, s.End())]
		if erased(p, g.geo.Erased) {
			continue
		}
		if _, err := g.raw.WriteAt(p, at); err != nil {
			return err
		}
	}
	return nil
}

func erased(p []byte, b byte) bool {
	for _, v := range p {
		if v != b {
			return false
		}
	}
	return true
}

// digests of every region and hidden area.
func (g *ground) digests() []RegionDigest {
	m := newModel(g.geo, g.c.Policy, g.c.State, nil)
	var out []RegionDigest
	for _, p := range m.places() {
		if p.Region == nil && p.Area == nil {
			continue
		}
		host := &subject{}
		d := RegionDigest{Name: p.Name, Span: p.Span, Before: sha256.Sum256(g.golden[p.Span.Off:p.Span.End()])}
		d.Protected = m.may(host, nvm.Write, p.Span.Off) != yes && m.may(host, nvm.Erase, p.Span.Off) != yes
		out = append(out, d)
	}
	return out
}

// damaged remembers what the regions looked like after an attack that succeeded,
// before the image is put back.
func (g *ground) damaged(t *Target) {
	for _, p := range newModel(g.geo, g.c.Policy, g.c.State, nil).places() {
		if p.Name == "" || bytes.Equal(g.golden[p.Span.Off:p.Span.End()], t.chip.now(p.Span)) {
			continue
		}
		if _, ok := g.damage[p.Name]; !ok {
			g.damage[p.Name] = t.chip.digest(p.Span)
		}
	}
}

// digestsAfter tells what is on the memory when all is over, or what the first
// attack that changed the region against the rules left there.
func (g *ground) digestsAfter(rep *Report) {
	for i := range rep.Regions {
		d := &rep.Regions[i]
		if after, ok := g.damage[d.Name]; ok {
			d.After = after
			continue
		}
		p := make([]byte, d.Span.Len)
		if _, err := g.raw.ReadAt(p, d.Span.Off); err == nil {
			d.After = sha256.Sum256(p)
		}
	}
}
