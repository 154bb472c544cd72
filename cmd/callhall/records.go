package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"callhall/call"
	"callhall/console"
)

// recordsCmd reads call records over the API. A caller's number is not among what it can show.
type recordsCmd struct {
	List   recordsList   `cmd:"" help:"List calls, newest first."`
	Show   recordsShow   `cmd:"" help:"Tell one call from its arrival to its end."`
	Export recordsExport `cmd:"" help:"Write all matching records as CSV or JSON Lines."`
	Audio  recordsAudio  `cmd:"" help:"Fetch a recording as WAV: caller left, agent right. The ledger keeps that you did, and why."`
}

// searchFlags choose records.
type searchFlags struct {
	From  moment `placeholder:"TIME" help:"Arrived at or after: 2026-01-31, 2026-01-31T08:00:00Z, or 24h ago as 24h."`
	To    moment `placeholder:"TIME" help:"Arrived before."`
	Queue string `placeholder:"ID" help:"Waited in this queue."`
	Agent string `placeholder:"ID" help:"Spoke with this agent last."`
	End   string `placeholder:"END" help:"Ended this way: abandoned, caller-hung-up, …"`
}

// moment is a time on the command line.
type moment struct{ time.Time }

// UnmarshalText reads a day or an instant, or a length of time before now. Days begin in this machine's time zone.
func (m *moment) UnmarshalText(text []byte) error {
	s := string(text)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		m.Time = t
		return nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		m.Time = t
		return nil
	}
	if ago, err := parseDuration(s); err == nil {
		m.Time = time.Now().Add(-ago)
		return nil
	}
	return fmt.Errorf("%q is not a time; write 2026-01-31, 2026-01-31T08:00:00Z or 24h", s)
}

// query is the flags as the API takes them.
func (f searchFlags) query() (url.Values, error) {
	if err := f.checkEnd(); err != nil {
		return nil, err
	}
	q := url.Values{}
	for name, value := range map[string]string{"queue": f.Queue, "agent": f.Agent, "end": f.End} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, m := range map[string]moment{"from": f.From, "to": f.To} {
		if !m.IsZero() {
			q.Set(name, m.UTC().Format(time.RFC3339Nano))
		}
	}
	return q, nil
}

// checkEnd refuses an end that no call has, rather than find none.
func (f searchFlags) checkEnd() error {
	var known []string
	for _, end := range call.Ends() {
		if string(end) == f.End || f.End == "" {
			return nil
		}
		known = append(known, string(end))
	}
	return badUsage{fmt.Errorf("--end: no call ends as %q; the ends are %s", f.End, strings.Join(known, ", "))}
}

// recordsPage is one page of the API's list, with records as they came.
type recordsPage struct {
	Data []json.RawMessage `json:"data"`
	Next string            `json:"next_cursor"`
}

// The role whose token the records verbs show when none is given.
const recordsRole = "supervisor"

// pageSize is how many records are asked for at a time: the API's most.
const pageSize = 200

// recordsList is callhall records list.
type recordsList struct {
	access
	searchFlags
	Limit int `default:"20" help:"At most so many calls; 0 is all."`
}

// Run writes a table, or one JSON object a line.
func (c recordsList) Run(ctx context.Context, term *terminal) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	if c.Limit < 0 {
		return badUsage{fmt.Errorf("--limit: %d is less than none", c.Limit)}
	}
	server, err := c.dial(term, recordsRole)
	if err != nil {
		return err
	}
	table := recordsTable(term)
	shown := 0
	for {
		var page recordsPage
		query.Set("limit", strconv.Itoa(nextLimit(c.Limit, shown)))
		if err := server.getJSON(ctx, "calls", query, &page); err != nil {
			return err
		}
		for _, raw := range page.Data {
			if err := table.write(raw); err != nil {
				return err
			}
		}
		shown += len(page.Data)
		if page.Next == "" || len(page.Data) == 0 || c.Limit > 0 && shown >= c.Limit {
			return table.end(shown, page.Next != "")
		}
		query.Set("cursor", page.Next)
	}
}

