package device_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

var long = os.Getenv("NANOLOCK_LONG") == "1"

// stage is a device in the state in which a scenario begins, and its people.
type stage struct {
	*rig.Rig
	e    *engine
	chip *chip
	now  uint64 // uptime of every start

	usage []order.RegionUsage // what an order to recover says of it
}

// scenario prepares a stage: what the engine plays, and with what it compares.
type scenario struct {
	name  string
	blank bool // not provisioned
	build func(s *stage) error
}

// apply is the step of an order that is signed when it is played.
func (s *stage) apply(authority string, kind order.Kind, body order.Body) step {
	return func(_ *world, d *device.Device) error {
		msg, err := s.sign(d, authority, kind, body)
		if err != nil {
			return err
		}
		s.e.redo = msg
		_, err = d.Apply(ctx, msg)
		return err
	}
}

func (s *stage) sign(d *device.Device, authority string, kind order.Kind, body order.Body) ([]byte, error) {
	was := s.Device
	s.Device = d
	defer func() { s.Device = was }()
	return s.Signed(authority, kind, body)
}

// known is the step of an order that was signed before.
func (s *stage) known(msg []byte, err error) (step, error) {
	s.e.redo = msg
	return func(_ *world, d *device.Device) error {
		_, err := d.Apply(ctx, msg)
		return err
	}, err
}

func (s *stage) do(steps ...step) { s.e.steps = append(s.e.steps, steps...) }

// lifecycle is the step of a change of state that wipes what is confidential.
func (s *stage) wiping(st policy.State) error {
	if err := s.fillSecret(); err != nil {
		return err
	}
	s.e.wiped = s.Policy.Region("secret").Span
	k, err := s.known(s.Signed(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(st)}))
	s.do(k)
	return err
}

func (s *stage) fillSecret() error {
	h, id, err := s.Grant(rig.Service, s.Whole("secret"))
	if err != nil {
		return err
	}
	at := s.Policy.Region("secret").Span
	p := make([]byte, at.Len)
	for i := range p {
		p[i] = byte(i * 7)
	}
	if err := h.Erase(at.Off, at.Len); err != nil {
		return err
	}
	if err := program(h, p, at.Off); err != nil {
		return err
	}
	return s.Device.EndSession(id)
}

// program writes p page by page.
func program(h nvm.NVM, p []byte, off int64) error {
	g := h.Geometry()
	for unit := int(max(g.PageSize, g.ProgramSize)); len(p) > 0; p, off = p[unit:], off+int64(unit) {
		if _, err := h.WriteAt(p[:unit], off); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) handover(kind order.Kind) error {
	dead, err := s.Signed(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.Decommissioned)})
	if err != nil {
		return err
	}
	s.e.dead = dead
	msg, _, _, err := s.Handover(kind, "bob")
	k, err := s.known(msg, err)
	s.do(k)
	return err
}

// recovering is the owner's order to recover, and what makes it necessary.
func (s *stage) recovering(st policy.State) {
	order := func(w *world, d *device.Device) error {
		was := s.Device
		s.Device = d
		defer func() { s.Device = was }()
		msg, err := s.recovery(st)
		if err != nil {
			return err
		}
		s.e.redo = msg
		_, err = d.Apply(ctx, msg)
		return err
	}
	s.e.retry = order
	s.do(order)
}

// recovery is an order to recover as the device's challenge stands.
func (s *stage) recovery(st policy.State) ([]byte, error) {
	inner, err := s.Inner(s.NextPolicy(nil), s.Epoch+1, 1)
	if err != nil {
		return nil, err
	}
	return s.Signed(order.Owner, order.Recover, &order.RecoverBody{Policy: inner, State: uint8(st), Usage: s.usage})
}

// loseCopy damages one of two verbatim copies of the policy, if there are two.
func (s *stage) loseCopy() error {
	v := s.Policy.Area("vault").Span
	img := make([]byte, v.Len)
	if err := s.Flash.Peek(img, v.Off); err != nil {
		return err
	}
	msg, err := s.FirstPolicy()
	if err != nil {
		return err
	}
	mark := msg[len(msg)-64:]
	if bytes.Count(img, mark) < 2 {
		return nil
	}
	return s.Flash.Poke(make([]byte, 64), v.Off+int64(bytes.Index(img, mark)))
}

