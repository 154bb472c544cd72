package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What was asked or ordered is answered in words, and a cap is asked once: every try is an alarm.
func TestVerbsSayWhatCameOfThem(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "token", "t\n", 0o600)
	reveals := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/reveal"):
			reveals++
			w.WriteHeader(http.StatusTooManyRequests)
		case strings.HasSuffix(r.URL.Path, "/ani-releases"):
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"id":"rel_a","state":"denied","row":"D28"}`)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(s.Close)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"transfer", "start", callA, "--to", "gas"}, "goes on to gas"},
		{[]string{"transfer", "cancel", callA}, "is given up"},
		{[]string{"release", "ask", callA, "--purpose", "legal-process", "--recipient", "LE"}, "citation"},
		{[]string{"release", "reveal", "rel_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, "429"},
	} {
		out, errs, _ := verb(t, append(append([]string{"ani"}, test.args...), "--url", s.URL, "--token-file", "token")...)
		if !strings.Contains(out+errs, test.says) {
			t.Errorf("%q: %s%s", test.args, out, errs)
		}
	}
	if reveals != 1 {
		t.Errorf("a cap was asked %d times", reveals)
	}
}
