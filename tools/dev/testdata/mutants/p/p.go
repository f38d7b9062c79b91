package p

func Sum(list []int) (n int) {
	for i := 0; i < len(list); i++ {
		n += list[i]
	}
	return n
}

func Unwatched() int { return 1 }

func Two() int {
	return 2
}
