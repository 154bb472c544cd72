package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
	"callhall/console"
	"callhall/ledger"
	ledgersql "callhall/ledger/sqlstore"
	"callhall/sqldb"
)

// exported writes three entries into a real ledger: see exportOf.
func exported(t *testing.T) {
	t.Helper()
	var leaves []call.Leaf
	for i := range 3 {
		leaves = append(leaves, call.Leaf{Kind: "test.act/1", At: time.Now(), Actor: "engine", Facts: map[string]string{"step": fmt.Sprint(i)}})
	}
	exportOf(t, leaves...)
}

// exportOf writes leaves into a real ledger and moves to a directory with export.jsonl, the checkpoint after the first leaf
// (early.checkpoint), city.key, and proofs of the last leaf (entry.proof) and of the continuation (consistency.proof).
func exportOf(t *testing.T, leaves ...call.Leaf) {
	t.Helper()
	t.Chdir(t.TempDir())
	db, err := sqldb.Open(t.Context(), "sealed.db", sqldb.Durable)
	must(t, err)
	store, err := ledgersql.Open(t.Context(), db)
	must(t, err)
	log, err := ledger.Open(t.Context(), store, ledger.KeyDir("keys"), ledger.WitnessDir("witness"), ledger.Config{})
	must(t, err)
	for i, leaf := range leaves {
		must(t, log.Append(t.Context(), "demo", leaf))
		if i == 0 {
			text, err := log.Checkpoint(t.Context(), "demo")
			must(t, err)
			write(t, "early.checkpoint", string(text), 0o600)
		}
	}
	proof, err := log.Proof(t.Context(), "demo", int64(len(leaves)-1))
	must(t, err)
	continued, err := log.Consistency(t.Context(), "demo", 1, 0)
	must(t, err)
	key, err := log.Key(t.Context(), "demo")
	must(t, err)
	var out bytes.Buffer
	must(t, errors.Join(log.Export(t.Context(), "demo", &out), log.Close(), db.Close()))
	for name, text := range map[string]string{"export.jsonl": out.String(), "city.key": key, "entry.proof": asJSON(proof), "consistency.proof": asJSON(continued)} {
		write(t, name, text, 0o600)
	}
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

// TestVerifyDecidesAgain: a release that does not come out of its terms is found, although the ledger has it just so.
func TestVerifyDecidesAgain(t *testing.T) {
	ruling := ani.Decide(ani.Tuple{Purpose: ani.PurposePublication, Recipient: ani.RecipientPublic, Profile: ani.ProfileCard, Held: true})
	release := map[string]string{"policy": ani.PolicyVersion, "purpose": "publication", "recipient": "PUB", "relation": "none", "privacy": "restricted",
		"number": "held", "law": "none", "consent": "none", "process": "none", "profile": "card", "tariff": "no", "narrowed": "no", "verstat": "none",
		"row": ruling.Row.ID, "result": string(ruling.Decision), "obligations": ""}
	for _, test := range []struct {
		change map[string]string
		out    string
		errs   string
		code   int
	}{
		{nil, "releases 1 decided again and alike, 0 under terms unknown", "", 0},
		{map[string]string{"policy": "terms-99"}, "releases 0 decided again and alike, 1 under terms unknown", "a newer callhall", 0},
		{map[string]string{"result": "FULL"}, "", "result should be", exitFailed},
		{map[string]string{"row": "D01"}, "", "row should be", exitFailed},
	} {
		facts := maps.Clone(release)
		maps.Copy(facts, test.change)
		exportOf(t, call.Leaf{Kind: ani.KindRelease, At: time.Now(), Actor: "engine", Facts: facts})
		out, errs, code := verb(t, "ledger", "verify", "export.jsonl")
		if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(errs, test.errs) {
			t.Errorf("%v: exit %d, want %d\n%s%s", test.change, code, test.code, out, errs)
		}
	}
}

// TestVerifyTellsWhatItHeldAgainst: proofs are verified as exports are, and the result says whose key it was.
func TestVerifyTellsWhatItHeldAgainst(t *testing.T) {
	exported(t)
	key := strings.TrimSpace(readFile(t, "city.key"))
	for _, test := range []struct {
		args []string
		out  string
	}{
		{[]string{"export.jsonl"}, "key as the export says itself (give the city's with --key), changed 0 times"},
		{[]string{"export.jsonl", "--key", key}, "key as given, or one that it leads to, changed 0 times"},
		{[]string{"export.jsonl"}, "       3 test.act/1"},
		{[]string{"entry.proof", "--key", key}, "leaf 2 is among the 3 leaves of demo, signed by the key given"},
		{[]string{"consistency.proof", "--since", "early.checkpoint"}, "the 3 leaves of demo are a continuation of the first 1, signed by a key that came with the proof"},
	} {
		out, errs, code := verb(t, append([]string{"ledger", "verify"}, test.args...)...)
		if code != 0 || !strings.Contains(out, test.out) {
			t.Errorf("%q: exit %d\n%s%s", test.args, code, out, errs)
		}
	}
	proof := readFile(t, "entry.proof")
	write(t, "changed.proof", strings.Replace(proof, `"index":2`, `"index":1`, 1), 0o600)
	if out, errs, code := verb(t, "ledger", "verify", "changed.proof"); code != exitFailed || out != "" || !strings.Contains(errs, "does not verify") {
		t.Errorf("a changed proof: exit %d, %s%s", code, out, errs)
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

// TestVerifyForAJob: a job that reads exit statuses alone can tell what was verified from what only agrees with itself.
func TestVerifyForAJob(t *testing.T) {
	exported(t)
	proof := readFile(t, "entry.proof")
	write(t, "changed.proof", strings.Replace(proof, `"index":2`, `"index":1`, 1), 0o600)
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"export.jsonl", "--require-since"}, exitFailed, "self-consistent only"},
		{[]string{"export.jsonl", "--require-since", "--since", "early.checkpoint"}, 0, "newest entry that the earlier checkpoint covers of "},
		{[]string{"entry.proof", "--require-since"}, exitFailed, "self-consistent only"},
		{[]string{"consistency.proof", "--require-since", "--since", "early.checkpoint"}, 0, "held against the checkpoint over 1"},
		{[]string{"export.jsonl", "--key", "city.key"}, 0, "key as given"},
		{[]string{"changed.proof"}, exitFailed, "the proof does not verify"},
	} {
		out, errs, code := verb(t, append([]string{"ledger", "verify"}, test.args...)...)
		if code != test.code || !strings.Contains(out+errs, test.says) {
			t.Errorf("%q: exit %d, want %d\n%s%s", test.args, code, test.code, out, errs)
		}
	}
}
