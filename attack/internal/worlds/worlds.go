package worlds

import (
	"math/rand/v2"
	"sync"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// World is a memory and a sound policy for it.
type World struct {
	Name   string
	Policy *policy.Policy
	Geo    nvm.Geometry
	Mapped bool
}

// Open returns a fresh memory that holds the world's image.
func (w World) Open() (nvm.NVM, error) {
	image, ok := images.Load(w.Name)
	if !ok {
		image, _ = images.LoadOrStore(w.Name, w.image())
	}
	return newRAM(w.Geo, image.([]byte), w.Mapped), nil
}

var images sync.Map // by the world's name

// image is random, but what is appended to or written once starts erased.
func (w World) image() []byte {
	image := make([]byte, w.Geo.Size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range image {
		image[i] = byte(r.Uint32())
	}
	for i := range w.Policy.Map {
		p := &w.Policy.Map[i]
		if m := p.Access.Write.Mode; m == policy.Append || m == policy.Once {
			for at := p.Span.Off; at < p.Span.End(); at++ {
				image[at] = w.Geo.Erased
			}
		}
	}
	return image
}

const k = 1 << 10

var (
	open    = policy.Rule{Mode: policy.Any}
	never   = policy.Rule{}
	vendor  = policy.Rule{Mode: policy.Grant, Authority: "vendor"}
	service = policy.Rule{Mode: policy.Grant, Authority: "service"}
	grow    = policy.Rule{Mode: policy.Append}
	fused   = policy.Rule{Mode: policy.Once}
)

func authorities() []policy.Authority {
	return []policy.Authority{{Name: "vendor", Suite: policy.Ed25519}, {Name: "service", Suite: policy.Ed25519}}
}

func region(id uint32, name string, off, n int64, read, write, erase policy.Rule) policy.Region {
	return policy.Region{ID: id, Name: name, Span: nvm.Span{Off: off, Len: n}, Access: policy.Access{Read: read, Write: write, Erase: erase}}
}

func worn(r policy.Region, erases, hours uint32) policy.Region {
	r.Wear = policy.Wear{Erases: erases, PerHours: hours}
	return r
}

// All are worlds that differ in every property of a memory.
func All() []World { return []World{NOR(), NAND(), Uneven(), Rewrite()} }

// NOR is a mapped SPI NOR part with all kinds of rules.
func NOR() World {
	boot := region(1, "boot", 0, 16*k, open, never, never)
	boot.Boot = true
	boot.In = map[policy.State]policy.Access{
		policy.Manufacturing: {Read: open, Write: open, Erase: open},
		policy.RMA:           {Read: open, Write: service, Erase: service},
	}
	keys := region(8, "keys", 48*k, 4*k, service, never, never)
	keys.Blank = true
	fw := region(12, "firmware", 68*k, 64*k, open, vendor, vendor)
	fw.Update = &policy.Update{Slot: "slot"}
	data := worn(region(17, "data", 216*k, 40*k, open, open, open), 1000, 1)
	data.In = map[policy.State]policy.Access{policy.RMA: {Read: open}}
	p := &policy.Policy{
		Name: "camera", Version: 3, Authorities: authorities(),
		Memory: policy.Memory{Size: 256 * k, Granule: 4 * k, Hidden: []policy.Area{
			{ID: 13, Name: "slot", Span: nvm.Span{Off: 132 * k, Len: 64 * k}, Kind: policy.Slot},
			{ID: 14, Name: "vault", Span: nvm.Span{Off: 196 * k, Len: 8 * k}, Kind: policy.Vault},
			{ID: 15, Name: "audit", Span: nvm.Span{Off: 204 * k, Len: 4 * k}, Kind: policy.Audit},
			{ID: 16, Name: "staging", Span: nvm.Span{Off: 208 * k, Len: 8 * k}, Kind: policy.Staging},
		}},
		Map: []policy.Region{
			boot,
			worn(region(2, "env", 16*k, 4*k, open, open, open), 1000, 24),
			region(3, "serial", 20*k, 2*k+128, open, never, never),
			worn(region(4, "label", 22*k+128, 2*k-128, open, open, open), 500, 0),
			worn(region(5, "log", 24*k, 8*k, open, grow, service), 50, 0),
			region(6, "fuses", 32*k, 8*k, open, fused, never),
			worn(region(7, "secret", 40*k, 8*k, never, vendor, vendor), 100, 0),
			keys,
			region(9, "scratch", 56*k, 4*k, open, open, never),
			region(10, "model", 60*k, 4*k, open, never, never),
			region(11, "counters", 64*k, 4*k, open, open, never),
			fw, data,
		},
	}
	g := nvm.Geometry{Size: 256 * k, EraseSize: 4 * k, ProgramSize: 1, PageSize: 256, Erased: 0xFF, Endurance: 100_000}
	return World{"nor", p, g, true}
}

// NAND programs whole pages once and has bad blocks.
func NAND() World {
	boot := region(1, "boot", 0, 32*k, open, never, never)
	boot.Boot = true
	fw := region(3, "firmware", 64*k, 128*k, open, vendor, vendor)
	fw.Update = &policy.Update{Staging: "staging"}
	p := &policy.Policy{
		Name: "router", Version: 1, Authorities: authorities(),
		Memory: policy.Memory{Size: 512 * k, Granule: 16 * k, Blank: true, Hidden: []policy.Area{
			{ID: 6, Name: "vault", Span: nvm.Span{Off: 256 * k, Len: 32 * k}, Kind: policy.Vault},
			{ID: 7, Name: "staging", Span: nvm.Span{Off: 288 * k, Len: 128 * k}, Kind: policy.Staging},
		}},
		Map: []policy.Region{
			boot,
			worn(region(2, "config", 32*k, 32*k, open, open, open), 100, 24),
			fw,
			worn(region(4, "log", 192*k, 48*k, open, grow, service), 90, 0),
			worn(region(8, "data", 416*k, 96*k, open, open, open), 3000, 0),
		},
	}
	g := nvm.Geometry{Size: 512 * k, EraseSize: 16 * k, ProgramSize: 512, PageSize: 512, Program: nvm.OncePage, Erased: 0xFF, Endurance: 3000, BadBlocks: true}
	return World{"nand", p, g, false}
}

// Uneven has erase blocks of two sizes, ECC units of 8 bytes, erases to zero,
// and regions that share blocks and units.
func Uneven() World {
	boot := region(1, "boot", 0, 8*k+4, open, never, never)
	boot.Boot = true
	p := &policy.Policy{
		Name: "meter", Version: 1, Authorities: authorities(),
		Memory: policy.Memory{Size: 128 * k, Granule: 32 * k, Blank: true, Hidden: []policy.Area{
			{ID: 9, Name: "vault", Span: nvm.Span{Off: 24 * k, Len: 8 * k}, Kind: policy.Vault},
		}},
		Map: []policy.Region{
			boot,
			worn(region(2, "params", 8*k+4, 8*k-4, open, open, open), 1000, 24),
			worn(region(3, "calibration", 32*k, 8*k, open, open, open), 1000, 0),
			region(4, "serial", 40*k, 24*k, open, never, never),
			region(5, "firmware", 64*k, 32*k+16, open, vendor, vendor),
			region(6, "extra", 96*k+16, 16*k-16, never, vendor, vendor),
		},
	}
	g := nvm.Geometry{Size: 128 * k, EraseSize: 4 * k, ProgramSize: 8, Endurance: 100_000, Blocks: []nvm.EraseArea{{Len: 32 * k, EraseSize: 4 * k}, {Len: 96 * k, EraseSize: 32 * k}}}
	return World{"uneven", p, g, false}
}

// Rewrite is a card: programs wear it, and no erase is needed.
func Rewrite() World {
	boot := region(1, "boot", 0, 8*k, open, never, never)
	boot.Boot = true
	p := &policy.Policy{
		Name: "gateway", Version: 1, Authorities: authorities(),
		Memory: policy.Memory{Size: 128 * k, Granule: 512, Hidden: []policy.Area{
			{ID: 4, Name: "vault", Span: nvm.Span{Off: 60 * k, Len: 4 * k}, Kind: policy.Vault},
		}},
		Map: []policy.Region{
			boot,
			worn(region(2, "data", 8*k, 48*k, open, open, open), 1000, 24),
			worn(region(3, "log", 56*k, 4*k, open, grow, never), 2000, 0),
			region(5, "firmware", 64*k, 64*k, open, vendor, vendor),
		},
	}
	g := nvm.Geometry{Size: 128 * k, EraseSize: 512, ProgramSize: 512, Program: nvm.Rewrite, Endurance: 10_000}
	return World{"rewrite", p, g, false}
}

// Large is the NOR world stretched to size: the last region and the update
// region with its slot grow.
func Large(size int64) World {
	w := NOR()
	w.Name, w.Geo.Size, w.Policy.Memory.Size = "large", size, size
	grow := size/4 - 64*k
	grow -= grow % (64 * k)
	p := w.Policy
	p.Region("firmware").Span.Len += grow
	for i := range p.Memory.Hidden {
		a := &p.Memory.Hidden[i]
		if a.Span.Off += grow; a.Kind == policy.Slot {
			a.Span.Len += grow
		} else {
			a.Span.Off += grow
		}
	}
	data := p.Region("data")
	data.Span.Off += 2 * grow
	data.Span.Len = size - data.Span.Off
	return w
}

// Weak are policies that a sound lock enforces and that protect too little, by
// the mistake. They fit the NOR world.
func Weak() map[string]func(*policy.Policy) {
	return map[string]func(*policy.Policy){
		"boot region writable": func(p *policy.Policy) { p.Region("boot").Write = open },
		"boot region erasable": func(p *policy.Policy) {
			p.Region("boot").Erase, p.Region("boot").Wear = open, policy.Wear{Erases: 100}
		},
		"update region writable":  func(p *policy.Policy) { p.Region("firmware").Write = open },
		"erase without a ledger":  func(p *policy.Policy) { p.Region("env").Wear = policy.Wear{} },
		"ledger beyond endurance": func(p *policy.Policy) { p.Region("env").Wear.Erases = 1 << 31 },
	}
}
