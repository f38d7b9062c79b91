package order_test

import (
	"testing"

	"github.com/nanolock/nanolock/order"
)

// TestChallengeOf: no two inputs that differ have the same challenge, be it that
// bytes move from one part to the next.
func TestChallengeOf(t *testing.T) {
	type in struct {
		key       byte
		epoch     uint32
		authority string
		class     order.Class
		counter   uint64
		salt      string
	}
	seen := map[[32]byte]in{}
	for _, i := range []in{
		{}, {key: 1}, {epoch: 1}, {class: 1}, {counter: 1}, {salt: "\x00"}, {salt: "\x01"}, {authority: "\x00"},
		{authority: "owner"}, {authority: "owne", salt: "r"}, {salt: "owner"}, {authority: "owner\x00"},
		{authority: "owner", class: 1}, {authority: "owner", counter: 1}, {authority: "owner", class: 1, counter: 1},
		{authority: "owner", counter: 256}, {authority: "owner", class: 7, salt: "boot"}, {epoch: 256}, {epoch: 1 << 24}, {counter: 1 << 56},
	} {
		c := order.ChallengeOf([32]byte{i.key}, i.epoch, i.authority, i.class, i.counter, []byte(i.salt))
		if other, ok := seen[c]; ok || c == [32]byte{} {
			t.Errorf("%+v and %+v have one challenge", i, other)
		}
		seen[c] = i
	}
	if order.ChallengeOf([32]byte{}, 0, "", 0, 0, nil) != order.ChallengeOf([32]byte{}, 0, "", 0, 0, []byte{}) {
		t.Error("no salt and an empty one differ")
	}
}
