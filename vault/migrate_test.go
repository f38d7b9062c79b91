package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
)

// entryLater is a kind of entry that version 2 of the format has.
const entryLater = 0x7E

func init() { kinds[entryLater] = entryKind{2, 4, 2} }

func putLater(id uint16, n uint32) Change {
	return Change{apply: func(s state, _ limits) error {
		key := string(binary.LittleEndian.AppendUint16([]byte{entryLater}, id))
		s[key] = string(binary.LittleEndian.AppendUint32(nil, n))
		return nil
	}}
}

func (s state) later(id uint16) uint32 {
	v := s[string(binary.LittleEndian.AppendUint16([]byte{entryLater}, id))]
	if len(v) != 4 {
		return 0
	}
	return binary.LittleEndian.Uint32([]byte(v))
}

// migration: version 1 of the library wrote a vault, version 2 goes on with it.
type migration struct {
	cutter
	v1, v2 Options
	want   [2]uint64 // the counter, before and behind what is under way
	after  map[[2]uint64]bool
}

func newMigration() *migration {
	one, two := standard(), standard()
	two.version = 2
	return &migration{v1: Options{Intent: 1, how: &one}, v2: Options{Intent: 1, how: &two}, after: map[[2]uint64]bool{}}
}

// show opens f with the later library. Its entry came with the counter 3.
func (m *migration) show(id string, f *sim.Flash) (*Vault, uint64) {
	v, _, err := Open(ctx, f, testKey, m.v2)
	if err != nil {
		m.fault(id, "open: %v", err)
		return nil, 0
	}
	n, err := value(v)
	if later := uint64(v.Snapshot().s.later(1)); err != nil || n >= 3 != (later > 0) || later > 0 && later != n {
		m.fault(id, "shows %d with %d of version 2 (%v)", n, later, err)
	}
	return v, n
}

func (m *migration) salt() uint64 { return m.want[0]<<8 ^ m.want[1] }

func (m *migration) judge(id string, f *sim.Flash, depth int) {
	want := m.want
	if depth > 0 {
		m.watch(f, id+"/", depth, m.salt, m.judge)
	}
	v, n := m.show(id, f)
	f.SetHook(nil)
	if v == nil || n != want[0] && n != want[1] {
		m.fault(id, "shows %d, want %d or %d", n, want[0], want[1])
		return
	}
	f.Reboot()
	key := [2]uint64{f.Fingerprint() ^ n<<48, v.j.at.seq<<16 ^ uint64(v.j.at.next)<<4 ^ uint64(v.j.at.block)}
	if m.after[key] {
		return
	}
	m.after[key] = true
	m.worlds(id, f, n)
	if err := v.Commit(ctx, append(raise(n+1), putLater(1, uint32(max(n+1, 3))))...); err != nil {
		m.fault(id, "commit: %v", err)
	}
	if n >= 2 {
		m.worlds(id+"|next", f, n+1)
		m.refused(id, f)
	}
}

func (m *migration) worlds(id string, f *sim.Flash, n uint64) {
	for _, w := range sim.Worlds() {
		g := f.Clone()
		g.Reboot()
		g.SetWorld(w)
		if _, again := m.show(id+"|"+w.String(), g); again != n {
			m.fault(id+"|"+w.String(), "shows %d after %d", again, n)
		}
	}
}

// refused: the earlier library knows that it does not know.
func (m *migration) refused(id string, f *sim.Flash) {
	for _, w := range sim.Worlds() {
		g := f.Clone()
		g.Reboot()
		g.SetWorld(w)
		was, ops := g.Fingerprint(), g.Ops()
		if v, _, err := Open(ctx, g, testKey, m.v1); !errors.Is(err, ErrVersion) || v != nil || g.Ops() != ops || g.Fingerprint() != was {
			m.fault(id+"|"+w.String(), "version 1 opens it: %v, %d operations", err, g.Ops()-ops)
		}
	}
}

// run: two commits of version 1, and two of version 2 that are cut.
func (m *migration) run(t *testing.T, f *sim.Flash, settled bool, depth int) {
	t.Helper()
	v, err := Format(ctx, f, testKey, m.v1)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n < 3; n++ {
		if err := v.Commit(ctx, raise(n)...); err != nil {
			t.Fatal(err)
		}
	}
	if settled {
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.want = [2]uint64{2, 2}
	m.watch(f, "", depth, m.salt, m.judge)
	ops := f.Ops()
	v, r, err := Open(ctx, f, testKey, m.v2)
	if err != nil || r.Clean != settled || settled && f.Ops() != ops {
		t.Fatalf("%+v, %v", r, err)
	}
	for n := uint64(3); n < 5; n++ {
		m.want[1] = n
		if err := v.Commit(ctx, append(raise(n), putLater(1, uint32(n)))...); err != nil {
			t.Fatal(err)
		}
		m.want[0] = n
		g := f.CutUnsynced(nil)
		m.refused(fmt.Sprintf("acked%d", n), g)
		m.each(fmt.Sprintf("acked%d", n), g, m.salt(), 0, m.judge)
	}
	f.SetHook(nil)
}

func TestMigration(t *testing.T) {
	for _, p := range parts() {
		for _, settled := range []bool{false, true} {
			m := newMigration()
			m.tier, m.nested, m.thin = sim.T4, sim.T4, 1
			depth := 1
			switch {
			case long:
				depth = 2
			case raceEnabled:
				m.thin = 211
			default:
				depth, m.thin, m.every, m.loose = 2, 11, 307, 401
			}
			m.run(t, p.new(t), settled, depth)
			m.report(t, fmt.Sprintf("%s settled=%v", p.name, settled))
		}
	}
}

// TestMigrationMixed: records of two versions never share a chain, and an entry
// that a version does not have is not read from a record of it.
func TestMigrationMixed(t *testing.T) {
	m := newMigration()
	for name, tc := range map[string]struct {
		version byte
		body    []byte
		want    error
	}{
		"earlier delta behind a later snapshot": {1, []byte{entryLifecycle, 1}, ErrLost},
		"entry of a later version":              {1, []byte{entryLater, 0, 0, 0, 0, 0, 0}, ErrVersion},
	} {
		f := roomy(t)
		o := m.v2
		if tc.want == ErrVersion {
			o = m.v1
		}
		v, err := Format(ctx, f, testKey, o)
		if err != nil {
			t.Fatal(err)
		}
		j := v.j
		j.how.version = tc.version
		if _, err := j.write(j.at.block, j.at.next, typeDelta, j.at.seq+1, j.at.tag, tc.body); err != nil {
			t.Fatal(err)
		}
		ops := f.Ops()
		if _, _, err := Open(ctx, f, testKey, m.v2); !errors.Is(err, tc.want) || f.Ops() != ops {
			t.Errorf("%s: %v", name, err)
		}
	}
}
