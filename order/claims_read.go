package order

import (
	"cmp"
	"math"

	"github.com/nanolock/nanolock/keystore"
)

// readReport reads what marshal writes and nothing else.
func readReport(payload []byte) (*Report, error) {
	d := newDecoder(payload)
	r := new(Report)
	var required []int64
	for _, c := range claimNames {
		if !c.optional {
			required = append(required, c.key)
		}
	}
	d.Fields(required, func(key int64) bool {
		for _, c := range claimNames {
			if c.key == key {
				r.claim(d, key)
				d.note("report." + c.name)
				return true
			}
		}
		return false
	})
	d.refuse(r.Nonce != nil || r.Certificate != nil, errZero)
	if err := d.done(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Report) claim(d *decoder, key int64) {
	switch key {
	case claimNonce:
		r.Nonce = d.sized(MinNonce, MaxNonce)
	case claimUEID:
		id := d.BytesOf(1 + len(r.Device))
		if len(id) > 0 {
			d.refuse(id[0] == ueidRandom, errValue)
			copy(r.Device[:], id[1:])
		}
		d.refuse(r.Device != DeviceID{}, errZero)
	case claimUptime:
		r.Uptime = d.Uint()
	case claimProfile:
		d.refuse(d.Text(len(Profile)) == Profile, errValue)
	case claimBootSeed:
		r.Boot = d.digest()
	case claimMeasurements:
		r.Measurements = ascending(d, items(d, MaxMeasurements, 1+3+2+40, d.measurement), compareMeasurements)
	case claimSeq:
		r.Seq = d.Uint()
	case claimEpoch:
		r.Epoch = d.word()
	case claimPolicy:
		d.ArrayOf(2)
		r.PolicyVersion, r.PolicyDigest = d.Uint(), d.digest()
	case claimState:
		r.State = uint8(d.UintMax(maxState))
	case claimUpdates:
		r.Updates = ascending(d, items(d, MaxUpdates, 7+33, d.update), compareUpdates)
	default:
		r.record(d, key)
	}
}

// record reads the claims about what the device remembers.
func (r *Report) record(d *decoder, key int64) {
	switch key {
	case claimVault:
		d.ArrayOf(3)
		r.VaultEpoch, r.Vault = d.word(), d.head()
	case claimAnchor:
		d.ArrayOf(3)
		r.Anchor = AnchorState{uint8(d.UintMax(uint64(keystore.Hardware))), d.Uint(), d.Uint()}
	case claimAudit:
		d.ArrayOf(4)
		r.Audit = AuditState{d.head(), d.Uint(), d.Uint()}
	case claimHealth:
		r.Health = Health(d.UintMax(1<<healthBits - 1))
	case claimCounters:
		r.Counters = ascending(d, items(d, MaxCounters, 5, d.counter), compareCounters)
	case claimWear:
		r.Wear = d.usage()
	case claimPrevious:
		r.Previous = d.digest()
		d.refuse(r.Previous != [32]byte{}, errZero)
	case claimCertificate:
		r.Certificate = d.certificate()
	}
}

func (d *decoder) head() (h Head) {
	h.Seq = d.Uint()
	copy(h.Tag[:], d.BytesOf(len(h.Tag)))
	return h
}

func (d *decoder) measurement() Measurement {
	d.ArrayOf(2)
	d.refuse(d.Uint() == formatMeasured, errValue)
	b := d.Bytes(maxMeasured)
	if d.Err() != nil {
		return Measurement{}
	}
	m, err := readMeasured(b)
	d.Fail(err)
	return m
}

func (d *decoder) update() (u UpdateState) {
	d.ArrayOf(7)
	u.Region = d.region()
	u.Active, u.State = d.byte(), d.byte()
	u.Manifest = d.digest()
	u.Sequence, u.Floor, u.Attempts = d.Uint(), d.Uint(), d.byte()
	return u
}

func (d *decoder) byte() uint8 { return uint8(d.UintMax(math.MaxUint8)) }

func (d *decoder) counter() (c Counter) {
	d.ArrayOf(3)
	c.Authority, c.Class, c.Value = d.name(), Class(d.byte()), d.Uint()
	_, known := classNames[c.Class]
	d.refuse(known, errValue)
	return c
}

func (d *decoder) certificate() *Certificate {
	d.ArrayOf(3)
	c := &Certificate{Order: d.digest()}
	c.Wiped = ascending(d, list(d, MaxWiped, d.region), cmp.Compare[uint32])
	c.Secret = d.Bool()
	return c
}
