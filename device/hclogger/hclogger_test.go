package hclogger

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/devicetest"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func logger(w *bytes.Buffer, lvl hclog.Level) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "flash", Level: lvl, Output: w, DisableTime: true})
}

func TestLevels(t *testing.T) {
	for _, tc := range []struct {
		e    device.Event
		want string
	}{
		{device.Event{Kind: device.EventBoot, Text: "deployed"}, "[INFO]  flash: boot: text=deployed\n"},
		{device.Event{Kind: device.EventDegraded, Text: "blank"}, "[ERROR] flash: degraded: text=blank\n"},
		{device.Event{Kind: device.EventRefused, Order: order.Grant, Err: errors.New("stale")}, "[WARN]  flash: refused: order=grant error=stale\n"},
		{device.Event{Kind: device.EventSession, Session: order.SessionID{0xAB}}, "[DEBUG] flash: session: session=ab000000\n"},
		{device.Event{Kind: device.EventDenied, Denial: nanolock.Denial{Off: 4, Len: 8, Handle: 1}}, "[WARN]  flash: denied: offset=4 length=8 handle=1\n"},
		{device.Event{Kind: "news"}, "[INFO]  flash: news\n"},
	} {
		var out bytes.Buffer
		New(logger(&out, hclog.Trace))(tc.e)
		if out.String() != tc.want {
			t.Errorf("%v: %q, want %q", tc.e.Kind, out.String(), tc.want)
		}
	}
	New(nil)(device.Event{Kind: device.EventBoot})
}

func TestFlood(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	a := &adapter{log: logger(&out, hclog.Info), now: func() time.Time { return now }}
	for range 1000 {
		a.tell(device.Event{Kind: device.EventDenied})
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d lines for a flood", n)
	}
	now = now.Add(Quiet)
	a.tell(device.Event{Kind: device.EventDenied})
	if !strings.Contains(out.String(), "skipped=999") {
		t.Errorf("the rest is not counted: %s", out.String())
	}
}

// A device's whole life leaves none of its secrets in the log.
func TestDevice(t *testing.T) {
	var out bytes.Buffer
	d := devicetest.New(t, &devicetest.Config{Device: device.Config{OnEvent: New(logger(&out, hclog.Trace))}})
	d.Lifecycle(policy.Deployed)
	_, _ = d.Host().WriteAt([]byte{0}, 0)
	d.Cut()
	if err := d.Device.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"boot", "accepted: text=lifecycle order=lifecycle", "denied"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, label := range []string{"vault-mac", "audit-mac", "challenge"} {
		key, err := d.Keys.Derive(context.Background(), label)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), key[:]) || strings.Contains(out.String(), hexOf(key[:])) {
			t.Errorf("the log holds the key %s", label)
		}
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}
