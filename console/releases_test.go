package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/console"
)

const cutOffAsk = `{"purpose":"completion-dropped","recipient":"AGT","reason":"relay","case":"SR-22"}`

// granted is a request of ana's for the caller of a call that was cut off.
func granted(o *office, ana string) (id string) {
	o.t.Helper()
	cut := o.caller("demo", "ana")
	o.drop("demo", cut)
	answer := o.post(ana, "/api/v1/calls/"+string(cut)+"/ani-releases", cutOffAsk, http.StatusCreated)
	if o.field(answer, "state") != "granted" || o.field(answer, "row") != "D09" {
		o.t.Fatalf("asked: %s", answer)
	}
	return o.field(answer, "id")
}

func TestANumberIsRevealedOnceToWhoAsked(t *testing.T) {
	o := newOffice(t, nil)
	ana, ben := o.of("demo", console.RoleAgent, "ana"), o.of("demo", console.RoleAgent, "ben")
	id := granted(o, ana)
	o.problem(o.ask(ben, "POST", "/api/v1/ani-releases/"+id+"/reveal", ""), http.StatusForbidden)
	o.problem(o.ask(ben, "GET", "/api/v1/ani-releases/"+id, ""), http.StatusNotFound)
	o.silent()
	w := o.ask(ana, "POST", "/api/v1/ani-releases/"+id+"/reveal", "")
	if w.Code != http.StatusOK || o.field(w.Body.String(), "number") != number || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	again := o.ask(ana, "POST", "/api/v1/ani-releases/"+id+"/reveal", "")
	o.problem(again, http.StatusConflict)
	o.silent(again.Body.String(), o.ask(ana, "GET", "/api/v1/ani-releases/"+id, "").Body.String(), o.ask(ana, "GET", "/api/v1/ani-releases", "").Body.String())
}

// In the clear nothing is answered, and nothing is used up (O9).
func TestANumberLeavesOnlyWhereNobodyReads(t *testing.T) {
	o := newOffice(t, nil)
	ana := o.of("demo", console.RoleAgent, "ana")
	id := granted(o, ana)
	leaves := len(o.behind.leaves)
	for _, from := range []struct{ addr, header, value string }{
		{"192.0.2.7:4711", "", ""}, {"[2001:db8::1]:4711", "", ""}, {"nonsense", "", ""}, {"", "", ""},
		{"127.0.0.1:4711", "X-Forwarded-For", "192.0.2.7"}, {"127.0.0.1:4711", "Forwarded", "for=192.0.2.7"},
		{"127.0.0.1:4711", "X-Forwarded-Proto", "http"}, {"192.0.2.7:4711", "X-Forwarded-Proto", "https"}} {
		r := httptest.NewRequest("POST", "/api/v1/ani-releases/"+id+"/reveal", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+ana)
		if r.RemoteAddr = from.addr; from.header != "" {
			r.Header.Set(from.header, from.value)
		}
		w := httptest.NewRecorder()
		o.Handler().ServeHTTP(w, r)
		if p := o.problem(w, http.StatusForbidden); p.Type != "/problems#insecure" {
			t.Errorf("from %+v: %+v", from, p)
		}
	}
	if len(o.behind.leaves) != leaves {
		t.Errorf("leaves: %+v", o.behind.leaves[leaves:])
	}
	w := o.ask(ana, "POST", "/api/v1/ani-releases/"+id+"/reveal", "", "X-Forwarded-Proto", "https")
	if w.Code != http.StatusOK {
		t.Errorf("through a proxy here that used TLS: %d %s", w.Code, w.Body)
	}
}

// Every route that takes or gives a number is marked: the body of a request is as readable on the way as its answer.
func TestRoutesWithNumbersAreSecured(t *testing.T) {
	o := newOffice(t, nil)
	token := map[byte]string{}
	for i, role := range console.Roles() {
		token[byte(i)] = o.token("demo", role)
	}
	for _, route := range []string{"POST /api/v1/ani-releases/{id}/reveal", "POST /api/v1/calls/search-by-number", "POST /api/v1/consents",
		"POST /api/v1/protected", "POST /api/v1/accounting", "POST /api/v1/accounting/{id}/answer", "POST /api/v1/screening/{id}/review"} {
		want := expected[route]
		r := httptest.NewRequest("POST", want.target, strings.NewReader(want.body)) // from 192.0.2.1
		r.Header.Set("Authorization", "Bearer "+token[byte(strings.IndexByte(want.may, 'y'))])
		w := httptest.NewRecorder()
		o.Handler().ServeHTTP(w, r)
		if p := o.problem(w, http.StatusForbidden); p.Type != "/problems#insecure" {
			t.Errorf("%s: %+v", route, p)
		}
	}
	o.silent()
}

