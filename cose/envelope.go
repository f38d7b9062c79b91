package cose

import "github.com/nanolock/nanolock/internal/cbor"

// Bounds of an envelope.
const (
	// MaxSignatures is how many signatures an envelope may hold; a hybrid
	// signer has two.
	MaxSignatures = 64
	// DefaultMaxPayload is the bound on payloads for whoever has no other.
	DefaultMaxPayload = 64 << 10

	// maxProtected is more than the longest header of a signature.
	maxProtected = 48
	// frameLen and entryLen are more than what is around a payload, and around
	// the header and the signature of an entry.
	frameLen = 24
	entryLen = 8
)

const (
	tagSign   = 98 // RFC 9052 §4.1
	headerAlg = 1  // RFC 9052 §3.1
	headerKid = 4
	kidLen    = 32
)

// Envelope is a COSE_Sign as signers handle it: a payload, verbatim, and the
// signatures so far. Nothing in it has been verified; readers call [Verify].
type Envelope struct {
	payload []byte
	entries []entry
}

// entry is one COSE_Signature.
type entry struct {
	alg       Alg // as written, so perhaps a legacy number
	kid       []byte
	protected []byte
	signature []byte
}

// New returns an envelope of payload that nobody has signed. It keeps payload,
// which must not change.
func New(payload []byte) *Envelope { return &Envelope{payload: payload} }

// Parse reads an envelope to which signatures are to be added: strictly, as
// [Verify] does, but without verifying any. A payload of more than maxPayload
// bytes is ErrMalformed. The Envelope keeps b, which must not change.
func Parse(b []byte, maxPayload int) (*Envelope, error) {
	e := new(Envelope)
	d := cbor.NewDecoder(b)
	if tag := d.Tag(); d.Err() == nil && tag != tagSign {
		return nil, refuse(ErrMalformed, "tag %d, not that of a COSE_Sign", tag)
	}
	d.ArrayOf(4)
	d.BytesOf(0) // protected header of the body
	d.Map(0)     // and the unprotected one
	e.payload = d.Bytes(maxPayload)
	n := d.Array(MaxSignatures)
	if d.Err() == nil && n > 0 {
		e.entries = make([]entry, 0, n) // bounded by MaxSignatures
	}
	for range n {
		e.entries = append(e.entries, readEntry(d))
		if d.Err() != nil {
			break
		}
	}
	if err := d.End(); err != nil {
		return nil, refuse(ErrMalformed, "%w", err)
	}
	if n == 0 {
		return nil, refuse(ErrMalformed, "no signatures")
	}
	for i := range e.entries {
		if err := e.entries[i].read(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func readEntry(d *cbor.Decoder) (e entry) {
	d.ArrayOf(3)
	e.protected = d.Bytes(maxProtected)
	d.Map(0)
	e.signature = d.Bytes(mldsa65SignatureLen)
	return e
}

// read reads the protected header, {1: alg, 4: kid} and nothing else, and holds
// the length of the signature against alg.
func (e *entry) read() error {
	d := cbor.NewDecoder(e.protected)
	d.Fields([]int64{headerAlg, headerKid}, func(label int64) bool {
		switch label {
		case headerAlg:
			e.alg = Alg(d.Int())
		case headerKid:
			e.kid = d.BytesOf(kidLen)
		default:
			return false
		}
		return true
	})
	if err := d.End(); err != nil {
		return refuse(ErrMalformed, "header of a signature: %w", err)
	}
	want := e.alg.signatureLen()
	if want == 0 {
		return refuse(ErrAlgorithm, "%v is unknown", e.alg)
	}
	if len(e.signature) != want {
		return refuse(ErrMalformed, "%d bytes for a signature of %v, want %d", len(e.signature), e.alg, want)
	}
	return nil
}

// appendProtected writes the header of a signature.
func appendProtected(b []byte, alg Alg, kid []byte) []byte {
	b = cbor.AppendMap(b, 2)
	b = cbor.AppendInt(cbor.AppendInt(b, headerAlg), int64(alg))
	return cbor.AppendBytes(cbor.AppendInt(b, headerKid), kid)
}

// Payload returns the payload. Nothing says that anybody signed it: act on what
// [Verify] returns.
func (e *Envelope) Payload() []byte { return e.payload }

// KeyIDs returns the kid of each signature, in the order of the envelope; these
// are the [PublicKey.Thumbprints] of who claims to have signed.
func (e *Envelope) KeyIDs() [][kidLen]byte {
	var ids [][kidLen]byte
	for i := range e.entries {
		ids = append(ids, [kidLen]byte(e.entries[i].kid))
	}
	return ids
}

// MarshalBinary encodes the envelope; one without signatures has no encoding.
// What Parse has read comes out as it was.
func (e *Envelope) MarshalBinary() ([]byte, error) {
	if len(e.entries) == 0 {
		return nil, refuse(ErrMalformed, "no signatures")
	}
	size := frameLen + len(e.payload)
	for i := range e.entries {
		size += entryLen + len(e.entries[i].protected) + len(e.entries[i].signature)
	}
	b := cbor.AppendTag(make([]byte, 0, size), tagSign)
	b = cbor.AppendArray(b, 4)
	b = cbor.AppendBytes(b, nil)
	b = cbor.AppendMap(b, 0)
	b = cbor.AppendBytes(b, e.payload)
	b = cbor.AppendArray(b, len(e.entries))
	for i := range e.entries {
		b = cbor.AppendArray(b, 3)
		b = cbor.AppendBytes(b, e.entries[i].protected)
		b = cbor.AppendMap(b, 0)
		b = cbor.AppendBytes(b, e.entries[i].signature)
	}
	return b, nil
}
