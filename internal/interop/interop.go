// Package interop holds nanolock's own codecs against those of others: cbor
// against fxamacker/cbor, cose against veraison/go-cose. It is a module of its
// own and consists of tests, so that these peers are nobody's dependency.
package interop
