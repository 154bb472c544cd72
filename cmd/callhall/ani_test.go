package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callhall/ani"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// request is one that the verbs made.
type request struct {
	Line string // method and address
	Body any    // as JSON
}

// echo answers every request with what came, as a server never should, and notes it.
func echo(t *testing.T, status int) (flags []string, asked *[]request) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("TZ", "UTC")
	write(t, "token", "correct horse\n", 0o600)
	write(t, "number", theNumber+"\n", 0o600)
	write(t, "form", "signed", 0o600)
	asked = &[]request{}
	keys := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got := request{Line: r.Method + " " + r.URL.RequestURI()}
		if len(text) > 0 {
			if err := json.Unmarshal(text, &got.Body); err != nil {
				t.Errorf("the body is no JSON: %v", err)
			}
		}
		if key := r.Header.Get("Idempotency-Key"); r.Method != http.MethodGet && (len(key) < 16 || keys[key]) {
			t.Errorf("%s has the key %q", got.Line, key)
		} else {
			keys[key] = true
		}
		*asked = append(*asked, got)
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s %s", r.URL, text)
	}))
	t.Cleanup(s.Close)
	return []string{"--url", s.URL, "--token-file", "token"}, asked
}

const (
	aniA = "_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	when = "2030-01-31T08:00:00Z"
)

