package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
)

// state is what the blob holds. None of it is secret: private areas are encrypted
// by the TPM under its storage key. All of it is checked against the TPM.
type state struct {
	persist  uint32 // EK; the storage key is at the next
	nv       uint32 // counter; the two latch indices are at the next
	pcrs     uint32 // bit n: PCR n
	ek       []byte // TPMT_PUBLIC
	srkName  []byte
	private  [objects][]byte // TPM2B_PRIVATE without its length
	public   [objects][]byte // TPMT_PUBLIC
	signing  []byte          // Identity.Public
	encap    []byte          // Identity.Encap
	evidence []byte
}

// The blob: magic 8 ‖ persist u32 ‖ nv u32 ‖ pcrs u32, then each field of state in
// order as u16 length and bytes, then SHA-256 of all that. Big-endian, as the TPM is.
const (
	blobMagic = "NLTPM2\x00\x02"
	blobMax   = 16 << 10
)

func (s *state) fields() []*[]byte {
	list := []*[]byte{&s.ek, &s.srkName}
	for i := range objects {
		list = append(list, &s.private[i], &s.public[i])
	}
	return append(list, &s.signing, &s.encap, &s.evidence)
}

func (s *state) encode() []byte {
	b := []byte(blobMagic)
	for _, n := range []uint32{s.persist, s.nv, s.pcrs} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	for _, f := range s.fields() {
		b = binary.BigEndian.AppendUint16(b, uint16(len(*f)))
		b = append(b, *f...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decode is ErrCorrupt for anything that encode does not write.
func decode(b []byte) (*state, error) {
	bad := fault("open", keystore.ErrCorrupt, nil)
	if len(b) == 0 {
		return nil, fault("open", keystore.ErrAbsent, nil)
	}
	if len(b) > blobMax || len(b) < 20+32 || string(b[:8]) != blobMagic {
		return nil, bad
	}
	body, sum := b[:len(b)-32], sha256.Sum256(b[:len(b)-32])
	if !bytes.Equal(sum[:], b[len(b)-32:]) {
		return nil, bad
	}
	s := &state{persist: binary.BigEndian.Uint32(body[8:]), nv: binary.BigEndian.Uint32(body[12:]), pcrs: binary.BigEndian.Uint32(body[16:])}
	rest := body[20:]
	for _, f := range s.fields() {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return nil, bad
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		*f, rest = bytes.Clone(rest[2:n]), rest[n:]
	}
	if len(rest) != 0 || s.check() != nil {
		return nil, bad
	}
	return s, nil
}

// check parses what Open will need.
func (s *state) check() error {
	bad := fault("open", keystore.ErrCorrupt, nil)
	if s.pcrs>>24 != 0 || s.persist>>24 != 0x81 || s.nv>>24 != 0x01 || len(s.srkName) != 34 {
		return bad
	}
	for _, b := range append(s.public[:], s.ek) {
		if _, err := parsePublic(b); err != nil {
			return bad
		}
	}
	for _, obj := range []int{objSign, objDH, objAK} {
		if point(s.public[obj]) == nil {
			return bad
		}
	}
	if !s.identity().Valid() || point(s.ek) == nil {
		return bad
	}
	return nil
}

func (s *state) identity() keystore.Identity {
	return keystore.Identity{Suite: keystore.ESP256MLDSA65, Public: s.signing, KEM: keystore.MLKEM768P256,
		Encap: s.encap, Class: keystore.Hardware, Evidence: s.evidence}.Clone()
}

func (s *state) ekHandle() tpm2.TPMHandle  { return tpm2.TPMHandle(s.persist) }
func (s *state) srkHandle() tpm2.TPMHandle { return tpm2.TPMHandle(s.persist + 1) }

func (s *state) ekName() []byte { return nameOf(s.ek) }

// ours tells whether name is that of a child.
func (s *state) ours(name []byte) bool {
	for _, p := range s.public {
		if bytes.Equal(nameOf(p), name) {
			return true
		}
	}
	return false
}

func (s *state) pcrList() (list []uint) {
	for i := range uint(24) {
		if s.pcrs>>i&1 == 1 {
			list = append(list, i)
		}
	}
	return list
}

// parsePublic unmarshals a TPMT_PUBLIC; go-tpm may panic on what no TPM wrote.
func parsePublic(b []byte) (p *tpm2.TPMTPublic, err error) {
	defer func() {
		if recover() != nil {
			p, err = nil, errGarbled
		}
	}()
	p, err = tpm2.Unmarshal[tpm2.TPMTPublic](b)
	if err == nil && !bytes.Equal(tpm2.Marshal(p), b) {
		return nil, errGarbled
	}
	return p, err
}

// nameOf is the name of an object of nameAlg SHA-256 (part 1 §16).
func nameOf(public []byte) []byte {
	sum := sha256.Sum256(public)
	return append([]byte{0x00, 0x0b}, sum[:]...)
}

// point is the uncompressed point of a P-256 public area; nil if it is none.
func point(public []byte) []byte {
	p, err := parsePublic(public)
	if err != nil || p.Type != tpm2.TPMAlgECC {
		return nil
	}
	u, err := p.Unique.ECC()
	if err != nil || len(u.X.Buffer) > 32 || len(u.Y.Buffer) > 32 {
		return nil
	}
	out := make([]byte, 65)
	out[0] = 4
	copy(out[33-len(u.X.Buffer):33], u.X.Buffer)
	copy(out[65-len(u.Y.Buffer):], u.Y.Buffer)
	return out
}
