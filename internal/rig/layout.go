package rig

import (
	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// NOR is a serial NOR of 128 KiB in blocks of 4 KiB.
func NOR() sim.Config {
	return sim.Config{Name: "nor", Seed: 7, Geometry: nvm.Geometry{Size: 128 << 10, EraseSize: 4 << 10, ProgramSize: 1,
		PageSize: 256, Program: nvm.ClearBits, Erased: 0xFF, Endurance: 100_000}}
}

// ECCNOR is a NOR whose words of 16 bytes are programmed once.
func ECCNOR() sim.Config {
	c := NOR()
	c.Name, c.Geometry.Program, c.Geometry.ProgramSize, c.Geometry.PageSize = "ecc-nor", nvm.OncePage, 16, 0
	c.ECC = sim.ECC{Unit: 16, Correct: 1}
	return c
}

// NAND is a small SLC NAND: pages of 512 bytes in order, blocks of 16 KiB.
func NAND() sim.Config {
	return sim.Config{Name: "nand", Seed: 7, InOrder: true, NOP: 1, ECC: sim.ECC{Unit: 512, Correct: 4},
		Geometry: nvm.Geometry{Size: 512 << 10, EraseSize: 16 << 10, ProgramSize: 512, PageSize: 512,
			Program: nvm.OncePage, Erased: 0xFF, Endurance: 100_000, BadBlocks: true}}
}

// File is a disk that loses what was not synced.
func File() sim.Config {
	return sim.Config{Name: "file", Seed: 7, Cached: true, Geometry: nvm.Geometry{Size: 128 << 10, EraseSize: 4 << 10,
		ProgramSize: 512, Program: nvm.Rewrite, Erased: 0}}
}

// layout is the policy of the rig: in units of g, boot 2, settings 1, log 1,
// secret 2, calibration 1, and hidden at the end audit 4 and vault 16.
func (r *Rig) layout() *policy.Policy {
	geo := r.Mem.Geometry()
	g := geo.EraseSize
	at := int64(0)
	next := func(n int64) nvm.Span {
		s := nvm.Span{Off: at, Len: n * g}
		at += n * g
		return s
	}
	end := func(back, n int64) nvm.Span { return nvm.Span{Off: geo.Size - back*g, Len: n * g} }
	anyone := policy.Rule{Mode: policy.Any}
	by := func(a string) policy.Rule { return policy.Rule{Mode: policy.Grant, Authority: a} }
	p := &policy.Policy{Name: "rig", Version: 1, Memory: policy.Memory{Size: geo.Size, Granule: g, Blank: true,
		Hidden: []policy.Area{
			{ID: 90, Name: "audit", Span: end(20, 4), Kind: policy.Audit},
			{ID: 91, Name: "vault", Span: end(16, 16), Kind: policy.Vault},
		}}}
	p.Map = []policy.Region{
		{ID: 1, Name: "boot", Span: next(2), Boot: true, Access: policy.Access{Read: anyone, Write: by(order.Vendor), Erase: by(order.Vendor)}},
		{ID: 2, Name: "settings", Span: next(1), Wear: policy.Wear{Erases: 200, PerHours: 24}, Access: policy.Access{Read: anyone, Write: anyone, Erase: anyone}},
		{ID: 3, Name: "log", Span: next(1), Access: policy.Access{Read: anyone, Write: policy.Rule{Mode: policy.Append}, Erase: by(Service)}},
		{ID: 4, Name: "secret", Span: next(2), Confidential: true, Access: policy.Access{Read: by(Service), Write: by(Service), Erase: by(Service)}},
		{ID: 5, Name: "calibration", Span: next(1), Access: policy.Access{Read: anyone, Write: policy.Rule{Mode: policy.Once}, Erase: policy.Rule{}}},
	}
	r.sign(p)
	return p
}

// sign puts everybody's public keys into p.
func (r *Rig) sign(p *policy.Policy) {
	p.Authorities = nil
	for _, name := range authorities {
		a := policy.Authority{Name: name, Suite: policy.Suite(r.Suite), Threshold: 1}
		if name == order.Owner {
			a.Threshold = r.Quorum
		}
		for _, s := range r.people[name] {
			a.Keys = append(a.Keys, policy.Key{Name: name, Public: publicOf(s)})
		}
		p.Authorities = append(p.Authorities, a)
	}
}

func publicOf(s *cose.Signer) []byte { return s.Public().Bytes() }