// aniRequests are the verbs that enter something, and the request that each makes.
var aniRequests = []struct {
	args []string
	want request
}{
	{[]string{"release", "ask", callA, "--purpose", "completion-dropped", "--recipient", "AGT", "--reason", "relay", "--case", "A-1", "--why", "line is bad", "--to", "ada", "--ref", "prc_x"},
		request{"POST /api/v1/calls/" + callA + "/ani-releases", map[string]any{"purpose": "completion-dropped", "recipient": "AGT", "reason": "relay",
			"case": "A-1", "why": "line is bad", "to": "ada", "ref": "prc_x"}}},
	{[]string{"release", "approve", "rel" + aniA}, request{"POST /api/v1/ani-releases/rel" + aniA + "/approve", nil}},
	{[]string{"consent", "add", "--number-file", "number", "--kind", "affirmative", "--subscriber", "Jo Doe", "--purpose", "lookup", "--purpose", "status-notice",
		"--recipient", "AGT", "--evidence", "form", "--kept", "cabinet 3", "--notice", "v2", "--from", when, "--until", "2030-02-01T00:00:00Z"},
		request{"POST /api/v1/consents", map[string]any{"number": theNumber, "kind": "affirmative", "subscriber": "Jo Doe", "purposes": []any{"lookup", "status-notice"},
			"recipients": []any{"AGT"}, "notice": "v2", "from": when, "until": "2030-02-01T00:00:00Z",
			"evidence": map[string]any{"kept": "cabinet 3", "sha256": "4a3cdfae6f291c8f544daea5b72905cf9e74c1ed427d831ad0d7ca00c73c794d"}}}},
	{[]string{"consent", "spoken", callA, "--purpose", "completion-transfer", "--recipient", "CITY"},
		request{"POST /api/v1/calls/" + callA + "/spoken-consent", map[string]any{"purposes": []any{"completion-transfer"}, "recipients": []any{"CITY"}}}},
	{[]string{"process", "add", "--form", "ticket", "--issuer", "Carrier", "--reference", "T-1", "--call", callA, "--call", callB, "--trunk", "east", "--until", when,
		"--from", "2030-01-01T00:00:00Z", "--to", "2030-01-02T00:00:00Z", "--nondisclosure", "--file", "form"},
		request{"POST /api/v1/processes", map[string]any{"form": "ticket", "issuer": "Carrier", "reference": "T-1", "served_on": "city", "calls": []any{callA, callB},
			"trunk": "east", "until": when, "from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z", "nondisclosure": true, "copy": "c2lnbmVk"}}},
	{[]string{"screening", "propose", callA, "--reason", "harassment", "--why", "every night", "--until", when},
		request{"POST /api/v1/screening", map[string]any{"call": callA, "reason": "harassment", "why": "every night", "until": when}}},
	{[]string{"screening", "end", "scr" + aniA}, request{"DELETE /api/v1/screening/scr" + aniA, nil}},
	{[]string{"protected", "add", "--number-file", "number", "--ground", "court-seal", "--reference", "S-1", "--until", when},
		request{"POST /api/v1/protected", map[string]any{"number": theNumber, "ground": "court-seal", "reference": "S-1", "until": when}}},
	{[]string{"account", "ask", "--number-file", "number", "--name", "Jo Doe", "--proof", "document=desk-1", "--agent", "Al Roe", "--agent-proof", "letter=p-2", "--permission", "cns_x"},
		request{"POST /api/v1/accounting", map[string]any{"number": theNumber, "name": "Jo Doe", "agent": "Al Roe", "permission": "cns_x",
			"proofs": []any{map[string]any{"kind": "document", "evidence": "desk-1"}}, "agent_proofs": []any{map[string]any{"kind": "letter", "evidence": "p-2"}}}}},
	{[]string{"account", "refuse", "sbj" + aniA, "--code", "X-1"}, request{"POST /api/v1/accounting/sbj" + aniA + "/refuse", map[string]any{"code": "X-1"}}},
	{[]string{"search", "--number-file", "number", "--purpose", "exigency", "--case", "A-1"},
		request{"POST /api/v1/calls/search-by-number", map[string]any{"number": theNumber, "purpose": "exigency", "case": "A-1"}}},
	{[]string{"handle", "give", callA}, request{"POST /api/v1/calls/" + callA + "/handles", nil}},
	{[]string{"handle", "dial", "hdl" + aniA}, request{"POST /api/v1/handles/hdl" + aniA + "/dial", nil}},
	{[]string{"transfer", "start", callA, "--to", "gas", "--spoken-consent"},
		request{"POST /api/v1/calls/" + callA + "/transfers", map[string]any{"to": "gas", "spoken_consent": true}}},
	{[]string{"transfer", "cancel", callA}, request{"DELETE /api/v1/calls/" + callA + "/transfers", nil}},
	{[]string{"policy", "propose", "nyc-3.3"}, request{"POST /api/v1/policy/proposals", map[string]any{"profile": "nyc-3.3"}}},
	{[]string{"recalls", "delivered", "rcl" + aniA}, request{"POST /api/v1/recalls/rcl" + aniA + "/delivered", nil}},
	{[]string{"billing", "list", "--limit", "3"}, request{"GET /api/v1/billing/batches?limit=3", nil}},
	{[]string{"billing", "proof", callA}, request{"GET /api/v1/calls/" + callA + "/billing-proof", nil}},
	{[]string{"release", "list", "--state", "pending", "--limit", "7"}, request{"GET /api/v1/ani-releases?limit=7&state=pending", nil}},
}

// TestAniRequests: every flag is in the request, each request has a key of its own, and whatever a server answers,
// with or without an error, no number gets from the request onto the terminal.
func TestAniRequests(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusUnprocessableEntity, http.StatusInternalServerError} {
		flags, asked := echo(t, status)
		for _, test := range aniRequests {
			*asked = nil
			out, errs, _ := verb(t, append(append([]string{"ani"}, test.args...), flags...)...)
			if diff := cmp.Diff([]request{test.want}, *asked); diff != "" {
				t.Errorf("%q asks (-want +got):\n%s%s", test.args, diff, errs)
			}
			wantNoDigits(t, strings.Join(test.args, " "), out+errs)
		}
	}
}

