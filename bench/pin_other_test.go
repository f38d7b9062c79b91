//go:build !linux

package bench

import "runtime"

// pin can only ask for a thread of its own here; the A/A gate says whether that
// was enough.
func pin(int) (undo func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
