package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The caller of the leak test, and the others that a carrier's headers may name. They are fictional: +1 NPA 555 01XX.
var leakNumbers = []string{"+12125550142", "+16465550163", "+17185550177"}

// spellings are the ways in which a number might hide: E.164, national, dotted, spaced, in brackets, as a URI, reversed.
func spellings(e164 string) []string {
	d := strings.TrimPrefix(e164, "+1")
	npa, nxx, line := d[:3], d[3:6], d[6:]
	forms := []string{
		e164, d, "1" + d,
		npa + "-" + nxx + "-" + line, npa + "." + nxx + "." + line, npa + " " + nxx + " " + line,
		"(" + npa + ") " + nxx + "-" + line, "(" + npa + ")" + nxx + line, npa + "-" + nxx + line,
		"%2B1" + d, "tel:" + d, nxx + "-" + line, nxx + "." + line, nxx + line,
	}
	for _, f := range forms[:3] {
		forms = append(forms, reversed(f))
	}
	return forms
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// wantNoNumber fails where a number, in any spelling, is found.
func wantNoNumber(t *testing.T, where string, content []byte) {
	t.Helper()
	for _, number := range leakNumbers {
		for _, form := range spellings(number) {
			if at := bytes.Index(content, []byte(form)); at >= 0 {
				t.Errorf("%s has a caller's number as %q, in %q", where, form, content[max(0, at-60):min(len(content), at+60)])
				return
			}
		}
	}
}

// TestSearchFindsNumbers checks the search itself.
func TestSearchFindsNumbers(t *testing.T) {
	for _, hidden := range []string{"+12125550142", "sip:+16465550163@x", "call 212.555.0142 now", "(718) 555-0177", "2410555212"} {
		probe := &testing.T{}
		done := make(chan struct{})
		go func() { defer close(done); wantNoNumber(probe, "probe", []byte("xx "+hidden+" yy")) }()
		<-done
		if !probe.Failed() {
			t.Errorf("%q was not found", hidden)
		}
	}
}

// TestNoNumberLeaks: a call whose every identity header and display name holds a number is answered, held in records,
// recorded, played and exported; then the numbers are searched in everything that can be reached.
func TestNoNumberLeaks(t *testing.T) {
	s := newServer(t, onlyMD5)
	phone := startPhone(t, s, "1002")
	if err := s.sipp(t.Context(), "identities.xml"); err != nil {
		t.Fatal(err)
	}
	token := s.token("supervisor")
	rec := s.records(token, 1)[0]
	if rec.Agent != "1002" || rec.Caller != "present" {
		t.Fatalf("record: %+v", rec)
	}
	wantNoNumber(t, "what the agent's phone was sent", []byte(phone.heard()))
	if !strings.Contains(phone.heard(), rec.ID) {
		t.Error("the agent's phone was not told the call's id: the capture is not what it seems")
	}
	privacy, operator := s.token("privacy"), s.token("operator")
	for _, c := range []struct{ token, path string }{
		{token, "/api/v1/calls"}, {token, "/api/v1/calls/" + rec.ID}, {token, "/api/v1/calls/export?format=csv"},
		{token, "/api/v1/calls/export?format=jsonl"}, {token, "/api/v1/recordings/" + rec.Recording.ID}, {token, "/api/v1/agents"},
		{token, "/api/v1/queues"}, {privacy, "/api/v1/ledger"}, {privacy, "/api/v1/ledger/export"}, {operator, "/api/v1/agents"},
	} {
		code, header, body := s.get(c.token, c.path)
		if code != http.StatusOK {
			t.Errorf("GET %s: %d %s", c.path, code, body)
		}
		wantNoNumber(t, "GET "+c.path, append(fmt.Append(nil, header), body...))
	}
	s.recording(rec.Recording.ID)
	for _, path := range []string{"/metrics", "/readyz?verbose", "/debug/pprof/goroutine?debug=2"} {
		wantNoNumber(t, "admin "+path, fetch(t, s.admin+path))
	}
	s.stop()
	wantNoNumber(t, "the log at debug level", []byte(s.logged.String()))
	wantNoNumber(t, "what serve printed", []byte(s.printed.String()))
	wantNoNumberIn(t, filepath.Join(s.dir, "data"))
}

// wantNoNumberIn searches every byte and every name below dir.
func wantNoNumberIn(t *testing.T, dir string) {
	t.Helper()
	files := 0
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		wantNoNumber(t, path, append([]byte(path+"\n"), content...))
		return err
	}))
	if files < 5 {
		t.Errorf("only %d files below %s: the search missed the data", files, dir)
	}
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	must(t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("GET %s: %d", url, resp.StatusCode)
	}
	return b.Bytes()
}

// softphone is a SIPp that answers one call and keeps every message that it got.
type softphone struct {
	messages string
	t        *testing.T
}

// startPhone registers a SIPp as that agent and lets it answer one call.
func startPhone(t *testing.T, s *server, agent string) *softphone {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddr(t))
	must(t, err)
	account := []string{"-p", port, "-s", agent, "-au", agent, "-ap", "secret-" + agent}
	must(t, s.sipp(t.Context(), "register.xml", account...))
	p := &softphone{t: t, messages: filepath.Join(t.TempDir(), "messages")}
	done := make(chan error, 1)
	go func() {
		done <- s.sipp(t.Context(), "answer.xml", append(account, "-trace_msg", "-message_file", p.messages)...)
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p
}

// heard waits until the phone's call is over and returns every message that it got and sent.
func (p *softphone) heard() string {
	var text []byte
	within(p.t, 10*time.Second, func() (err error) {
		text, err = os.ReadFile(p.messages)
		if err == nil && !bytes.Contains(text, []byte("BYE sip:")) {
			err = fmt.Errorf("no BYE yet")
		}
		return err
	})
	return string(text)
}
