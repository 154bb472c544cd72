package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/console"
	"callhall/console/sqlstore"
	"callhall/sqldb"

	"github.com/prometheus/client_golang/prometheus"
)

// office is what stands behind the console here. It notes what it was asked for.
type office struct {
	filter cdr.Filter
	played console.Listener
}

func (o *office) Get(_ context.Context, _ call.CityID, id call.ID) (call.Record, error) {
	if id != callA {
		return call.Record{}, cdr.ErrNotFound
	}
	return sample(callA), nil
}

func (o *office) List(_ context.Context, _ call.CityID, f cdr.Filter, cursor string, limit int) (cdr.Page, error) {
	o.filter = f
	if cursor == "" {
		return cdr.Page{Records: []call.Record{sample(callA)}, Next: "more"}, nil
	}
	return cdr.Page{Records: []call.Record{sample(callB)}}, nil
}

func (o *office) Export(_ context.Context, _ call.CityID, f cdr.Filter, w io.Writer, format cdr.Format) error {
	_, err := fmt.Fprintf(w, "%s of %s", format, f.Queue)
	return err
}

func (o *office) Recording(context.Context, call.CityID, call.RecordingID) (console.Recording, error) {
	return console.Recording{}, console.ErrNotFound
}

// Nobody asks for agents and queues here.
type (
	staff   interface{ console.Agents }
	rows    interface{ console.Queues }
	noStaff struct{ staff }
	noLines struct{ rows }
)

// sound is a recording that can be read.
type sound struct{ *strings.Reader }

func (sound) Close() error { return nil }

func (o *office) Play(_ context.Context, _ call.CityID, _ call.RecordingID, l console.Listener) (io.ReadSeekCloser, error) {
	o.played = l
	return sound{strings.NewReader("RIFF....WAVE")}, nil
}

// book is the office's ledger; its List is not that of the records.
type book struct{}

func (book) List(context.Context, call.CityID, string, int) (console.LedgerPage, error) {
	return console.LedgerPage{Entries: []console.LedgerEntry{{Index: 4, Kind: "recording.played/1", Actor: "token:rosa/tok_a"}}}, nil
}
func (book) Proof(context.Context, call.CityID, int64) ([]byte, error) {
	return []byte(`{"index":0}`), nil
}

func (book) Checkpoint(context.Context, call.CityID) ([]byte, error) {
	return []byte("a checkpoint"), nil
}
func (book) Export(_ context.Context, _ call.CityID, w io.Writer) error {
	_, err := io.WriteString(w, "an export")
	return err
}

// TestVerbsSpeakToTheConsole runs the verbs against the real API, with tokens made by the real user verb.
func TestVerbsSpeakToTheConsole(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("callhall-data/tokens", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"supervisor", "privacy"} {
		if _, errs, code := verb(t, "user", "add", role, "--role", role, "-o", "callhall-data/tokens/"+role); code != 0 {
			t.Fatal(errs)
		}
	}
	db, err := sqldb.Open(t.Context(), "callhall-data/sealed.db", sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{}
	c, err := console.New(console.Config{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}, console.Deps{
		Calls: o, Recordings: o, Agents: noStaff{}, Queues: noLines{}, Ledger: book{}, Tokens: console.NewTokens(store, nil)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.Handler())
	defer server.Close()

	for _, test := range []struct {
		args []string
		out  string
		errs string
		code int
	}{
		{args: []string{"records", "list", "--limit", "0", "--queue", "general", "--agent", "demo-1", "--end", "abandoned", "--from", "2026-01-31T00:00:00Z"}, out: callB},
		{args: []string{"records", "show", callA}, out: "caller-hung-up by caller"},
		{args: []string{"records", "show", callB}, errs: "the server answered 404: ", code: exitFailed},
		{args: []string{"records", "export", "--format", "jsonl", "--queue", "general"}, out: "jsonl of general"},
		{args: []string{"records", "audio", recA, "-o", "-", "--reason", "training"}, out: "RIFF....WAVE"},
		{args: []string{"records", "list", "--token-file", "rosa.token"}, errs: "read the token", code: exitFailed},
		{args: []string{"ledger", "list"}, out: "recording.played/1"},
		{args: []string{"ledger", "checkpoint"}, out: "a checkpoint"},
		{args: []string{"ledger", "export"}, out: "an export"},
		{args: []string{"ledger", "list", "--token-file", "callhall-data/tokens/supervisor"}, errs: "the server answered 403: ", code: exitFailed},
	} {
		out, errs, code := verb(t, append(test.args, "--url", server.URL)...)
		if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(errs, test.errs) {
			t.Errorf("%q: exit %d, want %d\n%s%s", test.args, code, test.code, out, errs)
		}
	}
	want := cdr.Filter{From: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), Queue: "general", Agent: "demo-1", End: "abandoned"}
	if o.filter != want {
		t.Errorf("records were sought by %+v, want %+v", o.filter, want)
	}
	if o.played.Reason != "training" || o.played.Role != console.RoleSupervisor {
		t.Errorf("the recording was played to %+v", o.played)
	}
}
