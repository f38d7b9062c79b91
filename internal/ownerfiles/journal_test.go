package ownerfiles_test

import (
	"crypto/sha256"
	"testing"

	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/order"
)

// With the device's secret a journal is judged, without it seen, and never written.
func TestInspectJournal(t *testing.T) {
	p := small(t, 1, "alice")
	at := ownerfiles.VaultOf(p)
	u := &unit{mem: flash(t, p), latch: new(fuses), secret: sha256.Sum256([]byte("u"))}
	ks := u.open(t)
	defer ks.Close()
	stranger := (&unit{latch: new(fuses), secret: sha256.Sum256([]byte("v"))}).open(t)
	defer stranger.Close()
	look := func(name string, keys int) *ownerfiles.Journal {
		t.Helper()
		before := u.mem.Fingerprint()
		j, err := ownerfiles.InspectJournal(t.Context(), u.mem, at, nil)
		switch keys {
		case 1:
			j, err = ownerfiles.InspectJournal(t.Context(), u.mem, at, ks)
		case 2:
			j, err = ownerfiles.InspectJournal(t.Context(), u.mem, at, stranger)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if u.mem.Fingerprint() != before {
			t.Errorf("%s: looking has written", name)
		}
		return j
	}
	if j := look("new flash", 0); j.Verdict != "blank" || j.Records != 0 || j.Blank != j.Blocks {
		t.Errorf("new flash: %+v", j)
	}
	id, err := ownerfiles.IDOf(ks)
	must(t, err)
	o, err := ownerfiles.FirstOrder(p, id)
	must(t, err)
	msg, err := order.Sign(o, person(t, "alice"))
	must(t, err)
	_, err = ownerfiles.Provision(t.Context(), u.mem, ks, msg, ownerfiles.Rehearse(at, false))
	must(t, err)
	if j := look("without keys", 0); j.Keys || j.Authentic != 0 || j.Records == 0 || j.Verdict == "whole" {
		t.Errorf("without keys: %+v", j)
	}
	if j := look("with keys", 1); !j.Keys || j.Authentic == 0 || j.Verdict != "whole" {
		t.Errorf("with keys: %+v", j)
	}
	if j := look("another's keys", 2); j.Authentic != 0 || j.Newest != 0 || j.Verdict == "whole" {
		t.Errorf("another's keys: %+v", j)
	}
	must(t, u.mem.Poke(make([]byte, 2*block), at.Off))
	if j := look("destroyed", 1); j.Verdict == "whole" {
		t.Errorf("destroyed: %+v", j)
	}
}
