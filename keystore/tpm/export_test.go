package tpm

import "context"

// Secrets are the bytes of k that must never show: the seeds and the NV password.
func (k *Keystore) Secrets() (list [][]byte, err error) {
	err = k.with(context.Background(), "test", func(c *call) error {
		seed, err := c.unseal(k.state)
		list = append(list, seed, k.auth[:])
		return err
	})
	return list, err
}

// Decode decodes a blob and encodes it again.
func Decode(b []byte) ([]byte, error) {
	s, err := decode(b)
	if err != nil {
		return nil, err
	}
	return s.encode(), nil
}

// Encode is Evidence's encoding.
func (e *Evidence) Encode() []byte { return e.encode() }
