package mmap_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/nvm"
)

// An image of a 64 KiB NOR part, in which programming clears bits.
func Example() {
	dir, err := os.MkdirTemp("", "nor")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "nor.img")

	part := nvm.Geometry{Size: 64 << 10, EraseSize: 4096, ProgramSize: 1, PageSize: 256, Program: nvm.ClearBits, Erased: 0xFF}
	if err := mmap.Create(path, part); err != nil {
		panic(err)
	}
	mem, err := mmap.Open(path, &mmap.Options{Geometry: part})
	if err != nil {
		panic(err)
	}
	for _, b := range []byte{0xF1, 0x1F} {
		if _, err := mem.WriteAt([]byte{b}, 0x100); err != nil {
			panic(err)
		}
	}
	fmt.Printf("%#x\n", mem.Bytes()[0x100])

	_, err = mem.WriteAt(make([]byte, 2), 0x1ff)
	fmt.Println(err)
	_, err = mmap.Open(path, nil)
	fmt.Println(err.(interface{ Unwrap() error }).Unwrap())
	fmt.Println(mem.Close())
	// Output:
	// 0x11
	// nvm: not a multiple of the erase or program size, or across a page
	// mmap: locked by another user of the file
	// <nil>
}
