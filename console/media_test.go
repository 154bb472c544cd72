package console_test

import (
	"net/http"
	"testing"

	"callhall/console"

	"github.com/google/go-cmp/cmp"
)

func TestARecordingIsPlayedInParts(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleSupervisor)
	for ranges, want := range map[string]struct {
		status int
		body   string
	}{"": {200, sound}, "bytes=0-3": {206, "RIFF"}, "bytes=8-": {206, sound[8:]}, "bytes=-4": {206, sound[len(sound)-4:]},
		"bytes=900-": {416, ""}} {
		var headers []string
		if ranges != "" {
			headers = []string{"Range", ranges}
		}
		w := o.ask(token, "GET", "/api/v1/recordings/rec_x/media?reason=complaint", "", headers...)
		if w.Code != want.status || want.body != "" && w.Body.String() != want.body {
			t.Errorf("%s: %d %q", ranges, w.Code, w.Body)
		}
		if w.Code == 416 {
			o.problem(w, 416)
		}
		if w.Code < 300 && (w.Header().Get("Content-Type") != "audio/wav" || w.Header().Get("Accept-Ranges") != "bytes") ||
			w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", ranges, w.Header())
		}
	}
	if o.behind.closed != 5 || len(o.behind.plays) != 5 {
		t.Errorf("%d plays, %d closed", len(o.behind.plays), o.behind.closed)
	}
}

func TestListeningNeedsAReason(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RolePrivacy)
	const media = "/api/v1/recordings/rec_x/media"
	for _, target := range []string{media, media + "?reason=", media + "?reason=curious", media + "?reason=12125550142"} {
		o.problem(o.ask(token, "GET", target, ""), http.StatusUnprocessableEntity)
	}
	o.problem(o.ask(token, "GET", media+"?reason=legal", "", "Callhall-Reason", "training"), http.StatusUnprocessableEntity)
	if len(o.behind.plays) != 0 {
		t.Fatalf("played without a reason: %+v", o.behind.plays)
	}
	if w := o.ask(token, "GET", media, "", "Callhall-Reason", "privacy-audit"); w.Code != http.StatusOK {
		t.Errorf("%d", w.Code)
	}
	holder, err := o.tokens.Find(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	want := []console.Listener{{Actor: "token:Test privacy/" + holder.ID, Role: console.RolePrivacy, Reason: "privacy-audit"}}
	if diff := cmp.Diff(want, o.behind.plays); diff != "" {
		t.Error(diff)
	}
}

func TestAnErasedRecordingIsGone(t *testing.T) {
	o := newOffice(t, nil)
	w := o.ask(o.token("demo", console.RoleSupervisor), "GET", "/api/v1/recordings/rec_erased/media?reason=legal", "")
	if p := o.problem(w, http.StatusGone); p.Type != "/problems#erased" {
		t.Errorf("%+v", p)
	}
	if w.Header().Get("Content-Disposition") != "" {
		t.Errorf("%v", w.Header())
	}
}
