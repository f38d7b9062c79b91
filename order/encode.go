package order

import (
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/policy"
)

// encoder writes what decoder reads. The first error sticks; what was written
// before it is of no use.
type encoder struct {
	b   []byte
	err error
}

// refuse fails unless ok.
func (e *encoder) refuse(ok bool, field string, err error) {
	if !ok && e.err == nil {
		e.err = refuse(ErrMalformed, "%s: %w", field, err)
	}
}

func (e *encoder) open(n int)             { e.b = cbor.AppendMap(e.b, n) }
func (e *encoder) array(n int)            { e.b = cbor.AppendArray(e.b, n) }
func (e *encoder) key(k int64)            { e.b = cbor.AppendInt(e.b, k) }
func (e *encoder) uint(v uint64)          { e.b = cbor.AppendUint(e.b, v) }
func (e *encoder) bytes(v []byte)         { e.b = cbor.AppendBytes(e.b, v) }
func (e *encoder) text(v string)          { e.b = cbor.AppendText(e.b, v) }
func (e *encoder) bool(v bool)            { e.b = cbor.AppendBool(e.b, v) }
func (e *encoder) pair(k int64, v uint64) { e.key(k); e.uint(v) }

func (e *encoder) null() { e.b = cbor.AppendNull(e.b) }

func (e *encoder) blob(k int64, v []byte) { e.key(k); e.bytes(v) }

// nonzero writes a number from 1 to limit.
func (e *encoder) nonzero(o *object, k int64, v, limit uint64) {
	e.refuse(v != 0, o.at(k), errZero)
	e.refuse(v <= limit, o.at(k), errLimit)
	e.pair(k, v)
}

// sized writes a byte string of lo to hi bytes.
func (e *encoder) sized(o *object, k int64, v []byte, lo, hi int) {
	e.refuse(len(v) >= lo && len(v) <= hi, o.at(k), errLimit)
	e.blob(k, v)
}

func (e *encoder) name(field, s string) {
	e.refuse(validName(s), field, errName)
	e.text(s)
}

// at names a field in errors.
func (o *object) at(k int64) string { return o.name + "." + o.fields[k] }

