package p

import "testing"

func TestSum(t *testing.T) {
	t.Run("three", func(t *testing.T) {
		if Sum([]int{1, 2, 3}) != 6 {
			t.Error("wrong")
		}
	})
}

func TestBroken(t *testing.T) { t.Error("fails without any mutant") }
