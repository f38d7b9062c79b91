package cose

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
)

// newEd25519 parses a public key (RFC 8032 §5.1.3). The standard library's
// verification already refuses S ≥ L and an R that is not in its canonical
// encoding, and is cofactorless: it recomputes R and compares bytes, so that one
// key, message and R have one S. What it lets pass is left to be refused here,
// when the key is parsed:
//
//   - an encoding whose y is not reduced, by which one key has two names;
//   - a point of small order, under which one signature fits many messages;
//   - 32 bytes that are no point: they verify nothing, which is better said
//     when the key comes into a policy than when it is needed.
func newEd25519(raw []byte) (func(message, sig []byte) bool, error) {
	if err := checkEd25519(raw); err != nil {
		return nil, err
	}
	key := ed25519.PublicKey(raw)
	return func(message, sig []byte) bool { return ed25519.Verify(key, message, sig) }, nil
}

// smallOrder holds y of the eight points whose order divides 8: of order 4, 1,
// 2, and twice 8. The sign of x makes two of all but those of order 1 and 2,
// where x is 0.
var smallOrder = [5]string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}

// The field's prime 2^255 − 19, and d = −121665/121666 in it, the constant of
// the curve (RFC 8032 §5.1).
const (
	fieldP = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"
	curveD = "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3"
)

func fromHex(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 16)
	return n
}

func checkEd25519(raw []byte) error {
	encoded := slices.Clone(raw)
	encoded[31] &= 0x7f // the sign of x
	if slices.Contains(smallOrder[:], hex.EncodeToString(encoded)) {
		return errors.New("Ed25519 point of small order")
	}
	slices.Reverse(encoded)
	p, y := fromHex(fieldP), new(big.Int).SetBytes(encoded)
	if y.Cmp(p) >= 0 {
		return errors.New("Ed25519 point not in its canonical encoding")
	}
	// x² = (y² − 1)/(d·y² + 1) has a root if, and only if, numerator times
	// denominator has one; neither is 0 where y is not of small order.
	yy := new(big.Int).Mul(y, y)
	den := new(big.Int).Mul(fromHex(curveD), yy)
	den.Add(den, big.NewInt(1))
	num := yy.Sub(yy, big.NewInt(1))
	if big.Jacobi(num.Mul(num, den).Mod(num, p), p) != 1 {
		return errors.New("32 bytes that are no Ed25519 point")
	}
	return nil
}
