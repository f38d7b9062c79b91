package broken

import (
	"time"

	"github.com/nanolock/nanolock/attack"
)

// Host returns a host's handle.
func (m *model) Host() attack.Handle { return m.lock.Host() }

// Freeze freezes.
func (m *model) Freeze() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lock.Freeze()
	if !m.is("freeze-spares-sessions") {
		m.endAll()
	}
	next := m.s.clone()
	next.Frozen = true
	m.kind = "freeze"
	return m.commit(next, func() error { return nil })
}

// HostReset ends what the host was given.
func (m *model) HostReset() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.is("reset-unheard") {
		m.endAll()
	}
	return nil
}

// Poll ends sessions.
func (m *model) Poll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, w := range m.sessions {
		if m.p.Config.Tick() >= w.ends && !m.is("sessions-endless") {
			_ = w.handle.Close()
			delete(m.sessions, id)
		}
	}
}

// Close switches the device off.
func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirty {
		m.dirty, m.bug = false, ""
		_ = m.commit(m.s.clone(), func() error { return nil })
	}
	m.endAll()
	return m.lock.Close()
}

func (m *model) endAll() {
	for _, w := range m.sessions {
		_ = w.handle.Close()
	}
	clear(m.sessions)
}

// gap is where a bug lets another delivery in between. It waits for one that is
// under way already, so that who meets whom is not left to the scheduler.
func (m *model) gap() {
	if !m.is("checked-then-spent") {
		return
	}
	if m.met != nil {
		close(m.met)
		m.met = nil
		return
	}
	met := make(chan struct{})
	m.met = met
	m.mu.Unlock()
	for range 3 {
		time.Sleep(time.Millisecond)
		if m.under.Load() > 1 {
			select {
			case <-met:
			case <-time.After(time.Second):
			}
			break
		}
	}
	m.mu.Lock()
	if m.met == met {
		m.met = nil
	}
}
