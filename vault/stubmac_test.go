package vault

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// stubMAC stands in for HMAC-SHA-256 where only the structure of the journal is
// under test. It is keyed, it covers every byte and their number, and it is not
// cryptographic. Only tests can reach it: procedure.seal.
type stubMAC struct{ a, b, k, n uint64 }

func newStub(key [32]byte) hash.Hash {
	le := binary.LittleEndian
	m := &stubMAC{k: join(join(le.Uint64(key[:]), le.Uint64(key[8:])), join(le.Uint64(key[16:]), le.Uint64(key[24:])))}
	m.Reset()
	return m
}

func (m *stubMAC) Reset() { m.a, m.b, m.n = m.k, bits.RotateLeft64(m.k, 32)^0x5851F42D4C957F2D, 0 }

func (m *stubMAC) Write(p []byte) (int, error) {
	n := len(p)
	m.n = m.n<<16 ^ uint64(n) // where one part ends and the next begins
	for len(p) >= 8 {
		m.word(binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	var last [8]byte
	copy(last[:], p)
	m.word(binary.LittleEndian.Uint64(last[:]))
	return n, nil
}

func (m *stubMAC) word(w uint64) {
	m.a = join(m.a, w)
	m.b = join(m.b, w^m.a)
}

func (m *stubMAC) Sum(p []byte) []byte {
	a := join(m.a^m.k, m.n)
	p = binary.LittleEndian.AppendUint64(p, a)
	p = binary.LittleEndian.AppendUint64(p, join(m.b, a))
	return append(p, make([]byte, 16)...)
}

func (*stubMAC) Size() int      { return 32 }
func (*stubMAC) BlockSize() int { return 64 }

// withStub is a procedure that seals with the stub.
func withStub(p procedure) procedure {
	p.seal = func(key [32]byte) *sealer {
		return &sealer{newStub(key), header.put}
	}
	return p
}
