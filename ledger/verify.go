package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"callhall/call"
)

// ErrInvalid says that an export or a proof is not a true copy of a log that its checkpoint covers, that the log
// contradicts the earlier checkpoint given as Options.Since, or that a leaf does not come out as it says.
var ErrInvalid = errors.New("ledger: the export does not verify")

// maxLine bounds one line of an export, in bytes.
const maxLine = 2*maxBody + 4096

// maxKeys bounds how often a log's key may have changed.
const maxKeys = 10_000

// Options say what a verifier holds from elsewhere. Without any, only the export's agreement with itself is checked:
// whoever has the signing key could have written a whole new log.
type Options struct {
	Since []byte // a checkpoint kept earlier: finds truncation and rewriting
	Key   string // one of the verifier keys that the log, or one before it, has had, got another way than with the export
	// Check decides a leaf again from its facts; nil: none is. An error is a leaf that does not come out as it says, but
	// one that wraps Unknown only tells that Check does not know the rules of that time: such leaves are counted.
	Check   func(call.Leaf) error
	Decides []string // the kinds of leaf that Check knows; none: all
	Unknown error
}

// Verify reads an export or a file with a proof from beginning to end and needs nothing else: no store, no network. Any
// changed bit, any missing or added line of an export is found. Errors: ErrInvalid, wrapped with the line, and those of r.
func Verify(r io.Reader, opts Options) (Report, error) {
	v := verification{lines: bufio.NewReaderSize(r, maxLine), opts: opts}
	v.report.Kinds = map[string]int64{}
	if start, _ := v.lines.Peek(len(`{"export":`)); isProof(start) {
		file, err := io.ReadAll(io.LimitReader(v.lines, maxProof+1))
		if err != nil {
			return Report{}, err
		}
		return CheckProof(file, opts)
	}
	err := v.run()
	return v.report, err
}

type verification struct {
	lines  *bufio.Reader
	read   int64 // lines
	opts   Options
	since  *logHead // the earlier checkpoint, not yet known to be signed
	report Report
}

func (v *verification) run() error {
	if v.opts.Since != nil {
		s, err := unsigned(v.opts.Since)
		if err != nil {
			return fmt.Errorf("%w: the earlier checkpoint: %w", ErrInvalid, err)
		}
		v.since = &s
	}
	for before, first := (*succession)(nil), true; first || before != nil; first = false {
		s, err := v.part(before)
		if s != nil {
			v.report.Unexplained += int64(len(s.erased))
		}
		if err != nil {
			return err
		}
		before = s.before
	}
	if _, err := v.lines.ReadByte(); err == nil {
		return fmt.Errorf("%w: more lines than its checkpoint covers", ErrInvalid)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return v.trusted()
}

// trusted checks that what the verifier holds from elsewhere came up.
func (v *verification) trusted() error {
	if v.opts.Key != "" && !v.report.KeyKnown {
		return fmt.Errorf("%w: its keys: nothing leads from the key %q to the one that signed it", ErrInvalid, v.opts.Key)
	}
	if v.since != nil && !v.report.Anchored {
		return fmt.Errorf("%w: the earlier checkpoint is of %s, which this export does not have", ErrInvalid, v.since.log)
	}
	v.report.Anchored = v.report.Anchored && v.since.size > 0 // one over no leaves says nothing of any
	return nil
}

// part reads one log: the newest, or a frozen one that another succeeded.
func (v *verification) part(by *succession) (*part, error) {
	s, err := v.begin(by)
	if err != nil || s.by != nil && s.by.found.what != "" {
		if err == nil {
			s.unreadable()
		}
		return s, err
	}
	s.pass() // a checkpoint over nothing
	for s.tree.size < s.goal.size {
		if err := s.leaf(); err != nil {
			return s, err
		}
		s.pass()
	}
	return s, s.end()
}

// begin reads the first line of a part.
func (v *verification) begin(by *succession) (*part, error) {
	var h exportHeader
	if err := v.line(&h); err != nil {
		return nil, err
	}
	s := &part{v: v, by: by, log: h.Log, keys: h.Keys, erased: map[int64]bool{}}
	if h.Export == exportVersion && h.Log == "" {
		s.log = LogID(h.City)
	} else if h.Export != exportVersion2 {
		return nil, fmt.Errorf("%w: its version is %q", ErrInvalid, h.Export)
	}
	if _, err := ParseLogID(string(s.log)); err != nil || s.log.City() != h.City {
		return nil, fmt.Errorf("%w: the log %q is not one of the city %q", ErrInvalid, s.log, h.City)
	}
	if by != nil {
		return s, s.beginFrozen(h)
	}
	return s, s.beginLiving(h)
}

// text reads one line.
func (v *verification) text() ([]byte, error) {
	v.read++
	text, err := v.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: line %d is longer than %d bytes", ErrInvalid, v.read, v.lines.Size())
	}
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it ends after %d lines", ErrInvalid, v.read-1)
	}
	return text, err
}

// line reads one line into form and takes nothing but the one spelling that Export writes: JSON has many for the same
// values, and a change from one to another is a change.
func (v *verification) line(form any) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, form); err != nil {
		return fmt.Errorf("%w: line %d: %w", ErrInvalid, v.read, err)
	}
	var again bytes.Buffer
	if err := writeLine(&again, form); err != nil {
		return fmt.Errorf("%w: line %d: %w", ErrInvalid, v.read, err)
	}
	if !bytes.Equal(again.Bytes(), text) {
		return fmt.Errorf("%w: line %d is not spelled as it should be", ErrInvalid, v.read)
	}
	return nil
}

// decide asks Options.Check.
func (v *verification) decide(leaf call.Leaf) error {
	if v.opts.Check == nil || len(v.opts.Decides) > 0 && !slices.Contains(v.opts.Decides, leaf.Kind) {
		return nil
	}
	err := v.opts.Check(leaf)
	if err != nil && v.opts.Unknown != nil && errors.Is(err, v.opts.Unknown) {
		v.report.Undecided++
		return nil
	}
	if err == nil {
		v.report.Decided++
	}
	return err
}
