package policyfile_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/flashmap"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// dt writes device trees: a node is opened by its name and closed by "".
type dt struct{ structure, names []byte }

func (w *dt) word(v uint32) { w.structure = binary.BigEndian.AppendUint32(w.structure, v) }

func (w *dt) text(s string) {
	for w.structure = append(append(w.structure, s...), 0); len(w.structure)%4 != 0; {
		w.structure = append(w.structure, 0)
	}
}

func (w *dt) begin(name string) { w.word(1); w.text(name) }
func (w *dt) end()              { w.word(2) }

func (w *dt) prop(name string, value []byte) {
	w.word(3)
	w.word(uint32(len(value)))
	w.word(uint32(len(w.names)))
	w.names = append(append(w.names, name...), 0)
	for w.structure = append(w.structure, value...); len(w.structure)%4 != 0; {
		w.structure = append(w.structure, 0)
	}
}

func (w *dt) str(name, value string) { w.prop(name, append([]byte(value), 0)) }

func (w *dt) cells(name string, v ...uint32) {
	var b []byte
	for _, c := range v {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	w.prop(name, b)
}

// table opens a node with partitions.
func (w *dt) table(name string) {
	w.begin(name)
	w.str("compatible", "fixed-partitions")
	w.cells("#address-cells", 1)
	w.cells("#size-cells", 1)
}

func (w *dt) part(label string, off, size uint32, compatible string) {
	w.begin(fmt.Sprintf("partition@%x", off))
	w.str("label", label)
	w.cells("reg", off, size)
	if compatible != "" {
		w.str("compatible", compatible)
	}
	w.end()
}

func (w *dt) blob() []byte {
	w.word(9)
	at := 40 + 16
	var b []byte
	for _, v := range []int64{0xd00dfeed, int64(at + len(w.structure) + len(w.names)), int64(at), int64(at + len(w.structure)), 40, 17, 16, 0, int64(len(w.names)), int64(len(w.structure))} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return append(append(append(b, make([]byte, 16)...), w.structure...), w.names...)
}

// twoChips has a NOR, a NAND, and as many more as wanted whose maps are wrong.
func twoChips(wrong int) []byte {
	w := &dt{}
	w.begin("")
	for i := range wrong {
		w.begin(fmt.Sprintf("flash@%x", 100+i))
		w.table("partitions")
		w.part("a", 0, 0x20000, "")
		w.part("b", 0x10000, 0x20000, "")
		w.end()
		w.end()
	}
	w.begin("flash@0")
	w.str("compatible", "jedec,spi-nor")
	w.table("partitions")
	w.part("first", 0, 0x10000, "brcm,u-boot")
	w.part("settings", 0x10000, 0x10000, "u-boot,env")
	w.begin("partition@20000")
	w.str("compatible", "fixed-partitions")
	w.str("label", "boot")
	w.cells("reg", 0x20000, 0x20000)
	w.cells("#address-cells", 1)
	w.cells("#size-cells", 1)
	w.part("stage 2", 0, 0x10000, "")
	w.end()
	w.end()
	w.end()
	w.begin("nand@1")
	w.str("compatible", "some,nand")
	w.table("partitions")
	w.part("ubi", 0, 0, "linux,ubi")
	w.end()
	w.end()
	w.end()
	return w.blob()
}

func TestImportDeviceTree(t *testing.T) {
	o := policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10, Device: "/flash@0"}
	im, err := policyfile.ImportDeviceTree(twoChips(0), o)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im)
	sameShape(t, im, `
		first 0x0+0x10000 boot
		settings 0x10000+0x10000
		stage 2 0x20000+0x10000 boot
		boot (rest) 0x30000+0x10000 boot
	`)
	says(t, im, notes(`"first" was taken for boot code because of its content, brcm,u-boot`, `"stage 2" was taken for boot code because it lies in "boot"`,
		`"boot (rest)" was taken for boot code because of its name`, closed, "no partition covers 0x40000+0xc0000", `rest of them: "boot"`,
		`no rules here: "first": holds brcm,u-boot; "settings": holds u-boot,env`)...)
	if want := `imported from devicetree, device "/flash@0" (jedec,spi-nor); guesses`; !strings.HasPrefix(im.Notes[0], want) {
		t.Errorf("first: %s", im.Notes[0])
	}
	o.Device, o.Writable = "nand@1", []string{"ubi"}
	if im, err = policyfile.ImportDeviceTree(twoChips(0), o); err != nil {
		t.Fatal(err)
	}
	sound(t, im, "ubi")
	sameShape(t, im, "ubi 0x0+0x100000 open 432/24h")
}

func TestImportPick(t *testing.T) {
	o := policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10}
	for _, c := range []struct {
		device string
		wrong  int
		text   string
	}{
		{"", 0, `not one device: the source has several: name one of these (--device): "/flash@0", "/nand@1"`},
		{"flash", 0, `none is called "flash"`},
		{"", 1, "the map of another device is wrong (/flash@64: devicetree: partitions overlap in part"},
		{"flash@64", 1, `none is called "flash@64"`},
	} {
		o.Device = c.device
		_, err := policyfile.ImportDeviceTree(twoChips(c.wrong), o)
		refusal(t, err, policyfile.ErrDevice, c.text)
		var e *policyfile.ImportError
		if errors.As(err, &e) && len(e.Choices) != 2 || c.wrong > 0 && !errors.Is(err, flashmap.ErrOverlap) {
			t.Errorf("%+v", e)
		}
	}
	o.Device = "/flash@0"
	im, err := policyfile.ImportDeviceTree(twoChips(2), o)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, im)
	if !strings.Contains(im.Notes[1], "the map of another device is wrong: /flash@64: ") || !strings.Contains(im.Notes[1], "; /flash@65: ") {
		t.Errorf("second: %s", im.Notes[1])
	}
}
