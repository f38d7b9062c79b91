//go:build !race

package vault

import "testing"

// TestEnumeration cuts the power in every operation of every scenario on every
// part, and in the recoveries behind.
func TestEnumeration(t *testing.T) {
	all := enumerate(t, plan())
	if replay == "" && (all.states < 2_000_000 || all.mounts < 10_000_000 || all.real*16 < all.mounts) {
		t.Errorf("%d states, %d mounts, %d of them under HMAC-SHA-256: fewer than this test is for", all.states, all.mounts, all.real)
	}
}
