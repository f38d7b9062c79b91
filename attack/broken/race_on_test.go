//go:build race

package broken_test

// slow leaves the matrix out where each access costs ten times as much.
const slow = true
