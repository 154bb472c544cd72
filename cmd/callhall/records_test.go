package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"callhall/call"

	"github.com/google/go-cmp/cmp"
)

// sample is a call of which the texts of the tests are made.
func sample(id string) call.Record {
	at := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	return call.Record{
		ID: call.ID(id), City: "demo", Node: "a", Trunk: "loopback", Entry: "311", Queue: "general", Language: "en",
		Caller: call.CallerPresent, Verstat: call.VerstatNone, ArrivedAt: at, AnsweredAt: at, ConnectedAt: at.Add(4 * time.Second),
		EndedAt: at.Add(70 * time.Second), End: call.EndCallerHungUp, EndedBy: "caller", Q850: 16, Agent: "demo-1",
		Waiting: 4 * time.Second, Talking: 66 * time.Second, Offers: 1,
		Timeline: []call.Moment{
			{At: at, What: call.WhatArrived, Leg: "caller"},
			{At: at.Add(3 * time.Second), What: call.WhatOffered, Agent: "demo-1", Detail: "longest idle\x1b[31m"},
			{At: at.Add(70 * time.Second), What: call.WhatEnded, Leg: "caller"},
		},
		Quality:   map[call.LegID]call.Quality{"agent-1": {Codec: "PCMU"}, "caller": {Codec: "PCMA", Received: 3300, Sent: 3301, Lost: 2, Jitter: 1200 * time.Microsecond, MOS: 4.31}},
		Recording: call.RecordingSummary{ID: "rec_a", State: call.RecordingKept, Length: 66 * time.Second, DueAt: at.Add(keepFor)},
	}
}

const (
	callA = "cl_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	callB = "cl_bbbbbbbbbbbbbbbbbbbbbbbbbb"
	recA  = "rec_aaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// server answers as the API does, one page a call, and notes what was asked.
func server(t *testing.T, asked *[]string) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) { json.NewEncoder(w).Encode(v) }
	mux.HandleFunc("GET /api/v1/calls", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			answer(w, map[string]any{"data": []call.Record{sample(callA)}, "next_cursor": "more"})
			return
		}
		answer(w, map[string]any{"data": []call.Record{sample(callB)}})
	})
	mux.HandleFunc("GET /api/v1/calls/export", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "id,city\n") })
	mux.HandleFunc("GET /api/v1/calls/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == callA {
			answer(w, sample(callA))
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		answer(w, map[string]any{"title": "Not Found", "detail": "there is no such call in this city", "request_id": "req_a"})
	})
	mux.HandleFunc("GET /api/v1/recordings/{id}/media", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("reason") == "technical" {
			w.Header().Set("Content-Length", "100")
		}
		fmt.Fprint(w, "RIFF")
	})
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.RequestURI())
		if r.Header.Get("Authorization") != "Bearer correct horse" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
	s := httptest.NewServer(front)
	t.Cleanup(s.Close)
	return s.URL
}

// verb runs one verb in this process.
func verb(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, terminal{In: strings.NewReader(""), Out: &out, Err: &errs})
	return out.String(), errs.String(), code
}

// atServer prepares a directory with a token and a server that knows it.
func atServer(t *testing.T) (flags []string, asked *[]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("TZ", "UTC")
	write(t, "token", "correct horse\n", 0o600)
	asked = &[]string{}
	return []string{"--url", server(t, asked), "--token-file", "token"}, asked
}

