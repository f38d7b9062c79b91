package policyfile

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/nanolock/nanolock/internal/flashmap"
)

// role is what a partition seems to be for.
type role struct {
	boot      string // why it is taken for boot code; "" = it is not
	inherited bool   // what lies inside is boot code too
	env       bool   // the boot loader's environment
}

// Words that give boot code away. To take too much for boot code costs a warning
// where it is opened; to take too little costs the device.
var (
	// Anywhere in a name, spelled without punctuation.
	bootParts = []string{
		"uboot", "bootloader", "bootstrap", "bootblock", "barebox", "redboot", "coreboot", "skiboot",
		"preloader", "opensbi", "fsbl", "uefi", "appsbl", "idbloader",
	}
	// As a word of a name, without digits at its end.
	bootTokens = []string{
		"boot", "loader", "bl", "spl", "tpl", "sbl", "fip", "mlo", "atf", "tfa", "tee", "optee", "trust",
		"cfe", "xload", "rcw", "pbl", "pbi", "qsee", "tz", "rpm",
	}
	// As the whole name in firmware of x86, which has no partitions of a kernel.
	firmwareNames = []string{
		"bios", "sibios", "fd", "sidesc", "me", "sime", "ec", "gbb",
		"fwmaina", "fwmainb", "vblocka", "vblockb", "rwlegacy",
	}
	// As a word of a name: data that boot code reads.
	dataTokens = []string{
		"log", "logo", "splash", "count", "counter", "flag", "flags", "cfg", "config", "args", "params", "data", "vars",
	}
)

// roleOf guesses from the name, from the driver that the source names for the
// content, and in an FMAP from the section that is protected there.
func (im *importer) roleOf(p flashmap.Part) (r role) {
	plain, words := plainName(p.Name)
	firmware := im.m.Source == "fmap" || im.m.Source == "layout"
	r.env = strings.Contains(plain, "env") || slices.ContainsFunc(p.Compatible, func(c string) bool { return strings.HasPrefix(c, "u-boot,env") })
	switch {
	case im.m.Source == "fmap" && (p.ReadOnly || plain == "wpro" || strings.HasPrefix(p.Name, "RO_")):
		return role{boot: "it is a read-only section", inherited: true}
	case firmware && slices.Contains(firmwareNames, plain):
		// "bios" is all of the host's firmware with its variables: what lies
		// inside speaks for itself.
		return role{boot: "of its name"}
	case r.env || containsAny(dataTokens, words):
		return r
	case slices.ContainsFunc(bootParts, func(s string) bool { return strings.Contains(plain, s) }) || containsAny(bootTokens, words):
		return role{boot: "of its name", inherited: true}
	}
	for _, c := range p.Compatible {
		if strings.Contains(c, "u-boot") {
			return role{boot: fmt.Sprintf("of its content, %s", c), inherited: true}
		}
	}
	return r
}

func containsAny(list, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
}

// plainName returns a name in small letters without punctuation, and its words
// without the digits at their ends: "NAND.SPL.backup1" is "nandsplbackup1", and
// nand, spl, backup. A slot letter at the end is a word of its own.
func plainName(name string) (plain string, words []string) {
	words = strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	plain = strings.Join(words, "")
	for i, w := range words {
		words[i] = strings.TrimRight(w, "0123456789")
	}
	return plain, words
}
