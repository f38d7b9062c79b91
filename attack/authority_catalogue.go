package attack

import "github.com/nanolock/nanolock/internal/rig"

// Families of attacks on devices, in the order in which they are run.
const (
	famReplay   = "replay"
	famWithheld = "withheld orders"
	famKeys     = "confused keys"
	famHybrid   = "hybrids and suites"
	famCount    = "thresholds"
	famParser   = "malformed orders"
	famFlood    = "floods"
	famTime     = "time"
	famOwner    = "ownership"
	famRevoked  = "revoked keys"
	famVault    = "forged state"
	famAnchor   = "anchor and latch"
	famSession  = "sessions"
	famFreeze   = "freeze and reset"
	famCut      = "power cuts"
)

// rig0 is the plain named authority of the rig's policy: grants, nothing else.
const rig0 = rig.Service

// move is a row of the catalogue of attacks on devices.
type move struct {
	name, title, cwe, known, family string
	in                              world
	run                             func(*Scene)
}

// DeviceCatalogue returns all attacks on devices.
func DeviceCatalogue() []DeviceAttack {
	var all []DeviceAttack
	for _, f := range [][]move{
		replays, keyConfusions, hybrids, thresholds, malformed, floods, times,
		owners, revokedKeys, forgeries, anchors, sessions, freezes, cuts,
	} {
		for _, m := range f {
			all = append(all, DeviceAttack{Attack{m.name, m.title, m.cwe, m.known, m.family, nil}, m.run, m.in})
		}
	}
	return all
}

// FindDevice returns the attack on devices of that name.
func FindDevice(name string) (DeviceAttack, bool) {
	for _, a := range DeviceCatalogue() {
		if a.Name == name {
			return a, true
		}
	}
	return DeviceAttack{}, false
}
