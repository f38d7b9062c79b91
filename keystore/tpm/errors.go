package tpm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
)

func fault(op string, kind, err error) error {
	return &keystore.Error{Op: op, Kind: kind, Err: err}
}

// tpmCode is the response code within err, without the number of the handle, session
// or parameter; 0 if the TPM did not send one.
func tpmCode(err error) tpm2.TPMRC {
	var rc tpm2.TPMRC
	if !errors.As(err, &rc) {
		return 0
	}
	if rc&0x80 != 0 { // format one, part 2 §6.6.3
		return rc & 0xbf
	}
	return rc
}

// kindOf says what an error of a command means. It is nil for one that is an
// argument's or this package's own fault.
func kindOf(err error) error {
	switch code := tpmCode(err); code {
	case 0:
	case tpm2.TPMRCLockout, tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate,
		tpm2.TPMRCNVUnavailable, tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCMemory,
		tpm2.TPMRCObjectHandles, tpm2.TPMRCSessionHandles, tpm2.TPMRCCanceled, tpm2.TPMRCContextGap,
		tpm2.TPMRCInitialize, tpm2.TPMRCFailure, tpm2.TPMRCReboot, tpm2.TPMRCUpgrade:
		return keystore.ErrBusy
	case tpm2.TPMRCPolicyFail & 0xbf, tpm2.TPMRCPCRChanged, tpm2.TPMRCPolicy:
		return keystore.ErrSealed
	case tpm2.TPMRCNVUninitialized, tpm2.TPMRCHandle & 0xbf, tpm2.TPMRCHierarchy & 0xbf:
		return keystore.ErrReset
	case tpm2.TPMRCReferenceH0, tpm2.TPMRCReferenceS0:
		return keystore.ErrBusy // somebody flushed it under our hands
	default:
		return keystore.ErrForeign
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, errSilent):
		return keystore.ErrBusy
	}
	// A reply that does not parse, or whose HMAC is wrong: not from the TPM
	// whose EK the session is salted to.
	return keystore.ErrForeign
}

// explain turns an error of a command into one of the contract.
func (k *Keystore) explain(c *call, op string, err error) error {
	var known *keystore.Error
	var busy *keystore.BusyError
	if err == nil || errors.As(err, &known) || errors.As(err, &busy) {
		return err
	}
	kind := kindOf(err)
	if (kind == keystore.ErrReset || kind == keystore.ErrForeign) && op != "create" {
		kind = k.diagnose(c, kind)
	}
	switch kind {
	case keystore.ErrBusy:
		return &keystore.BusyError{RetryAfter: c.retryAfter(err), Err: fmt.Errorf("%s: %w", op, err)}
	case err:
		return fault(op, nil, err)
	}
	return fault(op, kind, err)
}

// diagnose tells a TPM that was cleared from another TPM: the endorsement seed
// outlives a clear, so the EK can be made again and compared. ErrAbsent if the device
// was destroyed.
func (k *Keystore) diagnose(c *call, kind error) error {
	d := &call{ctx: c.ctx, bus: c.bus, hung: c.hung}
	defer d.end()
	ek, err := d.primaryEK(k.endorsementAuth)
	switch {
	case err != nil && kindOf(err) == keystore.ErrBusy:
		return keystore.ErrBusy
	case err != nil && (kind != keystore.ErrReset || !d.sameEK(k.state)):
		return kind
	case err == nil && !sameName(ek.Name, k.state.ekName()):
		return keystore.ErrForeign
	}
	srk, err := run(d, tpm2.ReadPublic{ObjectHandle: k.state.srkHandle()})
	switch gone := tpmCode(err) == tpm2.TPMRCHandle&0xbf || err == nil && !sameName(srk.Name, k.state.srkName); {
	case gone && d.marked(k.state):
		return keystore.ErrAbsent
	case gone:
		return keystore.ErrReset
	}
	return kind
}

// retryAfter asks a TPM in lockout how long it takes to forget one failure.
func (c *call) retryAfter(err error) time.Duration {
	if tpmCode(err) != tpm2.TPMRCLockout {
		return time.Second
	}
	const interval = 0x20F // TPM_PT_LOCKOUT_INTERVAL, part 2 §6.13
	d := &call{ctx: c.ctx, bus: c.bus, hung: c.hung}
	r, err := run(d, tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: interval, PropertyCount: 1})
	if err == nil {
		if p, err := r.CapabilityData.Data.TPMProperties(); err == nil && len(p.TPMProperty) == 1 && p.TPMProperty[0].Property == interval {
			return time.Duration(p.TPMProperty[0].Value) * time.Second
		}
	}
	return time.Minute
}
