package nvmtest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// TestFaultyIsNVM: without faults it is the memory behind it.
func TestFaultyIsNVM(t *testing.T) {
	for name, g := range map[string]nvm.Geometry{"nor": norGeo, "nand": nandGeo} {
		t.Run(name, func(t *testing.T) {
			c := strict(g)
			good := c.New
			c.New = func(tb testing.TB) nvm.NVM { return Faulty(good(tb), nil) }
			c.Reopen = func(tb testing.TB, m nvm.NVM) nvm.NVM { return Faulty(m.(*FaultyNVM).mem.(*mem).cut(), nil) }
			Test(t, c)
		})
	}
	if _, ok := nvm.NVM(Faulty(newMem(norGeo), nil)).(nvm.Mapper); ok {
		t.Error("a mapping leads round the faults")
	}
}

// replace is a workload of four operations.
func replace(m nvm.NVM, value byte) error {
	if _, err := m.ReadAt(make([]byte, 1), 0); err != nil {
		return err
	}
	if err := m.Erase(1024, 1024); err != nil {
		return err
	}
	if _, err := m.WriteAt(bytes.Repeat([]byte{value}, 200), 1024); err != nil {
		return err
	}
	return m.Sync()
}

// TestEveryFault: the loop that the package is made for ends, and each
// operation failed once.
func TestEveryFault(t *testing.T) {
	var failed []Op
	for i := int64(0); ; i++ {
		var at Op
		note := InjectorFunc(func(o Operation) error {
			if o.Index == i {
				at = o.Op
			}
			return nil
		})
		f := Faulty(newMem(norGeo), Any(note, OnIndex(i)))
		err := replace(f, 7)
		if f.Faults() == 0 {
			if err != nil || f.Operations() != i {
				t.Fatalf("without a fault: %v after %d operations, want %d", err, f.Operations(), i)
			}
			break
		}
		if !errors.Is(err, ErrInjected) {
			t.Fatalf("fault %d: %v", i, err)
		}
		failed = append(failed, at)
	}
	if got := fmt.Sprint(failed); got != "[read erase write sync]" {
		t.Errorf("failed: %v", got)
	}
}

