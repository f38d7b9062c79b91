package order

import (
	"cmp"
	"strings"

	"github.com/nanolock/nanolock/keystore"
)

// Claims of a report. Those above zero are in the registry of IANA (CWT Claims,
// RFC 9711 §4); the others are private by RFC 8392 §9.1.1.
const (
	claimNonce        = 10
	claimUEID         = 256
	claimUptime       = 261
	claimProfile      = 265
	claimBootSeed     = 268
	claimMeasurements = 273

	claimSeq         = -70001
	claimEpoch       = -70002
	claimPolicy      = -70003
	claimState       = -70004
	claimUpdates     = -70005
	claimVault       = -70006
	claimAnchor      = -70007
	claimAudit       = -70008
	claimHealth      = -70009
	claimCounters    = -70010
	claimWear        = -70011
	claimPrevious    = -70012
	claimCertificate = -70013
)

// claimNames are the claims in the order of the encoding; docs/wire/report.cddl
// says the same, and a test compares the two.
var claimNames = []struct {
	key      int64
	name     string
	optional bool
}{
	{claimNonce, "nonce", true},
	{claimUEID, "ueid", false},
	{claimUptime, "uptime", false},
	{claimProfile, "profile", false},
	{claimBootSeed, "bootseed", false},
	{claimMeasurements, "measurements", true},
	{claimSeq, "seq", false},
	{claimEpoch, "epoch", false},
	{claimPolicy, "policy", false},
	{claimState, "state", false},
	{claimUpdates, "updates", true},
	{claimVault, "vault", false},
	{claimAnchor, "anchor", false},
	{claimAudit, "audit", false},
	{claimHealth, "health", false},
	{claimCounters, "counters", true},
	{claimWear, "wear", true},
	{claimPrevious, "previous", true},
	{claimCertificate, "certificate", true},
}

// ueidRandom is the type byte of a UEID of random bytes (RFC 9711 §4.2.1), which
// a digest of a key is.
const ueidRandom = 0x01

// marshal encodes the claims, all of which are there but lists without items, the
// nonce of a certificate, and what there is none of.
func (r *Report) marshal() ([]byte, error) {
	e := &encoder{b: make([]byte, 0, 1024)}
	e.refuse(r.Device != DeviceID{}, "report.ueid", errZero)
	e.refuse(r.Nonce != nil || r.Certificate != nil, "report.nonce", errZero)
	e.refuse(r.State <= maxState, "report.state", errLimit)
	e.refuse(r.Anchor.Kind <= uint8(keystore.Hardware), "report.anchor", errLimit)
	e.refuse(r.Health < 1<<healthBits, "report.health", errValue)
	e.open(r.count())
	if r.Nonce != nil {
		e.refuse(len(r.Nonce) >= MinNonce && len(r.Nonce) <= MaxNonce, "report.nonce", errLimit)
		e.blob(claimNonce, r.Nonce)
	}
	e.blob(claimUEID, append([]byte{ueidRandom}, r.Device[:]...))
	e.pair(claimUptime, r.Uptime)
	e.key(claimProfile)
	e.text(Profile)
	e.blob(claimBootSeed, r.Boot[:])
	e.measurements(r.Measurements)
	e.pair(claimSeq, r.Seq)
	e.pair(claimEpoch, uint64(r.Epoch))
	e.key(claimPolicy)
	e.array(2)
	e.uint(r.PolicyVersion)
	e.bytes(r.PolicyDigest[:])
	e.pair(claimState, uint64(r.State))
	e.updates(r.Updates)
	e.key(claimVault)
	e.array(3)
	e.uint(uint64(r.VaultEpoch))
	e.head(r.Vault)
	e.key(claimAnchor)
	e.array(3)
	e.uint(uint64(r.Anchor.Kind))
	e.uint(r.Anchor.Value)
	e.uint(r.Anchor.Through)
	e.key(claimAudit)
	e.array(4)
	e.head(r.Audit.Head)
	e.uint(r.Audit.Denied)
	e.uint(r.Audit.Unlogged)
	e.pair(claimHealth, uint64(r.Health))
	e.counters(r.Counters)
	if len(r.Wear) > 0 {
		e.refuse(len(r.Wear) <= MaxWear, "report.wear", errLimit)
		e.key(claimWear)
		e.usage("report.wear", r.Wear)
	}
	if r.Previous != [32]byte{} {
		e.blob(claimPrevious, r.Previous[:])
	}
	e.certificate(r.Certificate)
	if len(e.b) > MaxReport {
		e.refuse(false, "report", errLimit)
	}
	return e.b, e.err
}

