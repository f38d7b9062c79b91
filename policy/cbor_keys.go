package policy

// The keys below are the wire's schema: docs/wire/policy.cddl says the same, and
// a test compares the two. They are under the compatibility promise: a number is
// never reused for something else, and what a build does not know it refuses.

// formatVersion is the value of the key format. Another one is another format.
const formatVersion = 1

// Keys of a policy.
const (
	keyFormat = 1 + iota
	keyName
	keyVersion
	keyMemory
	keyMap
	keyAuthorities
)

// Keys of a memory.
const (
	keySize = 1 + iota
	keyGranule
	keyBlank
	keyHidden
)

// Keys of a hidden area. The first three are those of a region too.
const (
	keyID = 1 + iota
	keyEntryName
	keySpan
	keyKind
	keyCourier
)

// Further keys of a region.
const (
	keyBoot = 4 + iota
	keyConfidential
	keyAccess
	keyIn
	keyUpdate
	keyWear
)

// Keys of the rules of one lifecycle state.
const (
	keyRead = 1 + iota
	keyWrite
	keyErase
	keyBlankRead
)

// Keys of an update.
const (
	keySlot = 1 + iota
	keyStaging
	keyGolden
)

// Keys of a wear ledger.
const (
	keyErases = 1 + iota
	keyHours
)

// Keys of an authority.
const (
	keyAuthority = 1 + iota
	keySuite
	keyThreshold
	keyKeys
)

// Keys of a public key.
const (
	keyHolder = 1 + iota
	keyPublic
	keyDevelopment
)

// object is one map of the schema: its name, the names of its keys in their
// order, and the keys that cannot be absent, because what lacks them is never a
// valid policy. Requiring them bounds what a short input can claim.
type object struct {
	name     string
	fields   []string // by key; 0 is not used
	required []int64
}

var (
	policyObject    = object{"policy", []string{"", "format", "name", "version", "memory", "map", "authorities"}, []int64{keyFormat}}
	memoryObject    = object{"memory", []string{"", "size", "granule", "blank", "hidden"}, nil}
	areaObject      = object{"area", []string{"", "id", "name", "span", "kind", "courier"}, []int64{keyID, keyEntryName, keySpan, keyKind}}
	regionObject    = object{"region", []string{"", "id", "name", "span", "boot", "confidential", "access", "in", "update", "wear"}, []int64{keyID, keyEntryName, keySpan}}
	accessObject    = object{"access", []string{"", "read", "write", "erase", "blank"}, nil}
	updateObject    = object{"update", []string{"", "slot", "staging", "golden"}, nil}
	wearObject      = object{"wear", []string{"", "erases", "hours"}, nil}
	authorityObject = object{"authority", []string{"", "name", "suite", "threshold", "keys"}, []int64{keyAuthority, keySuite}}
	keyObject       = object{"key", []string{"", "name", "public", "development"}, []int64{keyPublic}}
)

var objects = []*object{
	&policyObject, &memoryObject, &areaObject, &regionObject, &accessObject,
	&updateObject, &wearObject, &authorityObject, &keyObject,
}

// maxPublic is the longest public key of any suite in bytes.
const maxPublic = 65 + 1952

// The least that items of lists take on the wire: a map with the keys that it
// requires, each with its least value.
const (
	minEntry     = 1 + 2 + 3 + 4 // id, name, span
	minAuthority = 1 + 3 + 2     // name, suite
	minKey       = 1 + 3         // public
)
