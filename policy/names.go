package policy

import "fmt"

// The names below are the words of policy files, reports and errors. They are
// under the compatibility promise: a name is never reused for something else.

var (
	stateNames = map[State]string{Manufacturing: "manufacturing", Deployed: "deployed", RMA: "rma", Decommissioned: "decommissioned"}
	modeNames  = map[Mode]string{Never: "never", Any: "any", Grant: "grant", Append: "append", Once: "once"}
	areaNames  = map[AreaKind]string{Vault: "vault", Audit: "audit", Slot: "slot", Staging: "staging", Golden: "golden", Digests: "digests"}
	suiteNames = map[Suite]string{Ed25519: "ed25519", ESP256: "esp256", MLDSA65: "ml-dsa-65", Ed25519MLDSA65: "ed25519+ml-dsa-65", ESP256MLDSA65: "esp256+ml-dsa-65"}
)

// Suite is the pinned signature algorithm of an authority; numbers as on the
// wire.
type Suite uint8

// Suites. A hybrid is two signatures over the same bytes, both required.
const (
	Ed25519        Suite = 1 + iota // RFC 8032
	ESP256                          // ECDSA, P-256, SHA-256 (RFC 9864)
	MLDSA65                         // FIPS 204
	Ed25519MLDSA65                  // both
	ESP256MLDSA65                   // both
)

// PublicLen is the length of a public key in bytes: Ed25519 32 (RFC 8032 §5.1.5),
// P-256 65 (SEC 1 §2.3.3, uncompressed), ML-DSA-65 1952 (FIPS 204 table 2), a
// hybrid the sum. 0 for an unknown suite.
func (s Suite) PublicLen() int {
	return map[Suite]int{Ed25519: 32, ESP256: 65, MLDSA65: 1952, Ed25519MLDSA65: 32 + 1952, ESP256MLDSA65: 65 + 1952}[s]
}

func nameOf[K interface{ ~uint8 }](names map[K]string, k K, what string) string {
	if s, ok := names[k]; ok {
		return s
	}
	return fmt.Sprintf("%s(%d)", what, uint8(k))
}

func parseName[K interface{ ~uint8 }](names map[K]string, s, what string) (K, error) {
	for k, n := range names {
		if n == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("policy: unknown %s %q", what, s)
}

// String returns the state's name.
func (s State) String() string { return nameOf(stateNames, s, "state") }

// String returns the mode's name.
func (m Mode) String() string { return nameOf(modeNames, m, "mode") }

// String returns the kind's name.
func (k AreaKind) String() string { return nameOf(areaNames, k, "area") }

// String returns the suite's name.
func (s Suite) String() string { return nameOf(suiteNames, s, "suite") }

// String is "never", "any", "append", "once" or "grant AUTHORITY".
func (r Rule) String() string {
	if r.Mode == Grant {
		return "grant " + r.Authority
	}
	return r.Mode.String()
}

// ParseState reads a state's name.
func ParseState(s string) (State, error) { return parseName(stateNames, s, "lifecycle state") }

// ParseAreaKind reads a kind's name.
func ParseAreaKind(s string) (AreaKind, error) { return parseName(areaNames, s, "kind of area") }

// ParseSuite reads a suite's name.
func ParseSuite(s string) (Suite, error) { return parseName(suiteNames, s, "suite") }

// ParseRule reads what Rule.String writes.
func ParseRule(s string) (Rule, error) {
	const grant = "grant "
	if len(s) > len(grant) && s[:len(grant)] == grant {
		return Rule{Grant, s[len(grant):]}, nil
	}
	m, err := parseName(modeNames, s, "rule")
	if err != nil || m == Grant {
		return Rule{}, fmt.Errorf("policy: unknown rule %q: want never, any, append, once or \"grant AUTHORITY\"", s)
	}
	return Rule{Mode: m}, nil
}