func TestRecordsList(t *testing.T) {
	flags, asked := atServer(t)
	list := func(more ...string) (string, string, int) {
		return verb(t, append(append([]string{"records", "list"}, more...), flags...)...)
	}
	out, _, code := list("--limit", "0", "--queue", "general", "--from", "2026-01-31T00:00:00Z")
	if code != 0 || !strings.Contains(out, callA) || !strings.Contains(out, callB) || !strings.Contains(out, "1m6s") {
		t.Errorf("exit %d, table:\n%s", code, out)
	}
	want := []string{
		"/api/v1/calls?from=2026-01-31T00%3A00%3A00Z&limit=200&queue=general",
		"/api/v1/calls?cursor=more&from=2026-01-31T00%3A00%3A00Z&limit=200&queue=general",
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	out, errs, code := list("--limit", "1")
	if code != 0 || strings.Contains(out, callB) || !strings.Contains(errs, "there are more") {
		t.Errorf("one of two: exit %d, %s%s", code, out, errs)
	}
	out, _, code = list("--json")
	if code != 0 || strings.Count(out, "\n") != 2 || !json.Valid([]byte(strings.Split(out, "\n")[1])) {
		t.Errorf("JSON Lines: exit %d\n%s", code, out)
	}
}

func TestRecordsShow(t *testing.T) {
	flags, _ := atServer(t)
	out, _, code := verb(t, append([]string{"records", "show", callA}, flags...)...)
	for _, want := range []string{
		"caller-hung-up by caller (Q.850 cause 16)", "talked 1m6s", "+3s  an agent's phone rang: demo-1, longest idle.[31m",
		"caller: PCMA, 3300 packets in, 3301 out, 2 lost, jitter 1.2ms, MOS about 4.3", "kept until", "number present",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the story (exit %d):\n%s", want, code, out)
		}
	}
	if strings.Index(out, "sound       caller") > strings.Index(out, "sound       agent-1") {
		t.Errorf("the caller's sound does not come first:\n%s", out)
	}
	_, errs, code := verb(t, append([]string{"records", "show", callB}, flags...)...)
	if want := "callhall: the server answered 404: there is no such call in this city [request req_a]\n"; code != exitFailed || errs != want {
		t.Errorf("a call that is not there: exit %d, %q", code, errs)
	}
	write(t, "token", "wrong\n", 0o600)
	_, errs, code = verb(t, append([]string{"records", "show", callA}, flags...)...)
	if code != exitFailed || !strings.Contains(errs, "401: this token is not known") || strings.Contains(errs, "wrong") {
		t.Errorf("a wrong token: exit %d, %q", code, errs)
	}
}

func TestRecordsFiles(t *testing.T) {
	flags, asked := atServer(t)
	audio := func(file, reason string) (string, int) {
		_, errs, code := verb(t, append([]string{"records", "audio", recA, "-o", file, "--reason", reason}, flags...)...)
		return errs, code
	}
	if errs, code := audio("a.wav", "quality-review"); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	info, err := os.Stat("a.wav")
	if err != nil || info.Size() != 4 || info.Mode().Perm() != 0o600 {
		t.Errorf("the recording is kept as %v, %v", info, err)
	}
	if want := "/api/v1/recordings/" + recA + "/media?reason=quality-review"; (*asked)[0] != want {
		t.Errorf("asked %s, want %s", (*asked)[0], want)
	}
	if errs, code := audio("a.wav", "training"); code != exitFailed || !strings.Contains(errs, "file exists") {
		t.Errorf("an old file is written over: exit %d, %s", code, errs)
	}
	if errs, code := audio("b.wav", "just so"); code != exitUsage || !strings.Contains(errs, "quality-review, training") {
		t.Errorf("a reason that is none: exit %d, %s", code, errs)
	}
	if errs, code := audio("b.wav", "technical"); code != exitFailed || !strings.Contains(errs, "unexpected EOF") {
		t.Errorf("an answer that breaks off: exit %d, %s", code, errs)
	}
	if _, err := os.Stat("b.wav"); err == nil {
		t.Error("an answer that broke off left a file")
	}
	out, _, code := verb(t, append([]string{"records", "export", "--format", "csv"}, flags...)...)
	if code != 0 || out != "id,city\n" {
		t.Errorf("export: exit %d, %q", code, out)
	}
}

func TestNoServer(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "token", "correct horse\n", 0o600)
	_, errs, code := verb(t, "records", "list", "--url", "http://127.0.0.1:1", "--token-file", "token")
	if code != exitFailed || !strings.Contains(errs, "is callhall serve running there?") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

// TestDefaultToken: on the machine of the server no flag is needed.
func TestDefaultToken(t *testing.T) {
	flags, _ := atServer(t)
	if err := os.MkdirAll("callhall-data/tokens", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "callhall-data/tokens/supervisor", "correct horse", 0o600)
	if _, errs, code := verb(t, "records", "list", flags[0], flags[1]); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// TestPatience: a server that asks for time is asked again, but not for ever.
func TestPatience(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "token", "correct horse\n", 0o600)
	asked, busy := 0, 2
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked <= busy {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, "an export")
	}))
	t.Cleanup(s.Close)
	export := []string{"records", "export", "--url", s.URL, "--token-file", "token"}
	if out, errs, code := verb(t, export...); code != 0 || out != "an export" || asked != 3 {
		t.Errorf("after %d requests: exit %d, %s%s", asked, code, out, errs)
	}
	asked, busy = 0, 1000
	if _, errs, code := verb(t, export...); code != exitFailed || !strings.Contains(errs, "429: Too Many Requests") || asked != patience {
		t.Errorf("after %d requests: exit %d, %s", asked, code, errs)
	}
	for text, want := range map[string]time.Duration{"": time.Second, "7": 7 * time.Second, "soon": time.Second, "-1": time.Second, "9999": time.Minute} {
		equal(t, "pause "+text, pause(text), want)
	}
}
