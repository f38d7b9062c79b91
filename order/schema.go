package order

// The keys below are the wire's schema: docs/wire/order.cddl and report.cddl say
// the same, and a test compares them. A number is never reused for something
// else, and what a build does not know it refuses.

// formatVersion is the value of the key version. Another one is another format.
const formatVersion = 1

// Keys of an order, and of what is signed of a batch.
const (
	keyVersion = 1 + iota
	keyKind
	keyDevice
	keyEpoch
	keyAuthority
	keyFresh
	keyBody
	keyNotAfter

	keyRoot  = 3
	keyCount = 4
)

// Keys of bodies. Those that several have are the same in each.
const (
	keyRegion   = 1 // grant, install, confirm
	keyManifest = 2 // install, confirm
	keyBoot     = 3 // confirm

	keyOps     = 2 // grant
	keyOff     = 3
	keyLen     = 4
	keyBytes   = 5
	keyErases  = 6
	keyUptime  = 7
	keyDigests = 8

	keyPolicy       = 1 // policy, keys, transfer, recover
	keyRevoke       = 2 // keys
	keyRecoverState = 2 // recover
	keyUsage        = 3

	keyState = 1 // lifecycle

	keyWhose = 1 // void
	keyClass = 2
	keyTo    = 3

	keyNonce = 1 // challenge
	keyUnix  = 1 // time
)

// object is one map of the schema: its name, the names of its keys in their
// order, and the keys that cannot be absent.
type object struct {
	name     string
	fields   []string // by key; 0 is not used
	required []int64
}

var (
	orderObject     = object{"order", []string{"", "version", "kind", "device", "epoch", "authority", "fresh", "body", "not-after"}, []int64{1, 2, 3, 4, 5, 6, 7}}
	batchObject     = object{"batch", []string{"", "version", "kind", "root", "count"}, []int64{1, 2, 3, 4}}
	grantObject     = object{"grant", []string{"", "region", "ops", "off", "len", "bytes", "erases", "uptime", "digests"}, []int64{1, 2, 3, 4, 5, 6, 7}}
	policyObject    = object{"policy-order", []string{"", "policy"}, []int64{1}}
	keysObject      = object{"keys", []string{"", "policy", "revoke"}, nil}
	lifecycleObject = object{"lifecycle", []string{"", "state"}, []int64{1}}
	thawObject      = object{"thaw", []string{""}, nil}
	installObject   = object{"install", []string{"", "region", "manifest"}, []int64{1, 2}}
	confirmObject   = object{"confirm", []string{"", "region", "manifest", "boot"}, []int64{1, 2, 3}}
	transferObject  = object{"transfer", []string{"", "policy"}, []int64{1}}
	recoverObject   = object{"recover", []string{"", "policy", "state", "usage"}, []int64{1, 2}}
	voidObject      = object{"void", []string{"", "authority", "class", "to"}, []int64{1, 2, 3}}
	challengeObject = object{"challenge", []string{"", "nonce"}, []int64{1}}
	heartbeatObject = object{"heartbeat", []string{""}, nil}
	timeObject      = object{"time", []string{"", "unix"}, []int64{1}}
)

// objects is every map with keys from 1 on, for the test that compares.
var objects = []*object{
	&orderObject, &batchObject, &grantObject, &policyObject, &keysObject, &lifecycleObject,
	&thawObject, &installObject, &confirmObject, &transferObject, &recoverObject,
	&voidObject, &challengeObject, &heartbeatObject, &timeObject,
}

const (
	// maxSize is the largest memory in bytes, that of package nvm.
	maxSize = 1 << 48
	// maxState is the last lifecycle state.
	maxState = 4
	// maxFrame is more than an order takes beside its body.
	maxFrame = 512
	// maxPlain is more than the payload of an order that carries no policy: a
	// grant with all digests. Verifying copies the payload once, so this bounds
	// what such an order costs before it is authenticated.
	maxPlain = maxFrame + 128 + 34*MaxDigests
)

// maxPayload is the longest payload of a kind.
func maxPayload(k Kind) int {
	switch k {
	case Policy:
		return MaxPolicy + maxFrame
	case Keys, Transfer, Recover:
		return MaxMessage // that of the order inside is within
	}
	return maxPlain
}
