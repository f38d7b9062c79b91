package device

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nanolock/nanolock/order"
)

// Deliver takes one message of the courier port and returns the reply to carry
// back. The courier is nobody: what it brings is signed by somebody else, asks for
// what everybody may know, or is refused. reply is nil only if the message is no
// request; err says for the embedding code what the reply's code says.
func (d *Device) Deliver(ctx context.Context, msg []byte) (reply []byte, err error) {
	req, err := order.ParseRequest(msg)
	if err != nil {
		d.tell(Event{Kind: EventRefused, Err: err})
		return nil, err
	}
	d.mu.Lock()
	r, err := d.request(ctx, req)
	d.mu.Unlock()
	r.Type, r.Code = req.Type, CodeOf(err)
	if err != nil {
		r = order.Reply{Type: req.Type, Code: r.Code, Detail: detail(err), Kind: r.Kind, Digest: r.Digest}
	}
	out, merr := r.MarshalBinary()
	return out, errors.Join(err, merr)
}

// detailLen is what a reply says to people at most.
const detailLen = 200

func detail(err error) string {
	s := err.Error()
	if len(s) > detailLen {
		s = s[:detailLen]
	}
	return strings.ToValidUTF8(s, "")
}

func (d *Device) request(ctx context.Context, req *order.Request) (order.Reply, error) {
	if d.set == nil || d.closed {
		return order.Reply{}, ErrClosed
	}
	d.poll(ctx)
	switch req.Type {
	case order.ReqDeliver:
		return d.apply(ctx, req.Body)
	case order.ReqReport:
		b, err := d.report(ctx, req.Body, nil)
		return order.Reply{Report: b}, err
	case order.ReqChallenge:
		c, err := d.challenge(req.Authority, req.Class)
		return order.Reply{Challenge: c}, err
	}
	return order.Reply{}, fmt.Errorf("%w: request %d", ErrUnsupported, req.Type)
}

// Apply is Deliver of one order, for the embedding code.
func (d *Device) Apply(ctx context.Context, msg []byte) (order.Reply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil || d.closed {
		return order.Reply{}, ErrClosed
	}
	d.poll(ctx)
	r, err := d.apply(ctx, msg)
	r.Type, r.Code = order.ReqDeliver, CodeOf(err)
	return r, err
}

// Challenge is what an opening order of that authority and class must answer. It
// stays the same until one was accepted; nothing is written for it.
func (d *Device) Challenge(authority string, c order.Class) ([32]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil || d.closed {
		return [32]byte{}, ErrClosed
	}
	return d.challenge(authority, c)
}

func (d *Device) challenge(authority string, c order.Class) (out [32]byte, err error) {
	switch {
	case d.ks == nil || !d.latch.Set() || d.secret == (secrets{}):
		return out, fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	case c != order.ClassRoot && c != order.ClassOperate && c != order.ClassLive:
		return out, fmt.Errorf("%w: class %d takes no challenge", order.ErrMalformed, c)
	case d.degraded() && (authority != order.Owner || c != order.ClassRoot):
		return out, fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	case !d.degraded() && !d.ring.Has(authority):
		return out, fmt.Errorf("%w: %q", order.ErrAuthority, authority)
	}
	return d.expected(authority, c), nil
}

// expected is the one live challenge. That of a device without a vault dies with
// the boot: there is no counter that could outlive it.
func (d *Device) expected(authority string, c order.Class) [32]byte {
	switch {
	case d.degraded():
		return order.ChallengeOf(d.secret.challenge, d.epoch(), authority, c, d.live, append([]byte("lost"), d.boot[:]...))
	case c == order.ClassLive:
		return order.ChallengeOf(d.secret.challenge, d.epoch(), authority, c, d.live, d.boot[:])
	}
	return order.ChallengeOf(d.secret.challenge, d.epoch(), authority, c, d.counter(authority, c), nil)
}

// Counter is the last accepted value of an authority's counter; orders that carry
// one need a higher. Reports show it as well.
func (d *Device) Counter(authority string, c order.Class) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return 0, err
	}
	return d.counter(authority, c), nil
}

func (d *Device) counter(authority string, c order.Class) uint64 {
	return d.vault.Snapshot().Counter(d.counterKey(authority, c))
}
