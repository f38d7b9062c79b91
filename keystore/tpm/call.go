package tpm

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// call is one operation of the keystore: some commands, and what has to be
// flushed when it ends. It is the transport.TPM that go-tpm sees.
type call struct {
	ctx   context.Context
	bus   *bus
	sent  bool             // a command went out that may have changed something
	hung  bool             // a command took too long: do not wait for others as well
	flush []tpm2.TPMHandle // in order of making
}

// Send implements transport.TPM.
func (c *call) Send(cmd []byte) ([]byte, error) {
	if c.hung {
		return nil, errHung
	}
	b, err := c.bus.send(c.ctx, cmd)
	c.hung = errors.Is(err, errHung)
	return b, err
}

var _ transport.TPM = (*call)(nil)

// run executes one command. go-tpm parses what a hostile transport sent: a panic
// there is a garbled reply here.
func run[R any, C interface {
	Execute(transport.TPM, ...tpm2.Session) (*R, error)
}](c *call, cmd C, s ...tpm2.Session) (r *R, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.bus.lost()
			r, err = nil, fmt.Errorf("%w: %v", errGarbled, p)
		}
	}()
	return cmd.Execute(c, s...)
}

// own remembers a handle that end flushes.
func (c *call) own(h tpm2.TPMHandle) { c.flush = append(c.flush, h) }

// end flushes what the call made, newest first, also if its context is done. What
// cannot be flushed now is an orphan.
func (c *call) end() {
	c.ctx = context.Background()
	for i := len(c.flush) - 1; i >= 0; i-- {
		_, err := run(c, flushContext{c.flush[i]})
		switch {
		case err == nil:
		case tpmCode(err) != 0:
			c.bus.lost() // the reply that named the handle was not the TPM's
		default:
			c.bus.orphan(c.flush[i])
		}
	}
	c.flush = nil
}

// flushContext gives FlushContext the form of the other commands.
type flushContext struct{ h tpm2.TPMHandle }

func (f flushContext) Execute(t transport.TPM, _ ...tpm2.Session) (*tpm2.FlushContextResponse, error) {
	return tpm2.FlushContext{FlushHandle: f.h}.Execute(t)
}

// tidy flushes what earlier calls could not, before this one needs the slots.
// ours are the names of the objects that only this keystore loads; if the reply to
// a session's start was lost, all loaded sessions go: without a resource manager in
// between, the transport is this keystore's alone.
func (c *call) tidy(ours func(name []byte) bool) {
	orphans, suspect := c.bus.strays()
	for _, h := range orphans {
		if _, err := run(c, flushContext{h}); tpmCode(err) == 0 && err != nil {
			c.bus.orphan(h)
		}
	}
	if !suspect {
		return
	}
	for _, h := range c.handles(0x80000000) {
		if r, err := run(c, tpm2.ReadPublic{ObjectHandle: h}); err == nil && ours(r.Name.Buffer) {
			_, err = run(c, flushContext{h})
			c.retry(err)
		} else if err != nil {
			c.retry(err)
		}
	}
	for _, h := range c.handles(0x02000000) {
		_, err := run(c, flushContext{h})
		c.retry(err)
	}
}

// retry leaves the tidying to the next call if the TPM could not be asked.
func (c *call) retry(err error) {
	if err != nil && tpmCode(err) == 0 {
		c.bus.lost()
	}
}

// handles lists the handles of a kind, by its first.
func (c *call) handles(first uint32) (list []tpm2.TPMHandle) {
	r, err := run(c, tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 64})
	if err != nil {
		c.retry(err)
		return nil
	}
	if h, err := r.CapabilityData.Data.Handles(); err == nil {
		for _, one := range h.Handle {
			if uint32(one)>>24 == first>>24 || first == 0x02000000 && uint32(one)>>24 == 0x03 {
				list = append(list, one)
			}
		}
	}
	return list
}
