// Package hclogger writes what a device tells to a go-hclog logger.
//
//	device.Open(ctx, mem, keys, &device.Config{OnEvent: hclogger.New(logger)})
package hclogger

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/order"
)

// Quiet is how long denials are only counted after one was written: a host that
// floods the lock must not flood the log.
const Quiet = 10 * time.Second

// level of each kind; a kind that is not here is written at info.
var level = map[device.EventKind]hclog.Level{
	device.EventDegraded:    hclog.Error,
	device.EventDevelopment: hclog.Warn,
	device.EventRefused:     hclog.Warn,
	device.EventDenied:      hclog.Warn,
	device.EventFrozen:      hclog.Warn,
	device.EventNarrowed:    hclog.Warn,
	device.EventAnchor:      hclog.Warn,
	device.EventAudit:       hclog.Warn,
	device.EventSession:     hclog.Debug,
	device.EventSessionEnd:  hclog.Debug,
}

// New returns what to put into device.Config.OnEvent. A nil logger writes nothing.
func New(l hclog.Logger) func(device.Event) {
	if l == nil {
		l = hclog.NewNullLogger()
	}
	a := &adapter{log: l, now: time.Now}
	return a.tell
}

type adapter struct {
	log hclog.Logger
	now func() time.Time

	mu      sync.Mutex
	last    time.Time
	skipped int
}

func (a *adapter) tell(e device.Event) {
	lvl, ok := level[e.Kind]
	if !ok {
		lvl = hclog.Info
	}
	skipped := 0
	if e.Kind == device.EventDenied {
		if skipped, ok = a.speak(); !ok {
			return
		}
	}
	a.log.Log(lvl, string(e.Kind), fields(e, skipped)...)
}

// speak tells whether a denial is written, and how many were not since the last.
func (a *adapter) speak() (skipped int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if !a.last.IsZero() && now.Sub(a.last) < Quiet {
		a.skipped++
		return 0, false
	}
	skipped, a.skipped, a.last = a.skipped, 0, now
	return skipped, true
}

// fields are what of the event is set.
func fields(e device.Event, skipped int) (f []any) {
	add := func(set bool, key string, v any) {
		if set {
			f = append(f, key, v)
		}
	}
	add(e.Text != "", "text", e.Text)
	add(e.Order != 0, "order", e.Order.String())
	add(e.Digest != [32]byte{}, "digest", fmt.Sprintf("%x", e.Digest))
	add(e.Session != order.SessionID{}, "session", fmt.Sprintf("%x", e.Session[:4]))
	add(e.Err != nil, "error", e.Err)
	add(e.Kind == device.EventDenied, "offset", e.Denial.Off)
	add(e.Kind == device.EventDenied, "length", e.Denial.Len)
	add(e.Kind == device.EventDenied, "handle", e.Denial.Handle)
	add(skipped > 0, "skipped", skipped)
	return f
}
