package console_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"callhall/ani"
	"callhall/call"
	"callhall/console"
)

// What is wrong in a body that has a number is said without the number: in the answer and in the log.
func TestAMalformedBodyIsNotEchoed(t *testing.T) {
	o := newOffice(t, nil)
	dana := o.of("demo", console.RolePrivacy, "Dana")
	const good = `"+1 212 555 0142"`
	for _, route := range []string{"POST /api/v1/calls/search-by-number", "POST /api/v1/consents", "POST /api/v1/protected", "POST /api/v1/accounting"} {
		want := expected[route]
		body := want.body
		if strings.Contains(body, "0143") {
			body = strings.ReplaceAll(body, "0143", "0142")
		}
		for name, bad := range map[string]string{
			"a JSON number":        strings.Replace(body, good, `12125550142`, 1),
			"an array":             strings.Replace(body, good, `["+12125550142"]`, 1),
			"an object":            strings.Replace(body, good, `{"+12125550142":1}`, 1),
			"no number":            strings.Replace(body, good, `"212-555-0142 ext. 9 (home)"`, 1),
			"too short":            strings.Replace(body, good, `"555-0142"`, 1),
			"an unknown field":     strings.Replace(body, "{", `{"+12125550142":"x",`, 1),
			"a field in words":     strings.Replace(body, "{", `{"home 212.555.0142":"x",`, 1),
			"an unknown value":     strings.Replace(body, "{", `{"home":"212 555 0142",`, 1),
			"twice":                strings.Replace(body, "{", `{"number":["212 555 0142"],`, 1),
			"cut":                  `{"number":"+12125550142`,
			"a string":             `"+12125550142"`,
			"bare":                 `+12125550142`,
			"the number in a form": `number=%2B12125550142`,
		} {
			if bad == body {
				t.Fatalf("%s of %s is not bad", name, route)
			}
			w := o.ask(dana, "POST", want.target, bad)
			if w.Code < 400 || w.Code >= 500 {
				t.Errorf("%s, %s: %d %s", route, name, w.Code, w.Body)
			}
			o.silent(w.Body.String())
		}
	}
	for _, target := range []string{"/api/v1/ani-releases/+12125550142", "/api/v1/consents/2125550142", "/api/v1/consents?cursor=2125550142", "/api/v1/consents?number=2125550142",
		"/api/v1/consents?limit=2125550142", "/api/v1/consents?2125550142=1", "/api/v1/ledger/consistency?from=2125550142x"} {
		w := o.ask(dana, "GET", target, "")
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s: %d", target, w.Code)
		}
		o.silent(w.Body.String())
	}
	p := o.post(dana, "/api/v1/calls/search-by-number", `{"number":"the blue one","purpose":"exigency","case":"C-17"}`, http.StatusUnprocessableEntity)
	if !strings.Contains(p, "is not a telephone number; write it as +1 and ten digits") {
		t.Errorf("it does not say how to write one: %s", p)
	}
	o.silent(o.ask("", "GET", "/openapi.json", "").Body.String())
}

func TestSearchByNumber(t *testing.T) {
	o := newOffice(t, nil)
	dana := o.of("demo", console.RolePrivacy, "Dana")
	id := o.caller("demo", "ana")
	o.caller("other", "ana")
	type found struct {
		Decision, Row, Mask string
		Calls               []struct{ Call call.ID }
	}
	const search = "/api/v1/calls/search-by-number"
	got := into[found](t, o.ask(dana, "POST", search, `{"number":"+1 (212) 555-0142","purpose":"exigency","case":"C-17"}`))
	if got.Row != "D35" || got.Mask != "+1 212 ***-**42" || len(got.Calls) != 1 || got.Calls[0].Call != id {
		t.Errorf("%+v", got)
	}
	for body, row := range map[string]string{
		`{"number":"+1 212 555 0143","purpose":"exigency","case":"C-17"}`: "D35",
		`{"number":"+12125550142","purpose":"exigency","case":""}`:        "D36",
		`{"number":"+12125550142","purpose":"marketing","case":"C-17"}`:   "D36",
		`{"number":"","purpose":"exigency","case":"C-17"}`:                "D36",
	} {
		if got := into[found](t, o.ask(dana, "POST", search, body)); got.Row != row || len(got.Calls) != 0 || got.Mask != "" {
			t.Errorf("%s: %+v", body, got)
		}
	}
	o.post(dana, search, `{"number":"+12125550142","purpose":"exigency","case":"2125550142"}`, http.StatusUnprocessableEntity)
	o.silent()
}

