//go:build !race

package broken_test

const slow = false
