package device

import (
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Config is what the integrator brings; nil and zero are valid.
type Config struct {
	// Vault is where the lock's state lives, whole erase blocks: journal and
	// verbatim copies of the policy. It must be known before anything can be read.
	// Zero is the last 64 KiB. The policy has the same span as hidden area of kind
	// vault.
	Vault nvm.Span
	// Baseline says what may be read while vault and copies are lost. It is linked
	// into the program; nil is nothing. Only rules of read: any count.
	Baseline *policy.Policy
	// OnEvent is told what happens, synchronously. It must not block and must not
	// call the Device. Package device/hclogger has one that logs.
	OnEvent func(Event)
	// Tick is the uptime in seconds, from any start; nil is a monotonic clock. Who
	// sets it calls [Device.Poll] at least once a second, for no timer of the
	// device then ends a session.
	Tick func() uint64
	// Rand is for boot ids and sessions; nil is crypto/rand.
	Rand io.Reader
	// Watchdog narrows hosts to reading when no heartbeat of the platform came for
	// so many seconds of uptime; 0 is off. It never switches images.
	Watchdog uint64
	// Development accepts policies with development keys, in manufacturing alone.
	// Each start says so loudly.
	Development bool

	verify *verifier // tests alone
}

// defaultVault is the room at the end of the memory that a zero Config means.
const defaultVault = 64 << 10

// settings is Config with what follows from the memory.
type settings struct {
	Config
	geo     nvm.Geometry
	journal nvm.Span
	copies  nvm.Span
	start   time.Time
	ticking bool // by the caller's Tick
}

func newSettings(mem nvm.NVM, c *Config) (*settings, error) {
	if mem == nil {
		return nil, fmt.Errorf("%w: no memory", ErrConfig)
	}
	s := &settings{geo: mem.Geometry(), start: time.Now()}
	if c != nil {
		s.Config = *c
	}
	if err := s.geo.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if s.verify == nil {
		s.verify = standard()
	}
	if s.ticking = s.Tick != nil; !s.ticking {
		s.Tick = func() uint64 { return uint64(time.Since(s.start) / time.Second) }
	}
	if s.Rand == nil {
		s.Rand = rand.Reader
	}
	if s.Vault == (nvm.Span{}) {
		s.Vault = nvm.Span{Off: s.geo.Size - defaultVault, Len: defaultVault}
	}
	return s, s.divide()
}

// divide gives the journal the first quarter of the vault's blocks, but two at
// least, and four where blocks go bad; the copies get the rest.
func (s *settings) divide() error {
	if !s.Vault.In(s.geo.Size) || s.Vault.Len == 0 || s.geo.CheckErase(s.Vault.Off, s.Vault.Len) != nil {
		return fmt.Errorf("%w: the vault at %v is not whole erase blocks inside the memory", ErrConfig, s.Vault)
	}
	var ends []int64
	for at := s.Vault.Off; at < s.Vault.End(); {
		at = s.geo.Block(at).End()
		ends = append(ends, at)
	}
	least := 2
	if s.geo.BadBlocks {
		least = 4
	}
	n := max(len(ends)/4, least)
	if len(ends) < n+4 {
		return fmt.Errorf("%w: the vault has %d erase blocks and needs %d", ErrConfig, len(ends), n+4)
	}
	at := ends[n-1]
	s.journal = nvm.Span{Off: s.Vault.Off, Len: at - s.Vault.Off}
	s.copies = nvm.Span{Off: at, Len: s.Vault.End() - at}
	return nil
}
