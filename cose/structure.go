package cose

import "github.com/nanolock/nanolock/internal/cbor"

// Domain keeps apart what one key might be asked to sign: its bytes are the
// external_aad of every signature, so that a signature in one domain is none in
// another (RFC 9052 §4.3). It must not be empty.
type Domain string

// The domains of version 1 of the wire.
const (
	Order       Domain = "nanolock/1/order"
	Batch       Domain = "nanolock/1/batch"
	Report      Domain = "nanolock/1/report"
	Enrol       Domain = "nanolock/1/enrol"
	Hello       Domain = "nanolock/1/hello"
	Block       Domain = "nanolock/1/block"
	OperatorLog Domain = "nanolock/1/operator-log"
)

// The contexts of a SigStructure.
const (
	InSign  = "Signature"  // a signature of a COSE_Sign
	InSign1 = "Signature1" // that of a COSE_Sign1
)

// SigStructure is what a COSE signature is over (RFC 9052 §4.4).
type SigStructure struct {
	Context string // InSign or InSign1
	Body    []byte // protected header of the body as encoded; empty if the map is
	Sign    []byte // protected header of the signer as encoded; InSign alone has it
	AAD     []byte
	Payload []byte
}

// Append appends the bytes to be signed.
func (s *SigStructure) Append(b []byte) []byte {
	n := 4
	if s.Context == InSign {
		n = 5
	}
	b = cbor.AppendText(cbor.AppendArray(b, n), s.Context)
	b = cbor.AppendBytes(b, s.Body)
	if s.Context == InSign {
		b = cbor.AppendBytes(b, s.Sign)
	}
	b = cbor.AppendBytes(b, s.AAD)
	return cbor.AppendBytes(b, s.Payload)
}

// tbsOverhead is more than a SigStructure of ours takes beside aad and payload:
// five heads, the context, a protected header.
const tbsOverhead = 96

// appendTBS appends what a half of which protected is the header signs. The
// body's header is empty, and the empty map is encoded as no bytes (RFC 9052 §3).
func appendTBS(b, protected []byte, d Domain, payload []byte) []byte {
	s := SigStructure{Context: InSign, Sign: protected, AAD: []byte(d), Payload: payload}
	return s.Append(b)
}
