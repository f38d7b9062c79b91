// Package bench measures what mediation costs: the same accesses with and
// without a Lock in between, in turns, in one process. README.md says how to
// read and how to repeat it.
//
//	go test -bench . ./bench                     # one code layout, minutes
//	go run ./bench/run                           # many layouts, both builds, the published figures
package bench
