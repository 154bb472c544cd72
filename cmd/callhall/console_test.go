package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"callhall/ani"
	anisql "callhall/ani/sqlstore"
	"callhall/call"
	"callhall/cdr"
	"callhall/console"
	"callhall/console/sqlstore"
	"callhall/ledger"
	ledgersql "callhall/ledger/sqlstore"
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

// openBook is a real ledger in db with one entry of demo.
func openBook(t *testing.T, db *sqldb.DB) leaves {
	t.Helper()
	store, err := ledgersql.Open(t.Context(), db)
	must(t, err)
	log, err := ledger.Open(t.Context(), store, ledger.KeyDir("keys"), ledger.WitnessDir("witness"), ledger.Config{})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	must(t, log.Append(t.Context(), "demo", call.Leaf{Kind: "recording.played/1", At: time.Now(), Actor: "token:rosa/tok_a"}))
	return leaves{log}
}

// privacyOffice is a real vault and the office over it, in db.
func privacyOffice(t *testing.T, db *sqldb.DB, log *ledger.Ledger) (*ani.Vault, *ani.Office) {
	t.Helper()
	store, err := anisql.Open(t.Context(), db)
	must(t, err)
	vault, err := ani.NewVault(store, log, ani.KeyDir("keys"), ani.Config{Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, vault.Close()) })
	privacy, err := ani.NewOffice(vault, ani.OfficeConfig{})
	must(t, err)
	must(t, privacy.Load(t.Context(), "demo"))
	return vault, privacy
}

// officeServer is the real API over o and a real ledger, with tokens made by the real user verb in the working directory.
func officeServer(t *testing.T, o *office) (url string) {
	t.Helper()
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
	t.Cleanup(func() { db.Close() })
	store, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	book := openBook(t, db)
	vault, privacy := privacyOffice(t, db, book.ledger)
	journal := console.NewJournal(store, book, slog.New(slog.DiscardHandler))
	must(t, journal.Move(t.Context(), "demo"))
	c, err := console.New(console.Config{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}, console.Deps{
		Calls: o, Recordings: o, Agents: noStaff{}, Queues: noLines{}, Ledger: book, Tiles: ledger.Public(book.ledger), Office: privacy,
		Numbers: vault, Board: &call.Switchboard{}, Tokens: console.NewTokens(store, nil),
		Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// TestVerbsSpeakToTheConsole runs the verbs against the real API, with tokens made by the real user verb.
func TestVerbsSpeakToTheConsole(t *testing.T) {
	o := &office{}
	server := officeServer(t, o)

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
		{args: []string{"ledger", "list"}, out: "console.token/1"},
		{args: []string{"ani", "holders"}, out: "supervisor"},
		{args: []string{"ledger", "checkpoint"}, out: "callhall/ledger/demo\n3\n"},
		{args: []string{"ledger", "key"}, out: "callhall/ledger/demo+"},
		{args: []string{"ledger", "proof", "0"}, out: `"index":0`},
		{args: []string{"ledger", "proof", "3"}, errs: "the server answered 404: ", code: exitFailed},
		{args: []string{"ledger", "key", "--token-file", "callhall-data/tokens/supervisor"}, errs: "the server answered 403: ", code: exitFailed},
		{args: []string{"ledger", "export"}, out: `"export":"callhall ledger export v1"`},
		{args: []string{"ledger", "list", "--token-file", "callhall-data/tokens/supervisor"}, errs: "the server answered 403: ", code: exitFailed},
	} {
		out, errs, code := verb(t, append(test.args, "--url", server)...)
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

// TestAStrangerVerifies: what the verbs fetch is all that somebody needs who trusts neither the server nor its operator.
func TestAStrangerVerifies(t *testing.T) {
	server := officeServer(t, &office{})
	for file, args := range map[string][]string{"city.key": {"key"}, "early.checkpoint": {"checkpoint"}, "one.proof": {"proof", "0"}, "export.jsonl": {"export"}} {
		if _, errs, code := verb(t, append([]string{"ledger"}, append(args, "-o", file, "--url", server)...)...); code != 0 {
			t.Fatalf("ledger %q: %s", args, errs)
		}
	}
	key := strings.TrimSpace(readFile(t, "city.key"))
	out, errs, code := verb(t, "ledger", "verify", "export.jsonl", "--since", "early.checkpoint", "--key", key)
	if code != 0 || !strings.Contains(out, "nothing changed or removed since the checkpoint over 3") {
		t.Errorf("verify: exit %d\n%s%s", code, out, errs)
	}
	var proof ledger.Proof
	must(t, json.Unmarshal([]byte(readFile(t, "one.proof")), &proof))
	if err := proof.Check("demo", key); err != nil {
		t.Errorf("the proof: %v", err)
	}
	proof.Leaf[0] ^= 1
	if proof.Check("demo", key) == nil {
		t.Error("a changed leaf is proved")
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	return string(text)
}

// TestTheBookKnowsWhatItHolds: from the place before a leaf on it is found, from the one after it no longer.
func TestTheBookKnowsWhatItHolds(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := sqldb.Open(t.Context(), "sealed.db", sqldb.Durable)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	book := openBook(t, db)
	before, err := book.Place(t.Context(), "demo")
	must(t, err)
	must(t, book.Append(t.Context(), "demo", call.Leaf{Kind: console.KindToken, At: time.Now(), Actor: "machine", Facts: map[string]string{"act_id": "tka_b"}}))
	after, err := book.Place(t.Context(), "demo")
	must(t, err)
	for _, test := range []struct {
		place, kind, id string
		want            bool
	}{{before, console.KindToken, "tka_b", true}, {after, console.KindToken, "tka_b", false}, {before, console.KindToken, "tka_c", false},
		{before, "recording.played/1", "tka_b", false}, {"7 demo/2", console.KindToken, "tka_b", false}} {
		if got, err := book.Holds(t.Context(), "demo", test.place, test.kind, "act_id", test.id); got != test.want || err != nil {
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
	if _, err := book.Holds(t.Context(), "demo", "nowhere", console.KindToken, "act_id", "tka_b"); err == nil {
		t.Error("a place that is none was read")
	}
}

// TestARunningServerLedgersWhoIsLetIn: what a verb does beside a server is in the ledger soon, and before anybody asks.
func TestARunningServerLedgersWhoIsLetIn(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	n.token("aspen", console.RolePrivacy, "")
	for end := time.Now().Add(2 * soon); ; {
		entries, _, err := n.ledger.List(n.ctx(), "aspen", 0, 1000)
		must(t, err)
		if slices.ContainsFunc(entries, func(e ledger.Entry) bool {
			return e.Leaf.Kind == console.KindToken && e.Leaf.Facts["role"] == "privacy"
		}) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the grant is not in the ledger")
		}
		<-time.After(20 * time.Millisecond)
	}
}