func TestPapersHaveACopyOfTenMiB(t *testing.T) {
	o := newOffice(t, nil)
	dana := o.of("demo", console.RolePrivacy, "Dana")
	order := func(copied string) string {
		return `{"form":"order","issuer":"Supreme Court","reference":"I-12","served_on":"city","from":"2026-03-01T00:00:00Z","to":"2026-03-02T00:00:00Z",
			"until":"2026-04-01T00:00:00Z","copy":"` + copied + `"}`
	}
	whole := bytes.Repeat([]byte("%PDF ten MiB of it"), 10<<20/18)
	whole = append(whole, make([]byte, 10<<20-len(whole))...)
	id := o.field(o.post(dana, "/api/v1/processes", order(base64.StdEncoding.EncodeToString(whole)), http.StatusCreated), "id")
	w := o.ask(dana, "GET", "/api/v1/processes/"+id+"/paper", "")
	if !bytes.Equal(w.Body.Bytes(), whole) || w.Header().Get("Content-Type") != "application/octet-stream" ||
		w.Header().Get("Content-Disposition") != `attachment; filename="`+id+`"` || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
	if p := o.post(dana, "/api/v1/processes", order(base64.StdEncoding.EncodeToString(append(whole, '.'))), http.StatusRequestEntityTooLarge); !strings.Contains(p, "10 MiB") {
		t.Errorf("%s", p)
	}
	o.post(dana, "/api/v1/processes", order(strings.Repeat("A", 15<<20)), http.StatusRequestEntityTooLarge)
	o.post(dana, "/api/v1/processes", order("no base64!"), http.StatusUnprocessableEntity)
	o.post(dana, "/api/v1/processes", order(""), http.StatusUnprocessableEntity)
	o.post(o.of("demo", console.RoleSupervisor, "Sam"), "/api/v1/processes", order("cGFwZXI="), http.StatusForbidden)
	if o.field(o.post(dana, "/api/v1/processes/"+id+"/close", "", http.StatusOK), "state") != "closed" {
		t.Error("not closed")
	}
	o.post(dana, "/api/v1/processes/"+id+"/verify", "", http.StatusConflict)
}

func TestConsentsAreWithdrawn(t *testing.T) {
	o := newOffice(t, nil)
	dana, ana, ben := o.of("demo", console.RolePrivacy, "Dana"), o.of("demo", console.RoleAgent, "ana"), o.of("demo", console.RoleAgent, "ben")
	entered := o.post(dana, "/api/v1/consents", consentBody, http.StatusCreated)
	o.silent(entered)
	id := o.field(entered, "id")
	o.post(ana, "/api/v1/consents/"+id+"/withdraw", "", http.StatusForbidden)
	if o.field(o.post(dana, "/api/v1/consents/"+id+"/withdraw", "", http.StatusOK), "state") != "withdrawn" {
		t.Error("not withdrawn")
	}
	said := o.post(ana, "/api/v1/calls/"+string(o.caller("demo", "ana"))+"/spoken-consent", `{"purposes":["service-request"],"recipients":["CITY"]}`, http.StatusCreated)
	o.post(ben, "/api/v1/consents/"+o.field(said, "id")+"/withdraw", "", http.StatusForbidden)
	o.post(ana, "/api/v1/consents/"+o.field(said, "id")+"/withdraw", "", http.StatusOK)
	o.post(dana, "/api/v1/consents", strings.Replace(consentBody, `"written"`, `"verbal"`, 1), http.StatusUnprocessableEntity)
	o.silent(o.ask(dana, "GET", "/api/v1/consents", "").Body.String())
}

func TestScreeningTakesTwoPeople(t *testing.T) {
	o := newOffice(t, nil)
	sam, sue := o.of("demo", console.RoleSupervisor, "Sam"), o.of("demo", console.RoleSupervisor, "Sue")
	id := string(o.caller("demo", "ana"))
	body := `{"call":"` + id + `","reason":"spam","why":"called 212 555 0142 times","until":"2026-03-20T00:00:00Z"}`
	proposed := o.post(sam, "/api/v1/screening", body, http.StatusCreated)
	line := "/api/v1/screening/" + o.field(proposed, "id")
	o.post(sam, line+"/confirm", "", http.StatusConflict)
	if o.field(o.post(sue, line+"/confirm", "", http.StatusOK), "state") != "active" {
		t.Error("not confirmed")
	}
	review := o.post(sam, line+"/review", "", http.StatusOK)
	if len(o.field(review, "token")) != 32 {
		t.Errorf("%s", review)
	}
	if w := o.ask(sam, "DELETE", line, ""); w.Code != http.StatusOK || o.field(w.Body.String(), "state") != "ended" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	o.silent(proposed, review, o.ask(sam, "GET", "/api/v1/screening", "").Body.String())
	for _, bad := range []string{strings.Replace(body, "2026-03-20", "2026-05-20", 1), strings.Replace(body, id, "+12125550142", 1), strings.Replace(body, "spam", "rude", 1)} {
		o.silent(o.post(sam, "/api/v1/screening", bad, http.StatusUnprocessableEntity))
	}
}

