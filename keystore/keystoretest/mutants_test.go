package keystoretest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/keystore"
)

// A row breaks one sentence, and the named check must see it.
type row struct {
	name  string
	check string
	spoil func(m *mutant)
}

var mutants = []row{
	{"identity of another suite", "identity", func(m *mutant) {
		m.identity = func() keystore.Identity { id := m.Keystore.Identity(); id.Suite = keystore.Ed25519; return id }
	}},
	{"no class", "identity", func(m *mutant) {
		m.identity = func() keystore.Identity { id := m.Keystore.Identity(); id.Class = 0; return id }
	}},
	{"identity changes", "identity", func(m *mutant) {
		n := byte(0)
		m.identity = func() keystore.Identity { id := m.Keystore.Identity(); n++; id.Public[5] = n; return id }
	}},
	{"identity changes later", "sign", func(m *mutant) {
		m.identity = func() keystore.Identity {
			id := m.Keystore.Identity()
			if m.show != "" {
				id.Public[5]++
			}
			return id
		}
		m.sign = func(ctx context.Context, half int, msg []byte) ([]byte, error) {
			m.show = "signed"
			return m.Keystore.Sign(ctx, half, msg)
		}
	}},
	{"signs nothing", "sign", func(m *mutant) {
		m.sign = func(context.Context, int, []byte) ([]byte, error) { return make([]byte, 64), nil }
	}},
	{"signs one message only", "sign", func(m *mutant) {
		m.sign = func(ctx context.Context, half int, _ []byte) ([]byte, error) { return m.Keystore.Sign(ctx, half, nil) }
	}},
	{"signature too long", "sign", func(m *mutant) {
		m.sign = func(ctx context.Context, half int, msg []byte) ([]byte, error) {
			sig, err := m.Keystore.Sign(ctx, half, msg)
			return append(sig, 0), err
		}
	}},
	{"sign panics", "sign/bad", func(m *mutant) {
		m.sign = func(context.Context, int, []byte) ([]byte, error) { panic("half") }
	}},
	{"any half will do", "sign/bad", func(m *mutant) {
		m.sign = func(ctx context.Context, _ int, msg []byte) ([]byte, error) { return m.Keystore.Sign(ctx, 0, msg) }
	}},
	{"untyped error", "sign/bad", func(m *mutant) {
		m.sign = func(context.Context, int, []byte) ([]byte, error) { return nil, errOther }
	}},
	{"uncertain without need", "sign/bad", func(m *mutant) {
		m.sign = func(ctx context.Context, half int, msg []byte) ([]byte, error) {
			sig, err := m.Keystore.Sign(ctx, half, msg)
			if err != nil {
				err = &keystore.Error{Kind: keystore.ErrUncertain, Err: err}
			}
			return sig, err
		}
	}},
	{"another secret", "decapsulate", func(m *mutant) {
		m.decap = func(ctx context.Context, enc []byte) ([32]byte, error) {
			s, err := m.Keystore.Decapsulate(ctx, enc)
			s[31] ^= 1
			return s, err
		}
	}},
	{"decapsulates once", "decapsulate", func(m *mutant) {
		m.decap = func(ctx context.Context, enc []byte) ([32]byte, error) {
			if m.show += "x"; len(m.show) > 1 {
				return [32]byte{}, errOther
			}
			return m.Keystore.Decapsulate(ctx, enc)
		}
	}},
	{"takes any length", "decapsulate/bad", func(m *mutant) {
		m.decap = func(ctx context.Context, enc []byte) ([32]byte, error) {
			if len(enc) > 1120 {
				enc = enc[:1120]
			}
			return m.Keystore.Decapsulate(ctx, enc)
		}
	}},
	{"refuses forgeries", "decapsulate/bad", func(m *mutant) {
		var first []byte
		m.decap = func(ctx context.Context, enc []byte) ([32]byte, error) {
			if first == nil && len(enc) == 1120 {
				first = enc
				return m.Keystore.Decapsulate(ctx, enc)
			}
			if len(enc) == 1120 {
				return [32]byte{}, errOther
			}
			return m.Keystore.Decapsulate(ctx, enc)
		}
	}},
	{"one key for all", "derive", func(m *mutant) {
		m.derive = func(context.Context, string) ([32]byte, error) { return [32]byte{1}, nil }
	}},
	{"zero key", "derive", func(m *mutant) {
		m.derive = func(context.Context, string) ([32]byte, error) { return [32]byte{}, nil }
	}},
	{"label cut short", "derive", func(m *mutant) {
		m.derive = func(ctx context.Context, label string) ([32]byte, error) {
			if len(label) > 8 {
				label = label[:8]
			}
			return m.Keystore.Derive(ctx, label)
		}
	}},
	{"random key", "derive", func(m *mutant) {
		n := byte(0)
		m.derive = func(ctx context.Context, label string) ([32]byte, error) {
			key, err := m.Keystore.Derive(ctx, label)
			n++
			key[0] = n
			return key, err
		}
	}},
	{"takes any label", "derive/bad", func(m *mutant) {
		m.derive = func(ctx context.Context, _ string) ([32]byte, error) { return m.Keystore.Derive(ctx, "x") }
	}},
	{"key with the error", "derive/bad", func(m *mutant) {
		m.derive = func(ctx context.Context, label string) ([32]byte, error) {
			return [32]byte{1}, keystore.CheckLabel(label)
		}
	}},
	{"latched from the start", "latch", func(m *mutant) { m.mem.rec = record(1, 1) }},
	{"latch forgets", "latch", func(m *mutant) { m.set = func(context.Context, keystore.Record) error { return nil } }},
	{"latch without repeat", "latch", func(m *mutant) {
		m.set = func(ctx context.Context, r keystore.Record) error {
			if m.mem.rec == r {
				return keystore.ErrLatched
			}
			m.mem.rec = r
			return nil
		}
	}},
	{"epoch of 32 bits", "latch", func(m *mutant) {
		m.set = func(_ context.Context, r keystore.Record) error {
			r.Epoch = uint64(uint32(r.Epoch))
			m.mem.rec = r
			return nil
		}
	}},
	{"latch goes back", "latch/back", func(m *mutant) {
		m.set = func(_ context.Context, r keystore.Record) error {
			if r.Epoch == 0 || r.Root == [32]byte{} {
				return keystore.ErrMalformed
			}
			m.mem.rec = r
			return nil
		}
	}},
	{"another root in the same epoch", "latch/back", func(m *mutant) {
		m.set = func(ctx context.Context, r keystore.Record) error {
			if r.Epoch == m.mem.rec.Epoch && r.Epoch > 0 && r.Root != [32]byte{} {
				m.mem.rec = r
				return nil
			}
			return latchOf{&mutant{}, m.Keystore.Latch()}.Set(ctx, r)
		}
	}},
	{"latch can be cleared", "latch/back", func(m *mutant) {
		m.set = func(_ context.Context, r keystore.Record) error { m.mem.rec = r; return nil }
	}},
	{"refuses, but writes", "latch/back", func(m *mutant) {
		m.set = func(_ context.Context, r keystore.Record) error {
			_, err := m.mem.rec.Forward(r)
			if r.Epoch > 0 {
				m.mem.rec = r
			}
			return err
		}
	}},
	{"anchor stays", "anchor", func(m *mutant) { m.advance = func(context.Context, uint64) error { return nil } }},
	{"anchor beyond", "anchor", func(m *mutant) {
		m.advance = func(ctx context.Context, to uint64) error { m.mem.count = to + 1; return nil }
	}},
	{"anchor by one only", "anchor", func(m *mutant) {
		m.advance = func(_ context.Context, to uint64) error {
			if m.mem.count < to {
				m.mem.count++
			}
			return nil
		}
	}},
	{"budget changes", "anchor", func(m *mutant) {
		m.budget = func() keystore.Budget { m.show += "x"; return keystore.Budget{Writes: uint32(len(m.show))} }
	}},
	{"anchor goes back", "anchor/bad", func(m *mutant) {
		m.advance = func(ctx context.Context, to uint64) error { m.mem.count = to; return nil }
	}},
	{"behind is fine", "anchor/bad", func(m *mutant) {
		m.advance = func(_ context.Context, to uint64) error { m.mem.count = max(m.mem.count, to); return nil }
	}},
	{"any jump", "anchor/bad", func(m *mutant) {
		m.advance = func(_ context.Context, to uint64) error {
			if m.mem.count > to {
				return keystore.ErrAhead
			}
			m.mem.count = to
			return nil
		}
	}},
	{"refuses, but moves", "anchor/bad", func(m *mutant) {
		m.advance = func(_ context.Context, to uint64) error {
			_, err := keystore.Steps(m.mem.count, to)
			m.mem.count++
			if err == nil {
				m.mem.count = to
			}
			return err
		}
	}},
	{"deaf to the context", "context", func(m *mutant) {
		m.sign = func(_ context.Context, half int, msg []byte) ([]byte, error) {
			return m.Keystore.Sign(context.Background(), half, msg)
		}
	}},
	{"acts before it looks", "context", func(m *mutant) {
		m.set = func(ctx context.Context, r keystore.Record) error { m.mem.rec = r; return ctx.Err() }
	}},
	{"counts before it looks", "context", func(m *mutant) {
		m.advance = func(ctx context.Context, to uint64) error { m.mem.count++; return ctx.Err() }
	}},
	{"hands out its own identity", "retain", func(m *mutant) {
		id := m.Keystore.Identity()
		m.identity = func() keystore.Identity { return id }
	}},
	{"hands out its own evidence", "retain", func(m *mutant) {
		evidence := []byte("voucher")
		m.identity = func() keystore.Identity { id := m.Keystore.Identity(); id.Evidence = evidence; return id }
	}},
	{"writes to its argument", "retain", func(m *mutant) {
		m.sign = func(ctx context.Context, half int, msg []byte) ([]byte, error) {
			sig, err := m.Keystore.Sign(ctx, half, msg)
			clear(msg)
			return sig, err
		}
	}},
	{"keeps its argument", "retain", func(m *mutant) {
		var kept []byte
		m.decap = func(ctx context.Context, enc []byte) ([32]byte, error) {
			if kept == nil {
				kept = enc
			}
			return m.Keystore.Decapsulate(ctx, kept)
		}
	}},
	{"lost steps", "concurrent", func(m *mutant) {
		m.count = func(context.Context) (uint64, error) { return 0, nil }
	}},
	{"fails under load", "concurrent", func(m *mutant) {
		m.sign = func(context.Context, int, []byte) ([]byte, error) { return nil, keystore.ErrBusy }
	}},
	{"prints its secret", "secrets", func(m *mutant) { m.show = fmt.Sprint(m.secret) }},
	{"prints it in hex", "secrets", func(m *mutant) { m.show = fmt.Sprintf("%x", m.secret[:16]) }},
	{"error with a secret", "secrets", func(m *mutant) {
		m.decap = func(context.Context, []byte) ([32]byte, error) { return [32]byte{}, fmt.Errorf("key %q", m.secret) }
	}},
	{"prints a derived key", "secrets", func(m *mutant) {
		key, _ := m.Keystore.Derive(context.Background(), "vault-mac")
		m.show = fmt.Sprintf("%#v", key)
	}},
	{"every device the same", "other", func(m *mutant) { m.Keystore = open(make32(), m.mem) }},
	{"every device derives the same", "other", func(m *mutant) {
		m.derive = func(context.Context, string) ([32]byte, error) { return [32]byte{1}, nil }
	}},
	{"new identity each boot", "reopen", func(m *mutant) {
		serial++
		m.secret = append([]byte{serial, 1, 2}, m.secret[3:]...)
		m.Keystore = open(m.secret, m.mem)
	}},
	{"latch in RAM", "reopen", func(m *mutant) { m.mem.rec = keystore.Record{} }},
	{"anchor in RAM", "reopen", func(m *mutant) { m.mem.count = 0 }},
	{"derives from the boot", "reopen", func(m *mutant) {
		serial++
		boot := serial
		m.derive = func(ctx context.Context, label string) ([32]byte, error) {
			key, err := m.Keystore.Derive(ctx, label)
			key[0] = boot
			return key, err
		}
	}},
	{"destroys nothing", "destroy", func(m *mutant) { m.destroy = func(context.Context) error { return nil } }},
	{"owner not taken", "destroy", func(m *mutant) {
		m.set = func(context.Context, keystore.Record) error { return errOther }
	}},
	{"latch unreadable", "destroy", func(m *mutant) {
		m.read = func(context.Context) (keystore.Record, error) { return keystore.Record{}, errOther }
	}},
	{"anchor unreadable", "destroy", func(m *mutant) {
		m.count = func(context.Context) (uint64, error) { return 0, errOther }
	}},
	{"no close after destroy", "destroy", func(m *mutant) {
		mortal(m)
		m.close = func() error { return errOther }
	}},
	{"destroy fails", "destroy", func(m *mutant) { m.destroy = func(context.Context) error { return errOther } }},
	{"destroys the keys alone", "destroy", func(m *mutant) {
		mortal(m)
		m.read = func(context.Context) (keystore.Record, error) { return m.mem.rec, nil }
	}},
	{"untyped after destroy", "destroy", func(m *mutant) {
		mortal(m)
		m.derive = func(ctx context.Context, label string) ([32]byte, error) {
			if m.mem.gone {
				return [32]byte{}, errOther
			}
			return m.Keystore.Derive(ctx, label)
		}
	}},
	{"uncertain after destroy", "destroy", func(m *mutant) {
		mortal(m)
		m.set = func(ctx context.Context, r keystore.Record) error {
			err := m.Keystore.Latch().Set(ctx, r)
			if err != nil {
				err = &keystore.Error{Kind: keystore.ErrUncertain, Err: err}
			}
			return err
		}
	}},
	{"destroy once only", "destroy", func(m *mutant) {
		mortal(m)
		once := m.destroy
		m.destroy = func(ctx context.Context) error {
			if m.mem.gone {
				return keystore.ErrClosed
			}
			return once(ctx)
		}
	}},
	{"not destroyed on the medium", "destroy", func(m *mutant) {
		m.destroy = func(context.Context) error { return m.Keystore.Close() }
	}},
	{"destroyed is reset", "destroy", func(m *mutant) { mortal(m); m.mem.again = keystore.ErrReset }},
	{"identity gone with the secret", "destroy", func(m *mutant) {
		mortal(m)
		m.identity = func() keystore.Identity {
			if m.mem.gone {
				return keystore.Identity{}
			}
			return m.Keystore.Identity()
		}
	}},
	{"not supported, but closes", "destroy", func(m *mutant) {
		m.destroy = func(context.Context) error { m.Keystore.Close(); return errors.ErrUnsupported }
	}},
	{"not supported, but forgets the owner", "destroy", func(m *mutant) {
		m.destroy = func(context.Context) error { m.mem.rec = keystore.Record{}; return errors.ErrUnsupported }
	}},
	{"not supported, but signs no more", "destroy", func(m *mutant) {
		m.destroy = func(context.Context) error {
			m.sign = func(context.Context, int, []byte) ([]byte, error) { return make([]byte, 64), nil }
			return errors.ErrUnsupported
		}
	}},
	{"destroys under a context that is done", "context", func(m *mutant) {
		mortal(m)
		alive := m.destroy
		m.destroy = func(ctx context.Context) error { alive(context.Background()); return ctx.Err() }
	}},
	{"destroys what is closed", "close", func(m *mutant) { m.destroy = func(context.Context) error { return nil } }},
	{"close fails twice", "close", func(m *mutant) {
		m.close = func() error {
			m.show += "x"
			m.Keystore.Close()
			return map[bool]error{true: errOther}[len(m.show) > 1]
		}
	}},
	{"close closes nothing", "close", func(m *mutant) { m.close = func() error { return nil } }},
	{"identity gone after close", "close", func(m *mutant) {
		m.close = func() error {
			m.identity = func() keystore.Identity { return keystore.Identity{} }
			return m.Keystore.Close()
		}
	}},
}

func make32() []byte {
	b := make([]byte, 32)
	b[0] = 1
	return b
}

func TestMutants(t *testing.T) {
	for _, mu := range mutants {
		t.Run(mu.name, func(t *testing.T) {
			quotes := mu.name != "sign panics"
			mustFail(t, strict(mu.spoil), mu.check, quotes)
		})
	}
}

// Every check kills a mutant.
func TestChecksNeeded(t *testing.T) {
	for _, ck := range checks {
		killed := 0
		for _, mu := range mutants {
			if mu.check == ck.name {
				killed++
			}
		}
		if killed == 0 {
			t.Errorf("check %q has no mutant", ck.name)
		}
	}
}
