package cdr_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/cdr/cdrtest"
)

func TestPagesGoThroughEveryCall(t *testing.T) {
	o := newOffice(t)
	for n := range 7 {
		o.close(cdrtest.Record("demo", n))
	}
	o.close(cdrtest.Record("other", 0))
	seen := map[call.ID]bool{}
	cursor := ""
	for pages := 1; ; pages++ {
		page, err := o.List(t.Context(), "demo", cdr.Filter{}, cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			if seen[r.ID] || r.City != "demo" {
				t.Errorf("call %s of %s twice or astray", r.ID, r.City)
			}
			seen[r.ID] = true
		}
		if cursor = page.Next; cursor == "" {
			if pages != 3 || len(seen) != 7 {
				t.Errorf("%d calls on %d pages", len(seen), pages)
			}
			return
		}
		o.close(cdrtest.Record("demo", 100+pages)) // newer: it must not move what follows
	}
}

func TestACursorServesItsOwnSearchOnly(t *testing.T) {
	o := newOffice(t)
	for n := range 3 {
		o.close(cdrtest.Record("demo", n))
	}
	f := cdr.Filter{Queue: "general"}
	page, err := o.List(t.Context(), "demo", f, "", 1)
	if err != nil || page.Next == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	refused := func(name string, city call.CityID, f cdr.Filter, cursor string) {
		t.Helper()
		if _, err := o.List(t.Context(), city, f, cursor, 1); !errors.Is(err, cdr.ErrCursor) {
			t.Errorf("%s: %v, want ErrCursor", name, err)
		}
	}
	refused("another city", "other", f, page.Next)
	refused("another queue", "demo", cdr.Filter{Queue: "water"}, page.Next)
	refused("a wider search", "demo", cdr.Filter{}, page.Next)
	refused("a narrower search", "demo", cdr.Filter{Queue: "general", MinTalking: 1}, page.Next)
	refused("not base64", "demo", f, "no cursor!")
	refused("empty seal", "demo", f, "AAAA")
	for i := range len(page.Next) - 1 { // the last character has bits that base64 does not use
		changed := []byte(page.Next)
		if changed[i]++; changed[i] == page.Next[i] {
			continue
		}
		refused("changed", "demo", f, string(changed))
	}
	o.restart()
	if _, err := o.List(t.Context(), "demo", f, page.Next, 1); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	o.key = bytes.Repeat([]byte{8}, 32)
	o.restart()
	refused("another key", "demo", f, page.Next)
}

func TestAPageHasLimits(t *testing.T) {
	o := newOffice(t)
	for _, limit := range []int{-1, 201, 1 << 40} {
		if _, err := o.List(t.Context(), "demo", cdr.Filter{}, "", limit); !errors.Is(err, cdr.ErrLimit) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	for _, limit := range []int{0, 1, 200} {
		if _, err := o.List(t.Context(), "demo", cdr.Filter{}, "", limit); err != nil {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestExportWritesEveryRecordOnce(t *testing.T) {
	o := newOffice(t)
	const calls = 501 // more than is read at a time
	done := make(chan error, calls)
	for n := range calls {
		go func() { done <- o.Close(t.Context(), cdrtest.Record("demo", n)) }()
	}
	for range calls {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	o.close(cdrtest.Record("other", 0))
	for format, heading := range map[cdr.Format]int{cdr.CSV: 1, cdr.JSONL: 0} {
		var out bytes.Buffer
		if err := o.Export(t.Context(), "demo", cdr.Filter{}, &out, format); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		seen := map[string]bool{}
		for _, line := range lines {
			seen[line] = true
		}
		if len(lines) != calls+heading || len(seen) != len(lines) || strings.Contains(out.String(), "other") {
			t.Errorf("%s: %d lines, %d of them different", format, len(lines), len(seen))
		}
	}
	var out bytes.Buffer
	err := o.Export(t.Context(), "demo", cdr.Filter{}, &out, "parquet")
	if !errors.Is(err, cdr.ErrFormat) || out.Len() != 0 {
		t.Errorf("unknown format: %v, %d bytes", err, out.Len())
	}
}

func TestExportJSONLinesAreWholeRecords(t *testing.T) {
	o := newOffice(t)
	r := cdrtest.Filled("demo")
	o.close(r)
	var out bytes.Buffer
	if err := o.Export(t.Context(), "demo", cdr.Filter{}, &out, cdr.JSONL); err != nil {
		t.Fatal(err)
	}
	back, err := cdr.Decode(out.Bytes())
	if err != nil || back.ID != r.ID || len(back.Timeline) != len(r.Timeline) {
		t.Errorf("%+v, %v", back, err)
	}
}

// No cell of an export can begin a formula, and there is no column for a number.
func TestExportCSVIsHarmless(t *testing.T) {
	o := newOffice(t)
	for n, formula := range []string{"=1+1", "+12125550142", "-1", "@SUM(A1)", "\tx", "\r=x", "\n=x", "＝1", "plain"} {
		r := cdrtest.Record("demo", n)
		r.Entry, r.Node, r.Queue, r.Agent = formula, formula, call.QueueID(formula), call.AgentID(formula)
		r.Language, r.Trunk, r.EndedBy = formula, call.TrunkID(formula), call.LegID(formula)
		o.close(r)
	}
	var out bytes.Buffer
	if err := o.Export(t.Context(), "demo", cdr.Filter{}, &out, cdr.CSV); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, name := range rows[0] {
		if strings.Contains(name, "number") || strings.Contains(name, "ani") || name == "caller" {
			t.Errorf("column %q", name)
		}
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			if strings.IndexAny(cell, "=+-@\t\r\n＝") == 0 {
				t.Errorf("column %s begins a formula: %q", rows[0][i], cell)
			}
		}
	}
}

func TestExportStopsWhenItsReaderIsGone(t *testing.T) {
	o := newOffice(t)
	o.close(cdrtest.Record("demo", 0))
	if err := o.Export(t.Context(), "demo", cdr.Filter{From: time.Time{}}, gone{}, cdr.CSV); !errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, errDown }
