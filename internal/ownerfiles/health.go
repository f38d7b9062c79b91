package ownerfiles

import "github.com/nanolock/nanolock/order"

// Symptom is one bit of a device's health in words.
type Symptom struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Do   string `json:"do"`
	Bad  bool   `json:"bad"` // the device is not as its owner wants it
}

var symptoms = []struct {
	bit order.Health
	Symptom
}{
	{order.VaultLost, Symptom{"vault-lost", "the lock's memory is lost or not of this device: every change is refused",
		"sign an order of kind recover; read the flash first if you want to know who did it", true}},
	{order.AnchorAhead, Symptom{"anchor-ahead", "the flash is older than the anchor: somebody put an old copy back",
		"sign an order of kind recover once you know why", true}},
	{order.AnchorBehind, Symptom{"anchor-behind", "the anchor is older than the flash: it was reset or replaced",
		"sign an order of kind recover once you know why", true}},
	{order.AnchorAbsent, Symptom{"anchor-absent", "the anchor does not answer: every change is refused",
		"restore the anchor, or sign an order of kind recover", true}},
	{order.Frozen, Symptom{"frozen", "its operator froze it: nothing is programmed or erased",
		"sign an order of kind thaw", true}},
	{order.RecoveryBoot, Symptom{"recovery-boot", "it runs its golden image", "install an update", true}},
	{order.HeldBack, Symptom{"held-back", "no heartbeat of the platform came: the host may only read",
		"see that the host lets the courier through", true}},
	{order.AuditFull, Symptom{"audit-full", "the audit area is full: what happens is counted and not kept",
		"read the chain, then sign an order of kind void for class audit", true}},
	{order.WasRMA, Symptom{"was-rma", "it has been in rma: its confidential regions were wiped", "nothing; it stays so for ever", false}},
	{order.DevelopmentKeys, Symptom{"development-keys", "it takes orders of keys that developers know",
		"put a policy without them before it leaves the house", true}},
	{order.AuditBroken, Symptom{"audit-broken", "the audit chain is not whole: entries were lost or changed",
		"read the flash and look at it with nanolock inspect", true}},
	{order.CopyLost, Symptom{"copy-lost", "one copy of the policy does not read any more",
		"let the device scrub; it writes the copy again", true}},
}

// Symptoms puts health into words, and what to do.
func Symptoms(h order.Health) []Symptom {
	list := []Symptom{}
	for _, s := range symptoms {
		if h&s.bit != 0 {
			list = append(list, s.Symptom)
			h &^= s.bit
		}
	}
	if h != 0 {
		list = append(list, Symptom{"unknown", "something that this program has no name for", "use a later version of nanolock", true})
	}
	return list
}

// Healthy tells whether nothing in h is bad.
func Healthy(h order.Health) bool {
	for _, s := range Symptoms(h) {
		if s.Bad {
			return false
		}
	}
	return true
}
