// Package demo is an example to try things on: the policy of a router, and an
// image of its flash that looks like one. Both are the same on every machine.
//
// It is what "nanolock attack" runs on when nothing else is given, and what the
// documentation's picture shows.
package demo

import (
	_ "embed"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// RouterYAML is the policy as a person writes it.
//
//go:embed router.yaml
var RouterYAML []byte

// Router returns the policy. It panics if the embedded file is broken, which a
// test rules out.
func Router() *policy.Policy {
	p, err := policyfile.Parse(RouterYAML)
	if err != nil {
		panic(fmt.Sprintf("demo: router.yaml: %v", err))
	}
	return p
}

// span of a region or hidden area of the router.
func span(p *policy.Policy, name string) nvm.Span {
	if r := p.Region(name); r != nil {
		return r.Span
	}
	if a := p.Area(name); a != nil {
		return a.Span
	}
	panic("demo: router.yaml has no " + name)
}
