module github.com/nanolock/nanolock/internal/interop

go 1.26.0

require (
	github.com/fxamacker/cbor/v2 v2.10.0
	github.com/nanolock/nanolock v0.0.0
	github.com/veraison/go-cose v1.3.0
)

require (
	github.com/cloudflare/circl v1.6.5 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/nanolock/nanolock => ../..