// count is how many claims there are.
func (r *Report) count() int {
	n := 0
	for _, c := range claimNames {
		if !c.optional {
			n++
		}
	}
	for _, has := range []bool{r.Nonce != nil, len(r.Measurements) > 0, len(r.Updates) > 0, len(r.Counters) > 0,
		len(r.Wear) > 0, r.Previous != [32]byte{}, r.Certificate != nil} {
		if has {
			n++
		}
	}
	return n
}

func (e *encoder) head(h Head) {
	e.uint(h.Seq)
	e.bytes(h.Tag[:])
}

func (e *encoder) measurements(list []Measurement) {
	if len(list) == 0 {
		return
	}
	const field = "report.measurements"
	e.refuse(len(list) <= MaxMeasurements, field, errLimit)
	list = sorted(e, field, list, compareMeasurements)
	e.key(claimMeasurements)
	e.array(len(list))
	var m [maxMeasured]byte
	for i := range list {
		e.refuse(list[i].Region != 0, field, errZero)
		e.array(2)
		e.uint(formatMeasured)
		e.bytes(appendMeasured(m[:0], &list[i]))
	}
}

func (e *encoder) updates(list []UpdateState) {
	if len(list) == 0 {
		return
	}
	const field = "report.updates"
	e.refuse(len(list) <= MaxUpdates, field, errLimit)
	list = sorted(e, field, list, compareUpdates)
	e.key(claimUpdates)
	e.array(len(list))
	for i := range list {
		u := &list[i]
		e.refuse(u.Region != 0, field, errZero)
		e.array(7)
		e.uint(uint64(u.Region))
		e.uint(uint64(u.Active))
		e.uint(uint64(u.State))
		e.bytes(u.Manifest[:])
		e.uint(u.Sequence)
		e.uint(u.Floor)
		e.uint(uint64(u.Attempts))
	}
}

func (e *encoder) counters(list []Counter) {
	if len(list) == 0 {
		return
	}
	const field = "report.counters"
	e.refuse(len(list) <= MaxCounters, field, errLimit)
	list = sorted(e, field, list, compareCounters)
	e.key(claimCounters)
	e.array(len(list))
	for _, c := range list {
		e.array(3)
		e.name(field, c.Authority)
		_, known := classNames[c.Class]
		e.refuse(known, field, errValue)
		e.uint(uint64(c.Class))
		e.uint(c.Value)
	}
}

func (e *encoder) certificate(c *Certificate) {
	if c == nil {
		return
	}
	const field = "report.certificate"
	e.refuse(len(c.Wiped) <= MaxWiped, field, errLimit)
	wiped := sorted(e, field, c.Wiped, cmp.Compare[uint32])
	e.key(claimCertificate)
	e.array(3)
	e.bytes(c.Order[:])
	e.array(len(wiped))
	for _, region := range wiped {
		e.refuse(region != 0, field, errZero)
		e.uint(uint64(region))
	}
	e.bool(c.Secret)
}

func compareMeasurements(x, y Measurement) int { return cmp.Compare(x.Region, y.Region) }
func compareUpdates(x, y UpdateState) int      { return cmp.Compare(x.Region, y.Region) }

func compareCounters(x, y Counter) int {
	return cmp.Or(strings.Compare(x.Authority, y.Authority), cmp.Compare(x.Class, y.Class))
}
