package demo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"

	"github.com/nanolock/nanolock/policy"
)

// RouterImage returns the router's whole flash as it is after some days in the
// field: boot loader, environment, calibration, two firmware images, settings
// and a log; the rest is erased. Equal seeds give equal images.
func RouterImage(seed uint64) []byte {
	p := Router()
	img := bytes.Repeat([]byte{0xFF}, int(p.Memory.Size))
	b := &builder{rng: rand.New(rand.NewPCG(seed, 0x6e616e6f6c6f636b)), policy: p, img: img}
	b.bootloader(b.at("bootloader"))
	b.environment(b.at("u-boot-env"))
	b.calibration(b.at("calibration"))
	b.firmware(b.at("firmware"), "OpenWrt 23.05.5", 1_727_222_400)
	b.firmware(b.at("firmware-b"), "OpenWrt 23.05.4", 1_721_001_600)
	b.settings(b.at("rootfs_data"))
	b.log(b.at("log"))
	b.random(b.at("identity")[:0x1200])
	return img
}

type builder struct {
	rng    *rand.Rand
	policy *policy.Policy
	img    []byte
}

// at is the part of the image that holds the region or area.
func (b *builder) at(name string) []byte {
	s := span(b.policy, name)
	return b.img[s.Off:s.End()]
}

// random stands for compiled and compressed content.
func (b *builder) random(p []byte) {
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, b.rng.Uint64())
		p = p[8:]
	}
	for i := range p {
		p[i] = byte(b.rng.Uint32())
	}
}

func (b *builder) bootloader(p []byte) {
	code := p[:len(p)*7/8]
	b.random(code)
	copy(code, "\x10\x00\x00\xff\x00\x00\x00\x00") // MIPS: b over the header; nop
	copy(code[0x400:], "U-Boot 2024.01-demo (Jan 08 2024 - 15:37:48 +0000)\x00")
}

// environment is U-Boot's: a CRC over zero-terminated text, filled up with zeros.
func (b *builder) environment(p []byte) {
	const size = 0x2000
	env := p[:size]
	clear(env)
	copy(env[4:], "baudrate=115200\x00bootcmd=bootm 0xbc050000\x00bootdelay=1\x00"+
		"ethaddr=02:00:5e:10:00:01\x00ipaddr=192.168.1.1\x00serverip=192.168.1.2\x00")
	binary.LittleEndian.PutUint32(env, crc32.ChecksumIEEE(env[4:]))
}

func (b *builder) calibration(p []byte) {
	copy(p, "\x15\x76\x00\x01\x02\x00\x5e\x10\x00\x02")
	b.random(p[0x20:0x400])
	copy(p[0x8000:], "\x63\x76\x00\x01\x02\x00\x5e\x10\x00\x03")
	b.random(p[0x8020:0x8e10])
}

// firmware is a kernel as a legacy U-Boot image, a squashfs behind it, and
// erased bytes up to the end.
func (b *builder) firmware(p []byte, name string, built uint32) {
	kernel := p[64 : 64+2_260_000+int(b.rng.Uint32N(4096))]
	b.random(kernel)
	be := binary.BigEndian
	be.PutUint32(p[0:], 0x27051956) // magic
	be.PutUint32(p[4:], 0)          // header's CRC, below
	be.PutUint32(p[8:], built)
	be.PutUint32(p[12:], uint32(len(kernel)))
	be.PutUint32(p[16:], 0x80001000) // load
	be.PutUint32(p[20:], 0x80001000) // entry
	be.PutUint32(p[24:], crc32.ChecksumIEEE(kernel))
	copy(p[28:], "\x05\x05\x02\x03") // Linux, MIPS, kernel, LZMA
	clear(p[32:64])
	copy(p[32:64], name)
	be.PutUint32(p[4:], crc32.ChecksumIEEE(p[:64]))

	root := p[(64+len(kernel)+0xFFFF)&^0xFFFF:]
	used := 3_100_000 + int(b.rng.Uint32N(4096))
	b.random(root[:used])
	le := binary.LittleEndian
	copy(root, "hsqs")
	le.PutUint32(root[4:], 1432)     // inodes
	le.PutUint32(root[8:], built)    // made
	le.PutUint32(root[12:], 256<<10) // block
	le.PutUint16(root[20:], 4)       // xz
	le.PutUint16(root[28:], 4)       // version 4.0
	le.PutUint16(root[30:], 0)
	le.PutUint64(root[40:], uint64(used))
}

// settings is a JFFS2: clean markers on all blocks, nodes in the first few.
func (b *builder) settings(p []byte) {
	block := int(b.policy.Memory.Granule)
	for off := 0; off < len(p); off += block {
		copy(p[off:], "\x85\x19\x03\x20\x0c\x00\x00\x00\xb1\xb0\x1e\xe4")
		if off < 9*block {
			b.random(p[off+12 : off+block-0x200])
		}
	}
}

func (b *builder) log(p []byte) {
	n := 0
	for i := 0; n < len(p)/3; i++ {
		n += copy(p[n:], fmt.Sprintf("[%6d.%03d] daemon.info dnsmasq[%d]: query %08x from 192.168.1.%d\n",
			12+i/3, b.rng.IntN(1000), 1400+b.rng.IntN(9), b.rng.Uint32(), 100+b.rng.IntN(50)))
	}
}
