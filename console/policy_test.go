package console_test

import (
	"net/http"
	"strings"
	"testing"

	"callhall/console"
)

func TestAProfileTakesTwoPeople(t *testing.T) {
	o := newOffice(t, nil)
	dana, sam := o.of("demo", console.RolePrivacy, "Dana"), o.of("demo", console.RoleSupervisor, "Sam")
	effective := func() string {
		return into[struct{ Profile struct{ Effective string } }](t, o.ask(sam, "GET", "/api/v1/policy", "")).Profile.Effective
	}
	proposal := "/api/v1/policy/proposals/" + o.field(o.post(dana, "/api/v1/policy/proposals", `{"profile":"nyc-3.3"}`, http.StatusCreated), "id")
	o.post(dana, proposal+"/approve", "", http.StatusConflict)
	if got := effective(); got != "card" {
		t.Errorf("before: %s", got)
	}
	o.post(sam, proposal+"/approve", "", http.StatusOK)
	if got := effective(); got != "nyc-3.3" {
		t.Errorf("after: %s", got)
	}
	o.post(sam, proposal+"/refuse", "", http.StatusConflict)
	if p := o.post(dana, "/api/v1/policy/proposals", `{"profile":"open"}`, http.StatusUnprocessableEntity); !strings.Contains(p, "it is one of") {
		t.Errorf("%s", p)
	}
}

func TestExplainingTheTerms(t *testing.T) {
	o := newOffice(t, nil)
	sam := o.of("demo", console.RoleSupervisor, "Sam")
	leaves := len(o.behind.leaves)
	for body, row := range map[string]string{
		`{"purpose":"emergency","recipient":"PSAP"}`:                                                                             "D25",
		`{"purpose":"emergency","recipient":"PSAP","number":"none"}`:                                                             "D42",
		`{"purpose":"vendor-support","recipient":"AGT"}`:                                                                         "D47",
		`{"purpose":"legal-process","recipient":"LE","law":"protected"}`:                                                         "LAW",
		`{"purpose":"completion-transfer","recipient":"PRIV","relation":"handling","narrowed":true}`:                             "CITY",
		`{"purpose":"completion-transfer","recipient":"PRIV","relation":"handling","profile":"no-third-party","privacy":"none"}`: "PROFILE",
	} {
		w := o.ask(sam, "POST", "/api/v1/policy/explain", body)
		if w.Code != http.StatusOK || o.field(w.Body.String(), "row") != row || o.field(w.Body.String(), "why") == "" {
			t.Errorf("%s: %d %s, want %s", body, w.Code, w.Body, row)
		}
	}
	for _, field := range []string{"relation", "consent", "process", "profile"} {
		p := o.post(sam, "/api/v1/policy/explain", `{"purpose":"routing","recipient":"ENG","`+field+`":"2125550142"}`, http.StatusUnprocessableEntity)
		if !strings.Contains(p, `"body.`+field+`","message":"must be one of `) {
			t.Errorf("%s", p)
		}
		o.silent(p)
	}
	o.post(sam, "/api/v1/policy/explain", `{"purpose":"gossip","recipient":"ENG"}`, http.StatusUnprocessableEntity)
	o.post(sam, "/api/v1/policy/explain", `{"purpose":"routing","recipient":"everybody"}`, http.StatusUnprocessableEntity)
	if len(o.behind.leaves) != leaves {
		t.Errorf("it wrote %+v", o.behind.leaves[leaves:])
	}
}
