package policyfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/flashmap"
	"github.com/nanolock/nanolock/policy/policyfile"
)

func refusal(t *testing.T, err, kind error, text string) {
	t.Helper()
	var e *policyfile.ImportError
	if !errors.Is(err, kind) || !errors.Is(err, policyfile.ErrImport) || !errors.As(err, &e) || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want %v with %q", err, kind, text)
	}
}

func TestImportRefuses(t *testing.T) {
	const s = "spi0.0:192k(u-boot)ro,64k(env),-(firmware)"
	good := policyfile.ImportOptions{Size: 1 << 20, Granule: 64 << 10}
	for _, c := range []struct {
		name, s string
		do      func(*policyfile.ImportOptions)
		kind    error
		text    string
	}{
		{"no size", s, func(o *policyfile.ImportOptions) { o.Size = 0 }, policyfile.ErrSize, "give its size in bytes (--size)"},
		{"no granule", s, func(o *policyfile.ImportOptions) { o.Granule = 0 }, policyfile.ErrSize, "erase block is: give it in bytes (--granule)"},
		{"granule of three", s, func(o *policyfile.ImportOptions) { o.Granule = 3 }, policyfile.ErrSize, "power of two"},
		{"granule negative", s, func(o *policyfile.ImportOptions) { o.Granule = -4096 }, policyfile.ErrSize, "power of two"},
		{"size off the granule", s, func(o *policyfile.ImportOptions) { o.Size++ }, policyfile.ErrSize, "divides the size"},
		{"size negative", s, func(o *policyfile.ImportOptions) { o.Size = -1 << 20 }, policyfile.ErrSize, "size must be in"},
		{"size too small", s, func(o *policyfile.ImportOptions) { o.Size = 128 << 10 }, policyfile.ErrSize, "beyond"},
		{"too many blocks", s, func(o *policyfile.ImportOptions) { o.Size, o.Granule = 1<<47, 1 }, policyfile.ErrImport, "erase blocks are more than"},
		{"name of the product", s, func(o *policyfile.ImportOptions) { o.Name = "a\x1b[2J" }, policyfile.ErrImport, "printable"},
		{"writable that is not there", s, func(o *policyfile.ImportOptions) { o.Writable = []string{"env", "data"} }, policyfile.ErrWritable,
			`"data" cannot be made writable: name one of these (--writable): "u-boot", "env", "firmware"`},
		{"writable that is two", "d:64k(a),64k(a)", func(o *policyfile.ImportOptions) { o.Writable = []string{"a"} }, policyfile.ErrWritable, `"a @0x0", "a @0x10000"`},
		{"writable that is two containers", "d:128k(x),128k(x),64k@0(a),64k@128k(b)", func(o *policyfile.ImportOptions) { o.Writable = []string{"x"} }, policyfile.ErrWritable, `"b"`},
		{"another device", s, func(o *policyfile.ImportOptions) { o.Device = "spi1.0" }, policyfile.ErrDevice, `"spi0.0"`},
		{"two devices", "a:64k(x);b:64k(y)", func(*policyfile.ImportOptions) {}, policyfile.ErrDevice, `"a", "b"`},
		{"no map", "", func(*policyfile.ImportOptions) {}, policyfile.ErrImport, "the string is empty"},
		{"hundreds to choose from", "d:" + strings.Repeat("4k(p),", 300) + "4k(q)", func(o *policyfile.ImportOptions) { o.Size, o.Writable = 4<<20, []string{"p"} }, policyfile.ErrWritable, "and 269 more"},
	} {
		o := good
		c.do(&o)
		im, err := policyfile.ImportMTDParts(c.s, o)
		if im != nil {
			t.Errorf("%s: a policy", c.name)
		}
		t.Run(c.name, func(t *testing.T) { refusal(t, err, c.kind, c.text) })
	}
	_, err := policyfile.ImportFMAP([]byte("none"), good)
	refusal(t, err, policyfile.ErrImport, "no flash map found")
	_, err = policyfile.ImportFMAP(image(), good)
	refusal(t, err, policyfile.ErrSize, "the source says that the device has 0x10000 bytes")
	_, err = policyfile.ImportLayout("what is this", good)
	refusal(t, err, policyfile.ErrImport, "line 1")
	_, err = policyfile.ImportDeviceTree([]byte("no tree"), good)
	refusal(t, err, policyfile.ErrImport, "")
	if !errors.Is(err, flashmap.ErrSyntax) {
		t.Errorf("the reader's error is lost: %v", err)
	}
}

// TestBootNames: what is taken for boot code, and what is not.
func TestBootNames(t *testing.T) {
	for names, boot := range map[string]bool{
		"u-boot,uboot,U-Boot 2,Bootloader,boot,bl2,BL31,fip,fip_a,NAND.SPL.backup1,QSPI.U_BOOT,X-Loader,MLO,u-boot-spl,fsbl,barebox,0:APPSBL,tee1,at91bootstrap,RedBoot,cfe,boot0": true,
		"u-boot-env,ubootenv,barebox-environment,kernel,rootfs,firmware,data,art,factory,boot-log,bootcount,boot config,me,bios,ubi,nvram,blob,teeth,spline,reboot":                false,
	} {
		for name := range strings.SplitSeq(names, ",") {
			im, err := policyfile.ImportMTDParts("d:64k("+name+")", policyfile.ImportOptions{Size: 1 << 20, Granule: 1 << 16})
			if err != nil {
				t.Fatal(err)
			}
			if got := im.Policy.Map[0].Boot; got != boot {
				t.Errorf("%q: boot is %t", name, got)
			}
		}
	}
}

// FuzzImport: no map makes a policy that does not hold.
func FuzzImport(f *testing.F) {
	f.Add("d:192k(u-boot)ro,64k(env),-(firmware)", []byte(nil), uint8(0))
	f.Add("d:64k(a),64k(a),128k(null),64k@128k(Null)", []byte(nil), uint8(3))
	f.Add("0:fff a\n2000:2fff b:\n2800:28ff c\n", []byte(nil), uint8(1))
	f.Add("", twoChips(1), uint8(2))
	f.Add("", image()[:600], uint8(4))
	f.Fuzz(func(t *testing.T, s string, b []byte, writable uint8) {
		o := policyfile.ImportOptions{Size: 1 << 24, Granule: 4096, Device: "/flash@0"}
		for i, try := range []func() (*policyfile.Imported, error){
			func() (*policyfile.Imported, error) { return policyfile.ImportDeviceTree(b, o) },
			func() (*policyfile.Imported, error) { o.Device = ""; return policyfile.ImportMTDParts(s, o) },
			func() (*policyfile.Imported, error) { return policyfile.ImportLayout(s, o) },
			func() (*policyfile.Imported, error) { o.Size = 0; return policyfile.ImportFMAP(b, o) },
		} {
			im, err := try()
			if err != nil {
				if !errors.Is(err, policyfile.ErrImport) {
					t.Fatalf("%d: not a typed error: %v", i, err)
				}
				continue
			}
			sound(t, im)
			o.Writable = []string{im.Policy.Map[int(writable)%len(im.Policy.Map)].Name}
			if im, err = try(); err != nil {
				t.Fatalf("%d: %q: %v", i, o.Writable, err)
			}
			sound(t, im, o.Writable...)
			o.Writable = nil
		}
	})
}
