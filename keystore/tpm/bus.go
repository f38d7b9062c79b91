package tpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// errSilent: no reply within the bound. errGarbled: a reply that no TPM sends.
var (
	errSilent  = errors.New("the TPM does not answer")
	errGarbled = errors.New("the reply is not one of a TPM")
	errHung    = fmt.Errorf("%w in time", errSilent)
)

// bus puts one command at a time on a transport that may hang, die or lie. A command
// whose reply does not come in time keeps the bus until it does: its late reply must
// not be taken for the next command's.
type bus struct {
	tpm     transport.TPM
	timeout time.Duration
	free    chan struct{} // holds one token while no command is under way

	mu      sync.Mutex
	orphans []tpm2.TPMHandle // made by commands that nobody waited for
	suspect bool             // a reply that may have named a handle was lost
}

func newBus(t transport.TPM, timeout time.Duration) *bus {
	b := &bus{tpm: t, timeout: timeout, free: make(chan struct{}, 1)}
	b.free <- struct{}{}
	return b
}

type reply struct {
	b   []byte
	err error
}

// send runs one command and returns within the timeout, or when ctx ends.
func (b *bus) send(ctx context.Context, cmd []byte) ([]byte, error) {
	timer := time.NewTimer(b.timeout)
	defer timer.Stop()
	select {
	case <-b.free:
	case <-timer.C:
		return nil, errHung
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done := make(chan reply, 1)
	late := make(chan struct{})
	go func() {
		r := b.exchange(cmd)
		done <- r
		select {
		case <-late:
			b.adopt(cmd, r)
		default:
		}
		b.free <- struct{}{}
	}()
	var err error
	select {
	case r := <-done:
		if makesHandle(cmd) && (r.err != nil || binary.BigEndian.Uint32(r.b[6:]) != 0) {
			b.lost() // nobody signs an error code: it may have worked
		}
		return r.b, r.err
	case <-timer.C:
		err = errHung
	case <-ctx.Done():
		err = ctx.Err()
	}
	if makesHandle(cmd) {
		b.lost()
	}
	close(late)
	return nil, err
}

// exchange checks the reply's frame; a transport that panics is one that failed.
func (b *bus) exchange(cmd []byte) (r reply) {
	defer func() {
		if p := recover(); p != nil {
			r = reply{err: fmt.Errorf("%w: the transport panicked: %v", errGarbled, p)}
		}
	}()
	out, err := b.tpm.Send(cmd)
	switch {
	case err != nil:
		return reply{err: fmt.Errorf("%w: %w", errSilent, err)}
	case len(out) < 10 || int64(binary.BigEndian.Uint32(out[2:])) != int64(len(out)):
		return reply{err: errGarbled}
	}
	return reply{b: out}
}

// adopt takes the handle out of a reply that nobody waited for.
func (b *bus) adopt(cmd []byte, r reply) {
	if r.err == nil && makesHandle(cmd) && len(r.b) >= 14 && binary.BigEndian.Uint32(r.b[6:]) == 0 {
		b.orphan(tpm2.TPMHandle(binary.BigEndian.Uint32(r.b[10:])))
	}
}

func (b *bus) orphan(h tpm2.TPMHandle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orphans = append(b.orphans, h)
}

func (b *bus) lost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.suspect = true
}

// strays returns what there is to clean up, and forgets it.
func (b *bus) strays() (orphans []tpm2.TPMHandle, suspect bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	orphans, suspect = b.orphans, b.suspect
	b.orphans, b.suspect = nil, false
	return orphans, suspect
}

// makesHandle tells whether a command leaves something in one of the TPM's few slots.
func makesHandle(cmd []byte) bool {
	if len(cmd) < 10 {
		return false
	}
	switch tpm2.TPMCC(binary.BigEndian.Uint32(cmd[6:])) {
	case tpm2.TPMCCCreatePrimary, tpm2.TPMCCLoad, tpm2.TPMCCStartAuthSession:
		return true
	}
	return false
}
