package report

// A Reach is how far a case is meant to get. 0 = no limit of that kind.
type Reach struct {
	Case  string
	What  string  // for people
	Ratio float64 // mediated over bare, geomean over the layouts
	Hi95  float64 // the upper bound of its interval over the layouts
	Added float64 // nanoseconds per access
	Over  float64 // nanoseconds over a plain copy out of the mapping
	Nanos float64 // of the whole call
}

// Reaches lists the cases in the order of the tables.
var Reaches = []Reach{
	{Case: "Read/memory=mapped/size=16", What: "read, mapped, 16 B", Ratio: 1.05, Hi95: 1.08, Over: 3},
	{Case: "Read/memory=mapped/size=256", What: "read, mapped, 256 B", Ratio: 1.05, Hi95: 1.07, Over: 3},
	{Case: "Read/memory=mapped/size=4096", What: "read, mapped, 4 KiB", Ratio: 1.01, Hi95: 1.02, Over: 3},
	{Case: "Session/memory=mapped/size=16", What: "session read, mapped, 16 B", Ratio: 1.05, Hi95: 1.08},
	{Case: "Session/memory=mapped/size=256", What: "session read, mapped, 256 B", Ratio: 1.05, Hi95: 1.07},
	{Case: "Session/memory=mapped/size=4096", What: "session read, mapped, 4 KiB", Ratio: 1.01, Hi95: 1.02},
	{Case: "Threads/threads=2/size=16", What: "two threads, 16 B", Ratio: 1.03},
	{Case: "Threads/threads=2/size=256", What: "two threads, 256 B", Ratio: 1.03},
	{Case: "Threads/threads=2/size=4096", What: "two threads, 4 KiB", Ratio: 1.03},
	{Case: "Read/memory=opaque/size=16", What: "read, not mapped, 16 B", Added: 2},
	{Case: "Read/memory=opaque/size=256", What: "read, not mapped, 256 B", Added: 2},
	{Case: "Read/memory=opaque/size=4096", What: "read, not mapped, 4 KiB", Added: 2},
	{Case: "Flipped/memory=mapped/size=16", What: "flipped slot, mapped, 16 B", Added: 2},
	{Case: "Flipped/memory=mapped/size=256", What: "flipped slot, mapped, 256 B", Added: 2},
	{Case: "Flipped/memory=mapped/size=4096", What: "flipped slot, mapped, 4 KiB", Added: 2},
	{Case: "Flipped/memory=opaque/size=16", What: "flipped slot, not mapped, 16 B", Added: 2},
	{Case: "Flipped/memory=opaque/size=256", What: "flipped slot, not mapped, 256 B", Added: 2},
	{Case: "Flipped/memory=opaque/size=4096", What: "flipped slot, not mapped, 4 KiB", Added: 2},
	{Case: "Regions/regions=100000/size=16", What: "100 000 regions against 4, 16 B", Added: 1},
	{Case: "Regions/regions=100000/size=4096", What: "100 000 regions against 4, 4 KiB", Added: 1},
	{Case: "Write/memory=ram/size=16", What: "program, mapped RAM, 16 B", Added: 25},
	{Case: "Write/memory=ram/size=256", What: "program, mapped RAM, 256 B", Added: 25},
	{Case: "Write/memory=ram/size=4096", What: "program, mapped RAM, 4 KiB", Added: 25},
	{Case: "Write/memory=opaque/size=16", What: "program, not mapped, 16 B", Added: 25},
	{Case: "Write/memory=opaque/size=256", What: "program, not mapped, 256 B", Added: 25},
	{Case: "Write/memory=opaque/size=4096", What: "program, not mapped, 4 KiB", Added: 25},
	{Case: "Write/memory=mapped/size=16", What: "program, file, 16 B", Added: 25},
	{Case: "Write/memory=mapped/size=256", What: "program, file, 256 B", Added: 25},
	{Case: "Write/memory=mapped/size=4096", What: "program, file, 4 KiB", Added: 25},
	{Case: "View/size=16", What: "view, 16 B", Added: 1},
	{Case: "View/size=256", What: "view, 256 B", Added: 1},
	{Case: "View/size=4096", What: "view, 4 KiB", Added: 1},
	{Case: "Denied", What: "refused read, against one carried out"},
	{Case: "Shared/across=0", What: "read in a block of two regions, 16 B"},
	{Case: "Shared/across=1", What: "read across two regions' border, 16 B"},
	{Case: "Compile/regions=64", What: "compile 64 regions, 16 MiB", Nanos: 100e3},
	{Case: "Compile/regions=100000", What: "compile 100 000 regions, 512 MiB", Nanos: 25e6},
}

func reachOf(name string) (Reach, int) {
	for i, r := range Reaches {
		if r.Case == name {
			return r, i
		}
	}
	return Reach{Case: name, What: name}, len(Reaches)
}
