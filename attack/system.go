package attack

import (
	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// System is a lock under attack: what *nanolock.Lock does, with handles as an
// interface so that others can stand in.
type System interface {
	Host() Handle
	Session(policy.Rights) (Handle, error)
	End(Handle)
	Freeze()
	SetPolicy(*policy.Policy, policy.State) error
	Seal(region string) error
	Usage(region string) policy.Usage
	SetUsage(region string, u policy.Usage) error
	Activate(region string, slot int) error
	Area(name string, slot int) (nvm.NVM, error)
	Explain(op nvm.Op, off, n int64) policy.Decision
	Denials() uint64
	Close() error
}

// Handle is what an attacker holds. *nanolock.Handle is one.
type Handle interface {
	nvm.NVM
	nvm.BadBlocker
	View(off, n int64) ([]byte, error)
	Close() error
}

var _ Handle = (*nanolock.Handle)(nil)

// lock is the real one as a System.
type lock struct{ *nanolock.Lock }

// Guard puts the real lock over mem. It is what a Config without New attacks.
func Guard(mem nvm.NVM, p *policy.Policy, c *nanolock.Config) (System, error) {
	l, err := nanolock.New(mem, p, c)
	if err != nil {
		return nil, err
	}
	return lock{l}, nil
}

func (l lock) Host() Handle { return l.Lock.Host() }

func (l lock) Session(r policy.Rights) (Handle, error) {
	h, err := l.Lock.Session(r)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (l lock) End(h Handle) {
	if own, ok := h.(*nanolock.Handle); ok {
		l.Lock.End(own)
	}
}
