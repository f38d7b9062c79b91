package order

// RequestType is the type of a message on the courier port.
type RequestType uint8

// Requests of the courier port; no others exist.
const (
	ReqDeliver   RequestType = 1 // Body is an order
	ReqReport    RequestType = 2 // Body is the nonce
	ReqChallenge RequestType = 3 // Authority, Class
	ReqOffer     RequestType = 4 // Body is a manifest
	ReqNeed      RequestType = 5
	ReqBlock     RequestType = 6 // Region, Index, Body
	ReqProgress  RequestType = 7
)

// Request is one message to the device.
type Request struct {
	Type      RequestType
	Body      []byte
	Authority string
	Class     Class
	Region    uint32
	Index     uint32
}

func (r *Request) MarshalBinary() ([]byte, error) { return nil, ErrMalformed }
func ParseRequest(b []byte) (*Request, error)     { return nil, ErrMalformed }

// SessionID names a session that a grant opened.
type SessionID [16]byte

// Reply is the device's answer. It is not signed: evidence is a report.
type Reply struct {
	Type      RequestType
	Code      Code
	Detail    string     // for people, at most 200 bytes of UTF-8; empty if Code is OK
	Kind      Kind       // ReqDeliver
	Digest    [32]byte   // ReqDeliver: of the order
	Session   *SessionID // ReqDeliver of a grant
	Challenge [32]byte   // ReqChallenge
	Report    []byte     // ReqReport, and kind 16; a certificate after decommissioning
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

func (r *Reply) MarshalBinary() ([]byte, error) { return nil, ErrMalformed }
func ParseReply(b []byte) (*Reply, error)       { return nil, ErrMalformed }
