package paired

import (
	"errors"
	"testing"
)

func TestRoundsPairCases(t *testing.T) {
	var done [3]int
	count := func(i int) Case {
		return Case{"case", func(n int) error { done[i] += n; return nil }}
	}
	tr, err := NewTrial(4, 1, count(0), count(1), count(2))
	if err != nil {
		t.Fatal(err)
	}
	done = [3]int{}
	for range 10 {
		if err := tr.Round(); err != nil {
			t.Fatal(err)
		}
	}
	if done[0] == 0 || done[0] != done[1] || done[1] != done[2] {
		t.Errorf("cases did different work: %v", done)
	}
	if tr.Rounds() != 10 {
		t.Errorf("%d rounds", tr.Rounds())
	}
	tr.Reset()
	if tr.Rounds() != 0 {
		t.Error("Reset kept rounds")
	}
}

// With times written in by hand the outcome is exact.
func TestCompare(t *testing.T) {
	tr := &Trial{times: [][]float64{
		{10, 20, 30, 40, 50, 60, 70},
		{10, 20, 30, 40, 50, 60, 70},
		{11, 22, 33, 44, 55, 66, 77},
	}}
	if r := tr.Ratio(2, 0); r.Mid != 1.1 || r.Lo > r.Mid || r.Hi < r.Mid {
		t.Errorf("ratio %v", r)
	}
	if a := tr.Added(2, 0); a.Mid != 4 {
		t.Errorf("added %v", a)
	}
	if tr.AA() != 1 || !tr.Steady() {
		t.Errorf("A/A %v", tr.AA())
	}
	if tr.PerAccess(2) != 44 || tr.times[2][0] != 11 {
		t.Error("PerAccess is not the median, or it reordered the rounds")
	}
	tr.times[1] = []float64{10.1, 20.2, 30.3, 40.4, 50.5, 60.6, 70.7}
	if tr.Steady() {
		t.Error("an A/A of 1.01 passes the gate")
	}
}

func TestErrorsSurface(t *testing.T) {
	bad := errors.New("bad")
	ok := Case{"ok", func(int) error { return nil }}
	if _, err := NewTrial(1, 1, ok, Case{"broken", func(int) error { return bad }}); !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
	if _, err := NewTrial(1, 1, ok); err == nil {
		t.Error("a trial without an A/A pair")
	}
}
