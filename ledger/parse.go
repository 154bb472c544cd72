package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"callhall/call"
)

// decode reads a body and takes nothing but its canonical form, byte for byte: what was read is written again and must be
// the same. So the reader below need not be strict, only quick: verifying a large export spends most of its time in it.
func decode(text []byte) (call.CityID, call.Leaf, error) {
	r := bodyReader{rest: text}
	city, leaf := r.body()
	if r.err != nil {
		return "", call.Leaf{}, fmt.Errorf("read body: %w", r.err)
	}
	again, err := encode(city, leaf)
	if err != nil {
		return "", call.Leaf{}, fmt.Errorf("read body: %w", err)
	}
	if !bytes.Equal(again, text) {
		return "", call.Leaf{}, errCanonical
	}
	return city, leaf, nil
}

var errCanonical = errors.New("read body: it is not in canonical form")

// bodyReader reads a canonical body piece by piece. After an error it reads nothing more.
type bodyReader struct {
	rest []byte
	err  error
}

func (r *bodyReader) body() (call.CityID, call.Leaf) {
	leaf := call.Leaf{Facts: map[string]string{}}
	leaf.Actor = r.member(`{"actor":`)
	at := r.member(`,"at":`)
	leaf.Call = call.ID(r.member(`,"call":`))
	city := call.CityID(r.member(`,"city":`))
	r.skip(`,"facts":{`)
	for r.err == nil && !bytes.HasPrefix(r.rest, []byte("}")) {
		if len(leaf.Facts) > 0 {
			r.skip(",")
		}
		name := r.text()
		leaf.Facts[name] = r.member(":")
	}
	leaf.Kind = r.member(`},"kind":`)
	r.skip(`,"v":1}`)
	if r.err == nil {
		leaf.At, r.err = time.Parse(time.RFC3339Nano, at)
	}
	return city, leaf
}

func (r *bodyReader) fail() {
	if r.err == nil {
		r.err = errors.New("it has not the members that a body has")
	}
}

// skip passes over what must stand here.
func (r *bodyReader) skip(piece string) {
	if r.err != nil || len(r.rest) < len(piece) || string(r.rest[:len(piece)]) != piece {
		r.fail()
		return
	}
	r.rest = r.rest[len(piece):]
}

// member passes over what stands before a string and reads that.
func (r *bodyReader) member(before string) string {
	r.skip(before)
	return r.text()
}

// text reads a string.
func (r *bodyReader) text() string {
	r.skip(`"`)
	if r.err != nil {
		return ""
	}
	end := bytes.IndexAny(r.rest, `"\`)
	if end >= 0 && r.rest[end] == '"' { // most have nothing escaped
		s := string(r.rest[:end])
		r.rest = r.rest[end+1:]
		return s
	}
	var b []byte
	for ; end >= 0; end = bytes.IndexAny(r.rest, `"\`) {
		b = append(b, r.rest[:end]...)
		quote := r.rest[end] == '"'
		r.rest = r.rest[end+1:]
		if quote {
			return string(b)
		}
		b = append(b, r.escaped())
	}
	r.fail()
	return ""
}

// escapes are the short ones, and the bytes that they stand for.
const escapes, escapedBytes = `"\btnfr`, "\"\\\b\t\n\f\r"

// escaped reads what follows a backslash.
func (r *bodyReader) escaped() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	c := r.rest[0]
	if c == 'u' && len(r.rest) >= 5 {
		n, err := strconv.ParseUint(string(r.rest[1:5]), 16, 8) // only control characters are written like this
		if err != nil {
			r.fail()
		}
		r.rest = r.rest[5:]
		return byte(n)
	}
	i := bytes.IndexByte([]byte(escapes), c)
	if i < 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[1:]
	return escapedBytes[i]
}
