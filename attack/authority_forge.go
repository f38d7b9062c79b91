package attack

import (
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
)

// Envelopes and leaves as an attacker makes them: nothing here asks whether they
// are sound.

// half is one signature of an envelope.
type half struct {
	alg       int64
	kid       []byte
	signature []byte
}

// halves are the signatures of a person over a payload.
func (s *Scene) halves(who *cose.Signer, d cose.Domain, payload []byte) (out []half) {
	ids := who.Public().Thumbprints()
	for i, alg := range who.Public().Suite().Algs() {
		h := half{alg: int64(alg), kid: ids[i][:]}
		sig, err := who.SignHalf(alg, toSign(h, d, payload))
		s.ensure(err, "no signature")
		h.signature = sig
		out = append(out, h)
	}
	return out
}

func (h half) protected() []byte {
	b := cbor.AppendInt(cbor.AppendInt(cbor.AppendMap(nil, 2), 1), h.alg)
	return cbor.AppendBytes(cbor.AppendInt(b, 4), h.kid)
}

func toSign(h half, d cose.Domain, payload []byte) []byte {
	t := cose.SigStructure{Context: cose.InSign, Sign: h.protected(), AAD: []byte(d), Payload: payload}
	return t.Append(nil)
}

// envelope is a COSE_Sign of a payload (RFC 9052 §4.1).
func envelope(payload []byte, sigs ...half) []byte {
	b := cbor.AppendArray(cbor.AppendTag(nil, 98), 4)
	b = cbor.AppendMap(cbor.AppendBytes(b, nil), 0)
	b = cbor.AppendArray(cbor.AppendBytes(b, payload), len(sigs))
	for _, h := range sigs {
		b = cbor.AppendBytes(cbor.AppendArray(b, 3), h.protected())
		b = cbor.AppendBytes(cbor.AppendMap(b, 0), h.signature)
	}
	return b
}

// payload encodes an order.
func (s *Scene) payload(o *order.Order) []byte {
	b, err := o.MarshalBinary()
	s.ensure(err, "an order has no encoding")
	return b
}

// sealed is any payload under the signatures of people.
func (s *Scene) sealed(payload []byte, d cose.Domain, who ...*cose.Signer) []byte {
	var all []half
	for _, p := range who {
		all = append(all, s.halves(p, d, payload)...)
	}
	return envelope(payload, all...)
}

// graft takes the envelope of one leaf and all else of another.
func graft(signed, rest []byte) []byte {
	from, other := cbor.NewDecoder(signed), cbor.NewDecoder(rest)
	from.ArrayOf(4)
	other.ArrayOf(4)
	env := from.Raw()
	other.Raw()
	b := append(cbor.AppendArray(nil, 4), env...)
	for range 3 {
		b = append(b, other.Raw()...)
	}
	return b
}

// leafOf is the only leaf of a batch that was made by hand: package order refuses
// to make it.
func (s *Scene) leafOf(o *order.Order, who *cose.Signer) []byte {
	p := s.payload(o)
	root := leafHash(p)
	b := cbor.AppendInt(cbor.AppendInt(cbor.AppendMap(nil, 4), 1), 1)
	b = cbor.AppendInt(cbor.AppendInt(b, 2), int64(order.Batch))
	b = cbor.AppendBytes(cbor.AppendInt(b, 3), root[:])
	b = cbor.AppendInt(cbor.AppendInt(b, 4), 1)
	m := cbor.AppendBytes(cbor.AppendArray(nil, 4), s.sealed(b, cose.Batch, who))
	m = cbor.AppendInt(cbor.AppendBytes(m, p), 0)
	return cbor.AppendArray(m, 0)
}
