package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"callhall/console"
)

func TestTheFrontPageListsTheAPI(t *testing.T) {
	o := newOffice(t, nil)
	page := o.ask("", "GET", "/", "").Body.String()
	for _, route := range console.Routes() {
		_, path, _ := strings.Cut(route, " ")
		if strings.HasPrefix(path, "/api/") && !strings.Contains(page, "<code>"+path+"</code>") {
			t.Errorf("%s is not on the page", route)
		}
	}
	for _, want := range []string{`<html lang="en">`, `lang="es"`, "<h1>", `name="viewport"`, `scope="col"`, "<caption"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s on the page", want)
		}
	}
	for _, target := range []string{"/", "/problems"} {
		page := o.ask("", "GET", target, "").Body.String()
		for _, never := range []string{"<script", "http://", "https://", "javascript:"} {
			if strings.Contains(page, never) {
				t.Errorf("%s has %s", target, never)
			}
		}
	}
}

// Every type that a problem names is explained on the page that it leads to.
func TestProblemsAreExplained(t *testing.T) {
	o := newOffice(t, nil)
	page := o.ask("", "GET", "/problems", "").Body.String()
	for _, name := range console.ProblemNames() {
		if !strings.Contains(page, `<dt id="`+name+`">`) {
			t.Errorf("%s is not explained", name)
		}
	}
}

// The description leads nowhere else and says that errors are problems.
func TestTheDescriptionIsOurs(t *testing.T) {
	o := newOffice(t, nil)
	w := o.ask("", "GET", "/openapi.json", "")
	spec := w.Body.String()
	if w.Header().Get("Content-Type") != "application/openapi+json" || !strings.Contains(spec, `"openapi":"3.1.0"`) {
		t.Errorf("%v", w.Header())
	}
	for _, never := range []string{"unpkg", "ErrorModel\"}", "https://unpkg", "$schema"} {
		if strings.Contains(spec, never) {
			t.Errorf("it has %s", never)
		}
	}
	for _, want := range []string{"application/problem+json", "request_id", `"scheme":"bearer"`, "next_cursor", "audio/wav", "text/csv", "application/jsonl", "text/plain"} {
		if !strings.Contains(spec, want) {
			t.Errorf("it lacks %s", want)
		}
	}
}

func TestReadiness(t *testing.T) {
	var broken error
	o := newOffice(t, func(_ *console.Config, d *console.Deps) {
		d.Checks = []console.Check{{Name: "sip", Check: func(context.Context) error { return nil }},
			{Name: "records", Check: func(context.Context) error { return broken }}}
	})
	admin := o.AdminHandler()
	get := func(target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		return w
	}
	if w := get("/livez"); w.Code != http.StatusOK {
		t.Errorf("livez: %d", w.Code)
	}
	if w := get("/readyz"); w.Code != http.StatusOK || w.Body.String() != "ready\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	broken = errors.New("disk full")
	if w := get("/readyz"); w.Code != http.StatusServiceUnavailable || w.Body.String() != "not ready\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get("/readyz?verbose"); w.Body.String() != "[+] sip ok\n[-] records: disk full\nnot ready\n" {
		t.Errorf("%s", w.Body)
	}
	if w := get("/metrics"); w.Code != http.StatusOK {
		t.Errorf("metrics: %d", w.Code)
	}
	if w := get("/api/v1/me"); w.Code != http.StatusNotFound {
		t.Errorf("the API answers on the admin listener: %d", w.Code)
	}
}

// Profiles show much of the program and cost it time: they are there only where they were asked for.
func TestProfilesAreAskedFor(t *testing.T) {
	for wanted, status := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		o := newOffice(t, func(cfg *console.Config, _ *console.Deps) { cfg.Profiles = wanted })
		for _, target := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1"} {
			w := httptest.NewRecorder()
			o.AdminHandler().ServeHTTP(w, httptest.NewRequest("GET", target, nil))
			if w.Code != status {
				t.Errorf("profiles wanted %t: %s is %d", wanted, target, w.Code)
			}
		}
	}
}
