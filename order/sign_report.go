package order

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
)

// SignReport signs r with the device's identity, each half its own bytes. It is
// ErrMalformed if r has no encoding or is of another device than s; what s fails
// with is wrapped as it is.
func SignReport(ctx context.Context, r *Report, s keystore.Signer) ([]byte, error) {
	key, err := IdentityKey(s.Identity())
	if err != nil {
		return nil, err
	}
	if r.Device != DeviceID(key.ID()) {
		return nil, refuse(ErrMalformed, "report.ueid: not the id of who signs")
	}
	payload, err := r.marshal()
	if err != nil {
		return nil, err
	}
	e := cose.New(payload)
	tbs, err := e.ToBeSigned(cose.Report, key)
	if err != nil {
		return nil, refuseCOSE(err, ErrKeys)
	}
	sigs := make([][]byte, 0, len(tbs))
	for i := range tbs {
		sig, err := s.Sign(ctx, i, tbs[i])
		if err != nil {
			return nil, fmt.Errorf("order: signing a report: %w", err)
		}
		sigs = append(sigs, sig)
	}
	if err := e.Attach(cose.Report, key, sigs...); err != nil {
		return nil, refuseCOSE(err, ErrUnverified)
	}
	msg, err := e.MarshalBinary()
	if err != nil {
		return nil, refuseCOSE(err, ErrUnverified)
	}
	if len(msg) > MaxReport {
		return nil, refuse(ErrMalformed, "report: %d bytes: %w", len(msg), errLimit)
	}
	return msg, nil
}

// OpenReport verifies a report by the device's public key, then reads it: its
// ueid has to be the id of that key (ErrUnverified), and its nonce the one given
// (ErrNonce). nonce nil accepts any, and a report without.
//
// Everything in a report is what the device says of itself. That the device is
// one to be believed, and where its lock runs, is for its enrolment to show.
func OpenReport(msg []byte, key *cose.PublicKey, nonce []byte) (*Report, error) {
	if len(msg) > MaxReport {
		return nil, refuse(ErrMalformed, "%d bytes: %w", len(msg), errLimit)
	}
	if key == nil {
		return nil, refuse(ErrKeys, "no key")
	}
	trust := &cose.Trust{Suite: key.Suite(), Keys: []*cose.PublicKey{key}, Threshold: 1, MaxPayload: MaxReport}
	payload, _, err := cose.Verify(msg, cose.Report, trust)
	if err != nil {
		return nil, refuseCOSE(err, ErrUnverified)
	}
	r, err := readReport(payload)
	switch {
	case err != nil:
		return nil, err
	case r.Device != DeviceID(key.ID()):
		return nil, refuse(ErrUnverified, "the report is of %v", r.Device)
	case nonce != nil && !bytes.Equal(nonce, r.Nonce):
		return nil, refuse(ErrNonce, "%d bytes", len(r.Nonce))
	}
	return r, nil
}

// ParseReport reads one that nobody has verified; for tools that look the key up
// by [Report.Device] and then call [OpenReport].
func ParseReport(msg []byte) (*Report, error) {
	if len(msg) > MaxReport {
		return nil, refuse(ErrMalformed, "%d bytes: %w", len(msg), errLimit)
	}
	e, err := cose.Parse(msg, MaxReport)
	if err != nil {
		return nil, refuseCOSE(err, ErrUnverified)
	}
	return readReport(e.Payload())
}

// IdentityKey is the public key of a keystore's identity, and its id is the
// device's. ErrKeys if the identity has none that may be used.
func IdentityKey(id keystore.Identity) (*cose.PublicKey, error) {
	key, err := cose.ParsePublicKey(cose.Suite(id.Suite), id.Public)
	if err != nil {
		return nil, refuse(ErrKeys, "identity: %w", err)
	}
	return key, nil
}
