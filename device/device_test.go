package device_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

var ctx = context.Background()

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestLife(t *testing.T) {
	r, err := rig.New(rig.Config{})
	ok(t, err)
	ok(t, r.Lifecycle(policy.Deployed))
	host := r.Device.Host()
	boot := r.Policy.Region("boot").Span
	if _, err := host.WriteAt([]byte("implant!"), boot.Off); !errors.Is(err, nanolock.ErrDenied) {
		t.Fatalf("host writes boot: %v", err)
	}
	msg, err := r.Signed(order.Vendor, order.Grant, r.Whole("boot"))
	ok(t, err)
	reply, err := r.Device.Apply(ctx, msg)
	ok(t, err)
	s, err := r.Device.Session(*reply.Session)
	ok(t, err)
	ok(t, s.Erase(boot.Off, boot.Len))
	_, err = s.WriteAt([]byte("firmware"), boot.Off)
	ok(t, err)
	_, err = r.Device.Apply(ctx, msg)
	is(t, "replay", err, device.ErrStale)
	ok(t, r.Cut())
	_, err = r.Device.Apply(ctx, msg)
	is(t, "replay after a cut", err, device.ErrStale)
	_, err = r.Device.Session(*reply.Session)
	is(t, "session after a cut", err, device.ErrSession)
	rep, err := r.Report()
	ok(t, err)
	if policy.State(rep.State) != policy.Deployed || rep.Health != 0 {
		t.Errorf("report: %+v", rep)
	}
}