// An agent gets nothing of a call that another agent has, and nothing of one that goes on well.
func TestAnAgentAsksForTheirOwnCallAlone(t *testing.T) {
	o := newOffice(t, nil)
	ana, ben := o.of("demo", console.RoleAgent, "ana"), o.of("demo", console.RoleAgent, "ben")
	live := "/api/v1/calls/" + string(o.caller("demo", "ana"))
	for _, token := range []string{ana, ben} {
		if answer := o.post(token, live+"/ani-releases", cutOffAsk, http.StatusCreated); o.field(answer, "state") != "denied" {
			t.Errorf("%s", answer)
		}
	}
	for what, body := range map[string]string{"spoken-consent": `{"purposes":["service-request"],"recipients":["CITY"]}`, "handles": ""} {
		o.post(ben, live+"/"+what, body, http.StatusForbidden)
		o.post(ana, live+"/"+what, body, http.StatusCreated)
	}
	o.post(ben, live+"/transfers", `{"to":"water"}`, http.StatusNotFound)
	o.post(ana, live+"/transfers", `{"to":"water"}`, http.StatusAccepted)
}

// A second person approves; a token of the same person's is not one.
func TestAReleaseOfTwoPeople(t *testing.T) {
	o := newOffice(t, nil)
	dana, rita := o.of("demo", console.RolePrivacy, "Dana"), o.of("demo", console.RoleRecords, "Rita")
	id := string(o.caller("demo", "ana"))
	paper := o.field(o.post(dana, "/api/v1/processes", `{"form":"subpoena","issuer":"Supreme Court","reference":"I-12","served_on":"city","calls":["`+id+
		`"],"until":"2026-04-01T00:00:00Z","copy":"cGFwZXI="}`, http.StatusCreated), "id")
	o.post(dana, "/api/v1/processes/"+paper+"/verify", "", http.StatusConflict)
	o.post(rita, "/api/v1/processes/"+paper+"/verify", "", http.StatusOK)
	asked := o.post(dana, "/api/v1/calls/"+id+"/ani-releases", `{"purpose":"legal-process","recipient":"LE","case":"I-12","ref":"`+paper+`"}`, http.StatusCreated)
	if o.field(asked, "state") != "pending" {
		t.Fatalf("asked: %s", asked)
	}
	release := "/api/v1/ani-releases/" + o.field(asked, "id")
	o.post(dana, release+"/reveal", "", http.StatusConflict)
	if p := o.post(o.of("demo", console.RolePrivacy, "Dana"), release+"/approve", "", http.StatusConflict); !strings.Contains(p, "another person") {
		t.Errorf("%s", p)
	}
	o.post(rita, release+"/approve", "", http.StatusOK)
	o.post(rita, release+"/reveal", "", http.StatusForbidden)
	if o.field(o.post(dana, release+"/reveal", "", http.StatusOK), "number") != number {
		t.Error("not revealed")
	}
	o.post(rita, release+"/refuse", "", http.StatusConflict)
	notices := o.ask(dana, "GET", "/api/v1/owner-notices", "")
	page := into[struct{ Data []struct{ ID string } }](t, notices)
	if len(page.Data) == 0 {
		t.Fatalf("notices: %s", notices.Body)
	}
	if o.field(o.post(dana, "/api/v1/owner-notices/"+page.Data[0].ID+"/acknowledge", "", http.StatusOK), "state") != "acknowledged" {
		t.Error("not acknowledged")
	}
	o.silent(notices.Body.String())
}