// TestAniRefusals: what is wrong on the command line asks the server nothing.
func TestAniRefusals(t *testing.T) {
	flags, asked := echo(t, http.StatusOK)
	write(t, "half", "212 555", 0o600)
	write(t, "open", theNumber, 0o644)
	must(t, os.Chmod("open", 0o644))
	for _, test := range []struct {
		args string
		errs string
	}{
		{"release ask 311 --purpose marketing --recipient PRIV", "not a call's id"},
		{"release ask " + callA + " --purpose gossip --recipient PRIV", "--purpose: \"gossip\" is none"},
		{"release ask " + callA + " --purpose marketing --recipient US", "--recipient: \"US\" is none"},
		{"release ask " + callA + " --purpose marketing --recipient PRIV --reason fun", "--reason: \"fun\" is none"},
		{"release approve prc" + aniA, "they begin with rel_"},
		{"release reveal ../calls", "they begin with rel_"},
		{"process paper ../../me -o -", "they begin with prc_"},
		{"screening review x", "they begin with scr_"},
		{"account answer x", "they begin with sbj_"},
		{"account ask --number-file number --name Jo --proof word=1", "--proof: \"word\" is none"},
		{"account ask --number-file number --name Jo --proof document", "lacks where the evidence is"},
		{"search --number-file half --purpose exigency --case A-1", "no whole telephone number"},
		{"search --number-file open --purpose exigency --case A-1", "is open to every user"},
		{"search --number-file number --purpose lookup --case A-1", "must be one of"},
		{"search " + theNumber + " --purpose exigency --case A-1", "unexpected argument"},
		{"search --number-file number --purpose exigency --case A-1 --url http://311.example.gov", "not encrypted"},
		{"release reveal rel" + aniA + " --url http://192.0.2.1:8311", "not encrypted"},
		{"account answer sbj" + aniA + " --url http://192.0.2.1", "not encrypted"},
		{"billing proof ../me", "not a call's id"},
		{"billing proof " + callA + " --url http://192.0.2.1", "not encrypted"},
		{"release list --limit=-1", "less than none"},
		{"policy propose wide", "must be one of"},
	} {
		args := append([]string{"ani"}, strings.Fields(test.args)...)
		if args = append(args, flags[2:]...); !strings.Contains(test.args, "--url") {
			args = append(args, flags[:2]...)
		}
		out, errs, code := verb(t, args...)
		if code == 0 || out != "" || !strings.Contains(errs, test.errs) || len(*asked) > 0 {
			t.Errorf("%s: exit %d, want %q\n%s%s%v", test.args, code, test.errs, out, errs, *asked)
		}
	}
}

// TestNoEcho: a number that a person types is read and not shown, and the terminal is as it was afterwards, also when
// the person thinks better of it.
func TestNoEcho(t *testing.T) {
	master, slave := openTerminal(t)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	must(t, err)
	for _, gone := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		ask := typist(func() {
			if gone {
				cancel()
				return
			}
			fmt.Fprintf(master, "%s\n", theNumber)
		})
		n, err := numberFlags{}.read(ctx, &terminal{In: slave, Err: &ask})
		cancel()
		if gone != (err != nil) || !gone && string(n.text) != theNumber {
			t.Errorf("gone %v: read %d characters, %v", gone, len(n.text), err)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", n, n, n, n); strings.Contains(text, "555") {
			t.Errorf("a typed number prints as %s", text)
		}
	}
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	must(t, err)
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal was %+v and is %+v", before, after)
	}
	must(t, master.SetReadDeadline(time.Now().Add(soon)))
	fmt.Fprintln(slave, "over")
	seen, err := bufio.NewReader(master).ReadString('v')
	must(t, err)
	wantNoDigits(t, "the terminal", seen)
}

// typist types when it is asked to.
type typist func()

// Write is what the person sees.
func (f *typist) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "number") {
		(*f)()
	}
	return len(p), nil
}

// openTerminal is a terminal of its own: what a person at it types is written to master, and what they see is read there.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	raw, err := master.SyscallConn() // not Fd, which would take its deadlines away
	must(t, err)
	var number uint32
	must(t, raw.Control(func(fd uintptr) {
		err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		if err == nil {
			number, err = unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
		}
	}))
	must(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { slave.Close(); master.Close() })
	return master, slave
}

