package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// bodyFlags is what is particular to kinds of orders.
type bodyFlags struct {
	policy                          string
	region, ops, off, length, bytes string
	erases, uptime                  uint32
	content, erase                  string
	rotate, policyOrder, state      string
	revoke                          []string
	of, class, nonce                string
	to, unix                        uint64
	carried                         map[order.DeviceID][]byte // what rotate or policyOrder named
}

// flagsOf are the flags that a kind takes.
var flagsOf = map[order.Kind][]string{
	order.Grant:     {"policy", "region", "ops", "off", "len", "bytes", "erases", "uptime", "content", "erase-size"},
	order.Policy:    {"policy"},
	order.Keys:      {"rotate", "revoke"},
	order.Lifecycle: {"state"},
	order.Transfer:  {"policy-order"},
	order.Recover:   {"policy-order", "state"},
	order.Void:      {"of", "class", "to"},
	order.Challenge: {"nonce"},
	order.Time:      {"unix"},
}

func (b *bodyFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&b.policy, "policy", "", "policy: the new one, or for a grant the one in force; YAML or CBOR")
	f.StringVar(&b.region, "region", "", "grant: region, by number, or with --policy by name")
	f.StringVar(&b.ops, "ops", "", "grant: read, write and erase, with commas (with --policy what its rules grant)")
	f.StringVar(&b.off, "off", "0", "grant: where it begins in the region")
	f.StringVar(&b.length, "len", "", "grant: how much of the region (with --policy the rest)")
	f.StringVar(&b.bytes, "bytes", "", "grant: how much may be programmed (as much as --len)")
	f.Uint32Var(&b.erases, "erases", 0, "grant: how many erase blocks (each once, if the size of a block is known)")
	f.Uint32Var(&b.uptime, "uptime", 600, "grant: seconds until the session ends")
	f.StringVar(&b.content, "content", "", "grant: file that alone may be written, held to a digest for each erase block")
	f.StringVar(&b.erase, "erase-size", "", "grant: erase block (the policy's granule)")
	f.StringVar(&b.rotate, "rotate", "", "keys: signed policy order for the next epoch, or a folder of them")
	f.StringArrayVar(&b.revoke, "revoke", nil, "keys: id of a key that may sign no more; repeat for more")
	f.StringVar(&b.state, "state", "", "lifecycle, recover: manufacturing, deployed, rma or decommissioned")
	f.StringVar(&b.policyOrder, "policy-order", "", "transfer, recover: signed policy order for the next epoch, or a folder of them")
	f.StringVar(&b.of, "of", "", "void: whose counter (who gives the order)")
	f.StringVar(&b.class, "class", "operate", "void: root, operate, or audit to let go of the audit chain")
	f.Uint64Var(&b.to, "to", 0, "void: what the counter becomes")
	f.StringVar(&b.nonce, "nonce", "", "challenge: what the report shall hold, in hex")
	f.Uint64Var(&b.unix, "unix", 0, "time: seconds since 1970 (now)")
	_ = c.RegisterFlagCompletionFunc("state", fixed("manufacturing", "deployed", "rma", "decommissioned"))
	_ = c.RegisterFlagCompletionFunc("class", fixed("root", "operate", "audit"))
}

// check refuses flags of other kinds: who gives one means something by it.
func (b *bodyFlags) check(c *cobra.Command, kind order.Kind) error {
	for _, names := range flagsOf {
		for _, name := range names {
			if c.Flags().Changed(name) && !slices.Contains(flagsOf[kind], name) {
				return usage("see nanolock order new --help", "--%s does not belong to orders of kind %v", name, kind)
			}
		}
	}
	var err error
	switch kind {
	case order.Policy:
		if b.policy == "" {
			return usage("say --policy FILE", "no policy is named")
		}
	case order.Keys:
		if (b.rotate == "") == (len(b.revoke) == 0) {
			return usage("", "say --rotate FILE.order, or --revoke ID")
		}
		b.carried, err = b.carry(b.rotate)
	case order.Transfer, order.Recover:
		if b.policyOrder == "" {
			return usage("see nanolock order new policy --epoch, and order sign", "--policy-order is missing")
		}
		b.carried, err = b.carry(b.policyOrder)
	}
	return err
}

// carry reads the signed policy orders that an order carries.
func (b *bodyFlags) carry(path string) (map[order.DeviceID][]byte, error) {
	if path == "" {
		return nil, nil
	}
	return readOrders([]string{path})
}

