package order

import (
	"crypto/sha256"
	"slices"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/policy"
)

// Keyring is who may sign what for one device. It never changes and may be used
// concurrently. The zero Keyring opens nothing.
type Keyring struct {
	trusts map[string]*cose.Trust
	root   [32]byte
}

// NewKeyring parses the keys of a policy, each once: that is slow for ML-DSA, so
// keep the Keyring. Revoked keys ([cose.PublicKey.ID]) are left out; an authority
// with fewer keys than its threshold, or with threshold 0, signs nothing.
//
// It is ErrKeys if a key is none of its suite, an authority has two entries, or a
// key or one half of one is there twice, be it in two authorities or in one: a
// stolen key must not be two roles, and no half of a hybrid may be trusted alone.
func NewKeyring(p *policy.Policy, revoked [][32]byte) (*Keyring, error) {
	if p == nil {
		return nil, refuse(ErrKeys, "no policy")
	}
	k := &Keyring{trusts: make(map[string]*cose.Trust)}
	seen := make(map[[32]byte]string)
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if k.trusts[a.Name] != nil {
			return nil, refuse(ErrKeys, "authority %q is there twice", a.Name)
		}
		keys, err := parseKeys(a, seen)
		if err != nil {
			return nil, err
		}
		if a.Name == Owner {
			k.root = rootOf(a, keys)
		}
		keys = slices.DeleteFunc(keys, func(key *cose.PublicKey) bool { return slices.Contains(revoked, key.ID()) })
		k.trusts[a.Name] = &cose.Trust{Suite: cose.Suite(a.Suite), Keys: keys, Threshold: a.Threshold}
	}
	return k, nil
}

// parseKeys parses the keys of one authority; seen says whose each half is.
func parseKeys(a *policy.Authority, seen map[[32]byte]string) (keys []*cose.PublicKey, err error) {
	for i := range a.Keys {
		key, err := cose.ParsePublicKey(cose.Suite(a.Suite), a.Keys[i].Public)
		if err != nil {
			return nil, refuse(ErrKeys, "authority %q: key %d: %w", a.Name, i, err)
		}
		for _, t := range key.Thumbprints() {
			if whose, ok := seen[t]; ok {
				return nil, refuse(ErrKeys, "a half of key %d of %q is one of %q as well", i, a.Name, whose)
			}
			seen[t] = a.Name
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// rootOf is the digest of an authority, zero if it cannot sign. Revoked keys are
// in it: the latch knows the owner by what the policy says.
func rootOf(a *policy.Authority, keys []*cose.PublicKey) [32]byte {
	if a.Threshold < 1 || a.Threshold > len(keys) {
		return [32]byte{}
	}
	var ids [][32]byte
	for _, k := range keys {
		ids = append(ids, k.ID())
	}
	slices.SortFunc(ids, compareDigests)
	b := cbor.AppendText(cbor.AppendArray(nil, 4), "nanolock/1/root")
	b = cbor.AppendUint(cbor.AppendUint(b, uint64(a.Suite)), uint64(a.Threshold))
	b = cbor.AppendArray(b, len(ids))
	for i := range ids {
		b = cbor.AppendBytes(b, ids[i][:])
	}
	return sha256.Sum256(b)
}

// Root is the digest of the owner authority: SHA-256 of the deterministic CBOR
// ["nanolock/1/root", suite, threshold, [key ids in ascending order]], in which
// revoked keys count as well. It is zero if the policy has no owner who can sign.
func (k *Keyring) Root() [32]byte { return k.root }

// Has tells whether an authority can sign at all.
func (k *Keyring) Has(authority string) bool {
	t := k.trusts[authority]
	return t != nil && t.Threshold >= 1 && t.Threshold <= len(t.Keys)
}

// Holds tells whether the authority has a key of that id that was not revoked.
func (k *Keyring) Holds(authority string, id [32]byte) bool {
	t := k.trusts[authority]
	return t != nil && slices.ContainsFunc(t.Keys, func(key *cose.PublicKey) bool { return key.ID() == id })
}

// verify verifies an envelope by the keys of an authority, and returns the ids
// of who signed.
func (k *Keyring) verify(envelope []byte, d cose.Domain, authority string, limit int) ([][32]byte, error) {
	if !k.Has(authority) {
		return nil, refuse(ErrAuthority, "nobody can sign for %q", authority)
	}
	trust := *k.trusts[authority]
	trust.MaxPayload = limit
	_, who, err := cose.Verify(envelope, d, &trust)
	if err != nil {
		return nil, refuseCOSE(err, ErrSignature)
	}
	ids := make([][32]byte, 0, len(who))
	for _, i := range who {
		ids = append(ids, trust.Keys[i].ID())
	}
	return ids, nil
}
