package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/console"

	"github.com/google/go-cmp/cmp"
)

type callList struct {
	Data       []call.Record `json:"data"`
	NextCursor string        `json:"next_cursor"`
}

func idsOf(list callList) []call.ID {
	var ids []call.ID
	for _, r := range list.Data {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestASupervisorFindsCalls(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleSupervisor)
	first, second := o.record("demo", "ana", time.Hour), o.record("demo", "ben", 48*time.Hour)
	o.record("other", "ana", time.Hour)
	from := o.now.Add(-2 * time.Hour).Format(time.RFC3339)
	for query, want := range map[string][]call.ID{
		"": {first.ID, second.ID}, "?agent=ben": {second.ID}, "?queue=general&end=abandoned": {first.ID, second.ID},
		"?from=" + from: {first.ID}, "?to=" + from: {second.ID}, "?queue=water": nil, "?recording=kept": nil,
		"?min_waiting_s=60": {first.ID, second.ID}, "?min_waiting_s=61": nil, "?min_talking_s=1": nil,
	} {
		list := into[callList](t, o.ask(token, "GET", "/api/v1/calls"+query, ""))
		if diff := cmp.Diff(want, idsOf(list)); diff != "" || list.Data == nil {
			t.Errorf("%s: %s", query, diff)
		}
	}
	got := into[call.Record](t, o.ask(token, "GET", "/api/v1/calls/"+string(first.ID), ""))
	if diff := cmp.Diff(first, got); diff != "" {
		t.Error(diff)
	}
}

func TestPagesFollowTheirCursor(t *testing.T) {
	o := newOffice(t, nil)
	for n := range 5 {
		o.record("demo", "ana", time.Duration(n)*time.Minute)
		o.record("other", "ana", time.Duration(n)*time.Minute)
	}
	token, other := o.token("demo", console.RoleSupervisor), o.token("other", console.RoleSupervisor)
	page := into[callList](t, o.ask(token, "GET", "/api/v1/calls?limit=3", ""))
	rest := into[callList](t, o.ask(token, "GET", "/api/v1/calls?limit=3&cursor="+page.NextCursor, ""))
	if len(page.Data) != 3 || len(rest.Data) != 2 || rest.NextCursor != "" {
		t.Errorf("%d and %d calls", len(page.Data), len(rest.Data))
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"another city":   o.ask(other, "GET", "/api/v1/calls?limit=3&cursor="+page.NextCursor, ""),
		"another search": o.ask(token, "GET", "/api/v1/calls?queue=general&cursor="+page.NextCursor, ""),
		"damaged":        o.ask(token, "GET", "/api/v1/calls?cursor=AAAA", ""),
	} {
		if p := o.problem(w, http.StatusBadRequest); len(p.Errors) != 1 || p.Errors[0].Location != "query.cursor" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// An agent's day is the city's: on this one New York has 23 hours, and midnight was at five in UTC.
func TestAnAgentSeesOwnCallsOfToday(t *testing.T) {
	o := newOffice(t, nil)
	midnight := o.now.Sub(time.Date(2026, 3, 8, 5, 0, 0, 0, time.UTC))
	today, yesterday := o.record("demo", "ana", midnight), o.record("demo", "ana", midnight+time.Microsecond)
	others := o.record("demo", "ben", time.Hour)
	token := o.token("demo", console.RoleAgent)
	for _, query := range []string{"", "?agent=ana", "?from=2020-01-01T00:00:00Z"} {
		list := into[callList](t, o.ask(token, "GET", "/api/v1/calls"+query, ""))
		if diff := cmp.Diff([]call.ID{today.ID}, idsOf(list)); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
	o.problem(o.ask(token, "GET", "/api/v1/calls?agent=ben", ""), http.StatusForbidden)
	for _, r := range []call.Record{yesterday, others} {
		o.problem(o.ask(token, "GET", "/api/v1/calls/"+string(r.ID), ""), http.StatusNotFound)
	}
	if w := o.ask(token, "GET", "/api/v1/calls/"+string(today.ID), ""); w.Code != http.StatusOK {
		t.Errorf("own call: %d", w.Code)
	}
}

// What is asked wrongly is refused: a misspelt filter must not list everything. Nothing that was sent comes back.
func TestABadSearchIsRefused(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleSupervisor)
	for query, where := range map[string]string{"limit=0": "query.limit", "limit=201": "query.limit", "limit=x": "query.limit",
		"end=lunch": "query.end", "quue=general": "query.quue", "from=noon": "query.from", "recording=lost": "query.recording",
		"from=2026-03-08T12:00:00Z&to=2026-03-08T12:00:00Z": "query.to", "min_waiting_s=-1": "query.min_waiting_s",
		"number=12125550142": "query.number", "queue=" + strings.Repeat("q", 65): "query.queue"} {
		w := o.ask(token, "GET", "/api/v1/calls?"+query, "")
		p := o.problem(w, http.StatusUnprocessableEntity)
		if len(p.Errors) == 0 || p.Errors[0].Location != where {
			t.Errorf("%s: %+v", query, p)
		}
		if strings.Contains(w.Body.String(), "5550142") {
			t.Errorf("%s comes back: %s", query, w.Body)
		}
	}
}

func TestExportStreams(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleRecords)
	r := o.record("demo", "ana", time.Hour)
	o.record("demo", "ben", time.Hour)
	o.record("other", "ana", time.Hour)
	for format, want := range map[string]struct {
		kind  string
		lines int
	}{"csv": {"text/csv; charset=utf-8; header=present", 2}, "jsonl": {"application/jsonl", 1}} {
		w := o.ask(token, "GET", "/api/v1/calls/export?agent=ana&format="+format, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != want.kind ||
			w.Header().Get("Content-Disposition") != `attachment; filename="calls.`+format+`"` ||
			strings.Count(w.Body.String(), "\n") != want.lines || !strings.Contains(w.Body.String(), string(r.ID)) {
			t.Errorf("%s: %d %v\n%s", format, w.Code, w.Header(), w.Body)
		}
	}
	o.problem(o.ask(token, "GET", "/api/v1/calls/export?format=parquet", ""), http.StatusUnprocessableEntity)
}

// brokenCalls fails an export after some bytes.
type brokenCalls struct {
	console.Calls
	after string
}

func (b brokenCalls) Export(_ context.Context, _ call.CityID, _ cdr.Filter, w io.Writer, _ cdr.Format) error {
	io.WriteString(w, b.after)
	return errInside
}

// Half a file must not be taken for a whole one.
func TestAnExportThatFailsSaysSo(t *testing.T) {
	for after, check := range map[string]func(*http.Response, error) error{
		"": func(resp *http.Response, err error) error {
			if err != nil || resp.StatusCode != http.StatusInternalServerError || resp.Header.Get("Content-Disposition") != "" ||
				resp.Header.Get("Content-Type") != "application/problem+json" {
				return fmt.Errorf("before the first byte: %+v, %w", resp, err)
			}
			return nil
		},
		"id,city\n": func(resp *http.Response, err error) error {
			if err != nil {
				return nil // broken off before the client saw the beginning
			}
			if _, err := io.ReadAll(resp.Body); err == nil {
				return errors.New("half a file came as a whole one")
			}
			return nil
		},
	} {
		o := newOffice(t, func(_ *console.Config, d *console.Deps) { d.Calls = brokenCalls{d.Calls, after} })
		server := httptest.NewServer(o.Handler())
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/v1/calls/export", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+o.token("demo", console.RoleRecords))
		resp, err := server.Client().Do(r)
		if err := check(resp, err); err != nil {
			t.Error(err)
		}
		if resp != nil {
			resp.Body.Close()
		}
		server.Close()
		if !strings.Contains(o.log.String(), errInside.Error()) {
			t.Error("the log does not say why")
		}
	}
}
