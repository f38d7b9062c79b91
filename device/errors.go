package device

import "errors"

// Errors. Every refusal matches one of them, or one of package order; unless a
// comment says otherwise the device is as it was.
var (
	// ErrConfig: the memory, the vault's place or the keystore cannot carry a device.
	ErrConfig = errors.New("device: impossible configuration")
	// ErrNotProvisioned: the keystore's latch was never set, and the flash holds no
	// vault of this device. Call Provision.
	ErrNotProvisioned = errors.New("device: not provisioned")
	// ErrProvisioned: it has an owner already, or was given another policy.
	ErrProvisioned = errors.New("device: provisioned already")
	// ErrDegraded: no change is possible until the owner's order to recover. See
	// Status for the reason.
	ErrDegraded = errors.New("device: degraded")
	// ErrStale: the counter or challenge is spent, void, or too far ahead.
	ErrStale = errors.New("device: order is not fresh")
	// ErrExpired: after its not-after, or the time is not known in this boot.
	ErrExpired = errors.New("device: order has expired, or the time is not known")
	// ErrNotAllowed: signed by its authority, but the policy or the lifecycle
	// state does not allow it.
	ErrNotAllowed = errors.New("device: not allowed")
	// ErrPolicy: the policy cannot be enforced here, is older, moves what must
	// stay, or changes the owner's keys without saying so.
	ErrPolicy = errors.New("device: policy refused")
	// ErrDevelopment: development keys outside of manufacturing, or a device that
	// was not opened for development.
	ErrDevelopment = errors.New("device: development keys")
	// ErrFrozen: the operator froze the device; thaw it first.
	ErrFrozen = errors.New("device: frozen")
	// ErrBusy: too many sessions, or the anchor did not answer. After an order was
	// recorded the effect follows once it does.
	ErrBusy = errors.New("device: busy")
	// ErrFull: no room for the document, the revocation or the counter.
	ErrFull = errors.New("device: no room")
	// ErrUnsupported: this build does not do that.
	ErrUnsupported = errors.New("device: not supported by this build")
	// ErrSession: no such session, or it has ended.
	ErrSession = errors.New("device: no such session")
	// ErrClosed: behind Close, or the zero Device.
	ErrClosed = errors.New("device: closed")
)
