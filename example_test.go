package nanolock_test

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// examplePolicy protects the loader of a small NOR part: the host reads all of
// it, changes its data, and the vendor alone changes the loader.
func examplePolicy() *policy.Policy {
	anyone, vendor := policy.Rule{Mode: policy.Any}, policy.Rule{Mode: policy.Grant, Authority: "vendor"}
	return &policy.Policy{
		Name: "thermostat", Version: 1,
		Memory: policy.Memory{Size: 256, Granule: 16},
		Map: []policy.Region{
			{ID: 1, Name: "loader", Span: nvm.Span{Off: 0, Len: 128}, Boot: true, Access: policy.Access{Read: anyone, Write: vendor, Erase: vendor}},
			{ID: 2, Name: "data", Span: nvm.Span{Off: 128, Len: 128}, Access: policy.Access{Read: anyone, Write: anyone, Erase: anyone}},
		},
		Authorities: []policy.Authority{{Name: "vendor", Suite: policy.Ed25519}},
	}
}

// Put a Lock between a memory and whoever used it.
func Example() {
	mem := newRAM(nvm.Geometry{Size: 256, EraseSize: 16, ProgramSize: 1, Erased: 0xFF})
	lock, err := nanolock.New(mem, examplePolicy(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lock.Close()
	host := lock.Host()

	fmt.Println(host.Erase(128, 16))
	_, err = host.WriteAt([]byte("21.5 degrees"), 128)
	fmt.Println(err)

	_, err = host.WriteAt([]byte("implant"), 0)
	fmt.Println(err)
	fmt.Println(errors.Is(err, fs.ErrPermission), lock.Denials())
	// Output:
	// <nil>
	// <nil>
	// nanolock: write denied: region "loader" (write: grant vendor)
	// true 1
}

// A session holds more than a host, within a span and a budget, until it ends.
func ExampleLock_Session() {
	mem := newRAM(nvm.Geometry{Size: 256, EraseSize: 16, ProgramSize: 1, Erased: 0xFF})
	lock, err := nanolock.New(mem, examplePolicy(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Only after an order of the vendor was verified.
	vendor, err := lock.Session(policy.Rights{
		Authority: "vendor", Ops: nvm.Write | nvm.Erase,
		Span: nvm.Span{Off: 0, Len: 32}, ProgramBytes: 32, Erases: 2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(vendor.Erase(0, 32))
	_, err = vendor.WriteAt([]byte("loader 2"), 0)
	fmt.Println(err)
	fmt.Println(vendor.Erase(0, 32))

	lock.End(vendor)
	_, err = vendor.WriteAt([]byte("loader 3"), 0)
	fmt.Println(err, errors.Is(err, nanolock.ErrEnded))
	// Output:
	// <nil>
	// <nil>
	// nanolock: erase denied: region "loader" (erase: grant vendor): session budget spent
	// nanolock: write denied: handle ended true
}

// Pages of a mapped memory without copying, where every host may always read.
func ExampleHandle_View() {
	mem := mapped{newRAM(nvm.Geometry{Size: 256, EraseSize: 16, ProgramSize: 1, Erased: 0xFF})}
	lock, err := nanolock.New(mem, examplePolicy(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	host := lock.Host()
	page, err := host.View(128, 16)
	fmt.Println(len(page), cap(page), err)

	_ = host.Erase(128, 16)
	_, _ = host.WriteAt([]byte("warm"), 128)
	fmt.Printf("%s\n", page[:4])
	// Output:
	// 16 16 <nil>
	// warm
}

// Freeze stops every change at once; a policy lifts it again.
func ExampleLock_Freeze() {
	mem := newRAM(nvm.Geometry{Size: 256, EraseSize: 16, ProgramSize: 1, Erased: 0xFF})
	lock, err := nanolock.New(mem, examplePolicy(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	host := lock.Host()
	lock.Freeze()
	fmt.Println(host.Erase(128, 16))
	fmt.Println(lock.SetPolicy(examplePolicy(), policy.Deployed))
	fmt.Println(host.Erase(128, 16))
	// Output:
	// nanolock: erase denied: region "data" (erase: any): lock frozen
	// <nil>
	// <nil>
}

// Explain says what a host would get, and which rule says so.
func ExampleLock_Explain() {
	mem := newRAM(nvm.Geometry{Size: 256, EraseSize: 16, ProgramSize: 1, Erased: 0xFF})
	lock, err := nanolock.New(mem, examplePolicy(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, off := range []int64{0, 128, 120} {
		d := lock.Explain(nvm.Write, off, 16)
		fmt.Println(off, d.Allow, d.Region, "-", d.Rule)
	}
	// Output:
	// 0 false loader - write: grant vendor
	// 128 true data - write: any
	// 120 false loader - write: grant vendor
}
