package broken

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/vault"
)

// Deliver is the courier port.
func (m *model) Deliver(msg []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.is("port-freezes") && len(msg) == 3 && msg[0] == 0x82 && msg[1] == 9:
		m.s.Frozen = true
		m.lock.Freeze()
	case m.is("port-thaws") && len(msg) == 3 && msg[0] == 0x82 && msg[1] == 10:
		m.s.Frozen = false
		_ = m.lock.SetPolicy(m.pol, m.s.Life)
	}
	req, err := order.ParseRequest(msg)
	if err != nil {
		if !m.is("lengths-believed") && !m.is("nesting-panics") {
			return nil, err
		}
		req = &order.Request{Type: order.ReqDeliver, Body: msg}
	}
	r, err := m.request(req)
	r.Type = req.Type
	if err != nil {
		code := order.NotAllowed
		if errors.Is(err, errBusy) {
			code = order.Busy
		}
		r = order.Reply{Type: req.Type, Code: code, Detail: err.Error()}
	}
	out, merr := r.MarshalBinary()
	return out, errors.Join(err, merr)
}

func (m *model) request(req *order.Request) (order.Reply, error) {
	switch req.Type {
	case order.ReqDeliver:
		return m.apply(req.Body)
	case order.ReqReport:
		b, err := m.report(req.Body)
		return order.Reply{Report: b}, err
	case order.ReqChallenge:
		if m.why == nil && m.ring[req.Authority] == nil || m.why != nil && (m.latch.Root == [32]byte{} || req.Authority != order.Owner) {
			return order.Reply{}, errRefused
		}
		m.count("challenges-to-flash")
		if m.is("challenge-renewed") {
			m.nonce++
		}
		return order.Reply{Challenge: m.challenge(req.Authority, req.Class)}, nil
	}
	return order.Reply{}, errRefused
}

// name is whose counter an order spends.
func (m *model) name(authority string, c order.Class, k order.Kind) string {
	n := fmt.Sprintf("%d/%s/%d", m.latch.Epoch, authority, c)
	if m.is("counters-per-kind") {
		n += "/" + k.String()
	}
	return n
}

// challenge is what an opening order answers now.
func (m *model) challenge(authority string, c order.Class) [32]byte {
	h := hmac.New(sha256.New, m.ask[:])
	n := m.live
	if c != order.ClassLive && m.why == nil {
		n = m.spent(authority, c)
	}
	if m.is("challenge-classless") {
		c = 9
		n = 0
	}
	if m.is("challenge-nameless") {
		authority, n = "", 0
	}
	if m.is("orders-remembered") {
		n = 0
	}
	fmt.Fprintln(h, m.latch.Epoch, authority, c, n, m.nonce)
	if (c == order.ClassLive && !m.is("live-for-ever")) || m.why != nil {
		h.Write(m.boot[:])
	}
	if m.is("live-for-ever") && c == order.ClassLive {
		return [32]byte{1}
	}
	return [32]byte(h.Sum(nil))
}

// spent counts what of a class was accepted.
func (m *model) spent(authority string, c order.Class) uint64 {
	n := m.s.Counters[m.name(authority, c, 0)]
	if m.is("void-spares-challenges") {
		n = m.s.Counters[m.name(authority, c, 0)+"!"]
	}
	return n
}

// fresh tells whether an order is new, and marks it spent in next.
func (m *model) fresh(s *said, next *state) error {
	if s.NotAfter != 0 && !m.is("not-after-unread") {
		now := m.unix + m.p.Config.Tick() - m.at
		if m.unix == 0 && !m.is("no-time-no-end") || m.unix != 0 && now > s.NotAfter {
			return fmt.Errorf("%w: over, or the time is not known", errRefused)
		}
	}
	if s.batch && m.is("batches-unspent") {
		return nil
	}
	c := s.Kind.Class()
	if c == order.ClassLive {
		if want := m.challenge(s.Authority, c); !hmac.Equal(want[:], s.Fresh.Challenge) {
			return errRefused
		}
		m.live++
		return nil
	}
	name := m.name(s.Authority, c, s.Kind)
	now := m.s.Counters[name]
	if !s.Kind.Opening() {
		to := s.Fresh.Counter
		switch {
		case m.is("counters-differ") && to != now:
		case to <= now, to-now > vault.MaxStep && !m.is("step-unbounded"):
			return fmt.Errorf("%w: counter %d, is at %d", errRefused, to, now)
		}
		next.Counters[name] = to
		return nil
	}
	if want := m.challenge(s.Authority, c); !hmac.Equal(want[:], s.Fresh.Challenge) {
		return fmt.Errorf("%w: another challenge", errRefused)
	}
	m.gap()
	if m.is("challenge-unspent") || m.is("thaw-unspent") && s.Kind == order.Thaw {
		return nil
	}
	if m.is("orders-remembered") || m.is("challenge-classless") || m.is("challenge-nameless") {
		for _, d := range m.s.Used {
			if d == s.digest {
				return errRefused
			}
		}
		next.Used = append(next.Used, s.digest)
	}
	name = m.name(s.Authority, c, 0)
	next.Counters[name] = m.s.Counters[name] + 1
	next.Counters[name+"!"]++
	return nil
}

// report says what the device is.
func (m *model) report(nonce []byte) ([]byte, error) {
	m.count("reports-to-flash")
	m.seq++
	r := &order.Report{Nonce: nonce, Device: m.id, Boot: m.boot, Uptime: m.p.Config.Tick(), Seq: m.seq,
		Epoch: uint32(m.latch.Epoch), VaultEpoch: uint32(m.latch.Epoch), State: 2}
	if m.why != nil {
		r.Health = order.VaultLost
		return order.SignReport(context.Background(), r, m.p.Keys)
	}
	b, err := m.pol.MarshalBinary()
	if err != nil {
		return nil, err
	}
	r.PolicyVersion, r.PolicyDigest, r.State = m.pol.Version, sha256.Sum256(b), uint8(m.s.Life)
	if m.s.Frozen {
		r.Health |= order.Frozen
	}
	if m.s.RMA && !m.is("rma-unremembered") {
		r.Health |= order.WasRMA
	}
	return order.SignReport(context.Background(), r, m.p.Keys)
}
