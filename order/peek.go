package order

// Peek reads the order that a message carries, and believes nothing of it: for
// tools, and to find the keys that an order to recover brings along.
func Peek(msg []byte) (*Order, error) {
	c, err := readCarried(msg)
	if err != nil {
		return nil, err
	}
	if err := c.header.readBody(); err != nil {
		return nil, err
	}
	return &c.header.Order, nil
}
