package sim_test

import (
	"fmt"

	"github.com/nanolock/nanolock/backend/sim"
)

// A program that takes a marker byte behind its record for proof that the whole
// record is there. Byte prefixes do not find the mistake; bits in any order do.
func Example() {
	c, _ := sim.Preset("W25Q128JV")
	c.Seed = 1
	flash, err := sim.New(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	record := []byte("hello\x00") // 0x00: complete
	lost := func(f *sim.Flash) bool {
		p := make([]byte, len(record))
		_, err := f.ReadAt(p, 0)
		return err == nil && p[5] == 0 && string(p) != string(record)
	}
	flash.SetHook(func(op *sim.Operation) {
		for _, tier := range []sim.Tier{sim.T1, sim.T2} {
			n := 0
			for torn := range op.Torn(tier) {
				if lost(torn.Flash()) {
					n++
				}
			}
			fmt.Println("torn states that pass for complete:", n > 0)
		}
		f, err := op.Replay("0.w.suffix.3")
		fmt.Println(lost(f), err)
	})
	if _, err := flash.WriteAt(record, 0); err != nil {
		fmt.Println(err)
	}
	// Output:
	// torn states that pass for complete: false
	// torn states that pass for complete: true
	// true <nil>
}

// What a cached disk may lose: any subset of what was not synced.
func ExampleFlash_Unsynced() {
	c, _ := sim.Preset("BLOCKDEV")
	disk, err := sim.New(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	sector := make([]byte, 512)
	for i := range int64(2) {
		if _, err := disk.WriteAt(sector, i*512); err != nil {
			fmt.Println(err)
		}
	}
	for state := range disk.Unsynced(10) {
		fmt.Println(state.ID)
	}
	// Output:
	// unsynced.00
	// unsynced.11
	// unsynced.10
	// unsynced.01
}
