package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/console"
	"callhall/ledger"
	ledgersql "callhall/ledger/sqlstore"
	"callhall/sqldb"
)

// exported writes three entries into a real ledger, keeps the checkpoint after the first, and returns the directory
// with export.jsonl and early.checkpoint in it.
func exported(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	db, err := sqldb.Open(t.Context(), "sealed.db", sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	store, err := ledgersql.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	log, err := ledger.Open(t.Context(), store, ledger.KeyDir("keys"), ledger.WitnessDir("witness"), ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		leaf := call.Leaf{Kind: "test.act/1", At: time.Now(), Actor: "engine", Facts: map[string]string{"step": fmt.Sprint(i)}}
		if err := log.Append(t.Context(), "demo", leaf); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			text, err := log.Checkpoint(t.Context(), "demo")
			if err != nil {
				t.Fatal(err)
			}
			write(t, "early.checkpoint", string(text), 0o600)
		}
	}
	var out bytes.Buffer
	if err := errors.Join(log.Export(t.Context(), "demo", &out), log.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	write(t, "export.jsonl", out.String(), 0o600)
}

func TestLedgerVerify(t *testing.T) {
	exported(t)
	out, errs, code := verb(t, "ledger", "verify", "export.jsonl")
	if code != 0 || !strings.Contains(out, "3 leaves of demo: self-consistent only") {
		t.Errorf("without a checkpoint: exit %d, %s%s", code, out, errs)
	}
	out, errs, code = verb(t, "ledger", "verify", "export.jsonl", "--since", "early.checkpoint")
	if code != 0 || !strings.Contains(out, "nothing changed or removed since the checkpoint over 1") {
		t.Errorf("with a checkpoint: exit %d, %s%s", code, out, errs)
	}
	out, _, code = verb(t, "--json", "ledger", "verify", "export.jsonl")
	var report struct {
		OK     bool
		Leaves int
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || !report.OK || report.Leaves != 3 {
		t.Errorf("as JSON: exit %d, %v, %s", code, err, out)
	}
	text, err := os.ReadFile("export.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "changed.jsonl", strings.Replace(string(text), "engine", "nobody", 1), 0o600)
	write(t, "short.jsonl", string(text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1]), 0o600)
	for _, file := range []string{"changed.jsonl", "short.jsonl", "early.checkpoint"} {
		out, errs, code := verb(t, "ledger", "verify", file)
		if code != exitFailed || out != "" || !strings.Contains(errs, "does not verify") {
			t.Errorf("%s: exit %d, %s%s", file, code, out, errs)
		}
	}
	if _, errs, code := verb(t, "ledger", "verify", "missing.jsonl"); code != exitFailed || !strings.Contains(errs, "no such file") {
		t.Errorf("no file: exit %d, %s", code, errs)
	}
}

func TestLedgerOverHTTP(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("TZ", "UTC")
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		switch {
		case r.Header.Get("Authorization") != "Bearer pr-token":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/api/v1/ledger" && r.URL.Query().Get("cursor") == "":
			entry := console.LedgerEntry{Index: 1, Kind: "recording.played/1", At: time.Unix(0, 0), Actor: "token:rosa/tok_a", Facts: map[string]string{"b": "2", "a": "1"}}
			json.NewEncoder(w).Encode(map[string]any{"data": []console.LedgerEntry{entry}, "next_cursor": "n"})
		case r.URL.Path == "/api/v1/ledger":
			json.NewEncoder(w).Encode(map[string]any{"data": []console.LedgerEntry{{Index: 0, Erased: true}}})
		default:
			fmt.Fprint(w, r.URL.Path)
		}
	}))
	t.Cleanup(s.Close)
	write(t, "token", "pr-token\n", 0o600)
	flags := []string{"--url", s.URL, "--token-file", "token"}
	run := func(args ...string) (string, string, int) { return verb(t, append(args, flags...)...) }
	out, errs, code := run("ledger", "list", "--limit", "0")
	if code != 0 || !strings.Contains(out, "recording.played/1  token:rosa/tok_a  -     a=1 b=2") || !strings.Contains(out, "erased") {
		t.Errorf("list: exit %d\n%s%s", code, out, errs)
	}
	for path, args := range map[string][]string{
		"/api/v1/ledger/export":          {"ledger", "export"},
		"/api/v1/ledger/checkpoint":      {"ledger", "checkpoint"},
		"/api/v1/ledger/entries/7/proof": {"ledger", "proof", "7"},
	} {
		if out, errs, code := run(args...); code != 0 || out != path {
			t.Errorf("%q: exit %d, %q %s", args, code, out, errs)
		}
	}
	write(t, "token", "other\n", 0o600)
	if _, errs, code := run("ledger", "list"); code != exitFailed || !strings.Contains(errs, "403: Forbidden") {
		t.Errorf("without the right: exit %d, %s", code, errs)
	}
}
