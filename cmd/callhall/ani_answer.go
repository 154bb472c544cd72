package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// column is one column of a list: its heading, and where its value stands in an entry: "asked.at".
type column struct{ heading, path string }

// of is the column's cell. Of who did something a list has the name; show tells by which token.
func (c column) of(entry json.RawMessage) string {
	text := said(at(entry, c.path))
	if strings.HasSuffix(c.path, "actor") {
		text, _, _ = strings.Cut(text, "/")
	}
	return text
}

// registerPage is one page of a register, with entries as they came.
type registerPage struct {
	Data []json.RawMessage `json:"data"`
	Next string            `json:"next_cursor"`
}

// aniList is what every verb has that lists a register.
type aniList struct {
	aniAccess
	Limit int `default:"50" help:"At most so many entries, newest first; 0 is all."`
}

// list writes a register as a table, or one JSON object a line.
func (c aniList) list(ctx context.Context, term *terminal, path string, query url.Values, columns []column) error {
	if c.Limit < 0 {
		return badUsage{fmt.Errorf("--limit: %d is less than none", c.Limit)}
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	if query == nil {
		query = url.Values{}
	}
	out := tableOn(term)
	writeHeadings(term, out, columns)
	for shown := 0; ; {
		query.Set("limit", strconv.Itoa(nextLimit(c.Limit, shown)))
		var page registerPage
		if err := server.getJSON(ctx, path, query, &page); err != nil {
			return err
		}
		if err := writeRows(term, out, page.Data, columns); err != nil {
			return err
		}
		shown += len(page.Data)
		if page.Next == "" || len(page.Data) == 0 || c.Limit > 0 && shown >= c.Limit {
			return endOfList(term, out, shown, page.Next != "")
		}
		query.Set("cursor", page.Next)
	}
}

// tableOn begins a table on standard output.
func tableOn(term *terminal) *tabwriter.Writer { return tabwriter.NewWriter(term.Out, 0, 8, 2, ' ', 0) }

func writeHeadings(term *terminal, out io.Writer, columns []column) {
	if term.JSON {
		return
	}
	var headings []string
	for _, c := range columns {
		headings = append(headings, c.heading)
	}
	fmt.Fprintln(out, strings.Join(headings, "\t"))
}

// writeRows writes entries as lines of a table, or as they came.
func writeRows(term *terminal, out io.Writer, entries []json.RawMessage, columns []column) error {
	for _, raw := range entries {
		if term.JSON {
			if err := writeRaw(term.Out, raw); err != nil {
				return err
			}
			continue
		}
		var cells []string
		for _, c := range columns {
			cells = append(cells, orDash(c.of(raw)))
		}
		if _, err := fmt.Fprintln(out, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return nil
}

// endOfList writes out the table and says when there is nothing or more.
func endOfList(term *terminal, out *tabwriter.Writer, shown int, more bool) error {
	if err := out.Flush(); err != nil || term.JSON {
		return err
	}
	if shown == 0 {
		fmt.Fprintln(term.Err, "there are none")
	}
	if more {
		fmt.Fprintf(term.Err, "the newest %d; there are more: --limit 0 shows all\n", shown)
	}
	return nil
}

// writeEntryOf writes one entry of a register in words, or as it came.
func writeEntryOf(term *terminal, raw json.RawMessage) error {
	if term.JSON {
		return writeRaw(term.Out, raw)
	}
	all, err := fields(raw)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	for _, f := range all {
		value := said(f.value)
		if value == "" || strings.HasPrefix(f.name, "$") {
			continue
		}
		if _, err := fmt.Fprintf(term.Out, "%-15s%s\n", plain(strings.ReplaceAll(f.name, "_", " ")), value); err != nil {
			return err
		}
	}
	return nil
}

// field is one member of a JSON object.
type field struct {
	name  string
	value json.RawMessage
}

// fields are the members of a JSON object in their order.
func fields(raw json.RawMessage) (all []field, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("it is no JSON object"), err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		f := field{name: fmt.Sprint(name)}
		if err := d.Decode(&f.value); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// at is the value at a path of an entry, or nothing.
func at(raw json.RawMessage, path string) json.RawMessage {
	for name := range strings.SplitSeq(path, ".") {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return nil
		}
		raw = members[name]
	}
	return raw
}

// said is a JSON value for people; empty for nothing.
func said(raw json.RawMessage) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return ""
	}
	switch v := v.(type) {
	case string:
		return saidText(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.Number:
		return v.String()
	case []any:
		return saidList(raw)
	case map[string]any:
		return saidObject(raw)
	default:
		return ""
	}
}

// saidText is a text without control characters, or a time in this machine's zone.
func saidText(s string) string {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		if t.IsZero() {
			return ""
		}
		return local(t)
	}
	return plain(s)
}

func saidList(raw json.RawMessage) string {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return ""
	}
	var all []string
	for _, item := range items {
		all = append(all, said(item))
	}
	return strings.Join(all, ", ")
}

// saidObject is who did something and when, or any object's members one after the other.
func saidObject(raw json.RawMessage) string {
	if actor := said(at(raw, "actor")); actor != "" {
		return fmt.Sprintf("%s (%s) %s", actor, said(at(raw, "role")), said(at(raw, "at")))
	}
	members, err := fields(raw)
	if err != nil {
		return ""
	}
	var all []string
	for _, f := range members {
		if value := said(f.value); value != "" {
			all = append(all, plain(f.name)+" "+value)
		}
	}
	return strings.Join(all, "; ")
}
