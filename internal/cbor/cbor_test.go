package cbor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 8949 appendix A: nil for those that are deterministic and
// inside what this package reads, else the reason of the refusal.
var appendixA = []struct {
	diag, hex string
	want      error
}{
	{"0", "00", nil},
	{"1", "01", nil},
	{"10", "0a", nil},
	{"23", "17", nil},
	{"24", "1818", nil},
	{"25", "1819", nil},
	{"100", "1864", nil},
	{"1000", "1903e8", nil},
	{"1000000", "1a000f4240", nil},
	{"1000000000000", "1b000000e8d4a51000", nil},
	{"18446744073709551615", "1bffffffffffffffff", nil},
	{"18446744073709551616", "c249010000000000000000", ErrForbidden},
	{"-18446744073709551616", "3bffffffffffffffff", nil},
	{"-18446744073709551617", "c349010000000000000000", ErrForbidden},
	{"-1", "20", nil},
	{"-10", "29", nil},
	{"-100", "3863", nil},
	{"-1000", "3903e7", nil},
	{"0.0", "f90000", ErrForbidden},
	{"-0.0", "f98000", ErrForbidden},
	{"1.1", "fb3ff199999999999a", ErrForbidden},
	{"100000.0", "fa47c35000", ErrForbidden},
	{"Infinity", "f97c00", ErrForbidden},
	{"NaN", "f97e00", ErrForbidden},
	{"Infinity long", "fa7f800000", ErrForbidden},
	{"NaN longer", "fb7ff8000000000000", ErrForbidden},
	{"false", "f4", nil},
	{"true", "f5", nil},
	{"null", "f6", nil},
	{"undefined", "f7", ErrForbidden},
	{"simple(16)", "f0", ErrForbidden},
	{"simple(255)", "f8ff", ErrForbidden},
	{`0("2013-03-21T20:04:00Z")`, "c074323031332d30332d32315432303a30343a30305a", nil},
	{"1(1363896240)", "c11a514b67b0", nil},
	{"1(1363896240.5)", "c1fb41d452d9ec200000", ErrForbidden},
	{"23(h'01020304')", "d74401020304", nil},
	{"24(h'6449455446')", "d818456449455446", nil},
	{`32("http://www.example.com")`, "d82076687474703a2f2f7777772e6578616d706c652e636f6d", nil},
	{"h''", "40", nil},
	{"h'01020304'", "4401020304", nil},
	{`""`, "60", nil},
	{`"a"`, "6161", nil},
	{`"IETF"`, "6449455446", nil},
	{`"\"\\"`, "62225c", nil},
	{`"ü"`, "62c3bc", nil},
	{`"水"`, "63e6b0b4", nil},
	{`"𐅑"`, "64f0908591", nil},
	{"[]", "80", nil},
	{"[1, 2, 3]", "83010203", nil},
	{"[1, [2, 3], [4, 5]]", "8301820203820405", nil},
	{"[1 .. 25]", "98190102030405060708090a0b0c0d0e0f101112131415161718181819", nil},
	{"{}", "a0", nil},
	{"{1: 2, 3: 4}", "a201020304", nil},
	{`{"a": 1, "b": [2, 3]}`, "a26161016162820203", nil},
	{`["a", {"b": "c"}]`, "826161a161626163", nil},
	{`{"a": "A" .. "e": "E"}`, "a56161614161626142616361436164614461656145", nil},
	{"(_ h'0102', h'030405')", "5f42010243030405ff", ErrIndefinite},
	{`(_ "strea", "ming")`, "7f657374726561646d696e67ff", ErrIndefinite},
	{"[_ ]", "9fff", ErrIndefinite},
	{"[_ 1, [2, 3], [_ 4, 5]]", "9f018202039f0405ffff", ErrIndefinite},
	{"[1, [_ 2, 3], [4, 5]]", "83019f0203ff820405", ErrIndefinite},
	{`{_ "a": 1}`, "bf616101ff", ErrIndefinite},
	{`["a", {_ "b": "c"}]`, "826161bf61626163ff", ErrIndefinite},
}

func TestAppendixA(t *testing.T) {
	for _, v := range appendixA {
		if err := Valid(unhex(t, v.hex)); !errors.Is(err, v.want) || (err == nil) != (v.want == nil) {
			t.Errorf("%s (%s): %v, want %v", v.diag, v.hex, err, v.want)
		}
	}
}

