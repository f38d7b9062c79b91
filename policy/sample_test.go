package policy_test

import (
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// sample is a small policy without a finding of Validate or Lint: 64 KiB in
// blocks of 4 KiB, the last 8 KiB in no region.
func sample() *policy.Policy {
	anyone, vendor := policy.Rule{Mode: policy.Any}, policy.Rule{Mode: policy.Grant, Authority: "vendor"}
	return &policy.Policy{
		Name: "sample", Version: 7,
		Memory: policy.Memory{Size: 64 << 10, Granule: 4 << 10, Hidden: []policy.Area{
			{ID: 4, Name: "vault", Span: nvm.Span{Off: 32 << 10, Len: 8 << 10}, Kind: policy.Vault},
			{ID: 5, Name: "boot2", Span: nvm.Span{Off: 40 << 10, Len: 16 << 10}, Kind: policy.Slot},
		}},
		Map: []policy.Region{
			{ID: 1, Name: "boot", Span: nvm.Span{Len: 16 << 10}, Boot: true, Update: &policy.Update{Slot: "boot2"},
				Access: policy.Access{Read: anyone, Write: vendor, Erase: vendor}},
			{ID: 2, Name: "log", Span: nvm.Span{Off: 16 << 10, Len: 8 << 10},
				Access: policy.Access{Read: anyone, Write: policy.Rule{Mode: policy.Append}, Erase: vendor}},
			{ID: 3, Name: "data", Span: nvm.Span{Off: 24 << 10, Len: 8 << 10}, Wear: policy.Wear{Erases: 100, PerHours: 24},
				Access: policy.Access{Read: anyone, Write: anyone, Erase: anyone}},
		},
		Authorities: []policy.Authority{
			{Name: policy.Owner, Suite: policy.Ed25519, Threshold: 1, Keys: []policy.Key{key("one", 1), key("two", 2)}},
			{Name: "vendor", Suite: policy.Ed25519, Threshold: 1, Keys: []policy.Key{key("build", 3)}},
		},
	}
}

// key is an Ed25519 key of one repeated byte.
func key(name string, b byte) policy.Key {
	k := make([]byte, policy.Ed25519.PublicLen())
	for i := range k {
		k[i] = b
	}
	return policy.Key{Name: name, Public: k}
}
