// Command nanolock is what people use of nanolock at a desk: it checks and
// explains policies, imports the flash maps that devices already have, draws
// them, and attacks a lock on a copy of an image.
//
//	nanolock attack                       # the whole catalogue against an example
//	nanolock policy import --mtdparts S   # a policy from what the kernel is told
//	nanolock policy lint router.yaml
//
// "nanolock help" lists the rest, "nanolock help exit-codes" what scripts need.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