// body makes the body for an order's device.
func (b *bodyFlags) body(kind order.Kind, o *order.Order, p *policy.Policy) (order.Body, error) {
	switch kind {
	case order.Grant:
		return b.grant(o.Authority, p)
	case order.Policy:
		enc, err := p.MarshalBinary()
		if err != nil {
			return nil, badInput(b.policy, err, "see nanolock policy check")
		}
		return &order.PolicyBody{Policy: enc}, nil
	case order.Keys:
		ids, err := b.revoked()
		if err != nil || ids != nil {
			return &order.KeysBody{Revoke: ids}, err
		}
		inner, err := b.inner(o, b.rotate)
		return &order.KeysBody{Policy: inner}, err
	case order.Lifecycle:
		st, err := b.lifecycle()
		return &order.LifecycleBody{State: uint8(st)}, err
	case order.Thaw:
		return &order.ThawBody{}, nil
	case order.Transfer:
		inner, err := b.inner(o, b.policyOrder)
		return &order.TransferBody{Policy: inner}, err
	case order.Recover:
		return b.recover(o)
	case order.Void:
		return b.void(o)
	}
	return b.live(kind)
}

func (b *bodyFlags) live(kind order.Kind) (order.Body, error) {
	switch kind {
	case order.Challenge:
		nonce, err := parseNonce(b.nonce)
		return &order.LiveBody{Nonce: nonce}, err
	case order.Heartbeat:
		return &order.LiveBody{}, nil
	case order.Time:
		if b.unix == 0 {
			b.unix = uint64(max(time.Now().Unix(), 1))
		}
		return &order.TimeBody{Unix: b.unix}, nil
	}
	return nil, usage("see nanolock order new --help", "%v is not written here", kind)
}

func parseNonce(s string) ([]byte, error) {
	nonce, err := hex.DecodeString(s)
	if err != nil || len(nonce) < order.MinNonce || len(nonce) > order.MaxNonce {
		return nil, usage(fmt.Sprintf("write %d to %d bytes in hex", order.MinNonce, order.MaxNonce), "--nonce %q is none", s)
	}
	return nonce, nil
}

func (b *bodyFlags) lifecycle() (policy.State, error) {
	st, err := policy.ParseState(b.state)
	if err != nil {
		return 0, usage("say manufacturing, deployed, rma or decommissioned", "unknown --state %q", b.state)
	}
	return st, nil
}

// inner is the signed policy order for the device of o.
func (b *bodyFlags) inner(o *order.Order, path string) ([]byte, error) {
	inner := b.carried[o.Device]
	if inner == nil {
		return nil, badInput(path, fmt.Errorf("%w: none for device %v", ownerfiles.ErrOther, o.Device), "have a policy order signed for this device")
	}
	v, _, _, err := order.OpenPolicy(inner, o.Device)
	if err != nil {
		return nil, badInput(path, err, "the owners in the policy sign it")
	}
	if v.Epoch != o.Epoch+1 {
		return nil, badInput(path, fmt.Errorf("it is for owner epoch %d, the device goes to %d", v.Epoch, o.Epoch+1),
			fmt.Sprintf("make it with --epoch %d --counter 1", o.Epoch+1))
	}
	return inner, nil
}

func (b *bodyFlags) recover(o *order.Order) (order.Body, error) {
	st, err := b.lifecycle()
	if err != nil {
		return nil, err
	}
	inner, err := b.inner(o, b.policyOrder)
	return &order.RecoverBody{Policy: inner, State: uint8(st)}, err
}

func (b *bodyFlags) revoked() (ids [][32]byte, err error) {
	for _, s := range b.revoke {
		id, err := ownerfiles.ParseID(s)
		if err != nil {
			return nil, usage("write the id that nanolock key show tells", "--revoke: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (b *bodyFlags) void(o *order.Order) (order.Body, error) {
	v := &order.VoidBody{Authority: b.of, To: b.to}
	if v.Authority == "" {
		v.Authority = o.Authority
	}
	switch b.class {
	case "root":
		v.Class = order.ClassRoot
	case "operate":
		v.Class = order.ClassOperate
	case "audit":
		v.Class = order.ClassAudit
	default:
		return nil, usage("say root, operate or audit", "unknown --class %q", b.class)
	}
	if v.To == 0 {
		return nil, usage("say --to N", "what the counter becomes is missing")
	}
	return v, nil
}

func isDir(path string) bool {
	if path == "" {
		return false
	}
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