// loseJournal erases the journal while the device is closed.
func (s *stage) loseJournal() error {
	off, n := s.Device.Journal()
	if err := s.Device.Close(); err != nil {
		return err
	}
	if err := s.Flash.Erase(off, n); err != nil {
		return err
	}
	return s.Flash.Sync()
}

func scenarios() []scenario {
	use := []order.RegionUsage{{Region: 2, Erases: 16}, {Region: 3, Mark: 256}, {Region: 5, Sealed: true}}
	return []scenario{
		{name: "provision", blank: true, build: func(s *stage) error {
			msg, err := s.FirstPolicy()
			provision := func(w *world, _ *device.Device) error {
				d, err := device.Provision(ctx, w.front(), w.chip, msg, s.e.config)
				if err != nil {
					return err
				}
				return d.Close()
			}
			s.e.retry = provision
			s.do(provision)
			return err
		}},
		{name: "grant", build: func(s *stage) error {
			k, err := s.known(s.Signed(order.Vendor, order.Grant, s.Whole("boot")))
			s.do(k)
			return err
		}},
		{name: "grants", build: func(s *stage) error { // the second is not anchored
			s.chip.budget = keystore.Budget{Writes: 1000, PerDay: 1}
			s.do(s.apply(order.Vendor, order.Grant, s.Whole("boot")))
			s.do(s.apply(rig.Service, order.Grant, s.Whole("secret")))
			return nil
		}},
		{name: "policy", build: func(s *stage) error {
			p := s.NextPolicy(func(p *policy.Policy) { p.Region("settings").Write = policy.Rule{} })
			b, err := p.MarshalBinary()
			if err != nil {
				return err
			}
			k, err := s.known(s.Signed(order.Owner, order.Policy, &order.PolicyBody{Policy: b}))
			s.do(k)
			return err
		}},
		{name: "rotate", build: func(s *stage) error { return s.handover(order.Keys) }},
		{name: "transfer", build: func(s *stage) error { return s.handover(order.Transfer) }},
		{name: "revoke", build: func(s *stage) error {
			var err error
			if s.e.dead, err = s.Signed(order.Vendor, order.Grant, s.Whole("boot")); err != nil {
				return err
			}
			id := s.People(order.Vendor)[0].Public().ID()
			k, err := s.known(s.Signed(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{id}}))
			s.do(k)
			return err
		}},
		{name: "deployed", build: func(s *stage) error {
			if err := s.Lifecycle(policy.RMA); err != nil {
				return err
			}
			k, err := s.known(s.Signed(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.Deployed)}))
			s.do(k)
			return err
		}},
		{name: "rma", build: func(s *stage) error { return s.wiping(policy.RMA) }},
		{name: "decommissioned", build: func(s *stage) error { return s.wiping(policy.Decommissioned) }},
		{name: "freeze", build: func(s *stage) error {
			s.do(func(_ *world, d *device.Device) error { return d.Freeze(ctx) })
			return nil
		}},
		{name: "thaw", build: func(s *stage) error {
			if err := s.Device.Freeze(ctx); err != nil {
				return err
			}
			k, err := s.known(s.Signed(order.Operations, order.Thaw, &order.ThawBody{}))
			s.do(k)
			return err
		}},
		{name: "void", build: func(s *stage) error {
			var err error
			if s.e.dead, err = s.Signed(order.Vendor, order.Grant, s.Whole("boot")); err != nil {
				return err
			}
			k, err := s.known(s.Signed(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: 100}))
			s.do(k)
			return err
		}},
		{name: "recover", build: func(s *stage) error {
			s.recovering(policy.Deployed)
			return s.loseJournal()
		}},
		{name: "recover-ahead", build: func(s *stage) error {
			s.chip.value += 3
			s.usage = use
			s.recovering(policy.Deployed)
			return nil
		}},
		{name: "recover-behind", build: func(s *stage) error {
			for range 3 {
				if err := s.PutPolicy(s.NextPolicy(nil)); err != nil {
					return err
				}
			}
			s.chip.value -= 3
			s.usage = use
			s.recovering(policy.Deployed)
			return nil
		}},
		{name: "recover-rma", build: func(s *stage) error {
			if err := s.fillSecret(); err != nil {
				return err
			}
			s.e.wiped = s.Policy.Region("secret").Span
			s.recovering(policy.RMA)
			return s.loseJournal()
		}},
		{name: "usage", build: func(s *stage) error {
			log, settings := s.Policy.Region("log").Span, s.Policy.Region("settings").Span
			for i := range int64(3) {
				s.do(func(_ *world, d *device.Device) error {
					return program(d.Host(), make([]byte, 256), log.Off+256*i)
				})
			}
			s.do(func(_ *world, d *device.Device) error { return d.Host().Erase(settings.Off, settings.Len) })
			return nil
		}},
		{name: "scrub", build: func(s *stage) error {
			s.e.same = true
			s.do(func(_ *world, d *device.Device) error { return d.Scrub(ctx, 1<<20) })
			return s.loseCopy()
		}},
		{name: "audit", build: func(s *stage) error {
			s.e.same = true
			s.do(func(_ *world, d *device.Device) error {
				_, _ = d.Host().WriteAt(make([]byte, 128), 0)
				s.now += 4 * 3600
				d.Poll(ctx)
				s.now += 120
				d.Poll(ctx)
				return nil
			})
			return nil
		}},
	}
}