// asks lists the requests that a token sees, page after page.
func asks(o *office, token, query string) (ids []string) {
	o.t.Helper()
	for cursor := ""; ; {
		w := o.ask(token, "GET", "/api/v1/ani-releases?limit=2"+query+cursor, "")
		var page struct {
			Data []struct{ ID string }
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK || len(page.Data) > 2 || len(ids) > 20 {
			o.t.Fatalf("%v %d %s", err, w.Code, w.Body)
		}
		for _, a := range page.Data {
			ids = append(ids, a.ID)
		}
		if cursor = "&cursor=" + page.Next; page.Next == "" {
			return ids
		}
	}
}

func TestRequestsAreListedByPagesAndToWhomTheyBelong(t *testing.T) {
	o := newOffice(t, nil)
	ana, ben, sam := o.of("demo", console.RoleAgent, "ana"), o.of("demo", console.RoleAgent, "ben"), o.of("demo", console.RoleSupervisor, "Sam")
	var want []string
	for i := range 5 {
		o.now = o.now.Add(time.Minute)
		id := granted(o, ana)
		want = append([]string{id}, want...)
		if i%2 == 0 {
			o.post(ben, "/api/v1/calls/"+string(call.NewID())+"/ani-releases", cutOffAsk, http.StatusCreated) // of no call: denied
		}
	}
	if got := asks(o, ana, ""); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("ana sees %v, want %v", got, want)
	}
	if got := asks(o, ben, ""); len(got) != 3 {
		t.Errorf("ben sees %v", got)
	}
	if got := asks(o, sam, ""); len(got) != 8 {
		t.Errorf("a supervisor sees %v", got)
	}
	if got := asks(o, sam, "&state=granted"); len(got) != 5 {
		t.Errorf("granted: %v", got)
	}
	if got := asks(o, o.of("other", console.RoleSupervisor, "Sue"), ""); len(got) != 0 {
		t.Errorf("another city sees %v", got)
	}
	for _, cursor := range []string{"rel" + nowhere, "x", "2125550142"} {
		o.problem(o.ask(sam, "GET", "/api/v1/ani-releases?cursor="+cursor, ""), http.StatusBadRequest)
	}
	o.problem(o.ask(o.of("other", console.RoleSupervisor, "Sue"), "GET", "/api/v1/ani-releases?cursor="+want[0], ""), http.StatusBadRequest)
	o.problem(o.ask(sam, "GET", "/api/v1/ani-releases?state=lost", ""), http.StatusUnprocessableEntity)
}

// A request that is sent again finds what it has entered; its key is for nothing else.
func TestARetriedRequest(t *testing.T) {
	o := newOffice(t, nil)
	dana := o.of("demo", console.RolePrivacy, "Dana")
	first := o.field(o.post(dana, "/api/v1/consents", consentBody, http.StatusCreated, "Idempotency-Key", "k-1"), "id")
	if again := o.field(o.post(dana, "/api/v1/consents", consentBody, http.StatusCreated, "Idempotency-Key", "k-1"), "id"); again != first {
		t.Errorf("%s and %s", first, again)
	}
	if other := o.field(o.post(dana, "/api/v1/consents", consentBody, http.StatusCreated, "Idempotency-Key", "k-2"), "id"); other == first {
		t.Error("another key finds the same entry")
	}
	changed := strings.Replace(consentBody, "vault 3", "vault 4", 1)
	if p := o.post(dana, "/api/v1/consents", changed, http.StatusUnprocessableEntity, "Idempotency-Key", "k-1"); !strings.Contains(p, "Idempotency-Key") {
		t.Errorf("%s", p)
	}
	o.post(dana, "/api/v1/consents", consentBody, http.StatusUnprocessableEntity, "Idempotency-Key", "k 1")
}

// Without the ledger nothing leaves, and the same request succeeds when it is back.
func TestNoLeafNoNumber(t *testing.T) {
	o := newOffice(t, nil)
	ana := o.of("demo", console.RoleAgent, "ana")
	id := granted(o, ana)
	o.behind.noLeaf = errInside
	p := o.post(ana, "/api/v1/ani-releases/"+id+"/reveal", "", http.StatusServiceUnavailable)
	if strings.Contains(p, "secret detail") {
		t.Errorf("%s", p)
	}
	o.silent(p)
	o.behind.noLeaf = nil
	o.post(ana, "/api/v1/ani-releases/"+id+"/reveal", "", http.StatusOK)
}
