package main

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// grant makes the body of a grant; p may be nil.
func (b *bodyFlags) grant(authority string, p *policy.Policy) (order.Body, error) {
	g := &order.GrantBody{Uptime: b.uptime, Erases: b.erases}
	r, err := b.regionOf(p)
	if err != nil {
		return nil, err
	}
	if n, err := strconv.ParseUint(b.region, 10, 32); err == nil {
		g.Region = uint32(n)
	}
	if r != nil {
		g.Region = r.ID
	}
	if g.Ops, err = b.operations(authority, r); err != nil {
		return nil, err
	}
	var off, length, block int64
	if p != nil {
		block = p.Memory.Granule
	}
	for _, x := range []struct {
		flag, text string
		to         *int64
	}{{"len", b.length, &length}, {"erase-size", b.erase, &block}} {
		if err := setSize(x.flag, x.text, x.to); err != nil {
			return nil, err
		}
	}
	if off, err = parseSize(b.off); err != nil {
		return nil, usage("write 4096, 0x1000 or 4KiB", "--off: %q is no offset", b.off)
	}
	if b.content != "" {
		if g.Digests, length, err = b.digests(block, length); err != nil {
			return nil, err
		}
	}
	if length == 0 && r != nil {
		length = r.Span.Len - off
	}
	if length <= 0 {
		return nil, usage("say --len, or --policy", "how much of the region is missing")
	}
	if r != nil && (off > r.Span.Len || length > r.Span.Len-off) {
		return nil, usage("see nanolock map", "region %q has %d bytes", r.Name, r.Span.Len)
	}
	g.Off, g.Len, g.Bytes = uint64(off), uint64(length), uint64(length)
	if b.bytes != "" {
		n, err := parseSize(b.bytes)
		if err != nil {
			return nil, usage("write 4096, 0x1000 or 4KiB", "--bytes: %q is no size", b.bytes)
		}
		g.Bytes = uint64(n)
	}
	if g.Erases == 0 && block > 0 && g.Ops&order.OpErase != 0 {
		g.Erases = uint32(min((off%block+length+block-1)/block, math.MaxUint32))
	}
	return g, nil
}

func (b *bodyFlags) regionOf(p *policy.Policy) (*policy.Region, error) {
	if b.region == "" {
		return nil, usage("say --region NAME or NUMBER", "no region is named")
	}
	n, err := strconv.ParseUint(b.region, 10, 32)
	if p == nil {
		if err != nil || n == 0 {
			return nil, usage("give its number, or --policy FILE", "region %q has a name", b.region)
		}
		return nil, nil
	}
	for i := range p.Map {
		if r := &p.Map[i]; r.Name == b.region || err == nil && uint64(r.ID) == n {
			return r, nil
		}
	}
	return nil, usage("see nanolock map "+b.policy, "no region %q", b.region)
}

// operations are those asked for, or what the region's rules grant.
func (b *bodyFlags) operations(authority string, r *policy.Region) (ops uint8, err error) {
	bits := map[string]uint8{"read": order.OpRead, "write": order.OpWrite, "erase": order.OpErase}
	if b.ops != "" {
		for _, word := range strings.Split(b.ops, ",") {
			bit, ok := bits[strings.TrimSpace(word)]
			if !ok {
				return 0, usage("say read, write, erase, with commas", "unknown operation %q", word)
			}
			ops |= bit
		}
		return ops, nil
	}
	if r == nil {
		return 0, usage("say --ops write,erase, or --policy FILE", "what is granted is missing")
	}
	for _, op := range []nvm.Op{nvm.Read, nvm.Write, nvm.Erase} {
		for _, a := range append([]policy.Access{r.Access}, accesses(r)...) {
			if rule := a.Rule(op); rule.Mode == policy.Grant && rule.Authority == authority {
				ops |= bits[op.String()]
			}
		}
	}
	if ops == 0 {
		return 0, usage("see nanolock policy explain", "region %q grants nothing to %q", r.Name, authority)
	}
	return ops, nil
}

func accesses(r *policy.Region) (list []policy.Access) {
	for _, a := range r.In {
		list = append(list, a)
	}
	return list
}

// digests are those of each erase block of the file, which is filled up with
// erased bytes; length is what it covers.
func (b *bodyFlags) digests(block, length int64) ([][32]byte, int64, error) {
	if block <= 0 {
		return nil, 0, usage("say --erase-size, or --policy", "--content is held to digests of erase blocks")
	}
	content, err := readImage(b.content)
	if err != nil {
		return nil, 0, err
	}
	whole := (int64(len(content)) + block - 1) / block * block
	switch {
	case length == 0:
		length = whole
	case length%block != 0 || length < whole:
		return nil, 0, usage("leave --len away", "--content has %d bytes, --len must be whole erase blocks around it", len(content))
	}
	if length/block > order.MaxDigests {
		return nil, 0, badInput(b.content, fmt.Errorf("%d erase blocks are more than the %d of an order", length/block, order.MaxDigests),
			"make several grants with --off")
	}
	content = padded(content, length)
	var list [][32]byte
	for at := int64(0); at < length; at += block {
		list = append(list, sha256.Sum256(content[at:at+block]))
	}
	return list, length, nil
}

// padded fills up with what flash reads when erased.
func padded(b []byte, n int64) []byte {
	for int64(len(b)) < n {
		b = append(b, 0xFF)
	}
	return b
}
