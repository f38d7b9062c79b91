package order

import (
	"bytes"
	"cmp"
	"math"

	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/policy"
)

// decoder reads what encoder writes. The errors of the Decoder stick, so that
// nothing below asks for them; only done decides.
type decoder struct {
	*cbor.Decoder
	kind  Kind   // of the order of which it reads the body
	field string // where the first error was
	size  int    // of the input
}

func newDecoder(b []byte) *decoder { return &decoder{Decoder: cbor.NewDecoder(b), size: len(b)} }

// refuse fails unless ok.
func (d *decoder) refuse(ok bool, err error) {
	if !ok {
		d.Fail(err)
	}
}

// note keeps the place of the first error.
func (d *decoder) note(field string) {
	if d.field == "" && d.Err() != nil {
		d.field = field + ": "
	}
}

// done is ErrMalformed unless all of the input was read and is sound.
func (d *decoder) done() error {
	if err := d.End(); err != nil {
		return refuse(ErrMalformed, "%s%w", d.field, err)
	}
	return nil
}

// object reads a map of the schema.
func (d *decoder) object(of *object, read func(key int64)) {
	d.Fields(of.required, func(key int64) bool {
		if key <= 0 || key >= int64(len(of.fields)) {
			return false
		}
		read(key)
		d.note(of.at(key))
		return true
	})
	d.note(of.name)
}

func (d *decoder) nonzero(limit uint64) uint64 {
	v := d.UintMax(limit)
	d.refuse(v != 0, errZero)
	return v
}

func (d *decoder) word() uint32 { return uint32(d.UintMax(math.MaxUint32)) }

func (d *decoder) region() uint32 { return uint32(d.nonzero(math.MaxUint32)) }

func (d *decoder) name() string {
	s := d.Text(policy.MaxName)
	d.refuse(validName(s), errName)
	return s
}

func (d *decoder) digest() (h [32]byte) {
	copy(h[:], d.BytesOf(len(h)))
	return h
}

// sized reads a byte string of lo to hi bytes. It is a copy.
func (d *decoder) sized(lo, hi int) []byte {
	b := d.Bytes(hi)
	d.refuse(len(b) >= lo, errLimit)
	return bytes.Clone(b)
}

// header is an order of which the body has not been read.
type header struct {
	Order
	body []byte // as encoded; a part of the payload
}

// readHeader reads all of a payload, and of the body that it is one sound item.
// It allocates the name of the authority and the challenge. Neither device nor
// epoch nor authority have been compared with anything.
func readHeader(payload []byte) (h header, err error) {
	d := newDecoder(payload)
	var challenge []byte
	d.object(&orderObject, func(key int64) {
		switch key {
		case keyVersion:
			d.refuse(d.Uint() == formatVersion, errVersion)
		case keyKind:
			h.Kind = Kind(d.UintMax(math.MaxUint8))
			d.refuse(h.Kind.Valid(), errKind)
		case keyDevice:
			h.Device = d.digest()
			d.refuse(h.Device != DeviceID{}, errZero)
		case keyEpoch:
			h.Epoch = d.word()
		case keyAuthority:
			h.Authority = d.name()
		case keyFresh:
			challenge = d.fresh(&h.Order)
		case keyBody:
			h.body = d.Raw()
		case keyNotAfter:
			h.NotAfter = d.nonzero(math.MaxUint64)
		}
	})
	if err := d.done(); err != nil {
		return header{}, err
	}
	if len(payload) > maxPayload(h.Kind) {
		return header{}, refuse(ErrMalformed, "order: %w", errLimit)
	}
	h.Fresh.Challenge = bytes.Clone(challenge)
	return h, nil
}

// fresh reads what the kind, which comes before it, asks for.
func (d *decoder) fresh(o *Order) (challenge []byte) {
	d.ArrayOf(2)
	switch d.UintMax(1) {
	case 0:
		d.refuse(!o.Kind.Opening(), errFresh)
		o.Fresh.Counter = d.nonzero(math.MaxUint64)
	case 1:
		d.refuse(o.Kind.Opening(), errFresh)
		challenge = d.BytesOf(32)
	}
	return challenge
}

// readBody completes h. Nothing in the result is a part of the payload.
func (h *header) readBody() error {
	d := newDecoder(h.body)
	d.kind = h.Kind
	body := kinds[h.Kind].body()
	body.decode(d)
	if err := d.done(); err != nil {
		return err
	}
	h.Body, h.body = body, nil
	return nil
}

// Parse reads a payload that nobody has verified; for tools. It takes what
// MarshalBinary writes and nothing else.
func Parse(payload []byte) (*Order, error) {
	h, err := readHeader(payload)
	if err != nil {
		return nil, err
	}
	if err := h.readBody(); err != nil {
		return nil, err
	}
	return &h.Order, nil
}

