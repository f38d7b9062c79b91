package nvmtest

import "fmt"

// The sentences of the contract, word for word, so that a failure names the one
// that is broken. A test compares them with the text of package nvm; those that
// begin with "io." are from the documentation of package io.
const (
	sRange   = "an access that is not inside [0, Geometry().Size) as a whole returns 0 and [ErrRange], whatever its alignment; it is never clipped"
	sZero    = "An access of length zero at an offset in [0, Size] does nothing and returns nil, whatever its alignment"
	sAlign   = "a program that does not start and end at a multiple of Geometry().ProgramSize, or that crosses a multiple of a non-zero PageSize, and an erase that does not start and end at an erase block's border return 0 and [ErrAlign] and change nothing"
	sFailure = "when the medium fails, n says how many leading bytes were done for certain"
	sConc    = "methods may be called concurrently"
	sRetain  = "An implementation never retains p after it returned"

	sProgram  = "What it does to bytes that are not erased is Geometry().Program"
	sErase    = "Erase sets exactly [off, off+n) to Geometry().Erased: whole erase blocks or ErrAlign, never widened, never narrowed"
	sSync     = "all programs and erases that returned before it was called survive a power cut once it returns nil"
	sConstant = "Geometry is constant while the memory is open"
	sValid    = "The zero Geometry is invalid"

	sClear   = "the result is old AND new (for Erased 0xFF; old OR new for parts that erase to 0x00)"
	sOnce    = "a unit of ProgramSize is programmed once; the second time is ErrProgrammed"
	sRewrite = "Rewrite is RAM, files and block devices: no erase needed"

	sMapping  = "Bytes returns a read-only mapping of all of it, len == cap == Geometry().Size, or nil if there is none"
	sCoherent = "must show each program and erase that returned"
	sFaults   = "Writing to it faults"
	sRemap    = "Remap returns a fresh read-only mapping under the rules of Bytes in which the swapped pairs of spans have changed places"
	sRemapBad = "Spans of a pair have equal length, are multiples of the page size and do not overlap; errors.ErrUnsupported if they are not, or do"
	sEarlier  = "Earlier mappings stay valid and unchanged"

	sHasBad  = "A memory whose Geometry says BadBlocks implements it"
	sBad     = "Programs and erases that touch a bad block return ErrBadBlock and change nothing"
	sIsBad   = "IsBad tells whether the erase block that contains off is bad"
	sForever = "MarkBad marks it, for ever"

	sReadAt  = "io.ReaderAt: ReadAt reads len(p) bytes into p starting at offset off"
	sWriteAt = "io.WriterAt: WriteAt writes len(p) bytes from p; it must return a non-nil error if it returns n < len(p)"
	sModify  = "io.WriterAt: Write must not modify the slice data, even temporarily"
)

// broke is the one way a check reports: what was seen, and the sentence that
// does not allow it.
func broke(sentence, format string, a ...any) error {
	return fmt.Errorf("%s\n\tbreaks the contract: %q", fmt.Sprintf(format, a...), sentence)
}
