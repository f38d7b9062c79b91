package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/internal/flashpic"
	"github.com/nanolock/nanolock/nvm"
)

// memory makes the copies that are attacked.
type memory struct {
	open   func() (nvm.NVM, error)
	about  string
	faults bool // writing through a view faults, and may be tried
	closer []func()
}

func (m *memory) close() {
	for _, f := range m.closer {
		f()
	}
}

// pageOfNOR is what serial NOR programs at once.
const pageOfNOR = 256

// run attacks one memory, and gives its copies up.
func (m *memory) run(ctx context.Context, c attack.Config) (*attack.Report, error) {
	defer m.close()
	c.Open, c.Faults = m.open, m.faults
	return attack.Run(ctx, c)
}

// newMemories are what is attacked one after the other. A simulated part keeps to
// the physics of flash; only a mapped one hands out views.
func newMemories(r *assault, t *target) ([]*memory, error) {
	g, err := r.part.geometry(t.policy)
	if err != nil {
		return nil, err
	}
	if err := g.Validate(); err != nil {
		return nil, usage("see nanolock attack --help", "%w", err)
	}
	linux := runtime.GOOS == "linux"
	switch r.memory {
	case "both":
		if linux {
			return []*memory{simulated(g, t.image), mapped(g, t.image)}, nil
		}
		return []*memory{simulated(g, t.image)}, nil
	case "sim":
		return []*memory{simulated(g, t.image)}, nil
	case "mmap":
		if !linux {
			return nil, usage("use --memory sim", "--memory mmap does not exist on %s", runtime.GOOS)
		}
		return []*memory{mapped(g, t.image)}, nil
	}
	return nil, usage("say both, sim or mmap", "unknown --memory %q", r.memory)
}

// simulated is a part that does to a careless lock what real ones do: it ANDs,
// wraps, rounds and refuses.
func simulated(g nvm.Geometry, image []byte) *memory {
	if g.Program == nvm.ClearBits && g.EraseSize%pageOfNOR == 0 && pageOfNOR%g.ProgramSize == 0 {
		g.PageSize = pageOfNOR
	}
	g.Endurance = 100_000
	open := func() (nvm.NVM, error) {
		f, err := sim.New(sim.Config{Name: "attacked", Geometry: g})
		if err != nil {
			return nil, err
		}
		return f, f.Poke(image, 0)
	}
	return &memory{open: open, about: fmt.Sprintf("simulated part, %v, erase blocks of %s", g.Program, flashpic.Size(g.EraseSize))}
}

// mapped is a copy in a folder of its own, which is made when it is needed.
func mapped(g nvm.Geometry, image []byte) *memory {
	m := &memory{about: fmt.Sprintf("mapped copy, %v, erase blocks of %s", g.Program, flashpic.Size(g.EraseSize)), faults: true}
	dir, n := "", 0
	m.open = func() (nvm.NVM, error) {
		var err error
		if dir == "" {
			if dir, err = os.MkdirTemp("", "nanolock-attack-"); err != nil {
				return nil, noRoom(err)
			}
			m.closer = append(m.closer, func() { _ = os.RemoveAll(dir) })
		}
		n++
		path := filepath.Join(dir, fmt.Sprintf("flash-%d.bin", n))
		if err := os.WriteFile(path, image, 0o600); err != nil {
			return nil, noRoom(err)
		}
		f, err := mmap.Open(path, &mmap.Options{Geometry: g})
		if err != nil {
			return nil, noRoom(err)
		}
		m.closer = append([]func(){func() { _ = f.Close() }}, m.closer...)
		return f, nil
	}
	return m
}

func noRoom(err error) error {
	return ioFailure("copy of the image", err, "set TMPDIR to a folder with room for it")
}
