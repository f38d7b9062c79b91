package vault

import (
	"encoding/binary"
	"hash"
	"math/bits"
	"testing"
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
		return &sealer{mac: newStub(key), cover: header.put}
	}
	return p
}

// TestStub: a record under the stub does not pass for another, whatever differs.
func TestStub(t *testing.T) {
	h, prev, body := header{1, 2, 3, 4, 5, 6, 7}, tag{8}, []byte{9, 10, 11}
	stub := func(key [32]byte) *sealer { return &sealer{mac: newStub(key), cover: header.put} }
	want := stub(testKey).tag(h, prev, body)
	if stub(testKey).tag(h, prev, body) != want {
		t.Fatal("not the same twice")
	}
	seen := map[tag]string{want: "itself"}
	differs := func(what string, got tag) {
		if was, ok := seen[got]; ok {
			t.Errorf("%s: the same tag as %s", what, was)
		}
		seen[got] = what
	}
	for i := range testKey {
		k := testKey
		k[i] ^= 0x80
		differs("key", stub(k).tag(h, prev, body))
	}
	for i, other := range []header{{2, 2, 3, 4, 5, 6, 7}, {1, 3, 3, 4, 5, 6, 7}, {1, 2, 4, 4, 5, 6, 7}, {1, 2, 3, 5, 5, 6, 7},
		{1, 2, 3, 4, 6, 6, 7}, {1, 2, 3, 4, 5, 7, 7}, {1, 2, 3, 4, 5, 6, 8}} {
		differs(string(rune('0'+i)), stub(testKey).tag(other, prev, body))
	}
	for i := range prev {
		p := prev
		p[i]++
		differs("previous tag", stub(testKey).tag(h, p, body))
	}
	for _, p := range [][]byte{nil, {9}, {9, 10}, {9, 10, 12}, {9, 11, 11}, {8, 10, 11}, {9, 10, 11, 0}, {0, 9, 10, 11}} {
		differs("body", stub(testKey).tag(h, prev, p))
	}
}