// validName holds for the name of an authority what package policy asks of it:
// it is shown in terminals, logs and reports.
func validName(s string) bool {
	if s == "" || len(s) > policy.MaxName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// MarshalBinary returns the payload that is signed: the one encoding of o, as
// docs/wire/order.cddl has it. ErrMalformed if o has none.
func (o *Order) MarshalBinary() ([]byte, error) {
	e := encoder{b: make([]byte, 0, 256)}
	e.order(o)
	if e.err == nil && len(e.b) > maxPayload(o.Kind) {
		e.refuse(false, "order", errLimit)
	}
	if e.err != nil {
		return nil, e.err
	}
	return e.b, nil
}

func (e *encoder) order(o *Order) {
	n := 7
	if o.NotAfter != 0 {
		n++
	}
	e.refuse(o.Kind.Valid(), "order.kind", errKind)
	e.refuse(o.Device != DeviceID{}, "order.device", errZero)
	e.open(n)
	e.pair(keyVersion, formatVersion)
	e.pair(keyKind, uint64(o.Kind))
	e.blob(keyDevice, o.Device[:])
	e.pair(keyEpoch, uint64(o.Epoch))
	e.key(keyAuthority)
	e.name("order.authority", o.Authority)
	e.key(keyFresh)
	e.fresh(o)
	e.key(keyBody)
	if o.Body == nil || o.Body.kind() != o.Kind {
		e.refuse(false, "order.body", errValue)
		return
	}
	o.Body.encode(e)
	if o.NotAfter != 0 {
		e.pair(keyNotAfter, o.NotAfter)
	}
}

func (e *encoder) fresh(o *Order) {
	e.array(2)
	if o.Kind.Opening() {
		e.refuse(o.Fresh.Counter == 0 && len(o.Fresh.Challenge) == 32, "order.fresh", errFresh)
		e.uint(1)
		e.bytes(o.Fresh.Challenge)
		return
	}
	e.refuse(o.Fresh.Counter != 0 && o.Fresh.Challenge == nil, "order.fresh", errFresh)
	e.uint(0)
	e.uint(o.Fresh.Counter)
}

func (b *GrantBody) encode(e *encoder) {
	o := &grantObject
	n := 7
	if b.Digests != nil {
		n++
	}
	e.open(n)
	e.nonzero(o, keyRegion, uint64(b.Region), math.MaxUint32)
	e.nonzero(o, keyOps, uint64(b.Ops), OpRead|OpWrite|OpErase)
	e.pair(keyOff, b.Off)
	e.nonzero(o, keyLen, b.Len, maxSize)
	e.refuse(b.Off <= maxSize-min(b.Len, maxSize), "grant.off", errLimit)
	e.refuse(b.Bytes <= math.MaxInt64, "grant.bytes", errLimit)
	e.pair(keyBytes, b.Bytes)
	e.pair(keyErases, uint64(b.Erases))
	e.nonzero(o, keyUptime, uint64(b.Uptime), MaxUptime)
	if b.Digests != nil {
		e.refuse(len(b.Digests) >= 1 && len(b.Digests) <= MaxDigests, "grant.digests", errLimit)
		e.key(keyDigests)
		e.digests(b.Digests)
	}
}

func (e *encoder) digests(list [][32]byte) {
	e.array(len(list))
	for i := range list {
		e.bytes(list[i][:])
	}
}

func (b *PolicyBody) encode(e *encoder) {
	e.open(1)
	e.sized(&policyObject, keyPolicy, b.Policy, 1, MaxPolicy)
}

func (b *KeysBody) encode(e *encoder) {
	e.open(1)
	if (len(b.Policy) != 0) == (len(b.Revoke) != 0) {
		e.refuse(false, "keys", errEither)
		return
	}
	if len(b.Policy) != 0 {
		e.sized(&keysObject, keyPolicy, b.Policy, 1, MaxMessage)
		return
	}
	e.refuse(len(b.Revoke) <= MaxRevoke, "keys.revoke", errLimit)
	e.key(keyRevoke)
	e.digests(sorted(e, "keys.revoke", b.Revoke, compareDigests))
}

func (b *LifecycleBody) encode(e *encoder) {
	e.open(1)
	e.nonzero(&lifecycleObject, keyState, uint64(b.State), maxState)
}

func (*ThawBody) encode(e *encoder) { e.open(0) }

func (b *InstallBody) encode(e *encoder) {
	e.open(2)
	e.nonzero(&installObject, keyRegion, uint64(b.Region), math.MaxUint32)
	e.blob(keyManifest, b.Manifest[:])
}

func (b *ConfirmBody) encode(e *encoder) {
	e.open(3)
	e.nonzero(&confirmObject, keyRegion, uint64(b.Region), math.MaxUint32)
	e.blob(keyManifest, b.Manifest[:])
	e.blob(keyBoot, b.Boot[:])
}

func (b *TransferBody) encode(e *encoder) {
	e.open(1)
	e.sized(&transferObject, keyPolicy, b.Policy, 1, MaxMessage)
}

func (b *RecoverBody) encode(e *encoder) {
	n := 2
	if len(b.Usage) > 0 {
		n++
	}
	e.open(n)
	e.sized(&recoverObject, keyPolicy, b.Policy, 1, MaxMessage)
	e.nonzero(&recoverObject, keyRecoverState, uint64(b.State), maxState)
	if len(b.Usage) > 0 {
		e.key(keyUsage)
		e.usage("recover.usage", b.Usage)
	}
}

// usage writes a list of at least one.
func (e *encoder) usage(field string, list []RegionUsage) {
	e.refuse(len(list) <= MaxUsage, field, errLimit)
	list = sorted(e, field, list, compareUsage)
	e.array(len(list))
	for _, u := range list {
		e.refuse(u.Region != 0, field, errZero)
		e.refuse(u.Mark <= maxSize, field, errLimit)
		e.array(6)
		e.uint(uint64(u.Region))
		e.uint(u.Erases)
		e.uint(u.Allowed)
		e.uint(u.Rounds)
		e.uint(u.Mark)
		e.bool(u.Sealed)
	}
}

// sorted returns a sorted copy of a set; two that compare equal are an error.
func sorted[T any](e *encoder, field string, list []T, compare func(x, y T) int) []T {
	list = slices.Clone(list)
	slices.SortFunc(list, compare)
	for i := 1; i < len(list); i++ {
		e.refuse(compare(list[i-1], list[i]) != 0, field, errOrder)
	}
	return list
}

func (b *VoidBody) encode(e *encoder) {
	e.open(3)
	e.key(keyWhose)
	e.name("void.authority", b.Authority)
	e.refuse(voidable(b.Class), "void.class", errValue)
	e.pair(keyClass, uint64(b.Class))
	e.nonzero(&voidObject, keyTo, b.To, math.MaxUint64)
}

// voidable tells whether there is a void for a class.
func voidable(c Class) bool { return c == ClassRoot || c == ClassOperate || c == ClassAudit }

func (b *LiveBody) encode(e *encoder) {
	if len(b.Nonce) == 0 {
		e.open(0)
		return
	}
	e.open(1)
	e.sized(&challengeObject, keyNonce, b.Nonce, MinNonce, MaxNonce)
}

func (b *TimeBody) encode(e *encoder) {
	e.open(1)
	e.nonzero(&timeObject, keyUnix, b.Unix, math.MaxUint64)
}
