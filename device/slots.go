package device

import (
	"encoding/binary"
	"fmt"

	"github.com/nanolock/nanolock/vault"
)

// What the device keeps in numbered slots of its vault. The numbers are on the
// flash: never give one a second meaning.
const (
	slotDocument     = 1 // set, digest of the policy order in force
	slotFrozen       = 2 // 1: the operator froze the device
	slotRMA          = 3 // 1: it has been in rma
	slotAudit        = 4 // sequence and tag of the audit chain
	slotRevoked      = 5 // ids of keys, 32 bytes each
	slotLedger       = 6 // seconds of uptime that the running periods have seen
	slotCertificate  = 7 // set, digest
	slotAcknowledged = 8 // sequence up to which the audit chain may go
	slotUnanchored   = 9 // 1: the vault was made without an anchor
)

// document says where a verbatim document is.
type document struct {
	set    uint8
	digest [32]byte
}

func (c document) bytes() []byte { return append([]byte{c.set}, c.digest[:]...) }

func parseDocument(p []byte) (c document, ok bool) {
	if len(p) != 33 || p[0] > 1 {
		return c, false
	}
	c.set = p[0]
	copy(c.digest[:], p[1:])
	return c, true
}

// other is the set in which the next document goes.
func (c document) other() uint8 { return 1 - c.set }

func putFlag(slot uint16, on bool) vault.Change {
	if on {
		return vault.PutSlot(slot, []byte{1}).Owner()
	}
	return vault.PutSlot(slot, nil).Owner()
}

func isSet(s vault.Snapshot, slot uint16) bool {
	p := s.Slot(slot)
	return len(p) == 1 && p[0] == 1
}

// maxRevoked is how many keys may be revoked at a time: so many fit into the room
// that the vault keeps for its owner. A policy without the keys makes room again.
const maxRevoked = 6

func revoked(s vault.Snapshot) (ids [][32]byte) {
	p := s.Slot(slotRevoked)
	for ; len(p) >= 32; p = p[32:] {
		ids = append(ids, [32]byte(p))
	}
	return ids
}

func putRevoked(ids [][32]byte) vault.Change {
	var p []byte
	for _, id := range ids {
		p = append(p, id[:]...)
	}
	return vault.PutSlot(slotRevoked, p).Owner()
}

func putAudit(a *vault.AuditLog) []vault.Change {
	if a == nil {
		return nil
	}
	seq, tag := a.Head()
	p := binary.LittleEndian.AppendUint64(nil, seq)
	return []vault.Change{vault.PutSlot(slotAudit, append(p, tag[:]...)).Owner()}
}

func auditHead(s vault.Snapshot) (seq uint64, tag [16]byte) {
	if p := s.Slot(slotAudit); len(p) == 24 {
		seq = binary.LittleEndian.Uint64(p)
		copy(tag[:], p[8:])
	}
	return seq, tag
}

// intents: what an order that takes more than one record still has to do.
type intent struct {
	kind   uint8
	doc    document // kinds of a new owner
	root   [32]byte
	epoch  uint32
	state  uint8 // lifecycle
	digest [32]byte
}

const (
	intentOwner     = 1 // a new owner, or new keys of the owner: vault epoch, latch
	intentLifecycle = 2 // wipe, then the state
	intentProvision = 3 // the first owner: the latch
)

func (in intent) record() vault.Intent {
	p := append(in.doc.bytes(), in.root[:]...)
	p = binary.LittleEndian.AppendUint32(p, in.epoch)
	p = append(append(p, in.state), in.digest[:]...)
	return vault.Intent{Kind: in.kind, Body: p}
}

func parseIntent(v vault.Intent) (in intent, err error) {
	if len(v.Body) != 33+32+4+1+32 || v.Kind < intentOwner || v.Kind > intentProvision {
		return in, fmt.Errorf("device: intent %d of %d bytes: %w", v.Kind, len(v.Body), vault.ErrVersion)
	}
	in.kind = v.Kind
	in.doc, _ = parseDocument(v.Body[:33])
	copy(in.root[:], v.Body[33:])
	in.epoch = binary.LittleEndian.Uint32(v.Body[65:])
	in.state = v.Body[69]
	copy(in.digest[:], v.Body[70:])
	return in, nil
}

// intentRoom is what vault.Options.Intent reserves.
const intentRoom = 128
