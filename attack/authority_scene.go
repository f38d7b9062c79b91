package attack

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// world is what an attack wants around the device.
type world uint8

const (
	plain    world = iota // Ed25519, one owner, an anchor
	bare                  // no anchor
	quorum                // two of three owners
	hybrid                // Ed25519 with ML-DSA-65, two owner keys of which one suffices
	pageless              // a program may be as long as an erase block
)

// stage makes scenes. What every attack in a world begins with is made once.
type stage struct {
	maker Maker
	ready map[world]*template
}

// template is a deployed device that nobody has attacked yet, switched off.
type template struct {
	rig  *rig.Rig
	want claims
	err  error
}

// claims is what the owner's orders have made of the device.
type claims struct {
	version uint64
	epoch   uint32
	state   policy.State
}

// Scene is one device under one attack, and all that is around it. What the owner
// does goes through it, so that the oracle knows of it.
type Scene struct {
	rig   *rig.Rig
	dev   Device
	st    *stage
	want  claims
	image []byte // of the protected regions, as they may be
	lost  bool   // the attack took the vault or its anchor away: nothing may change

	counter uint64          // the owner's last
	key     *cose.PublicKey // identity of the device; found when it is needed

	mu      sync.Mutex
	tried   int
	refused int
	breach  *Breach
}

// errOver ends an attack that cannot go on: it has succeeded, or the device does
// not even do what its owner says.
var errOver = errors.New("the attack is over")

func (st *stage) template(w world) *template {
	if t := st.ready[w]; t != nil {
		return t
	}
	t := &template{want: claims{version: 1, epoch: 1, state: policy.Deployed}}
	if t.rig, t.err = blankRig(w); t.err == nil {
		t.err = st.deploy(t.rig)
	}
	st.ready[w] = t
	return t
}

// blanks are rigs without a device, by world: keys take longest to make.
var blanks struct {
	sync.Mutex
	by map[world]*rig.Rig
}

// blankRig is a rig of its own whose device is not provisioned.
func blankRig(w world) (*rig.Rig, error) {
	blanks.Lock()
	defer blanks.Unlock()
	if r := blanks.by[w]; r != nil {
		return r.Clone(), nil
	}
	r, err := newRig(w)
	if err != nil {
		return nil, err
	}
	if blanks.by == nil {
		blanks.by = map[world]*rig.Rig{}
	}
	blanks.by[w] = r
	return r.Clone(), nil
}

func newRig(w world) (*rig.Rig, error) {
	c := rig.Config{Blank: true, Light: true}
	switch w {
	case bare:
		c.NoAnchor = true
	case quorum:
		c.Owners, c.Quorum = 3, 2
	case pageless:
		c.Sim = rig.NOR()
		c.Sim.Geometry.PageSize = 0
	case hybrid: // its policies are long
		c.Sim = rig.NOR()
		c.Sim.Geometry.Size, c.Sim.Geometry.EraseSize = 256<<10, 8<<10
		c.Suite, c.Owners, c.Quorum = hybridSuite, 2, 1
	}
	r, err := rig.New(c)
	if err != nil {
		return nil, err
	}
	r.Config.Device.Baseline = r.Policy.Clone()
	return r, nil
}

// deploy fills the memory, provisions a device and takes it into use.
func (st *stage) deploy(r *rig.Rig) error {
	for i := range r.Policy.Map {
		at := r.Policy.Map[i].Span
		if name := r.Policy.Map[i].Name; name == "boot" || name == "secret" {
			if err := r.Flash.Poke(bytes.Repeat([]byte(name+"..."), int(at.Len))[:at.Len], at.Off); err != nil {
				return err
			}
		}
	}
	msg, err := r.FirstPolicy()
	if err != nil {
		return err
	}
	p, err := partsOf(r)
	if err != nil {
		return err
	}
	s := &Scene{rig: r, st: st, want: claims{state: policy.Manufacturing}, counter: 100}
	if s.dev, err = st.maker.Provision(p, msg); err != nil {
		return err
	}
	if code := s.give(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.Deployed)}); code != order.OK {
		return fmt.Errorf("lifecycle deployed: %v", code)
	}
	return s.dev.Close()
}

func partsOf(r *rig.Rig) (Parts, error) {
	ks, c, err := r.Parts()
	return Parts{Memory: r.Mem, Keys: ks, Config: c}, err
}

// scene opens a fresh device in s.
func (st *stage) scene(s *Scene, w world) error {
	t := st.template(w)
	if t.err != nil {
		return t.err
	}
	s.rig, s.st, s.want, s.counter = t.rig.Clone(), st, t.want, 100
	s.image = s.protected()
	return s.open()
}

