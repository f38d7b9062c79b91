package keyfile

import (
	"bytes"
	"encoding/pem"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
)

// MaxName is the length of a key's name in bytes. Policies take more, file names do not.
const MaxName = 64

const publicBlock = "NANOLOCK PUBLIC KEY"

// Keys of the CBOR map within NAME.pub. They are part of the format.
const (
	fieldSuite       = 1 // as on the wire
	fieldName        = 2
	fieldDevelopment = 3 // true or missing
	fieldKeys        = 4 // COSE_KeySet (RFC 9052 §7), a COSE_Key for each half
)

// Public is what others get of a key, and what a policy needs of it. Nobody has signed it.
type Public struct {
	Name        string // whose; CheckName
	Development bool   // not for production: policy lint says so
	Key         *cose.PublicKey
}

// CheckName returns ErrMalformed unless name is 1 to [MaxName] bytes, printable UTF-8, with
// no slash, backslash or colon, and begins with neither a dot, a dash nor a space: it is
// shown in terminals and becomes the name of files.
func CheckName(name string) error {
	ok := name != "" && len(name) <= MaxName && utf8.ValidString(name) && !strings.ContainsAny(name, `/\:`) &&
		!strings.ContainsAny(name[:1], ".- ") && !strings.HasSuffix(name, " ")
	for _, r := range name {
		ok = ok && unicode.IsPrint(r)
	}
	if !ok {
		return refuse(ErrMalformed, "a name is 1 to %d bytes of printable text that can be a file's name", MaxName)
	}
	return nil
}

// Encode writes the file. ErrMalformed for a bad name or no key.
func (p *Public) Encode() ([]byte, error) {
	if err := CheckName(p.Name); err != nil {
		return nil, err
	}
	if p.Key == nil || p.Key.Suite() == 0 {
		return nil, refuse(ErrMalformed, "no key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: p.appendCBOR(nil)}), nil
}

func (p *Public) appendCBOR(b []byte) []byte {
	n := 3
	if p.Development {
		n = 4
	}
	b = cbor.AppendMap(b, n)
	b = cbor.AppendUint(cbor.AppendUint(b, fieldSuite), uint64(p.Key.Suite()))
	b = cbor.AppendText(cbor.AppendUint(b, fieldName), p.Name)
	if p.Development {
		b = cbor.AppendBool(cbor.AppendUint(b, fieldDevelopment), true)
	}
	keys := p.Key.COSEKeys()
	b = cbor.AppendArray(cbor.AppendUint(b, fieldKeys), len(keys))
	for _, k := range keys {
		b = append(b, k...)
	}
	return b
}

// ParsePublic reads what Encode writes and nothing else but text around the block.
func ParsePublic(text []byte) (*Public, error) {
	if len(text) > maxFile {
		return nil, refuse(ErrMalformed, "more than %d bytes", maxFile)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != publicBlock || len(block.Headers) > 0 || len(block.Bytes) > maxDER {
		return nil, refuse(ErrMalformed, "no %s in PEM", publicBlock)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, refuse(ErrMalformed, "more than one key")
	}
	p := &Public{}
	var suite cose.Suite
	var keys [][]byte
	d := cbor.NewDecoder(block.Bytes)
	d.Fields([]int64{fieldSuite, fieldName, fieldKeys}, func(field int64) bool {
		switch field {
		case fieldSuite:
			suite = cose.Suite(d.UintMax(255))
		case fieldName:
			p.Name = d.Text(MaxName)
		case fieldDevelopment:
			p.Development = d.Bool()
		case fieldKeys:
			for range d.Array(2) {
				keys = append(keys, d.Raw())
			}
		default:
			return false
		}
		return true
	})
	if err := d.End(); err != nil {
		return nil, refuse(ErrMalformed, "%w", err)
	}
	if err := CheckName(p.Name); err != nil {
		return nil, err
	}
	var err error
	if p.Key, err = cose.ParseCOSEKeys(suite, keys...); err != nil {
		return nil, refuse(ErrMalformed, "%w", err)
	}
	if !bytes.Equal(p.appendCBOR(nil), block.Bytes) { // a development flag that says false
		return nil, refuse(ErrMalformed, "another encoding")
	}
	return p, nil
}
