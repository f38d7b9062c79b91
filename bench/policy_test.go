package bench

import (
	"fmt"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
)

// geometry is a memory in blocks of 4 KiB that can be programmed anywhere, so
// that a benchmark may program the same place again and again.
func geometry(size int64) nvm.Geometry {
	return nvm.Geometry{Size: size, EraseSize: 4 * kib, ProgramSize: 1, Program: nvm.Rewrite, Erased: 0xFF}
}

// The kinds of regions, dealt out in turn so that no two neighbours merge.
const (
	openRegion  = iota // anything goes
	readRegion         // hosts read
	makerRegion        // the maker reads
	shutRegion         // nobody
	kinds
)

var (
	maker    = policy.Rule{Mode: policy.Grant, Authority: "maker"}
	anyone   = policy.Rule{Mode: policy.Any}
	accesses = [kinds]policy.Access{
		openRegion:  {Read: anyone, Write: anyone, Erase: anyone},
		readRegion:  {Read: anyone},
		makerRegion: {Read: maker, Write: maker},
		shutRegion:  {},
	}
)

// regions cuts a memory into n regions of whole blocks, kinds in turn; region i
// is of kind i%kinds.
func regions(geo nvm.Geometry, n int) *policy.Policy {
	p := emptyPolicy(geo)
	blocks := geo.Size / geo.EraseSize
	for i := range int64(n) {
		from, to := i*blocks/int64(n), (i+1)*blocks/int64(n)
		p.Map = append(p.Map, policy.Region{
			ID: uint32(i + 1), Name: fmt.Sprintf("region-%d", i), Access: accesses[i%kinds],
			Span: nvm.Span{Off: from * geo.EraseSize, Len: (to - from) * geo.EraseSize},
		})
	}
	return p
}

func emptyPolicy(geo nvm.Geometry) *policy.Policy {
	return &policy.Policy{
		Name: "bench", Version: 1,
		Memory:      policy.Memory{Size: geo.Size, Granule: geo.EraseSize},
		Authorities: []policy.Authority{{Name: "maker", Suite: policy.Ed25519}},
	}
}

// flipped is regions with two slots in the place of the first two.
func flipped(geo nvm.Geometry) *policy.Policy {
	p := regions(geo, 64)
	a, b := p.Map[0], p.Map[1]
	a.Name, a.Update = "image", &policy.Update{Slot: "image-b"}
	p.Map = append([]policy.Region{a}, p.Map[2:]...)
	p.Memory.Hidden = []policy.Area{{ID: b.ID, Name: "image-b", Span: b.Span, Kind: policy.Slot}}
	return p
}

// newLock is nanolock.New for a memory and policy that fit.
func newLock(tb testing.TB, mem nvm.NVM, p *policy.Policy) *nanolock.Lock {
	tb.Helper()
	l, err := nanolock.New(mem, p, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l
}