func TestInjectors(t *testing.T) {
	ops := []Operation{
		{0, Read, nvm.Span{Off: 0, Len: 4}}, {1, Write, nvm.Span{Off: 4, Len: 4}}, {2, Erase, nvm.Span{Off: 0, Len: 1024}},
		{3, Sync, nvm.Span{}}, {4, Write, nvm.Span{Off: 2048, Len: 1}}, {5, Read, nvm.Span{Off: 2048, Len: 1}},
	}
	for _, c := range []struct {
		name string
		inj  Injector
		want string
	}{
		{"always", Always(), "xxxxxx"},
		{"index", OnIndex(2), "..x..."},
		{"index of op", OnOp(Write, OnIndex(1)), "....x."},
		{"op inside index", OnIndex(1), ".x...."},
		{"set of ops", OnOp(Read|Sync, Always()), "x..x.x"},
		{"changes", OnOp(Changes, Always()), ".xxxx."},
		{"from", From(4), "....xx"},
		{"from of op", OnOp(Read, From(1)), ".....x"},
		{"span", OnSpan(nvm.Span{Off: 2, Len: 3}, Always()), "xxx..."},
		{"any", Any(OnIndex(0), OnIndex(5)), "x....x"},
		{"any counts all", Any(From(5), OnIndex(1)), ".x...x"},
		{"with", With(nvm.ErrBadBlock, OnOp(Erase, Always())), "..x..."},
		{"short", Short(1, OnIndex(3)), "...x.."},
		{"none", Any(), "......"},
	} {
		got := ""
		for _, o := range ops {
			if c.inj.Fault(o) != nil {
				got += "x"
			} else {
				got += "."
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestPartial: what is done of a torn operation.
func TestPartial(t *testing.T) {
	m := newMem(norGeo)
	all := bytes.Repeat([]byte{0x11}, 100)
	n, err := Faulty(m, Short(40, Always())).WriteAt(all, 0)
	if n != 40 || !errors.Is(err, ErrInjected) || m.now.b[39] != 0x11 || m.now.b[40] != 0xFF {
		t.Errorf("torn write: %d, %v", n, err)
	}
	p := make([]byte, 60)
	if n, err := Faulty(m, Short(10, Always())).ReadAt(p, 30); n != 10 || err == nil || p[9] != 0x11 || p[10] != 0 {
		t.Errorf("torn read: %d, %v", n, err)
	}
	if n, err := Faulty(m, Short(100, Always())).WriteAt(all, 256); n != 99 || err == nil {
		t.Errorf("a torn write is never whole: %d, %v", n, err)
	}
	for i := range m.now.b {
		m.now.b[i] = 0
	}
	err = Faulty(m, Short(2000, Always())).Erase(1024, 3072)
	if !errors.Is(err, ErrInjected) || m.now.b[1024] != 0xFF || m.now.b[2048] != 0 {
		t.Errorf("torn erase: %v", err)
	}
	e := newMem(eccGeo)
	if n, err := Faulty(e, Short(15, Always())).WriteAt(all[:16], 0); n != 8 || err == nil {
		t.Errorf("torn in a unit: %d, %v", n, err)
	}
	for name, f := range map[string]func(f *FaultyNVM) (int, error){
		"read":  func(f *FaultyNVM) (int, error) { return f.ReadAt(p, 0) },
		"write": func(f *FaultyNVM) (int, error) { return f.WriteAt(p, 0) },
		"erase": func(f *FaultyNVM) (int, error) { return 0, f.Erase(0, 1024) },
		"sync":  func(f *FaultyNVM) (int, error) { return 0, f.Sync() },
	} {
		if n, err := f(Faulty(m, With(errOther, Always()))); n != 0 || err != errOther {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if n, err := f(Faulty(m, Short(-3, Always()))); n != 0 || err == nil {
			t.Errorf("%s, after -3 bytes: %d, %v", name, n, err)
		}
	}
}

// TestFaultyBadBlocks: passed on, or refused.
func TestFaultyBadBlocks(t *testing.T) {
	f := Faulty(plain{newMem(norGeo)}, nil)
	if bad, err := f.IsBad(0); bad || err != nil {
		t.Errorf("IsBad = %v, %v", bad, err)
	}
	if err := f.MarkBad(0); !errors.Is(err, nvm.ErrBadBlock) {
		t.Errorf("MarkBad = %v", err)
	}
}

func TestStrings(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{
		"read": Read, "write+erase+sync": Changes, "sync": Sync, "none": Op(0),
		"write 0x100+0x20 (operation 7)": Operation{7, Write, nvm.Span{Off: 256, Len: 32}},
		"sync (operation 0)":             Operation{0, Sync, nvm.Span{}},
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	err := Short(5, Always()).Fault(Operation{1, Erase, nvm.Span{Len: 16}})
	if want := "after 5 bytes: nvmtest: injected fault: erase 0x0+0x10 (operation 1)"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// The loop that finds what a power cut breaks: fail operation 0, then 1, and so
// on until the work is done without a fault.
func ExampleFaulty() {
	work := func(m nvm.NVM) error {
		if err := m.Erase(0, 1024); err != nil {
			return err
		}
		if _, err := m.WriteAt([]byte("new"), 0); err != nil {
			return err
		}
		return m.Sync()
	}
	for i := int64(0); ; i++ {
		m := Faulty(newMem(norGeo), From(i))
		err := work(m)
		if m.Faults() == 0 {
			fmt.Println("done:", err)
			return
		}
		fmt.Println(err) // here the memory is opened again and looked at
	}
	// Output:
	// nvmtest: injected fault: erase 0x0+0x400 (operation 0)
	// nvmtest: injected fault: write 0x0+0x3 (operation 1)
	// nvmtest: injected fault: sync (operation 2)
	// done: <nil>
}
