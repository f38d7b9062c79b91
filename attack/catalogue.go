package attack

// Families of the catalogue, in the order in which they are run.
const (
	famWork      = "availability"
	famRange     = "range arithmetic"
	famGeometry  = "geometry"
	famOverwrite = "overwrite"
	famBoot      = "bootloader"
	famHidden    = "free space"
	famRead      = "read leaks"
	famRights    = "confused rights"
	famRevoke    = "revocation"
	famOnce      = "once and append"
	famWear      = "wear-out"
	famPolicy    = "policy"
	famSlots     = "slots"
	famEffects   = "side effects"
)

// Catalogue returns all attacks.
func Catalogue() []Attack {
	var all []Attack
	for _, f := range [][]Attack{
		availability, ranges, geometry, overwrite, boot, hidden, reads, rights,
		revocation, races, appends, once, wear, ledgers, policies, slots, effects,
	} {
		all = append(all, f...)
	}
	return all
}

// Find returns the attack of that name.
func Find(name string) (Attack, bool) {
	for _, a := range Catalogue() {
		if a.Name == name {
			return a, true
		}
	}
	return Attack{}, false
}
