package order_test

import (
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// A device asks for the answer to its live challenge, once, for itself.
func ExampleKeyring_Open() {
	installer := signer(cose.Ed25519, serviceKey)
	k, err := order.NewKeyring(&policy.Policy{Authorities: []policy.Authority{
		{Name: "installer", Suite: policy.Ed25519, Threshold: 1, Keys: []policy.Key{{Public: installer.Public().Bytes()}}},
	}}, nil)
	if err != nil {
		panic(err)
	}
	secret := fill(0x4b) // of the keystore, for challenges alone
	live := order.ChallengeOf(secret, epoch, "installer", order.ClassOperate, 0, nil)

	msg, err := order.Sign(&order.Order{
		Kind: order.Grant, Device: device, Epoch: epoch, Authority: "installer",
		Fresh: order.Fresh{Challenge: live[:]},
		Body:  &order.GrantBody{Region: 3, Ops: order.OpWrite, Len: 4096, Bytes: 4096, Uptime: 60},
	}, installer)
	if err != nil {
		panic(err)
	}

	v, err := k.Open(msg, device, epoch)
	if err != nil {
		panic(err)
	}
	fmt.Println(v.Kind, v.Kind.Class(), v.Body.(*order.GrantBody).Region)

	_, err = k.Open(msg, order.DeviceID{1}, epoch)
	fmt.Println(errors.Is(err, order.ErrForeign))
	// Output:
	// grant operate 3
	// true
}
