package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"callhall/call"
	"callhall/console"
	"callhall/recording"
	"callhall/sip/phone"
)

// presentCaller is a caller whose number the carrier asserts.
func presentCaller() phone.Options {
	return phone.Options{From: "+12125550142", Asserted: "sip:+12125550142@carrier.example", Audio: phone.Audio{Tone: 440}}
}

// twoCities is a node with two cities, each behind a carrier at an address of its own.
func twoCities(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	birch := testCity(t, dir, "birch", "127.0.0.2/32")
	birch.addQueue("parks", "3117", func(*QueueConfig) {})
	cfg.Cities = append(cfg.Cities, birch)
	cfg.placeStores()
	return openNode(t, cfg, nil).run()
}

// TestCitiesSeeNothingOfEachOther: with any token of one city, no route of the API gives anything of another city's, and
// each city's recordings lie in its own store.
func TestCitiesSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	n := twoCities(t)
	aspen, birch := n.talk(t, "127.0.0.1", "aspen-1"), n.talk(t, "127.0.0.2", "birch-1")
	foreign := []string{string(birch.ID), string(birch.Recording.ID), "birch-1", "birch-2", "birch-trunk", "parks", `"birch"`}
	ids := []string{string(birch.ID), string(birch.Recording.ID), "birch-1"}
	routes := n.routes()
	if len(routes) < 12 {
		t.Fatalf("only %d routes are described: %v", len(routes), routes)
	}
	for _, role := range console.Roles() {
		for _, r := range routes {
			token := n.token("aspen", role, agentOfRole(role, "aspen-1")) // of its own: none uses up its rate
			for _, id := range ids {
				n.wantNothing(t, role, token, r, id, foreign)
				if !strings.Contains(r.path, "{id}") {
					break // it is the same for all
				}
			}
		}
	}
	n.wantOwnToWork(t, birch)
	for _, r := range []call.Record{aspen, birch} {
		files := copyAside(t, n.storeOf(r.City))
		if len(files) != 1 {
			t.Errorf("the store of %s has %d files, want its one recording", r.City, len(files))
		}
		for path := range files {
			if !strings.HasSuffix(filepath.ToSlash(path), recording.ObjectName(r.Recording.ID)) {
				t.Errorf("the store of %s has %s", r.City, path)
			}
		}
	}
	n.wantFilters(t, foreign)
}

// storeOf is where a city's recordings should lie.
func (n *node) storeOf(city call.CityID) string {
	i := slices.IndexFunc(n.cfg.Cities, func(c CityConfig) bool { return c.ID == city })
	return string(n.cfg.Cities[i].Recording.Store.Dir)
}

// agentOfRole is who a token of that role belongs to.
func agentOfRole(role console.Role, agent call.AgentID) call.AgentID {
	if role == console.RoleAgent {
		return agent
	}
	return ""
}

// route is one operation of the API as it describes itself, so that none can be forgotten here.
type route struct{ method, path string }

func (n *node) routes() (routes []route) {
	n.t.Helper()
	status, text := n.ask("GET", "/openapi.json", "", "")
	var api struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(text), &api); status != http.StatusOK || err != nil {
		n.t.Fatalf("openapi.json: %d, %v", status, err)
	}
	for path, methods := range api.Paths {
		for method := range methods {
			routes = append(routes, route{strings.ToUpper(method), path})
		}
	}
	return routes
}

// wantsAnEntry tells whether the route needs a request or an entry of the privacy office, made for it: console's
// TestAnotherCityHitsNothing makes one for each, and tries it from another city.
func (r route) wantsAnEntry() bool {
	for _, of := range []string{"ani-releases", "consents", "spoken-consent", "processes", "screening", "protected", "policy", "accounting", "owner-notices",
		"recalls", "transfers", "handles", "search-by-number", "billing", "ledger/consistency", "ledger/keys", "ledger/succeed", "ani-keys"} {
		if strings.Contains(r.path, of) {
			return true
		}
	}
	return false
}

