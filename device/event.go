package device

import (
	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/order"
)

// EventKind names what happened. The names are stable.
type EventKind string

// Events.
const (
	EventBoot        EventKind = "boot"        // Open has finished
	EventDegraded    EventKind = "degraded"    // and why
	EventDevelopment EventKind = "development" // development keys or mode, at each start
	EventAccepted    EventKind = "accepted"    // an order acted
	EventRefused     EventKind = "refused"     // a message did not
	EventSession     EventKind = "session"     // one was opened
	EventSessionEnd  EventKind = "session-end"
	EventDenied      EventKind = "denied"   // an access of a host or session
	EventFrozen      EventKind = "frozen"   // by the operator
	EventNarrowed    EventKind = "narrowed" // by the watchdog
	EventRestored    EventKind = "restored" // the heartbeat is back
	EventAnchor      EventKind = "anchor"   // did not answer
	EventAudit       EventKind = "audit"    // full or not whole
	EventRepaired    EventKind = "repaired" // a verbatim copy was written again
	EventEnded       EventKind = "ended"    // decommissioned
)

// Event is one thing that happened. Fields that do not apply are zero. It never
// holds a secret.
type Event struct {
	Kind    EventKind
	Text    string // for people
	Err     error
	Order   order.Kind
	Digest  [32]byte // of the order
	Session order.SessionID
	Denial  nanolock.Denial // EventDenied
}

func (d *Device) tell(e Event) {
	if d.set != nil && d.set.OnEvent != nil {
		d.set.OnEvent(e)
	}
}
