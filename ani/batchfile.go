package ani

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"callhall/call"
)

// A batch is JSON Lines: a header, and a line for each call in the order of the tree. docs/billing.md has the form for
// those who read it elsewhere; nothing of it may change, and a later need gets a new version.

// batchVersion begins every batch.
const batchVersion = "callhall billing batch v1"

// BatchHeader is the first line of a batch.
type BatchHeader struct {
	File    string       `json:"file"` // its version
	Batch   string       `json:"batch"`
	City    call.CityID  `json:"city"`
	Carrier call.TrunkID `json:"carrier"`
	Tariff  string       `json:"tariff"`
	Calls   int          `json:"calls"`
	Root    string       `json:"root"` // hexadecimal
}

// batchLine is every other line. Call stands in it byte for byte as it was hashed.
type batchLine struct {
	Call json.RawMessage `json:"call"`
	Salt []byte          `json:"salt"`
	Hash string          `json:"hash"`
}

// billedCall is what a line says of its call; the members are in this order.
type billedCall struct {
	Call    call.ID    `json:"call"`
	Began   time.Time  `json:"began"` // UTC
	Seconds int64      `json:"seconds"`
	Number  e164Number `json:"number"`
	Billing e164Number `json:"billing_number"`
}

// e164Number writes a number for the carrier, with "+", or nothing.
type e164Number struct{ Number }

// MarshalText writes the number.
func (n e164Number) MarshalText() ([]byte, error) {
	if n.IsZero() {
		return nil, nil
	}
	return []byte("+" + n.open()), nil
}

// saltSize is that of a call's salt, in bytes: without it nobody can try out what a hash is of.
const saltSize = 32

func newSalt() []byte {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return salt
}

// callText is a call as it is hashed. The caller clears it.
func callText(c kept[chargeBody]) []byte {
	text, err := json.Marshal(billedCall{c.Call, c.Body.Began, c.Body.Seconds, e164Number{c.Body.Number.Number}, e164Number{c.Body.Billing.Number}})
	if err != nil {
		panic(err) // our own type, with a time that was a call's
	}
	return text
}

// hashCall is the leaf hash of a call.
func hashCall(c kept[chargeBody]) treeHash {
	text := callText(c)
	defer clear(text)
	return hashText(c.Body.Salt, text)
}

// hashText is the leaf hash over a salted commitment, in the manner of the ledger's.
func hashText(salt, text []byte) treeHash {
	h := sha256.New()
	_, _ = h.Write([]byte("callhall billing v1\n"))
	_, _ = h.Write(salt)
	_, _ = h.Write(text)
	return leafHash(h.Sum(nil))
}

// lineSize is more than a line of a batch has, in bytes.
const lineSize = 512

// batchHeader begins the text of a batch, with room for the rest.
func batchHeader(k kept[batchBody]) []byte {
	text := make([]byte, 0, (1+len(k.Body.Charges))*lineSize)
	return appendLine(text, BatchHeader{batchVersion, k.ID, k.City, k.Body.Trunk, k.Body.Tariff, len(k.Body.Charges), hex.EncodeToString(k.Body.Root[:])})
}

func appendCall(text []byte, c kept[chargeBody]) []byte {
	what, hash := callText(c), hashCall(c)
	defer clear(what)
	return appendLine(text, batchLine{what, c.Body.Salt, hex.EncodeToString(hash[:])})
}

func appendLine(text []byte, line any) []byte {
	b, err := json.Marshal(line)
	if err != nil {
		panic(err) // our own types
	}
	defer clear(b)
	return append(append(text, b...), '\n')
}

// ErrBatch says that a batch is not what it says it is.
var ErrBatch = errors.New("ani: the batch is not whole")