func (b *GrantBody) decode(d *decoder) {
	d.object(&grantObject, func(key int64) {
		switch key {
		case keyRegion:
			b.Region = d.region()
		case keyOps:
			b.Ops = uint8(d.nonzero(OpRead | OpWrite | OpErase))
		case keyOff:
			b.Off = d.UintMax(maxSize)
		case keyLen:
			b.Len = d.nonzero(maxSize)
			d.refuse(b.Off+b.Len <= maxSize, errLimit)
		case keyBytes:
			b.Bytes = d.UintMax(math.MaxInt64)
		case keyErases:
			b.Erases = d.word()
		case keyUptime:
			b.Uptime = uint32(d.nonzero(MaxUptime))
		case keyDigests:
			b.Digests = items(d, MaxDigests, 34, d.digest)
		}
	})
}

// items reads a list of 1 to limit items, each of which takes at least that many
// bytes on the wire. There is room for as many as the input can hold before any
// of them is read, and no more.
func items[T any](d *decoder, limit, least int, item func() T) []T {
	n := d.Array(limit)
	d.refuse(n > 0, errZero)
	list := make([]T, 0, min(n, d.size/least))
	for i := 0; i < n && d.Err() == nil; i++ {
		list = append(list, item())
	}
	return list
}

// ascending refuses a list that is not strictly ascending.
func ascending[T any](d *decoder, list []T, compare func(x, y T) int) []T {
	for i := 1; i < len(list); i++ {
		d.refuse(compare(list[i-1], list[i]) < 0, errOrder)
	}
	return list
}

func (b *PolicyBody) decode(d *decoder) {
	d.object(&policyObject, func(int64) { b.Policy = d.sized(1, MaxPolicy) })
}

func (b *KeysBody) decode(d *decoder) {
	d.object(&keysObject, func(key int64) {
		switch key {
		case keyPolicy:
			b.Policy = d.sized(1, MaxMessage)
		case keyRevoke:
			b.Revoke = ascending(d, items(d, MaxRevoke, 34, d.digest), compareDigests)
		}
	})
	d.refuse((b.Policy == nil) != (b.Revoke == nil), errEither)
}

func compareDigests(x, y [32]byte) int { return bytes.Compare(x[:], y[:]) }

func (b *LifecycleBody) decode(d *decoder) {
	d.object(&lifecycleObject, func(int64) { b.State = uint8(d.nonzero(maxState)) })
}

func (*ThawBody) decode(d *decoder) { d.object(&thawObject, func(int64) {}) }

func (b *InstallBody) decode(d *decoder) {
	d.object(&installObject, func(key int64) {
		switch key {
		case keyRegion:
			b.Region = d.region()
		case keyManifest:
			b.Manifest = d.digest()
		}
	})
}

func (b *ConfirmBody) decode(d *decoder) {
	d.object(&confirmObject, func(key int64) {
		switch key {
		case keyRegion:
			b.Region = d.region()
		case keyManifest:
			b.Manifest = d.digest()
		case keyBoot:
			copy(b.Boot[:], d.BytesOf(len(b.Boot)))
		}
	})
}

func (b *TransferBody) decode(d *decoder) {
	d.object(&transferObject, func(int64) { b.Policy = d.sized(1, MaxMessage) })
}

func (b *RecoverBody) decode(d *decoder) {
	d.object(&recoverObject, func(key int64) {
		switch key {
		case keyPolicy:
			b.Policy = d.sized(1, MaxMessage)
		case keyRecoverState:
			b.State = uint8(d.nonzero(maxState))
		case keyUsage:
			b.Usage = d.usage()
		}
	})
}

func (d *decoder) usage() []RegionUsage {
	list := items(d, MaxUsage, 7, func() (u RegionUsage) {
		d.ArrayOf(6)
		u.Region = d.region()
		u.Erases, u.Allowed, u.Rounds, u.Mark = d.Uint(), d.Uint(), d.Uint(), d.UintMax(maxSize)
		u.Sealed = d.Bool()
		return u
	})
	return ascending(d, list, compareUsage)
}

func compareUsage(x, y RegionUsage) int { return cmp.Compare(x.Region, y.Region) }

func (b *VoidBody) decode(d *decoder) {
	d.object(&voidObject, func(key int64) {
		switch key {
		case keyWhose:
			b.Authority = d.name()
		case keyClass:
			b.Class = Class(d.UintMax(math.MaxUint8))
			d.refuse(voidable(b.Class), errValue)
		case keyTo:
			b.To = d.nonzero(math.MaxUint64)
		}
	})
}

func (b *LiveBody) decode(d *decoder) {
	if d.kind == Heartbeat {
		d.object(&heartbeatObject, func(int64) {})
		return
	}
	d.object(&challengeObject, func(int64) { b.Nonce = d.sized(MinNonce, MaxNonce) })
}

func (b *TimeBody) decode(d *decoder) {
	d.object(&timeObject, func(int64) { b.Unix = d.nonzero(math.MaxUint64) })
}
