package attack

import (
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// judge decides about a physical change: is there somebody who may ask for it?
// It books what was used and records a breach otherwise. Caller holds mu.
func (c *chip) judge(op nvm.Op, feet []nvm.Span) bool {
	who := c.live
	if c.actor != nil {
		who = []*subject{c.actor}
	}
	var spans []nvm.Span // host addresses
	for _, f := range feet {
		spans = append(spans, c.hostSpans(f)...)
	}
	var first *Breach
	for _, s := range who {
		b := c.refuse(s, op, feet, spans)
		if b == nil {
			if s.window.Len == 0 {
				c.book(s, op, spans)
			}
			return true
		}
		if first == nil {
			first = b
		}
	}
	if first == nil {
		region, rule := c.m.where(feet[0].Off, op)
		first = &Breach{What: op.String() + " reached the memory when nobody had any right", Region: region, Span: feet[0], Rule: rule}
	}
	first.Before = c.digest(first.Span)
	c.fail(*first)
	return false
}

// judgeForever decides whether anybody may destroy a block for good.
func (c *chip) judgeForever(block nvm.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who := c.live
	if c.actor != nil {
		who = []*subject{c.actor}
	}
	for _, s := range who {
		if s.window.Len != 0 || c.m.forever(s, block) {
			return
		}
	}
	region, rule := c.m.where(block.Off, nvm.Erase)
	c.fail(Breach{What: "a block was marked bad without a grant", Region: region, Span: block, Rule: rule})
}

// hostSpans translates a physical footprint, block by block.
func (c *chip) hostSpans(f nvm.Span) (out []nvm.Span) {
	if len(c.m.active) == 0 {
		return []nvm.Span{f}
	}
	c.m.pieces(&subject{}, nvm.Erase, f, func(p nvm.Span) bool {
		out = append(out, nvm.Span{Off: c.m.logical(p.Off), Len: p.Len})
		return true
	})
	return out
}

// refuse says why s may not cause the change, nil if it may.
func (c *chip) refuse(s *subject, op nvm.Op, feet, spans []nvm.Span) *Breach {
	if s.window.Len != 0 {
		return c.refuseWindow(s, op, feet)
	}
	var need int64
	for _, span := range spans {
		if span.Off < 0 {
			return &Breach{What: op.String() + " of the slot that is not in use", Span: feet[0]}
		}
		if bad, ok := c.m.all(s, op, span); !ok {
			region, rule := c.m.where(bad.Off, op)
			return &Breach{What: op.String() + " changed protected bytes", Region: region, Span: bad, Rule: rule}
		}
		if b := c.refuseWear(op, span); b != nil {
			return b
		}
		need += c.m.granted(s, op, span)
	}
	if need > s.budget(op) {
		return &Breach{What: op.String() + " beyond the session's budget", Span: feet[0]}
	}
	return nil
}

// refuseWindow: the trusted side changes what it has a window to, but for a slot
// in use.
func (c *chip) refuseWindow(s *subject, op nvm.Op, feet []nvm.Span) *Breach {
	for _, f := range feet {
		if s.ended || !s.window.Contains(f) {
			return &Breach{What: op.String() + " outside the area's window", Span: f}
		}
		if r := c.m.region(c.m.logical(f.Off)); r != nil && r.Update != nil {
			return &Breach{What: op.String() + " of the slot in use", Region: r.Name, Span: f, Rule: "area: the slot in use is not changed under the host"}
		}
	}
	return nil
}

// refuseWear holds the ledgers, and that what is used was durable before.
func (c *chip) refuseWear(op nvm.Op, span nvm.Span) *Breach {
	for r, cost := range c.m.costs(op, span) {
		limit, _ := c.m.limit(r)
		u := c.m.of(r.ID)
		rule := "region \"" + r.Name + "\": wear"
		if u.erases > limit || cost > limit-u.erases {
			return &Breach{What: "more erases than the wear ledger allows", Region: r.Name, Span: span, Rule: rule}
		}
		if c.store[r.ID].Erases < u.erases+cost {
			return &Breach{What: "an erase was not durable in the ledger before it happened", Region: r.Name, Span: span, Rule: rule}
		}
	}
	if op != nvm.Write {
		return nil
	}
	var b *Breach
	c.m.pieces(&subject{}, op, span, func(p nvm.Span) bool {
		r := c.m.region(p.Off)
		if r != nil && r.AccessIn(c.m.state).Write.Mode == policy.Append && c.store[r.ID].Mark < p.End()-r.Span.Off {
			b = &Breach{What: "the mark was not durable before the program", Region: r.Name, Span: p, Rule: "region \"" + r.Name + "\": write: append"}
		}
		return b == nil
	})
	return b
}

// book notes what a change has used.
func (c *chip) book(s *subject, op nvm.Op, spans []nvm.Span) {
	for _, span := range spans {
		for r, cost := range c.m.costs(op, span) {
			c.m.of(r.ID).erases += cost
		}
		need := c.m.granted(s, op, span)
		if op == nvm.Erase {
			s.erases -= min(need, s.erases)
		} else {
			s.program -= min(need, s.program)
		}
		c.m.pieces(&subject{}, op, span, func(p nvm.Span) bool {
			c.bookMark(op, p)
			return true
		})
	}
}

// bookMark follows the mark of an append region: up with each program, to zero
// when no block holds an appended byte any more.
func (c *chip) bookMark(op nvm.Op, p nvm.Span) {
	r := c.m.region(p.Off)
	if r == nil || r.AccessIn(c.m.state).Write.Mode != policy.Append {
		return
	}
	u, block := c.m.of(r.ID), c.geo.Block(p.Off).Off
	if op == nvm.Write {
		u.live[block] = true
		u.mark = max(u.mark, p.End()-r.Span.Off)
		return
	}
	delete(u.live, block)
	if len(u.live) == 0 {
		u.mark = 0
	}
}