func TestAProtectionIsLiftedByTwoPeople(t *testing.T) {
	o := newOffice(t, nil)
	dana, rita := o.of("demo", console.RolePrivacy, "Dana"), o.of("demo", console.RoleRecords, "Rita")
	entered := o.post(dana, "/api/v1/protected", protectedBody, http.StatusCreated)
	for _, step := range []struct{ token, state string }{{dana, "lifting"}, {rita, "lifted"}} {
		w := o.ask(step.token, "DELETE", "/api/v1/protected/"+o.field(entered, "id"), "")
		if w.Code != http.StatusOK || o.field(w.Body.String(), "state") != step.state {
			t.Errorf("%s: %d %s", step.state, w.Code, w.Body)
		}
	}
	o.silent(entered, o.ask(dana, "GET", "/api/v1/protected", "").Body.String())
}

func TestASubjectIsAnsweredOnce(t *testing.T) {
	o := newOffice(t, nil)
	dana, rita := o.of("demo", console.RolePrivacy, "Dana"), o.of("demo", console.RoleRecords, "Rita")
	o.caller("demo", "ana")
	asked := o.post(rita, "/api/v1/accounting", accountingBody, http.StatusCreated)
	request := "/api/v1/accounting/" + o.field(asked, "id")
	o.post(rita, request+"/answer", "", http.StatusConflict)
	o.post(rita, request+"/approve", "", http.StatusConflict)
	o.post(dana, request+"/approve", "", http.StatusOK)
	if answer := o.post(rita, request+"/answer", "", http.StatusOK); o.field(answer, "number") != number {
		t.Errorf("%s", answer)
	}
	o.post(rita, request+"/answer", "", http.StatusConflict)
	other := o.post(rita, "/api/v1/accounting", strings.Replace(accountingBody, "Ana Gray", "Ben Blue", 1), http.StatusCreated)
	refuse := "/api/v1/accounting/" + o.field(other, "id") + "/refuse"
	o.post(dana, refuse, `{"code":""}`, http.StatusUnprocessableEntity)
	if o.field(o.post(dana, refuse, `{"code":"87-2-b"}`, http.StatusOK), "code") != "87-2-b" {
		t.Error("not refused")
	}
	o.silent(asked, o.ask(dana, "GET", "/api/v1/accounting", "").Body.String())
}

// A number that somebody types where none belongs comes up in no answer, no log and no leaf, whether or not the ledger is
// there to take one.
func TestANumberInAnyOtherFieldStaysOut(t *testing.T) {
	for _, fault := range []error{nil, errInside} {
		o := newOffice(t, nil)
		live := string(o.caller("demo", "ana"))
		tokens := make([]string, len(console.Roles()))
		for i, role := range console.Roles() {
			tokens[i] = o.token("demo", role)
		}
		o.behind.noLeaf = fault
		for route, want := range expected {
			var fields map[string]any
			if want.body == "" || strings.Contains(route, "/agents/") {
				continue
			}
			if err := json.Unmarshal([]byte(want.body), &fields); err != nil {
				t.Fatal(err)
			}
			for field := range fields {
				if field == "number" {
					continue
				}
				bad := maps.Clone(fields)
				for _, value := range []any{"+1 212 555 0142", "2125550142", []string{"212 555 0142"}, map[string]string{"evidence": "212.555.0142"},
					[]map[string]string{{"kind": "document", "evidence": "212.555.0142"}, {"kind": "letter", "evidence": "P-2"}}} {
					bad[field] = value
					body, err := json.Marshal(bad)
					if err != nil {
						t.Fatal(err)
					}
					target := strings.NewReplacer("CALL", live, "cl"+nowhere, live).Replace(want.target)
					w := o.ask(tokens[strings.IndexByte(want.may, 'y')], "POST", target, string(body), "Idempotency-Key", "2125550142")
					if w.Code >= 500 && fault == nil {
						t.Errorf("%s with %s in %s: %d %s", route, value, field, w.Code, w.Body)
					}
					o.silent(w.Body.String())
				}
			}
		}
		w := httptest.NewRecorder()
		o.AdminHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		o.silent(fmt.Sprintf("%+v", o.behind.leaves), w.Body.String())
	}
}

// A city's cap on reveals is told as what it is.
func TestACapIsTold(t *testing.T) {
	o := newOffice(t, nil)
	ana := o.of("demo", console.RoleAgent, "ana")
	for range ani.DefaultCaps.PerActor {
		o.post(ana, "/api/v1/ani-releases/"+granted(o, ana)+"/reveal", "", http.StatusOK)
	}
	if p := o.post(ana, "/api/v1/ani-releases/"+granted(o, ana)+"/reveal", "", http.StatusTooManyRequests); !strings.Contains(p, "lets one person see") ||
		!strings.Contains(p, "The cap of revealed numbers") || strings.Contains(p, "too many requests") {
		t.Errorf("%s", p)
	}
}

// Decoders say what they could not read. What they quote is not passed on, and what they only name is.
func TestWhatADecoderQuotesIsNotPassedOn(t *testing.T) {
	for message, want := range map[string]string{
		"json: cannot unmarshal number 12125550142 into Go value": "is not valid",
		"unexpected 212 555 0142 here":                            "is not valid",
		"expected length <= 64":                                   "expected length <= 64",
	} {
		if got := console.Sentence(message); got != want {
			t.Errorf("%s: %s", message, got)
		}
	}
}
