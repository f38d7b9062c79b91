package order

import (
	"cmp"
	"math"
)

// Keys of what a reply to deliver holds.
const (
	keyDelivered = 1
	keyDigest    = 2
	keySession   = 3
	keyReport    = 4
)

var deliveredObject = object{"delivered", []string{"", "kind", "digest", "session", "report"}, nil}

// MarshalBinary encodes r. A Detail that is too long is cut, as nobody but
// people reads it; every other field that is out of bounds, missing or does not
// go with the type and the code is ErrMalformed.
func (r *Reply) MarshalBinary() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	e := encoder{b: make([]byte, 0, 256+len(r.Report))}
	e.array(4)
	e.uint(uint64(r.Type))
	e.uint(uint64(r.Code))
	e.text(cut(r.Detail))
	switch {
	case r.Type == ReqDeliver:
		r.delivered(&e)
	case r.Code != OK:
		e.null()
	case r.Type == ReqReport:
		e.bytes(r.Report)
	case r.Type == ReqChallenge:
		e.bytes(r.Challenge[:])
	case r.Type == ReqNeed:
		e.array(len(r.Need))
		for _, n := range r.Need {
			e.words(n.Region, n.First, n.Count)
		}
	case r.Type == ReqProgress:
		list := sorted(&e, "reply.progress", r.Progress, compareProgress)
		e.array(len(list))
		for _, p := range list {
			e.words(p.Region, p.Done, p.Total)
		}
	default:
		e.null()
	}
	if e.err != nil {
		return nil, e.err
	}
	return e.b, nil
}

func compareProgress(x, y UpdateProgress) int { return cmp.Compare(x.Region, y.Region) }

// words writes an array of three.
func (e *encoder) words(a, b, c uint32) {
	e.array(3)
	e.uint(uint64(a))
	e.uint(uint64(b))
	e.uint(uint64(c))
}

// delivered writes what is known of the order.
func (r *Reply) delivered(e *encoder) {
	n := 0
	for _, has := range []bool{r.Kind != 0, r.Digest != [32]byte{}, r.Session != nil, r.Report != nil} {
		if has {
			n++
		}
	}
	e.open(n)
	if r.Kind != 0 {
		e.pair(keyDelivered, uint64(r.Kind))
	}
	if r.Digest != [32]byte{} {
		e.blob(keyDigest, r.Digest[:])
	}
	if r.Session != nil {
		e.blob(keySession, r.Session[:])
	}
	if r.Report != nil {
		e.blob(keyReport, r.Report)
	}
}

// check holds what a reply says against its type and code. Both sides ask it.
func (r *Reply) check() error {
	deliver, ok := r.Type == ReqDeliver, r.Code == OK
	known := r.Kind != 0 && r.Digest != [32]byte{}
	reported := r.Type == ReqReport || deliver && (r.Kind == Challenge || r.Kind == Lifecycle)
	rules := []struct {
		holds bool
		field string
		err   error
	}{
		{r.Type >= ReqDeliver && r.Type <= ReqProgress, "type", errValue},
		{int(r.Code) < len(codeNames), "code", errValue},
		{!ok || r.Detail == "", "detail", errExtra},
		{r.Kind == 0 || deliver && r.Kind.Valid(), "kind", errValue},
		{r.Digest == [32]byte{} || deliver, "digest", errExtra},
		{!deliver || !ok || known, "kind and digest", errZero},
		{r.Session == nil || ok && deliver && r.Kind == Grant, "session", errExtra},
		{r.Report == nil || ok && reported, "report", errExtra},
		{len(r.Report) <= MaxReport && (r.Report == nil || len(r.Report) > 0), "report", errLimit},
		{r.Type != ReqReport || !ok || r.Report != nil, "report", errZero},
		{r.Challenge == [32]byte{} || ok && r.Type == ReqChallenge, "challenge", errExtra},
		{r.Type != ReqChallenge || !ok || r.Challenge != [32]byte{}, "challenge", errZero},
		{r.Need == nil || ok && r.Type == ReqNeed, "need", errExtra},
		{r.Progress == nil || ok && r.Type == ReqProgress, "progress", errExtra},
		{len(r.Need) <= MaxRuns && len(r.Progress) <= MaxUpdates, "list", errLimit},
	}
	for _, rule := range rules {
		if !rule.holds {
			return refuse(ErrMalformed, "reply: %s: %w", rule.field, rule.err)
		}
	}
	for _, n := range r.Need {
		if n.Region == 0 || n.Count == 0 || n.First > math.MaxUint32-n.Count {
			return refuse(ErrMalformed, "reply: need: %w", errLimit)
		}
	}
	for _, p := range r.Progress {
		if p.Region == 0 || p.Done > p.Total {
			return refuse(ErrMalformed, "reply: progress: %w", errLimit)
		}
	}
	return nil
}

// ParseReply reads what MarshalBinary writes and nothing else. Report is a part
// of b, not a copy. Nothing in a reply is evidence.
func ParseReply(b []byte) (*Reply, error) {
	if len(b) > MaxReply {
		return nil, refuse(ErrMalformed, "%d bytes: %w", len(b), errLimit)
	}
	d := newDecoder(b)
	d.ArrayOf(4)
	r := &Reply{Type: RequestType(d.UintMax(math.MaxUint8)), Code: Code(d.UintMax(math.MaxUint8))}
	r.Detail = d.Text(MaxDetail)
	switch {
	case r.Type == ReqDeliver:
		r.readDelivered(d)
	case r.Code != OK:
		d.Null()
	case r.Type == ReqReport:
		r.Report = d.part(1, MaxReport)
	case r.Type == ReqChallenge:
		r.Challenge = d.digest()
	case r.Type == ReqNeed:
		r.Need = list(d, MaxRuns, func() Run { a, b, c := d.words(); return Run{a, b, c} })
	case r.Type == ReqProgress:
		r.Progress = ascending(d, list(d, MaxUpdates, func() UpdateProgress { a, b, c := d.words(); return UpdateProgress{a, b, c} }), compareProgress)
	default:
		d.Null()
	}
	if err := d.done(); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

func (d *decoder) words() (a, b, c uint32) {
	d.ArrayOf(3)
	return d.word(), d.word(), d.word()
}

// list reads a list of at most limit items, which may be empty, and is nil then.
func list[T any](d *decoder, limit int, item func() T) (l []T) {
	for range d.Array(limit) {
		if l = append(l, item()); d.Err() != nil {
			break
		}
	}
	return l
}

func (r *Reply) readDelivered(d *decoder) {
	d.object(&deliveredObject, func(key int64) {
		switch key {
		case keyDelivered:
			r.Kind = Kind(d.nonzero(math.MaxUint8))
		case keyDigest:
			r.Digest = d.digest()
			d.refuse(r.Digest != [32]byte{}, errZero)
		case keySession:
			r.Session = new(SessionID)
			copy(r.Session[:], d.BytesOf(len(r.Session)))
		case keyReport:
			r.Report = d.part(1, MaxReport)
		}
	})
}