// What is malformed or not deterministic, and where the error points.
var malformed = []struct {
	name, hex string
	want      error
	off       int
}{
	{"empty", "", ErrTruncated, 0},
	{"one-byte head cut", "18", ErrTruncated, 0},
	{"two-byte head cut", "1901", ErrTruncated, 0},
	{"eight-byte head cut", "1b01020304050607", ErrTruncated, 0},
	{"23 in two bytes", "1817", ErrLongHead, 0},
	{"255 in three", "1900ff", ErrLongHead, 0},
	{"65535 in five", "1a0000ffff", ErrLongHead, 0},
	{"2^32-1 in nine", "1b00000000ffffffff", ErrLongHead, 0},
	{"-1 in two bytes", "3800", ErrLongHead, 0},
	{"long length of bytes", "580100", ErrLongHead, 0},
	{"long length of text", "780161", ErrLongHead, 0},
	{"long count of array", "980100", ErrLongHead, 0},
	{"long count of map", "b8010000", ErrLongHead, 0},
	{"long tag", "d80100", ErrLongHead, 0},
	{"long head inside", "82001817", ErrLongHead, 2},
	{"reserved 28", "1c", ErrReserved, 0},
	{"reserved 29", "5d", ErrReserved, 0},
	{"reserved 30", "fe", ErrReserved, 0},
	{"integer of indefinite length", "1f", ErrIndefinite, 0},
	{"tag of indefinite length", "df00", ErrIndefinite, 0},
	{"break", "ff", ErrIndefinite, 0},
	{"break in an array", "81ff", ErrIndefinite, 1},
	{"two-byte false", "f814", ErrForbidden, 0},
	{"simple 0", "e0", ErrForbidden, 0},
	{"half float", "8100f93c00", ErrTrailing, 2},
	{"bytes past the end", "420a", ErrTruncated, 0},
	{"bytes of 2^64-1", "5bffffffffffffffff", ErrTruncated, 0},
	{"bytes of 2^63", "5b8000000000000000", ErrTruncated, 0},
	{"text of 2^63-1", "7b7fffffffffffffff", ErrTruncated, 0},
	{"array of 2^64-1", "9bffffffffffffffff", ErrTruncated, 0},
	{"array of one more than there is", "830000", ErrTruncated, 0},
	{"map of 2^63", "bb800000000000000000", ErrTruncated, 0},
	{"map of 2^64-1", "bbffffffffffffffff00", ErrTruncated, 0},
	{"map without its value", "a100", ErrTruncated, 0},
	{"map cut in the value", "a10042ff", ErrTruncated, 2},
	{"array cut inside", "828100", ErrTruncated, 3},
	{"tag without item", "c0", ErrTruncated, 1},
	{"duplicate key", "a200000001", ErrDuplicate, 3},
	{"keys out of order", "a201000000", ErrOrder, 3},
	{"negative before positive", "a220000100", ErrOrder, 3},
	{"long key before short", "a2626161006162 00", ErrOrder, 5},
	{"array key twice", "a2810100810101", ErrDuplicate, 4},
	{"order inside a value", "a100a201000000", ErrOrder, 5},
	{"order inside a key", "a1a20100000000", ErrOrder, 4},
	{"text not UTF-8", "61ff", ErrUTF8, 0},
	{"text with a surrogate", "63eda080", ErrUTF8, 0},
	{"text with an overlong form", "62c080", ErrUTF8, 0},
	{"trailing byte", "0000", ErrTrailing, 1},
	{"trailing behind a map", "a0f6", ErrTrailing, 1},
	{"nine arrays", "818181818181818180", ErrDepth, 8},
	{"nine tags", "c0c0c0c0c0c0c0c0c000", ErrDepth, 8},
	{"nine maps", "a100a100a100a100a100a100a100a100a0", ErrDepth, 16},
	{"a million arrays", strings.Repeat("81", 1<<20), ErrDepth, 8},
}

func TestMalformed(t *testing.T) {
	for _, v := range malformed {
		err := Valid(unhex(t, v.hex))
		var e *Error
		if !errors.As(err, &e) || e.Err != v.want || e.Off != v.off {
			t.Errorf("%s: %v, want %v at byte %d", v.name, err, v.want, v.off)
		} else if !errors.Is(err, ErrSyntax) || errors.Is(err, ErrSchema) {
			t.Errorf("%s: %v is in the wrong family", v.name, err)
		}
	}
}

func TestDeepestAccepted(t *testing.T) {
	for _, s := range []string{"8181818181818180", "c0c0c0c0c0c0c0c000", "a100a100a100a100a100a100a100a0"} {
		if err := Valid(unhex(t, s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// A prefix of a valid item is never valid, and neither is anything appended.
func TestEveryPrefixRefused(t *testing.T) {
	for _, v := range appendixA {
		if b := unhex(t, v.hex); v.want == nil {
			for n := range b {
				if err := Valid(b[:n:n]); !errors.Is(err, ErrTruncated) {
					t.Errorf("%s cut to %d: %v", v.diag, n, err)
				}
			}
			for _, more := range []byte{0x00, 0xff} {
				if err := Valid(append(b, more)); !errors.Is(err, ErrTrailing) {
					t.Errorf("%s with %#x: %v", v.diag, more, err)
				}
			}
		}
	}
}

func TestZeroDecoderRefuses(t *testing.T) {
	for name, read := range map[string]func(*Decoder){
		"uint": func(d *Decoder) { d.Uint() }, "int": func(d *Decoder) { d.Int() },
		"bytes": func(d *Decoder) { d.Bytes(9) }, "text": func(d *Decoder) { d.Text(9) },
		"array": func(d *Decoder) { d.Array(9) }, "map": func(d *Decoder) { d.Map(9) },
		"tag": func(d *Decoder) { d.Tag() }, "bool": func(d *Decoder) { d.Bool() },
		"null": func(d *Decoder) { d.Null() }, "raw": func(d *Decoder) { d.Raw() },
		"fields": func(d *Decoder) { d.Fields(nil, func(int64) bool { return true }) },
		"end":    func(*Decoder) {},
	} {
		var d Decoder
		if d.Peek() != Invalid {
			t.Errorf("%s: something to peek at", name)
		}
		read(&d)
		if err := d.End(); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	for want, err := range map[string]error{
		"cbor: duplicate map key at byte 3":              Valid(unhex(t, "a200000001")),
		"cbor: unknown key -5 at byte 7":                 &Error{Off: 7, Err: ErrUnknownKey, Key: -5},
		"cbor: reason 200":                               Reason(200),
		"cbor: float, undefined, simple value or bignum": ErrForbidden,
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
	if e := (&Error{Err: bytes.ErrTooLarge}); errors.Is(e, ErrSyntax) || errors.Is(e, ErrSchema) || !errors.Is(e, bytes.ErrTooLarge) {
		t.Error("a caller's error is in a family")
	}
}
