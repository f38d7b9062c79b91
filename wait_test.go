package nanolock_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// While a program is inside the memory, nothing that takes rights away returns,
// however often others get their turn.
func TestRevocationIsPatient(t *testing.T) {
	for name, revoke := range revocations {
		t.Run(name, func(t *testing.T) {
			mem := newRAM(nor)
			l := newLock(t, mem, toy(), nil)
			h := l.Host()
			entered, leave := make(chan struct{}), make(chan struct{})
			mem.inside = func(op nvm.Op, _ int64) {
				if op == nvm.Write {
					close(entered)
					<-leave
				}
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := write(h, 64, "x"); err != nil {
					t.Error(err)
				}
			})
			<-entered
			var returned atomic.Bool
			begun := make(chan struct{})
			wg.Go(func() {
				close(begun)
				if err := revoke(l, h); err != nil {
					t.Error(err)
				}
				returned.Store(true)
			})
			<-begun
			for range 10_000 {
				runtime.Gosched()
			}
			if returned.Load() {
				t.Error("returned while a program was under way")
			}
			close(leave)
			wg.Wait()
		})
	}
}
