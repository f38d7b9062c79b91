// Package sim is a flash part that obeys the physics, strictly and without
// chance: what a real part may do to a careless program, this one does, and the
// same seed does it again.
//
// Start from a real part and make a memory of it:
//
//	c, _ := sim.Preset("W25Q128JV")
//	c.Seed = 1
//	flash, err := sim.New(c)
//
// A *Flash is an nvm.NVM and an nvm.BadBlocker. It refuses what its program
// class forbids; a NOR part ANDs (ORs, if it erases to 0x00) and counts the bits
// that a program asked to set back. Time is virtual: Elapsed tells what the
// operations would have taken. Storage is sparse and shared between copies, so a
// chip of 64 MiB starts at nothing and Clone costs one struct.
//
// # Power cuts
//
// To check that a program survives a cut anywhere, enumerate the cuts instead of
// drawing them. SetHook is called before each operation; Operation.Torn yields
// each state that a cut there can leave, as a part of its own, forked and not
// re-run:
//
//	flash.SetHook(func(op *sim.Operation) {
//		for torn := range op.Torn(sim.T4) {
//			for _, world := range sim.Worlds() {
//				f := torn.Flash()
//				f.SetWorld(world)
//				mustMount(t, torn.ID, f)
//			}
//		}
//	})
//
// The id of a state that fails goes into a test as it is: Operation.Replay makes
// the same bytes of it. Hooks on the forks cut recovery itself; Fingerprint tells
// states apart that were not seen yet. Unstable bits have no value: run the check
// in every World. Below T4, a program that relies on "reads erased" passes.
//
// At most one operation is torn, in its page, unit or block alone, and what was
// settled stays, unless a fault that says otherwise is on.
//
// # Faults
//
// The zero Faults is a healthy part. Numbers are those of the project's fault
// model.
//
//	F1   program only clears bits        Geometry.Program; Stats.RefusedBits     medium.go
//	F2   second program of a unit        Faults.Over, MaxPrograms; Config.NOP    medium.go
//	F3   page wrap                       Faults.PageWrap                         program.go
//	F4   torn program, byte prefix       TornPrefix, T1                          torn.go
//	F5   torn program, any order         TornOrder, T2                           tear.go
//	F6   torn program, garbage           TornGarbage, T2                         tear.go
//	F7   unstable bits                   TornUnstable, T4; World; Loosen         tear.go, read.go
//	F8   collateral in page or sector    TornCollateral, Full; Faults.Collateral tear.go
//	F9   interrupted erase, by phase     TornErase, T3 (soft: T4)                tear.go
//	F10  weak erase                      TornWeakErase, T4; Faults.WeakPPM       tear.go
//	F11  silent no-op                    Rule.Silent                             op.go
//	F12  failure reported                Rule; ErrFailed                         op.go
//	F13  wear-out                        Faults.Wear; Flash.Wear                 decay.go
//	F14  read disturb                    Faults.Disturb                          decay.go
//	F15  retention                       Faults.Retention, Advance; FlipBit      decay.go, offboard.go
//	F16  bad blocks                      Config.BadPPM, MarkBad, Faults.GrowBad  bad.go
//	F17  ECC                             Config.ECC; ECCError, ReadECC           read.go
//	F18  cache lost until synced         Config.Cached; Unsynced, CutUnsynced    cache.go
//	F24  latency, cut by time            Timing, Elapsed, CutAtTime              clock.go, power.go
//	F26  attacker with the part in hand  Snapshot, Restore, Peek, Poke           offboard.go
//
// F19 to F23 and F25 are above a memory or beyond its contract: spurious and
// misdirected writes are a Poke, registers, busy and address modes belong to a
// model of the chip's commands.
package sim
