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

// gap is where a bug lets another delivery in between.
func (m *model) gap() {
	if m.is("checked-then-spent") {
		m.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		m.mu.Lock()
	}
}
