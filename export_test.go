package nanolock

// Waiting tells whether a change of rights waits for its turn.
func (l *Lock) Waiting() bool {
	if l.turn.TryLock() {
		l.turn.Unlock()
		return false
	}
	return true
}
