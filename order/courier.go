package order

import (
	"math"
	"strings"
	"unicode/utf8"
)

// RequestType is the type of a message on the courier port.
type RequestType uint8

// Requests of the courier port; no others exist.
const (
	ReqDeliver   RequestType = 1 // Body is an order
	ReqReport    RequestType = 2 // Body is the nonce
	ReqChallenge RequestType = 3 // Authority, Class
	ReqOffer     RequestType = 4 // Body is a manifest
	ReqNeed      RequestType = 5 // which blocks are wanted
	ReqBlock     RequestType = 6 // Region, Index, Body
	ReqProgress  RequestType = 7 // how far updates are
)

// Bounds of messages on the courier port, in bytes unless they count.
const (
	MaxManifest = 256 << 10
	MaxBlock    = 1 << 20
	MaxDetail   = 200
	MaxRuns     = 1024 // of blocks that are wanted
	MaxUpdates  = 1024 // regions in an answer to ReqProgress, and in a report
	// MaxRequest is more than the longest request.
	MaxRequest = MaxBlock + 64
	// MaxReply is more than the longest reply.
	MaxReply = MaxReport + 1024
)

// Request is one message to the device. What its type does not use is zero.
type Request struct {
	Type      RequestType
	Body      []byte
	Authority string
	Class     Class
	Region    uint32
	Index     uint32 // of the block, from the region's start
}

// Code is why something was refused. The zero Code is OK.
type Code uint8

// Codes.
const (
	OK          Code = 0
	Malformed   Code = 1
	Foreign     Code = 2 // other device or owner epoch
	Unsigned    Code = 3 // signature, signer or threshold
	NotAllowed  Code = 4 // the signer, state or policy does not allow it
	Stale       Code = 5 // replay: counter or challenge spent
	Unsupported Code = 6
	Degraded    Code = 7 // the vault is lost or its anchor disagrees
	Busy        Code = 8 // try again later
	Full        Code = 9
	Failed      Code = 10 // memory or keystore
)

var codeNames = [...]string{"ok", "malformed", "foreign", "unsigned", "not allowed", "stale",
	"unsupported", "degraded", "busy", "full", "failed"}

// String returns the code's name; "unknown" for what is none.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "unknown"
}

// SessionID names a session that a grant opened.
type SessionID [16]byte

// Reply is the device's answer. It is not signed: evidence is a report. What
// its type does not use is zero, and with another Code than OK everything but
// Detail, Kind and Digest.
type Reply struct {
	Type      RequestType
	Code      Code
	Detail    string           // for people, at most MaxDetail bytes of UTF-8; empty if Code is OK
	Kind      Kind             // ReqDeliver; 0 if a refused message was none
	Digest    [32]byte         // ReqDeliver: of the order; zero if a refused message was none
	Session   *SessionID       // ReqDeliver of a grant
	Challenge [32]byte         // ReqChallenge
	Report    []byte           // ReqReport, and kind 16; a certificate after decommissioning
	Need      []Run            // ReqNeed: at most MaxRuns, in the order of being wanted
	Progress  []UpdateProgress // ReqProgress: at most MaxUpdates, ascending by region
}

// Run is some blocks of a region that the device wants.
type Run struct {
	Region, First, Count uint32 // Region and Count are not 0
}

// UpdateProgress is how far the update of a region is.
type UpdateProgress struct {
	Region      uint32 // not 0
	Done, Total uint32 // blocks; Done is at most Total
}

// MarshalBinary encodes r; ErrMalformed if a field is missing, too long or does
// not go with the type.
func (r *Request) MarshalBinary() ([]byte, error) {
	e := encoder{b: make([]byte, 0, 64+len(r.Body))}
	e.array(2)
	e.uint(uint64(r.Type))
	used := Request{Type: r.Type}
	switch r.Type {
	case ReqDeliver:
		used.Body = e.body(r.Body, 1, MaxMessage)
	case ReqReport:
		used.Body = e.body(r.Body, MinNonce, MaxNonce)
	case ReqOffer:
		used.Body = e.body(r.Body, 1, MaxManifest)
	case ReqChallenge:
		e.array(2)
		e.name("request.authority", r.Authority)
		e.refuse(challenged(r.Class), "request.class", errValue)
		e.uint(uint64(r.Class))
		used.Authority, used.Class = r.Authority, r.Class
	case ReqBlock:
		e.array(3)
		e.refuse(r.Region != 0, "request.region", errZero)
		e.uint(uint64(r.Region))
		e.uint(uint64(r.Index))
		used.Region, used.Index, used.Body = r.Region, r.Index, e.body(r.Body, 1, MaxBlock)
	case ReqNeed, ReqProgress:
		e.null()
	default:
		e.refuse(false, "request.type", errValue)
	}
	same := len(used.Body) == len(r.Body) && used.Authority == r.Authority && used.Class == r.Class &&
		used.Region == r.Region && used.Index == r.Index
	e.refuse(same, "request", errExtra)
	if e.err != nil {
		return nil, e.err
	}
	return e.b, nil
}

// body writes a byte string of lo to hi bytes and returns it.
func (e *encoder) body(b []byte, lo, hi int) []byte {
	e.refuse(len(b) >= lo && len(b) <= hi, "request.body", errLimit)
	e.bytes(b)
	return b
}

// challenged tells whether there are challenges of a class: those of the kinds
// that open.
func challenged(c Class) bool { return c == ClassRoot || c == ClassOperate || c == ClassLive }

// ParseRequest reads what MarshalBinary writes and nothing else. Body is a part
// of b, not a copy.
func ParseRequest(b []byte) (*Request, error) {
	if len(b) > MaxRequest {
		return nil, refuse(ErrMalformed, "%d bytes: %w", len(b), errLimit)
	}
	d := newDecoder(b)
	d.ArrayOf(2)
	r := &Request{Type: RequestType(d.UintMax(math.MaxUint8))}
	switch r.Type {
	case ReqDeliver:
		r.Body = d.part(1, MaxMessage)
	case ReqReport:
		r.Body = d.part(MinNonce, MaxNonce)
	case ReqOffer:
		r.Body = d.part(1, MaxManifest)
	case ReqChallenge:
		d.ArrayOf(2)
		r.Authority = d.name()
		r.Class = Class(d.UintMax(math.MaxUint8))
		d.refuse(challenged(r.Class), errValue)
	case ReqBlock:
		d.ArrayOf(3)
		r.Region, r.Index = d.region(), d.word()
		r.Body = d.part(1, MaxBlock)
	case ReqNeed, ReqProgress:
		d.Null()
	default:
		d.Fail(errValue)
	}
	if err := d.done(); err != nil {
		return nil, err
	}
	return r, nil
}

// part reads a byte string of lo to hi bytes that stays a part of the input.
func (d *decoder) part(lo, hi int) []byte {
	b := d.Bytes(hi)
	d.refuse(len(b) >= lo, errLimit)
	return b
}

// cut is s as a detail: valid UTF-8 of at most MaxDetail bytes.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxDetail {
		return s
	}
	n := MaxDetail
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
