package device

import (
	"encoding/binary"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/vault"
)

// AuditEntry is an entry of the audit chain as its reader wants it.
type AuditEntry struct {
	Seq    uint64
	At     uint64 // uptime in seconds
	Boot   [16]byte
	Kind   string   // of the order that acted; "denials", "frozen", "gap", "again"
	Order  [32]byte // its digest; zero if there is none
	Denied uint64   // accesses that were refused since the entry before
}

// ReadAudit puts an entry of the chain into words; "unknown" is a kind of a later
// version.
func ReadAudit(e vault.Entry) AuditEntry {
	a := AuditEntry{Seq: e.Seq, At: e.At, Boot: e.Boot, Kind: "unknown"}
	body := e.Body
	switch k := order.Kind(e.Kind - auditOrder); {
	case e.Kind == vault.KindGap:
		a.Kind = "gap"
		return a
	case e.Kind == vault.KindAgain:
		a.Kind = "again"
		return a
	case e.Kind == auditDenials:
		a.Kind = "denials"
	case e.Kind == auditFrozen:
		a.Kind = "frozen"
	case e.Kind > auditOrder && e.Kind < auditFrozen && k.Valid():
		a.Kind = k.String()
		if len(body) >= len(a.Order) {
			copy(a.Order[:], body)
			body = body[len(a.Order):]
		}
	}
	if len(body) == 8 {
		a.Denied = binary.LittleEndian.Uint64(body)
	}
	return a
}
