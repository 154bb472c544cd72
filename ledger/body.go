package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// saltSize is how many random bytes hide a body behind its hash: nobody can guess an erased body and check the guess.
const saltSize = 32

// maxBody bounds a body, in bytes.
const maxBody = 16 << 10

// commitmentPrefix sets our hashes apart from every other use of SHA-256.
const commitmentPrefix = "callhall leaf v1\n"

var (
	kindForm = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,60}/[1-9][0-9]{0,3}$`)
	callForm = regexp.MustCompile(`^(?:cl_[a-z2-7]{26})?$`) // call.NewID, or no one call
	factForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,60}$`)
)

// entry is a leaf on its way into the tree.
type entry struct {
	salt, body []byte
	hash       tlog.Hash
	mark       bool // the ledger must find it again
}

// newEntry takes somebody's leaf.
func newEntry(city call.CityID, leaf call.Leaf) (entry, error) {
	if reserved(leaf.Kind) {
		return entry{}, fmt.Errorf("%w: only the ledger itself writes %s", ErrRefused, leaf.Kind)
	}
	if !callForm.MatchString(string(leaf.Call)) {
		return entry{}, fmt.Errorf("%w: its call is not the id of one", ErrRefused) // the value stays out, here and below
	}
	for name, value := range leaf.Facts {
		if mayBeTelephone(name, value) {
			return entry{}, fmt.Errorf("%w: fact %s may hold a telephone number", ErrRefused, name)
		}
	}
	return ownEntry(city, leaf)
}

// CanAct tells whether somebody of this name can stand in a leaf as its actor: not where it may be a telephone number.
func CanAct(actor string) bool { return !mayBeTelephone("actor", actor) }

// reserved kinds are those that the ledger writes about itself.
func reserved(kind string) bool { return kind == KindErased || kind == KindKey || kind == KindSucceeds }

// ownEntry makes an entry of a leaf that may be one of the ledger's own: keys and hashes have digits in them.
func ownEntry(city call.CityID, leaf call.Leaf) (entry, error) {
	if !CanAct(leaf.Actor) {
		return entry{}, fmt.Errorf("%w: its actor may be a telephone number", ErrRefused)
	}
	body, err := encode(city, leaf)
	if err != nil {
		return entry{}, err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return entry{salt: salt, body: body, hash: leafHash(salt, body),
		mark: leaf.Kind == KindKey || leaf.Kind == KindSucceeds}, nil
}

// leafHash is what stands in the tree for a leaf: the hash of a commitment that says nothing of the body.
func leafHash(salt, body []byte) tlog.Hash {
	h := sha256.New()
	h.Write([]byte(commitmentPrefix))
	h.Write(salt)
	h.Write(body)
	return tlog.RecordHash(h.Sum(make([]byte, 0, sha256.Size)))
}

// encode writes the canonical body of a leaf: RFC 8785 (sorted names, no white space, strings escaped only where they
// must be), so that one leaf has one encoding.
func encode(city call.CityID, leaf call.Leaf) ([]byte, error) {
	if err := check(leaf); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrRefused, err)
	}
	b := make([]byte, 0, 512)
	b = appendString(append(b, `{"actor":`...), leaf.Actor)
	b = appendString(append(b, `,"at":`...), leaf.At.UTC().Format(time.RFC3339Nano))
	b = appendString(append(b, `,"call":`...), string(leaf.Call))
	b = appendString(append(b, `,"city":`...), string(city))
	b = append(b, `,"facts":{`...)
	for i, name := range slices.Sorted(maps.Keys(leaf.Facts)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		b = appendString(b, leaf.Facts[name])
	}
	b = appendString(append(b, `},"kind":`...), leaf.Kind)
	b = append(b, `,"v":1}`...)
	if len(b) > maxBody {
		return nil, fmt.Errorf("%w: its body has %d bytes, at most %d are allowed", ErrRefused, len(b), maxBody)
	}
	return b, nil
}

func check(leaf call.Leaf) error {
	if !kindForm.MatchString(leaf.Kind) {
		return fmt.Errorf("kind %q", leaf.Kind)
	}
	if y := leaf.At.UTC().Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("its time is in the year %d", y)
	}
	if !utf8.ValidString(leaf.Actor) || !utf8.ValidString(string(leaf.Call)) {
		return fmt.Errorf("actor or call is not UTF-8")
	}
	for name, value := range leaf.Facts {
		if !factForm.MatchString(name) {
			return fmt.Errorf("fact name %q", name)
		}
		if !utf8.ValidString(value) {
			return fmt.Errorf("fact %s is not UTF-8", name)
		}
	}
	return nil
}

// appendString writes s as a JSON string in the form of RFC 8785 §3.2.2.2.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\t':
			b = append(b, '\\', 't')
		case '\n':
			b = append(b, '\\', 'n')
		case '\f':
			b = append(b, '\\', 'f')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			if c < 0x20 {
				b = fmt.Appendf(b, `\u%04x`, c)
				continue
			}
			b = append(b, c)
		}
	}
	return append(b, '"')
}