// nextLimit is the size of the next page when limit records are wanted (0 is all) and shown are there.
func nextLimit(limit, shown int) int {
	if limit == 0 {
		return pageSize
	}
	return min(pageSize, limit-shown)
}

// table writes records under headings.
type table struct {
	term *terminal
	out  *tabwriter.Writer
}

// recordsTable begins a table on the terminal.
func recordsTable(term *terminal) *table {
	t := &table{term: term, out: tabwriter.NewWriter(term.Out, 0, 8, 2, ' ', 0)}
	if !term.JSON {
		fmt.Fprintln(t.out, "ARRIVED\tCALL\tENTRY\tQUEUE\tAGENT\tWAITED\tTALKED\tEND\tRECORDING")
	}
	return t
}

// write adds one record.
func (t *table) write(raw json.RawMessage) error {
	if t.term.JSON {
		_, err := fmt.Fprintf(t.term.Out, "%s\n", raw)
		return err
	}
	var r call.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("read a record: %w", err)
	}
	_, err := fmt.Fprintf(t.out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", local(r.ArrivedAt), plain(r.ID), plain(r.Entry),
		plain(r.Queue), orDash(plain(r.Agent)), seconds(r.Waiting), seconds(r.Talking), plain(r.End), recordingWord(r.Recording))
	return err
}

// end writes out the table and says when there is more.
func (t *table) end(shown int, more bool) error {
	if err := t.out.Flush(); err != nil || t.term.JSON {
		return err
	}
	if shown == 0 {
		fmt.Fprintln(t.term.Err, "no calls match")
	}
	if more {
		fmt.Fprintf(t.term.Err, "the newest %d; there are more: --limit 0 shows all\n", shown)
	}
	return nil
}

// recordingWord says where a recording is, as its record knew it, and until when it is kept.
func recordingWord(r call.RecordingSummary) string {
	if r.State == call.RecordingKept {
		return "until " + local(r.DueAt)
	}
	return plain(r.State)
}

// recordsExport is callhall records export.
type recordsExport struct {
	access
	searchFlags
	Format string `enum:"csv,jsonl" default:"csv" help:"csv or jsonl."`
	Output string `short:"o" default:"-" placeholder:"FILE" help:"New file to write to; - is standard output."`
}

// Run streams the export.
func (c recordsExport) Run(ctx context.Context, term *terminal) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	server, err := c.dial(term, recordsRole)
	if err != nil {
		return err
	}
	query.Set("format", c.Format)
	return server.copyToFile(ctx, term, c.Output, "calls/export", query)
}

// recordsAudio is callhall records audio.
type recordsAudio struct {
	access
	Recording string `arg:"" name:"recording" help:"The recording: rec_…"`
	Output    string `short:"o" required:"" placeholder:"FILE" help:"New file to write to; - is standard output."`
	Reason    string `required:"" help:"Why you listen: quality-review, training, complaint, … The ledger keeps it."`
}

// Run fetches the recording.
func (c recordsAudio) Run(ctx context.Context, term *terminal) error {
	if !call.ValidID("rec", c.Recording) {
		return badUsage{fmt.Errorf("%q is not a recording's id; records show CALL names it", c.Recording)}
	}
	if !slices.Contains(console.PlayReasons(), c.Reason) {
		return badUsage{fmt.Errorf("--reason: %q is none; it is one of %s", c.Reason, strings.Join(console.PlayReasons(), ", "))}
	}
	server, err := c.dial(term, recordsRole)
	if err != nil {
		return err
	}
	query := url.Values{"reason": {c.Reason}}
	return server.copyToFile(ctx, term, c.Output, "recordings/"+c.Recording+"/media", query)
}

// local is t for people: this machine's time zone, to the second.
func local(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// seconds is d for people.
func seconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(100 * time.Millisecond).String()
}

// orDash is s, or a dash for nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// plain is s without control characters: what a server says is not to steer a terminal.
func plain[T ~string](s T) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '.'
		}
		return r
	}, string(s))
}

// writeRaw writes JSON as it came, and ends the line.
func writeRaw(to io.Writer, raw json.RawMessage) error {
	_, err := fmt.Fprintf(to, "%s\n", strings.TrimSpace(string(raw)))
	return err
}
