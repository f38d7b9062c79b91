package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Types of records.
const (
	typeSnapshot = 1 // all state
	typeDelta    = 2 // what a commit changed
	typeSettled  = 3 // all in front of it is complete
	typeAudit    = 4 // an entry of the audit log, which has another key
)

// Version is the format that this package writes. It reads no later one.
const Version = 1

const (
	headerLen = 20
	tagLen    = 16
	overhead  = headerLen + tagLen + tagLen // header, previous tag, own tag

	// more begins each further slot of a record. No subset of its bits and no
	// superset is a version, so that a torn one never looks like a beginning.
	more = 0xA4
	// Versions are 1..maxVersion: neither an erased nor a retired slot begins so.
	maxVersion = 0x7F
)

type tag [tagLen]byte

// header is the fixed beginning of a record, the same in every version.
type header struct {
	version, kind byte
	length        uint16 // of the body
	epoch         uint32
	seq           uint64
	block, slot   uint16
}

func (h header) put(p []byte) []byte {
	p = append(p, h.version, h.kind)
	p = binary.LittleEndian.AppendUint16(p, h.length)
	p = binary.LittleEndian.AppendUint32(p, h.epoch)
	p = binary.LittleEndian.AppendUint64(p, h.seq)
	p = binary.LittleEndian.AppendUint16(p, h.block)
	return binary.LittleEndian.AppendUint16(p, h.slot)
}

func parseHeader(p []byte) header {
	le := binary.LittleEndian
	return header{p[0], p[1], le.Uint16(p[2:]), le.Uint32(p[4:]), le.Uint64(p[8:]), le.Uint16(p[16:]), le.Uint16(p[18:])}
}

// record is one that was read and is authentic.
type record struct {
	header
	prev, tag tag
	body      []byte
	slots     int
}

// sealer makes tags. It is not safe for concurrent use.
type sealer struct {
	mac   hash.Hash
	cover func(header, []byte) []byte // the header's part of what is authenticated
	buf   [sha256.Size]byte           // here, as what goes to mac would move to the heap
}

func newSealer(key [32]byte) *sealer {
	return &sealer{mac: hmac.New(sha256.New, key[:]), cover: header.put}
}

// tag is HMAC-SHA-256/128 over previous tag ‖ header ‖ body.
func (s *sealer) tag(h header, prev tag, body []byte) (t tag) {
	s.mac.Reset()
	s.mac.Write(append(s.buf[:0], prev[:]...))
	s.mac.Write(s.cover(h, s.buf[:0]))
	s.mac.Write(body)
	copy(t[:], s.mac.Sum(s.buf[:0]))
	return t
}

// encode returns the record and its tag, and fills in its length, and its version
// if it has none.
func (s *sealer) encode(h header, prev tag, body []byte) ([]byte, tag) {
	if h.length = uint16(len(body)); h.version == 0 {
		h.version = Version
	}
	t := s.tag(h, prev, body)
	p := h.put(make([]byte, 0, len(body)+overhead))
	p = append(append(append(p, prev[:]...), body...), t[:]...)
	return p, t
}

// frame cuts a record into slots.
func (l *layout) frame(rec []byte) (slots [][]byte) {
	s := l.blank()
	rec = rec[copy(s, rec):]
	slots = append(slots, s)
	for len(rec) > 0 {
		s := l.blank()
		s[0] = more
		rec = rec[copy(s[1:], rec):]
		slots = append(slots, s)
	}
	return slots
}