// on is the request for one thing, with all that the route needs.
func (r route) on(id string) (path, body string) {
	path = strings.ReplaceAll(r.path, "{id}", id)
	path = strings.ReplaceAll(path, "{index}", "0") // each city has a first leaf, and this is the token's own city's
	if strings.HasSuffix(path, "/media") {
		path += "?reason=quality-review"
	}
	if r.method == http.MethodPost {
		body = `{"state":"paused","reason":"test"}`
	}
	return path, body
}

// wantNothing makes one request with a token of another city: with an id it is refused or finds nothing, without it
// shows nothing foreign.
func (n *node) wantNothing(t *testing.T, role console.Role, token string, r route, id string, foreign []string) {
	t.Helper()
	path, body := r.on(id)
	status, answer := n.askPatiently(r.method, path, token, body)
	malformed := r.wantsAnEntry() && status == http.StatusUnprocessableEntity // refused before anything is looked for
	if strings.Contains(r.path, "{id}") && status != http.StatusForbidden && status != http.StatusNotFound && !malformed {
		t.Errorf("%s: %s %s: %d, want 403 or 404", role, r.method, path, status)
	}
	for _, word := range foreign {
		own := strings.HasPrefix(r.path, "/api/v1/ledger") && (strings.HasPrefix(word, "cl_") || strings.HasPrefix(word, "rec_")) // denials, by the id that was asked for
		if strings.Contains(answer, word) && !own {
			t.Errorf("%s: %s %s shows %s: %s", role, r.method, path, word, answer)
		}
	}
}

// askPatiently asks again when the token has used up its rate.
func (n *node) askPatiently(method, path, token, body string) (status int, answer string) {
	n.t.Helper()
	within(n.t, soon, func() error {
		if status, answer = n.ask(method, path, token, body); status == http.StatusTooManyRequests {
			return errors.New("429")
		}
		return nil
	})
	return status, answer
}

// wantOwnToWork makes the same requests with the city's own tokens: each finds something for somebody, so what was
// refused was refused for the city's sake.
func (n *node) wantOwnToWork(t *testing.T, own call.Record) {
	t.Helper()
	found, routes := map[route]bool{}, n.routes()
	for _, role := range console.Roles() {
		for _, r := range routes {
			token := n.token("birch", role, agentOfRole(role, "birch-1"))
			for _, id := range []string{string(own.ID), string(own.Recording.ID), "birch-1"} {
				path, body := r.on(id)
				status, _ := n.askPatiently(r.method, path, token, body)
				found[r] = found[r] || status == http.StatusOK
			}
		}
	}
	for _, r := range routes {
		if !found[r] && !r.wantsAnEntry() {
			t.Errorf("%s %s works for nobody of the city: the test proves nothing of it", r.method, r.path)
		}
	}
}

// wantFilters asks for another city's things by filter and by cursor.
func (n *node) wantFilters(t *testing.T, foreign []string) {
	t.Helper()
	token := n.token("aspen", console.RoleSupervisor, "")
	for _, query := range []string{"agent=birch-1", "queue=parks"} {
		status, answer := n.ask("GET", "/api/v1/calls?"+query, token, "")
		var page struct{ Data []call.Record }
		if err := json.Unmarshal([]byte(answer), &page); status != http.StatusOK || err != nil || len(page.Data) != 0 {
			t.Errorf("calls?%s: %d %s", query, status, answer)
		}
	}
	n.talk(t, "127.0.0.2", "birch-2")
	_, first := n.ask("GET", "/api/v1/calls?limit=1", n.token("birch", console.RoleSupervisor, ""), "")
	var page struct {
		Next string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(first), &page); err != nil || page.Next == "" {
		t.Fatalf("no second page: %v in %s", err, first)
	}
	status, answer := n.ask("GET", "/api/v1/calls?limit=1&cursor="+page.Next, token, "")
	if status == http.StatusOK {
		t.Errorf("a cursor of another city is taken: %s", answer)
	}
	for _, word := range foreign {
		if strings.Contains(answer, word) {
			t.Errorf("a cursor of another city shows %s", word)
		}
	}
}

