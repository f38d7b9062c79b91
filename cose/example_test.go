package cose_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log"

	"github.com/nanolock/nanolock/cose"
)

// newOwner makes a hybrid key. Each half is a crypto.Signer, so either could be
// in an HSM instead.
func newOwner() (*cose.Signer, crypto.Signer, crypto.Signer) {
	_, classical, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	var seed [32]byte
	rand.Read(seed[:])
	quantum := cose.NewMLDSA65(&seed)
	owner, err := cose.NewSigner(cose.Ed25519MLDSA65, classical, quantum)
	if err != nil {
		log.Fatal(err)
	}
	return owner, classical, quantum
}

func Example() {
	owner, _, _ := newOwner()
	envelope, err := cose.Sign([]byte("open the door"), cose.Order, owner)
	if err != nil {
		log.Fatal(err)
	}

	trust := &cose.Trust{Suite: cose.Ed25519MLDSA65, Keys: []*cose.PublicKey{owner.Public()}, Threshold: 1}
	payload, who, err := cose.Verify(envelope, cose.Order, trust)
	fmt.Printf("%s, says %v (%v)\n", payload, who, err)

	_, _, err = cose.Verify(envelope, cose.Report, trust)
	fmt.Println(errors.Is(err, cose.ErrSignature))
	// Output:
	// open the door, says [0] (<nil>)
	// true
}

// Two of three owners sign; the second has the keys on another machine, to which
// only the bytes to be signed travel.
func ExampleEnvelope_Attach() {
	alice, _, _ := newOwner()
	bob, classical, quantum := newOwner()
	carol, _, _ := newOwner()
	first, err := cose.Sign([]byte("new policy"), cose.Order, alice)
	if err != nil {
		log.Fatal(err)
	}

	e, err := cose.Parse(first, cose.DefaultMaxPayload)
	if err != nil {
		log.Fatal(err)
	}
	tbs, err := e.ToBeSigned(cose.Order, bob.Public())
	if err != nil {
		log.Fatal(err)
	}
	// On Bob's machine. An ECDSA key would be given the SHA-256 of tbs[0], and
	// its signature go through FromDER.
	s0, err0 := classical.Sign(rand.Reader, tbs[0], crypto.Hash(0))
	s1, err1 := quantum.Sign(rand.Reader, tbs[1], crypto.Hash(0))
	// And back.
	if err := errors.Join(err0, err1, e.Attach(cose.Order, bob.Public(), s0, s1)); err != nil {
		log.Fatal(err)
	}
	both, err := e.MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}

	trust := &cose.Trust{Suite: cose.Ed25519MLDSA65, Threshold: 2,
		Keys: []*cose.PublicKey{carol.Public(), bob.Public(), alice.Public()}}
	payload, who, err := cose.Verify(both, cose.Order, trust)
	fmt.Printf("%s, say %v (%v)\n", payload, who, err)
	_, _, err = cose.Verify(first, cose.Order, trust)
	fmt.Println(err)
	// Output:
	// new policy, say [1 2] (<nil>)
	// cose: threshold not reached: 1 signers of 2
}