// newStage puts a device together and leaves it as fill orders have left it.
func newStage(c sim.Config, sc scenario, fill int) (*stage, *world, error) {
	f, err := sim.New(c)
	if err != nil {
		return nil, nil, err
	}
	s := &stage{chip: newChip("cuts"), e: &engine{fill: fill, name: fmt.Sprintf("%s/%s/%d", c.Name, sc.name, fill), blank: c.Geometry.Erased}}
	if s.Rig, err = rig.New(rig.Config{Memory: f, Keystore: opened(s.chip), Device: *device.Remember(&device.Config{}), Blank: sc.blank}); err != nil {
		return nil, nil, err
	}
	s.Flash = f
	s.e.config = device.Remember(&device.Config{Vault: s.Policy.Area("vault").Span, Tick: func() uint64 { return s.now }})
	s.e.copies = s.Policy.Area("vault").Span
	s.e.copies.Off += s.e.copies.Len / 4
	s.e.copies.Len -= s.e.copies.Len / 4
	s.e.fixed = spans(s.Policy, "boot", "calibration")
	if !sc.blank {
		if err := s.Lifecycle(policy.Deployed); err != nil {
			return nil, nil, err
		}
	}
	for i := range fill {
		if sc.blank {
			break
		}
		if _, err := s.Do(order.Owner, order.Void, &order.VoidBody{Authority: order.Platform, Class: order.ClassOperate, To: uint64(i) + 1}); err != nil {
			return nil, nil, err
		}
	}
	if err := sc.build(s); err != nil {
		return nil, nil, err
	}
	if s.Device != nil {
		if err := s.Device.Close(); err != nil {
			return nil, nil, err
		}
	}
	return s, &world{flash: f.Clone(), chip: s.chip.clone()}, nil
}

// runCuts plays every scenario on every part, from every fill, on all cores.
func runCuts(t *testing.T, fills []int, tune func(*engine)) counts {
	type job struct {
		part sim.Config
		sc   scenario
		fill int
	}
	jobs := make(chan job)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total counts
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for j := range jobs {
				s, w, err := newStage(j.part, j.sc, j.fill)
				if err != nil {
					t.Errorf("%s/%s/%d: %v", j.part.Name, j.sc.name, j.fill, err)
					continue
				}
				tune(s.e)
				s.e.run(w)
				mu.Lock()
				total.add(s.e.count)
				if testing.Verbose() {
					t.Logf("%s: %+v", s.e.name, s.e.count)
				}
				for _, f := range s.e.faults {
					t.Error(f)
				}
				mu.Unlock()
			}
		})
	}
	for _, fill := range fills {
		for _, c := range parts() {
			for _, sc := range scenarios() {
				if fill > 0 && (sc.blank || strings.HasPrefix(sc.name, "recover")) && !long {
					continue // the journal is made anew: what filled it does not count
				}
				jobs <- job{c, sc, fill}
			}
		}
	}
	close(jobs)
	wg.Wait()
	return total
}

// TestCutsGlance is what TestCuts is under the race detector, which is too slow for
// more.
func TestCutsGlance(t *testing.T) {
	runCuts(t, []int{0}, func(e *engine) { e.tier, e.every, e.budget = sim.T2, 0, 40 })
}