// TestNobodysNumber: a number that the trunk's city does not have is 404, an address that is no trunk's 403, and
// neither leaves a record in any city: there is no default city.
func TestNobodysNumber(t *testing.T) {
	t.Parallel()
	n := twoCities(t)
	before := n.settled()
	s := n.stage(t)
	for _, test := range []struct {
		host, number string
		want         int
	}{
		{"127.0.0.1", "3999", 404},
		{"127.0.0.2", "3999", 404},
		{"127.0.0.1", "3117", 404}, // birch's
		{"127.0.0.1", "+12125550100", 404},
		{"127.0.0.3", "311", 403},
		{"127.0.0.3", "3999", 403},
	} {
		if e := s.dialFrom(test.host, test.number, presentCaller()).over(); e.Status != test.want {
			t.Errorf("%s from %s: %+v, want %d", test.number, test.host, e, test.want)
		}
	}
	s.dialFrom("127.0.0.2", "3117", presentCaller()).queued().hangUp()
	n.recordsAfter("birch", 0, 1)
	s.clear()
	n.wantHome(t, before)
	if a, b := n.records("aspen"), n.records("birch"); len(a) != 0 || len(b) != 1 || b[0].Queue != "parks" {
		t.Errorf("records %s, %s", asJSON(a), asJSON(b))
	}
	for _, city := range n.cities() {
		var rows int
		must(t, n.sealed.QueryRowContext(n.ctx(), "SELECT count(*) FROM ani_vault WHERE city = ?", string(city)).Scan(&rows))
		if want := len(n.records(city)); rows != want {
			t.Errorf("the vault of %s has %d rows, want %d", city, rows, want)
		}
	}
}

// TestWithheldCallersAreServedAlike: whether a caller's number is present, withheld or not to be believed, they are
// served in the order in which they came, with notice and recording, and the agent's phone is not told their number.
func TestWithheldCallersAreServedAlike(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	city := &cfg.Cities[0]
	stranger := city.Trunks[0]
	stranger.ID, stranger.Allow, stranger.TrustIdentity = "stranger", []netip.Prefix{netip.MustParsePrefix("127.0.0.4/32")}, false
	city.Trunks = append(city.Trunks, stranger)
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	s := n.stage(t)

	withheld := presentCaller()
	withheld.Withheld = true
	callers := []struct {
		host string
		o    phone.Options
		want call.CallerStatus
	}{
		{"127.0.0.1", presentCaller(), call.CallerPresent},
		{"127.0.0.1", withheld, call.CallerWithheld},
		{"127.0.0.4", presentCaller(), call.CallerUnavailable},
		{"127.0.0.4", withheld, call.CallerUnavailable},
		{"127.0.0.1", presentCaller(), call.CallerPresent},
		{"127.0.0.1", withheld, call.CallerWithheld},
	}
	var lines []*line
	for _, c := range callers {
		l := s.dialFrom(c.host, "311", c.o)
		lines = append(lines, l.queued())
	}
	desk := s.agent("aspen-1", answers())
	for i, l := range lines {
		agent := desk.ring()
		if got := agent.Header("X-Callhall-Call"); got != string(l.id) {
			t.Fatalf("caller %d is %s, but %s rings", i, l.id, got)
		}
		for _, digits := range []string{"2125550142", "5550142", "212-555", "anonymous"} {
			if strings.Contains(agent.Invite(), digits) {
				t.Errorf("the agent's phone is told %q: %s", digits, agent.Invite())
			}
		}
		l.served()
		l.hears(880).hangUp()
		agent.over()
	}
	for i, r := range n.recordsAfter("aspen", 0, len(callers)) {
		if r.Caller != callers[i].want || r.ID != lines[i].id || r.Recording.State != call.RecordingKept || r.End != call.EndCallerHungUp || r.Offers != 1 {
			t.Errorf("caller %d: want %s, record %s", i, callers[i].want, asJSON(r))
		}
	}
}
