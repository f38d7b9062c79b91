package order

func Peek(msg []byte) (*Order, error) { return nil, nil }