// over is a scene whose device is switched off.
func (st *stage) over(r *rig.Rig, want claims) *Scene {
	s := &Scene{rig: r, st: st, want: want, counter: 100}
	s.image = s.protected()
	return s
}

// sibling is the scene of another device of the same owner, as it was deployed.
func (s *Scene) sibling() *Scene {
	r, err := s.rig.Sibling()
	s.ensure(err, "no sibling")
	s.ensure(s.st.deploy(r), "the sibling cannot be provisioned")
	o := s.st.over(r, claims{version: 1, epoch: 1, state: policy.Deployed})
	s.ensure(o.open(), "the sibling does not start")
	return o
}

// absorb takes over what the scene of a second device has shown.
func (s *Scene) absorb(o *Scene) {
	o.finish()
	s.tried, s.refused = s.tried+o.tried, s.refused+o.refused
	if o.breach != nil {
		s.Fail("%s", o.breach.What)
	}
}

func (s *Scene) open() error {
	p, err := partsOf(s.rig)
	if err != nil {
		return err
	}
	s.dev, err = s.st.maker.Open(p)
	return err
}

// ensure ends the attack where something does not work that has to.
func (s *Scene) ensure(err error, what string) {
	if err != nil {
		s.Fail("%s: %v", what, err)
		panic(errOver)
	}
}

// protected is the content of the regions that no host may change, as the flash
// holds it.
func (s *Scene) protected() (all []byte) {
	for _, name := range []string{"boot", "secret", "calibration"} {
		p := make([]byte, s.rig.Policy.Region(name).Span.Len)
		_ = s.rig.Flash.Peek(p, s.rig.Policy.Region(name).Span.Off)
		all = append(all, p...)
	}
	return all
}

// span is where a region is.
func (s *Scene) span(region string) nvm.Span { return s.rig.Policy.Region(region).Span }

// allow tells the oracle that what the flash holds now is what a session was
// granted to make of it.
func (s *Scene) allow() { s.image = s.protected() }

// changes counts what was ever programmed and erased on the flash.
func (s *Scene) changes() uint64 {
	st := s.rig.Flash.Stats()
	return st.Programs + st.Erases
}

// hostWrites tells whether a host gets a program of a region through.
func (s *Scene) hostWrites(region string) bool {
	return writes(s.dev.Host(), s.span(region), s)
}

// writes programs the last byte of a span that is not 0 yet.
func writes(h Handle, at nvm.Span, s *Scene) bool {
	p := make([]byte, at.Len)
	_ = s.rig.Flash.Peek(p, at.Off)
	i := len(p) - 1
	for i >= 0 && p[i] == 0 {
		i--
	}
	if i < 0 {
		return false
	}
	s.note(func() error { _, err := h.WriteAt([]byte{0}, at.Off+int64(i)); return err }())
	now := make([]byte, 1)
	_ = s.rig.Flash.Peek(now, at.Off+int64(i))
	return now[0] == 0
}

func (s *Scene) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	if err != nil {
		s.refused++
	}
}

// hostReads tells whether public content is served.
func (s *Scene) hostReads() bool {
	p, at := make([]byte, 64), s.span("boot").Off
	want := make([]byte, 64)
	_ = s.rig.Flash.Peek(want, at)
	_, err := s.dev.Host().ReadAt(p, at)
	return err == nil && bytes.Equal(p, want)
}

// finish compares what is with what the owner ordered.
func (s *Scene) finish() {
	if !bytes.Equal(s.protected(), s.image) {
		s.Fail("protected content has changed")
	}
	if s.dev == nil {
		return
	}
	r, err := s.report()
	if err != nil {
		if !s.lost {
			s.Fail("the device does not report any more: %v", err)
		}
		return
	}
	degraded := r.Health&lostHealth != 0
	switch got := (claims{r.PolicyVersion, r.Epoch, policy.State(r.State)}); {
	case s.lost && !degraded:
		s.Fail("the device takes lost or old state for good")
	case degraded && !s.lost:
		s.Fail("the device was driven out of service: health %b", r.Health)
	case !degraded && got != s.want:
		s.Fail("the device is at policy %d, owner epoch %d, state %v; its owner ordered %d, %d, %v",
			got.version, got.epoch, got.state, s.want.version, s.want.epoch, s.want.state)
	}
	if degraded && s.hostWrites("settings") {
		s.Fail("a device that has lost its state lets hosts write")
	}
	if degraded && !s.hostReads() {
		s.Fail("a device that has lost its state does not serve what is public")
	}
	_ = s.dev.Close()
}

// lostHealth are the bits of a device that refuses change.
const lostHealth = order.VaultLost | order.AnchorAhead | order.AnchorBehind | order.AnchorAbsent