// TestShown: what may be seen stands alone on standard output, and nothing of it beside the warnings.
func TestShown(t *testing.T) {
	for _, test := range []struct{ answer, out, errs string }{
		{`{"number":"` + theNumber + `","row":"D27","statement":"For you.","unverified":true,"until":"2030-01-31T08:00:00Z"}`, theNumber + "\n", "proves nothing"},
		{`{"mask":"+1 212 ***-**42","row":"D16"}`, "+1 212 ***-**42\n", "row D16"},
		{`{"token":"00ff","row":"D16"}`, "00ff\n", "must not be kept"},
	} {
		var out, errs bytes.Buffer
		must(t, writeShown(t.Context(), &terminal{Out: &out, Err: &errs}, json.RawMessage(test.answer)))
		if out.String() != test.out || !strings.Contains(errs.String(), test.errs) {
			t.Errorf("%s: %q, %q", test.answer, &out, &errs)
		}
		wantNoDigits(t, "the warning", errs.String())
	}
	var out bytes.Buffer
	err := writeShown(t.Context(), &terminal{Out: &out, Err: &out}, json.RawMessage(`{"number":12125550142}`))
	if err == nil {
		t.Error("a number that is no text is taken")
	} else {
		wantNoDigits(t, "the error", err.Error()+out.String())
	}
}

// TestShownBriefly: on a terminal, what may be seen briefly (O11) goes away when its time is over.
func TestShownBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		began := time.Now()
		must(t, writeBriefly(t.Context(), &out, theNumber, 30*time.Second))
		if took := time.Since(began); took != 30*time.Second || out.String() != theNumber+"\r\x1b[2K" {
			t.Errorf("after %s: %q", took, &out)
		}
	})
}

// TestAnswersInWords: what a server says is told in words, in its order, and steers no terminal.
func TestAnswersInWords(t *testing.T) {
	t.Setenv("TZ", "UTC")
	asked := ani.Ask{ID: "rel" + aniA, State: "pending", Purpose: "marketing", To: "Gas\x1b[31m Works", Obligations: []ani.Obligation{"O1", "O2"},
		Asked: &ani.Signature{Actor: "token:eve/tok_a", Role: "privacy", At: time.Unix(0, 0)}}
	text, err := json.Marshal(asked)
	must(t, err)
	var out bytes.Buffer
	must(t, writeEntryOf(&terminal{Out: &out}, text))
	golden(t, "testdata/ani/entry.txt", out.String())
	if err := writeEntryOf(&terminal{Out: &out}, json.RawMessage(`[1]`)); err == nil {
		t.Error("a list is taken for an entry")
	}
}

// pageVerb finds the verbs that the page of the privacy officer has: callhall ani consent add, `ani consent add`.
var pageVerb = regexp.MustCompile("(?:callhall |`)((?:ani|ledger)(?: [a-z]+)+)")

// TestThePageNamesVerbs: every verb on the page is one.
func TestThePageNamesVerbs(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("callhall"))
	must(t, err)
	var verbs []string
	for _, leaf := range parser.Model.Leaves(true) {
		path, _, _ := strings.Cut(leaf.Path(), " (") // without other names
		verbs = append(verbs, strings.TrimPrefix(path, "callhall "))
	}
	found := pageVerb.FindAllStringSubmatch(readFile(t, "../../docs/caller-numbers.md"), -1)
	if len(found) < 30 {
		t.Fatalf("the page has %d verbs", len(found))
	}
	for _, match := range found {
		known := slices.ContainsFunc(verbs, func(v string) bool { return match[1] == v || strings.HasPrefix(match[1], v+" ") })
		if !known {
			t.Errorf("the page has %q, which is no verb", match[1])
		}
	}
}
