package vault

import (
	"crypto/sha256"
	"encoding/binary"
	"context"
	"errors"
	"iter"

	"github.com/nanolock/nanolock/nvm"
)

var ErrElsewhere = errors.New("x")

type Copies struct{ mem nvm.NVM }

func NewCopies(mem nvm.NVM) (*Copies, error) { return &Copies{mem}, nil }
func (c *Copies) part() int64 {
	g := c.mem.Geometry()
	return g.Size / g.EraseSize / 4 * g.EraseSize
}
func (c *Copies) Cap() int { return int(c.part()) - 64 }
func (c *Copies) Put(ctx context.Context, set int, p []byte) error {
	c.Clear(ctx, set)
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(p)))
	b = append(b, p...)
	ps := int(c.mem.Geometry().ProgramSize)
	for len(b)%ps != 0 {
		b = append(b, 0xff)
	}
	pg := c.mem.Geometry().PageSize
	if pg == 0 {
		pg = int64(len(b))
	}
	for i := int64(0); i < int64(len(b)); i += pg {
		if _, err := c.mem.WriteAt(b[i:min(i+pg, int64(len(b)))], int64(set)*2*c.part()+i); err != nil {
			return err
		}
	}
	return c.mem.Sync()
}
func (c *Copies) Get(ctx context.Context, set int, d [32]byte) ([]byte, error) {
	h := make([]byte, 4)
	c.mem.ReadAt(h, int64(set)*2*c.part())
	n := binary.LittleEndian.Uint32(h)
	if int(n) > c.Cap() {
		return nil, ErrLost
	}
	p := make([]byte, n)
	if _, err := c.mem.ReadAt(p, int64(set)*2*c.part()+4); err != nil {
		return nil, err
	}
	if sha256.Sum256(p) != d {
		return nil, ErrLost
	}
	return p, nil
}
func (c *Copies) Clear(ctx context.Context, set int) error {
	return c.mem.Erase(int64(set)*2*c.part(), c.part())
}
func (c *Copies) Repair(ctx context.Context, set int, d [32]byte) (bool, error) { return false, nil }
func (c *Copies) All(ctx context.Context) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {}
}

type Document struct {
	Set, Copy int
	Bytes     []byte
}
type AuditLog struct{}
type AuditHead struct {
	Seq uint64
	Tag [16]byte
}
type AuditOptions struct {
	Boot  [16]byte
	Known AuditHead
}
type AuditReport struct {
	Whole bool
	Why   string
}

func OpenAudit(ctx context.Context, mem nvm.NVM, key [32]byte, o AuditOptions) (*AuditLog, AuditReport, error) {
	return nil, AuditReport{}, nil
}
func (a *AuditLog) Append(ctx context.Context, kind uint16, at uint64, body []byte) error { return nil }
func (a *AuditLog) Unlogged() uint64                                                      { return 0 }
func (a *AuditLog) Full() bool                                                            { return false }
func (a *AuditLog) Head() (uint64, [16]byte)                                              { return 0, [16]byte{} }
func (a *AuditLog) Acknowledge(ctx context.Context, seq uint64) error                     { return nil }
