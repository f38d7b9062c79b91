package order

import (
	"math"
	"strconv"
	"strings"
)

// A measurement travels as a Measured Component of RFC 10013 §4.3:
//
//	{1: ["region/7"], 2: [1, SHA-256]}    the content's digest
//	{1: ["region/7"], 5: HMAC-SHA-256}    Keyed
//
// A keyed digest is no digest of the registry that RFC 10013 §4.2 names, so it is
// a raw measurement; that alone says that it is keyed. There are no flags:
// RFC 10013 §4.5 has every reader who does not know the profile refuse them.
const (
	// formatMeasured is the CoAP Content-Format of a measured component in CBOR
	// (RFC 10013 §7.2).
	formatMeasured = 295
	// hashSHA256 is its number in the Named Information Hash Algorithm Registry
	// (RFC 6920 §9.4).
	hashSHA256 = 1

	keyComponent = 1
	keyDigested  = 2
	keyRaw       = 5

	regionPrefix = "region/"
	// maxMeasured is more than one takes.
	maxMeasured = 80
)

func appendMeasured(b []byte, m *Measurement) []byte {
	e := encoder{b: b}
	e.open(2)
	e.key(keyComponent)
	e.array(1)
	e.text(regionPrefix + strconv.FormatUint(uint64(m.Region), 10))
	if m.Keyed {
		e.blob(keyRaw, m.Digest[:])
		return e.b
	}
	e.key(keyDigested)
	e.array(2)
	e.uint(hashSHA256)
	e.bytes(m.Digest[:])
	return e.b
}

func readMeasured(b []byte) (m Measurement, err error) {
	d := newDecoder(b)
	n := 0
	d.Fields([]int64{keyComponent}, func(key int64) bool {
		switch key {
		case keyComponent:
			d.ArrayOf(1)
			m.Region = d.component()
		case keyDigested:
			d.ArrayOf(2)
			d.refuse(d.Uint() == hashSHA256, errValue)
			m.Digest = d.digest()
			n++
		case keyRaw:
			m.Keyed, m.Digest = true, d.digest()
			n++
		default:
			return false
		}
		return true
	})
	d.refuse(n == 1, errEither)
	return m, d.End()
}

// component reads the name of a region: its id in decimal, in the one way that
// there is to write it.
func (d *decoder) component() uint32 {
	s := d.Text(len(regionPrefix) + 10)
	id, err := strconv.ParseUint(strings.TrimPrefix(s, regionPrefix), 10, 32)
	d.refuse(err == nil && id > 0 && id <= math.MaxUint32 && s == regionPrefix+strconv.FormatUint(id, 10), errName)
	return uint32(id)
}