// CheckBatch reads an opened batch and checks every hash and the root. Whether the root is the one of the ledger's leaf
// is for the caller to compare. Errors: ErrBatch, and those of r; neither quotes what was read.
func CheckBatch(r io.Reader) (BatchHeader, error) {
	lines := bufio.NewScanner(r)
	var head BatchHeader
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.File != batchVersion {
		return BatchHeader{}, errors.Join(fmt.Errorf("%w: it does not begin with the header of a %s", ErrBatch, batchVersion), lines.Err())
	}
	var hashes []treeHash
	for n := 2; lines.Scan(); n++ {
		hash, err := checkLine(lines.Bytes())
		if err != nil {
			return BatchHeader{}, fmt.Errorf("%w in line %d", err, n)
		}
		hashes = append(hashes, hash)
	}
	if err := lines.Err(); err != nil {
		return BatchHeader{}, fmt.Errorf("read a batch: %w", err)
	}
	if len(hashes) == 0 || len(hashes) != head.Calls {
		return BatchHeader{}, fmt.Errorf("%w: the header says %d calls and there are %d", ErrBatch, head.Calls, len(hashes))
	}
	if root := treeRoot(hashes); hex.EncodeToString(root[:]) != head.Root {
		return BatchHeader{}, fmt.Errorf("%w: its calls do not come to the root in its header", ErrBatch)
	}
	return head, nil
}

func checkLine(text []byte) (treeHash, error) {
	var line batchLine
	if json.Unmarshal(text, &line) != nil || len(line.Salt) != saltSize {
		return treeHash{}, fmt.Errorf("%w: no call of a batch", ErrBatch)
	}
	hash := hashText(line.Salt, line.Call)
	if hex.EncodeToString(hash[:]) != line.Hash {
		return treeHash{}, fmt.Errorf("%w: a call that does not come to its hash", ErrBatch)
	}
	return hash, nil
}

// BatchProof shows that one call stands in a batch, and nothing else of the batch.
type BatchProof struct {
	Batch   string       `json:"batch"`
	City    call.CityID  `json:"city"`
	Carrier call.TrunkID `json:"carrier"`
	Call    call.ID      `json:"call"`
	Index   int          `json:"index"` // of the call in the batch, from 0
	Calls   int          `json:"calls"` // in the batch
	Root    string       `json:"root"`  // as in the ledger's leaf; this and all hashes in hexadecimal
	Hash    string       `json:"hash"`  // the call's leaf hash
	Path    []string     `json:"path"`  // RFC 6962 section 2.1.1, from the leaf up

	// Salt ties the hash to what the call's line says. Whoever has it can try numbers until one fits, so it is given only
	// with the number: to the person to whom the number was released for a dispute of this call (D06).
	Salt []byte `json:"salt,omitempty"`
}

// Check tells whether the proof leads from its hash to its root, and, where a line of a batch is given, whether that is
// what the hash is of. Errors: ErrBatch.
func (p BatchProof) Check(line []byte) error {
	leaf, err := parseHash(p.Hash)
	if err != nil {
		return err
	}
	path := make([]treeHash, len(p.Path))
	for i, h := range p.Path {
		if path[i], err = parseHash(h); err != nil {
			return err
		}
	}
	if root, ok := pathRoot(leaf, p.Index, p.Calls, path); !ok || hex.EncodeToString(root[:]) != p.Root {
		return fmt.Errorf("%w: the path does not lead to the root", ErrBatch)
	}
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return nil
	}
	if hash, err := checkLine(line); err != nil || hash != leaf {
		return fmt.Errorf("%w: the line is of another call", ErrBatch)
	}
	return nil
}

func parseHash(s string) (h treeHash, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("%w: no hash", ErrBatch)
	}
	return treeHash(b), nil
}

// proof is the proof of one of the batch's charges.
func (b batchBody) proof(charge string) (p BatchProof, ok bool) {
	i := slices.Index(b.Charges, charge)
	if i < 0 || len(b.Hashes) != len(b.Charges) {
		return BatchProof{}, false
	}
	p = BatchProof{Carrier: b.Trunk, Index: i, Calls: len(b.Charges), Root: hex.EncodeToString(b.Root[:]), Hash: hex.EncodeToString(b.Hashes[i][:]),
		Path: []string{}}
	for _, h := range treePath(b.Hashes, i) {
		p.Path = append(p.Path, hex.EncodeToString(h[:]))
	}
	return p, true
}
