package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// ErrInvalid says that an export is not a true copy of a log that its checkpoint covers, or that the log contradicts
// the earlier checkpoint given as Options.Since.
var ErrInvalid = errors.New("ledger: the export does not verify")

// maxLine bounds one line of an export, in bytes.
const maxLine = 2*maxBody + 4096

// Options say what a verifier holds from elsewhere. Without any, only the export's agreement with itself is checked:
// whoever has the signing key could have written a whole new log.
type Options struct {
	Since []byte // a checkpoint kept earlier: finds truncation and rewriting
	Key   string // the city's verifier key, got another way than with the export
}

// Report is what Verify found.
type Report struct {
	City        call.CityID      `json:"city"`
	Leaves      int64            `json:"leaves"`
	Erased      int64            `json:"erased"`      // leaves without a body
	Unexplained int64            `json:"unexplained"` // of those, how many no leaf of KindErased names
	Root        tlog.Hash        `json:"root"`
	Since       int64            `json:"since"`     // leaves that the earlier checkpoint covered
	Anchored    bool             `json:"anchored"`  // held against Options.Since
	KeyKnown    bool             `json:"key_known"` // signed by Options.Key
	Kinds       map[string]int64 `json:"kinds"`
}

// String says in a sentence how far the result reaches.
func (r Report) String() string {
	if !r.Anchored {
		return fmt.Sprintf("%d leaves of %s: self-consistent only (give an earlier checkpoint to find rewriting)", r.Leaves, r.City)
	}
	return fmt.Sprintf("%d leaves of %s: verified, nothing changed or removed since the checkpoint over %d", r.Leaves, r.City, r.Since)
}

// Verify reads an export from beginning to end and needs nothing else: no store, no network. Any changed bit, any
// missing or added line is found. Errors: ErrInvalid, wrapped with the line, and those of r.
func Verify(r io.Reader, opts Options) (Report, error) {
	v := verification{lines: bufio.NewReaderSize(r, maxLine), opts: opts, erased: map[int64]bool{}}
	v.report.Kinds = map[string]int64{}
	err := v.run()
	v.report.Unexplained = int64(len(v.erased))
	return v.report, err
}

type verification struct {
	lines  *bufio.Reader
	opts   Options
	report Report
	tree   frontier
	goal   head           // of the export's checkpoint
	since  *head          // of the earlier one
	erased map[int64]bool // leaves without body, not explained yet
}

func (v *verification) run() error {
	if err := v.header(); err != nil {
		return err
	}
	if err := v.anchor(); err != nil { // an earlier checkpoint over nothing
		return err
	}
	for v.tree.size < v.goal.size {
		if err := v.leaf(); err != nil {
			return err
		}
		if err := v.anchor(); err != nil {
			return err
		}
	}
	v.report.Leaves, v.report.Root = v.tree.size, v.tree.root()
	if v.report.Root != v.goal.root {
		return fmt.Errorf("%w: the leaves are not those that its checkpoint covers", ErrInvalid)
	}
	if _, err := v.lines.ReadByte(); err == nil {
		return fmt.Errorf("%w: more lines than its checkpoint covers", ErrInvalid)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// header reads the first line and the earlier checkpoint.
func (v *verification) header() error {
	var h exportHeader
	if err := v.line(&h); err != nil {
		return err
	}
	if h.Export != exportVersion {
		return fmt.Errorf("%w: its version is %q", ErrInvalid, h.Export)
	}
	v.report.City = h.City
	keys := h.Keys
	if v.opts.Key != "" {
		keys, v.report.KeyKnown = []string{v.opts.Key}, true
	}
	var err error
	if v.goal, err = openCheckpoint([]byte(h.Checkpoint), h.City, keys...); err != nil {
		return fmt.Errorf("%w: its checkpoint: %w", ErrInvalid, err)
	}
	if _, err = openCheckpoint([]byte(h.Checkpoint), h.City, h.Keys...); err != nil {
		return fmt.Errorf("%w: its keys: %w", ErrInvalid, err)
	}
	return v.readSince(h.City, keys)
}

func (v *verification) readSince(city call.CityID, keys []string) error {
	if v.opts.Since == nil {
		return nil
	}
	s, err := openCheckpoint(v.opts.Since, city, keys...)
	if err != nil {
		return fmt.Errorf("%w: the earlier checkpoint: %w", ErrInvalid, err)
	}
	if s.size > v.goal.size {
		return fmt.Errorf("%w: truncated: it has %d leaves, the earlier checkpoint covers %d", ErrInvalid, v.goal.size, s.size)
	}
	v.since, v.report.Since = &s, s.size
	return nil
}

// anchor compares with the earlier checkpoint when as many leaves have been read as it covers.
func (v *verification) anchor() error {
	if v.since == nil || v.since.size != v.tree.size {
		return nil
	}
	if v.tree.root() != v.since.root {
		return fmt.Errorf("%w: rewritten: its first %d leaves are not those that the earlier checkpoint covers", ErrInvalid, v.since.size)
	}
	v.report.Anchored = true
	return nil
}

// leaf reads one line and adds its hash to the tree.
func (v *verification) leaf() error {
	var l exportLine
	if err := v.line(&l); err != nil {
		return err
	}
	i := v.tree.size
	if l.I != i {
		return fmt.Errorf("%w: leaf %d stands where leaf %d should", ErrInvalid, l.I, i)
	}
	if l.Hash != nil && (l.Salt != nil || l.Body != nil) {
		return fmt.Errorf("%w: leaf %d has both a body and a hash", ErrInvalid, i)
	}
	if l.Hash != nil {
		v.report.Erased++
		v.erased[i] = true
		v.tree.add(*l.Hash)
		return nil
	}
	city, leaf, err := decode(l.Body)
	if err != nil {
		return fmt.Errorf("%w: leaf %d: %w", ErrInvalid, i, err)
	}
	if city != v.report.City || len(l.Salt) != saltSize {
		return fmt.Errorf("%w: leaf %d: it belongs to %q and has a salt of %d bytes", ErrInvalid, i, city, len(l.Salt))
	}
	v.note(leaf)
	v.tree.add(leafHash(l.Salt, l.Body))
	return nil
}

// note keeps what the report says of the leaves.
func (v *verification) note(leaf call.Leaf) {
	v.report.Kinds[leaf.Kind]++
	if leaf.Kind == KindErased {
		if i, err := strconv.ParseInt(leaf.Facts["index"], 10, 64); err == nil {
			delete(v.erased, i)
		}
	}
}

// line reads one line into form and takes nothing but the one spelling that Export writes: JSON has many for the same
// values, and a change from one to another is a change.
func (v *verification) line(form any) error {
	text, err := v.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("%w: line %d is longer than %d bytes", ErrInvalid, v.tree.size+2, v.lines.Size())
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends after %d leaves", ErrInvalid, v.tree.size)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, form); err != nil {
		return fmt.Errorf("%w: line %d: %w", ErrInvalid, v.tree.size+2, err)
	}
	var again bytes.Buffer
	if err := writeLine(&again, form); err != nil {
		return fmt.Errorf("%w: line %d: %w", ErrInvalid, v.tree.size+2, err)
	}
	if !bytes.Equal(again.Bytes(), text) {
		return fmt.Errorf("%w: line %d is not spelled as it should be", ErrInvalid, v.tree.size+2)
	}
	return nil
}
