package order

import "github.com/nanolock/nanolock/policy"

// Names of authorities to which the table of who may sign what gives more than
// grants for their regions. Every other name is a plain named authority.
const (
	Owner      = policy.Owner
	Operations = "operations"
	Vendor     = "vendor"
	Platform   = "platform"
)

// maySign is the closed table of who may sign what; nothing else, ever. It is
// the outer bound: its reader narrows it by the policy, namely
//
//   - a grant (1) to the regions whose rule grants to that very authority,
//   - 6 and 7 of vendor and platform to what the region's update allows.
//
// A void's counter is bounded by voids.
var maySign = map[string]kindSet{
	Owner:      setOf(Grant, Policy, Keys, Lifecycle, Transfer, Recover, Void, Batch),
	Operations: setOf(Grant, Thaw, Void),
	Vendor:     setOf(Grant, Install, Confirm),
	Platform:   setOf(Install, Confirm, Challenge, Heartbeat, Time),
}

// named is the row of every other authority.
var named = setOf(Grant)

// MaySign tells whether the closed table gives kind k to an authority of that
// name. What it gives may still be refused: by the policy, which the reader asks,
// and a void by [Keyring.Open], which looks at whose counter it raises.
func MaySign(authority string, k Kind) bool {
	if authority == "" {
		return false
	}
	row, reserved := maySign[authority]
	if !reserved {
		row = named
	}
	return row.has(k)
}

// voids tells whether an authority may raise the counter that v names. The owner
// may raise the two counters of everybody; operations none but its own, in its
// class. The audit chain is the device's: who lets go of it does so in their own name.
func voids(authority string, v *VoidBody) bool {
	switch v.Class {
	case ClassAudit:
		return v.Authority == authority
	case ClassOperate:
		return authority == Owner || v.Authority == authority
	case ClassRoot:
		return authority == Owner
	}
	return false
}
