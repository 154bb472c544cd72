package cdr

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"callhall/call"
)

// Format names a form of export.
type Format string

// The formats of Export.
const (
	CSV   Format = "csv"   // one line a record, with a heading; the timeline and quality are left out
	JSONL Format = "jsonl" // one whole record a line, as JSON
)

// exportPage is how many records are read at a time.
const exportPage = 500

// Export writes every record of the city that matches f to w, newest first, a page at a time. Errors: ErrFormat before
// anything is written; the store's, w's or ctx's later.
func (s *Service) Export(ctx context.Context, city call.CityID, f Filter, w io.Writer, format Format) error {
	out, err := newExport(w, format)
	if err != nil {
		return err
	}
	var from Position
	for {
		records, err := s.store.List(ctx, city, f.normal(), from, exportPage)
		if err != nil {
			return fmt.Errorf("cdr: export: %w", err)
		}
		for _, r := range records {
			if err := out.write(r); err != nil {
				return fmt.Errorf("cdr: export call %s: %w", r.ID, err)
			}
		}
		if err := out.flush(); err != nil {
			return fmt.Errorf("cdr: export: %w", err)
		}
		if len(records) < exportPage {
			return nil
		}
		from = after(records)
	}
}

// An export is one format being written.
type export interface {
	write(r call.Record) error
	flush() error
}

// newExport begins an export to w.
func newExport(w io.Writer, format Format) (export, error) {
	switch format {
	case CSV:
		out := csvExport{csv.NewWriter(w)}
		return out, out.heading()
	case JSONL:
		return jsonExport{bufio.NewWriter(w)}, nil
	default:
		return nil, ErrFormat
	}
}

type jsonExport struct{ w *bufio.Writer }

func (e jsonExport) write(r call.Record) error {
	line, err := Encode(r)
	if err != nil {
		return err
	}
	_, err = e.w.Write(append(line, '\n'))
	return err
}

func (e jsonExport) flush() error { return e.w.Flush() }

type csvExport struct{ w *csv.Writer }

func (e csvExport) heading() error {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return e.w.Write(names)
}

func (e csvExport) write(r call.Record) error {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = harmless(c.cell(r))
	}
	return e.w.Write(cells)
}

func (e csvExport) flush() error {
	e.w.Flush()
	return e.w.Error()
}

// harmless keeps a spreadsheet from taking a cell for a formula: one that could begin a formula gets an apostrophe in
// front, which spreadsheets do not show.
func harmless(cell string) string {
	if strings.IndexAny(cell, "=+-@\t\r\n＝＋－＠") == 0 {
		return "'" + cell
	}
	return cell
}

// columns are those of the CSV, in order. There is none for a caller's number.
var columns = []struct {
	name string
	cell func(r call.Record) string
}{
	{"id", func(r call.Record) string { return string(r.ID) }},
	{"city", func(r call.Record) string { return string(r.City) }},
	{"node", func(r call.Record) string { return r.Node }},
	{"trunk", func(r call.Record) string { return string(r.Trunk) }},
	{"entry", func(r call.Record) string { return r.Entry }},
	{"queue", func(r call.Record) string { return string(r.Queue) }},
	{"language", func(r call.Record) string { return r.Language }},
	{"caller_status", func(r call.Record) string { return string(r.Caller) }},
	{"verstat", func(r call.Record) string { return string(r.Verstat) }},
	{"attest", func(r call.Record) string { return string(r.Attest) }},
	{"direction", func(r call.Record) string { return string(r.Direction) }},
	{"call_back_of", func(r call.Record) string { return string(r.Of) }},
	{"redial_of", func(r call.Record) string { return string(r.Redial) }},
	{"arrived_at", func(r call.Record) string { return stamp(r.ArrivedAt) }},
	{"answered_at", func(r call.Record) string { return stamp(r.AnsweredAt) }},
	{"connected_at", func(r call.Record) string { return stamp(r.ConnectedAt) }},
	{"ended_at", func(r call.Record) string { return stamp(r.EndedAt) }},
	{"end", func(r call.Record) string { return string(r.End) }},
	{"ended_by", func(r call.Record) string { return string(r.EndedBy) }},
	{"q850", func(r call.Record) string { return strconv.Itoa(r.Q850) }},
	{"agent", func(r call.Record) string { return string(r.Agent) }},
	{"partner", func(r call.Record) string { return string(r.Partner) }},
	{"transferred_at", func(r call.Record) string { return stamp(r.TransferredAt) }},
	{"waiting_s", func(r call.Record) string { return seconds(r.Waiting) }},
	{"talking_s", func(r call.Record) string { return seconds(r.Talking) }},
	{"holding_s", func(r call.Record) string { return seconds(r.Holding) }},
	{"offers", func(r call.Record) string { return strconv.Itoa(r.Offers) }},
	{"recording_state", func(r call.Record) string { return string(r.Recording.State) }},
	{"recording_id", func(r call.Record) string { return string(r.Recording.ID) }},
	{"recording_length_s", func(r call.Record) string { return seconds(r.Recording.Length) }},
	{"recording_due_at", func(r call.Record) string { return stamp(r.Recording.DueAt) }},
}

// stamp writes a time as RFC 3339 in UTC, and one that is not known as nothing.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// seconds writes a length of time in seconds, to the millisecond.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
}
