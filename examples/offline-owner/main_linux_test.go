package main

import (
	"context"
	"strings"
	"testing"
)

func TestStory(t *testing.T) {
	want := `owners:    3 people, 2 of them have to agree, keys under passphrases
factory:   6 devices, each with a secret of its own; a file of ids goes to the owners
owners:    anna and cleo each sign once; the file has 6 orders
factory:   6 devices have an owner
thief:     the order of device 1 on device 0: refused: order: for another device
ben alone: refused: order: signature refused
owners:    ben and cleo put policy 2 on all 6 devices
devices:   all 6 started again, enforce policy 2 and refuse their hosts' writes
`
	var out strings.Builder
	if err := story(context.Background(), t.TempDir(), 6, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}
