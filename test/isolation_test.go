package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// apiRoles are every role of the API.
var apiRoles = []string{"agent", "supervisor", "privacy", "records", "operator"}

// bodies is what the routes take that take something. CALL is the id of a call, DAY a time tomorrow.
var bodies = map[string]string{
	"POST /api/v1/agents/{id}/state":         `{"state":"paused","reason":"lunch"}`,
	"POST /api/v1/ledger/succeed":            `{"reason":"disk replaced"}`,
	"POST /api/v1/calls/{id}/ani-releases":   `{"purpose":"legal-process","recipient":"LE"}`,
	"POST /api/v1/calls/search-by-number":    `{"number":"+1 212 555 0142","purpose":"exigency","case":"C-17"}`,
	"POST /api/v1/consents":                  `{"kind":"written","subscriber":"Ana Gray","number":"+1 212 555 0142","purposes":["disclosure"],"recipients":["PRIV"],"parties":["Gas Works"],"evidence":{"sha256":"` + strings.Repeat("a", 64) + `","kept":"vault 3"},"from":"HOUR","until":"DAY"}`,
	"POST /api/v1/calls/{id}/spoken-consent": `{"purposes":["completion-dropped"],"recipients":["AGT"]}`,
	"POST /api/v1/processes":                 `{"form":"subpoena","issuer":"Superior Court","reference":"A-12","served_on":"city","calls":["CALL"],"until":"DAY","copy":"cGFwZXI="}`,
	"POST /api/v1/screening":                 `{"call":"CALL","reason":"spam","until":"DAY"}`,
	"POST /api/v1/protected":                 `{"number":"+1 212 555 0143","ground":"court-seal","reference":"S-4","until":"DAY"}`,
	"POST /api/v1/policy/explain":            `{"purpose":"routing","recipient":"ENG"}`,
	"POST /api/v1/policy/proposals":          `{"profile":"nyc-3.3"}`,
	"POST /api/v1/accounting":                `{"name":"Ana Gray","number":"+1 212 555 0142","proofs":[{"kind":"document","evidence":"P-1"},{"kind":"in-person","evidence":"C-2"}]}`,
	"POST /api/v1/accounting/{id}/refuse":    `{"code":"87-2-b"}`,
	"POST /api/v1/calls/{id}/transfers":      `{"to":"water"}`,
}

// A city of the isolation test, and what belongs to it.
type isolated struct {
	*server
	id     string
	agents []string
	things map[string][]string // ids, by the first words of the routes that are about them
	finds  map[string]int      // by route: how often the city itself got something of its own
}

// TestCitiesAreStrangers: two cities in one process. With every token of the one, every route of the API answers the same
// about a thing of the other as about a thing that nobody has, and shows nothing of it unasked. So does every verb of the
// command line that names a thing.
func TestCitiesAreStrangers(t *testing.T) {
	t.Parallel()
	s := prepare(t, "3001", "3002", "4001", "4002")
	partner := newFarEnd(t, s, "udp", "127.0.0.10", true)
	var cities strings.Builder
	for i, c := range []struct{ id, agents, ip string }{{"aspen", "300", "127.0.0.20"}, {"birch", "400", "127.0.0.21"}} {
		fmt.Fprintf(&cities, `  - id: %[1]s
    name: City of %[1]s
    ani: {owner: Owner %[1]s}
    caller_id: "+1312555010%[4]d"
    callback_trunk: to-%[1]s
    trunks:
      - {id: in-%[1]s, allow: [%[3]s/32], trust_identity: true}
      - {id: to-%[1]s, allow: [127.0.0.3%[4]d/32], proxy: "udp://%[5]s", trust_out: true}
    partners: [{id: water, kind: city, name: Water, uri: "sip:%[1]s@%[5]s", trunk: to-%[1]s}]
    numbers: [{number: "311", queue: first-%[1]s}, {number: "+1312555010%[4]d", queue: second-%[1]s}]
    queues: [{id: first-%[1]s, wrap_up: 0s}, {id: second-%[1]s, wrap_up: 0s}]
    agents: [{id: "%[2]s1", password_file: secrets/%[2]s1, queues: [first-%[1]s]}, {id: "%[2]s2", password_file: secrets/%[2]s2, queues: [second-%[1]s]}]
`, c.id, c.agents, c.ip, i, partner.host)
	}
	s.configure("cities:\n"+cities.String(), onlyMD5)
	s.start()
	aspen := &isolated{server: s, id: "aspen", agents: []string{"3001", "3002"}, finds: map[string]int{}}
	birch := &isolated{server: s, id: "birch", agents: []string{"4001", "4002"}, finds: map[string]int{}, things: map[string][]string{}}
	birch.live("127.0.0.21")
	birch.enter()
	foreign := birch.words()
	routes := s.routes()
	for _, role := range apiRoles {
		aspen.token(role)
		birch.token(role)
	}
	for _, naming := range []bool{false, true} { // what one has named oneself may be listed afterwards
		var asking sync.WaitGroup
		for _, role := range apiRoles { // each at its own rate
			asking.Go(func() {
				for _, r := range routes {
					if r.names() == naming {
						aspen.wantStrangers(role, r, birch, foreign)
					}
				}
			})
		}
		asking.Wait()
		aspen.wantStrangeVerbs(naming, birch, foreign)
	}
	birch.wantOwn(routes)
}

// live makes a call that is over, with its recording, and one that goes on.
func (c *isolated) live(ip string) {
	for i, number := range []string{"311", "+13125550101"} {
		phone, caller := newFarEnd(c.t, c.server, "udp", "127.0.0.1", false), newFarEnd(c.t, c.server, "udp", ip, false)
		phone.register(c.agents[i])
		d := caller.call(number, "<sip:+12125550142@carrier.example>;tag=c", fmt.Sprintf("isolation-%d", i), "", "P-Asserted-Identity: <sip:+12125550142@carrier.example>\r\n")
		c.things["calls"] = append(c.things["calls"], phone.ringing())
		within(c.t, 20*time.Second, func() error {
			if phone.talks() == 0 {
				return fmt.Errorf("the agent does not have the call")
			}
			return nil
		})
		if i == 0 {
			<-time.After(500 * time.Millisecond) // something to record
			d.hangUp("")
			within(c.t, 20*time.Second, func() error {
				var r record
				code, _, body := c.get(c.token("supervisor"), "/api/v1/calls/"+c.things["calls"][0])
				if err := json.Unmarshal(body, &r); err != nil || code != http.StatusOK || r.Recording.ID == "" {
					return fmt.Errorf("%d %s", code, body)
				}
				c.things["recordings"] = []string{r.Recording.ID}
				return nil
			})
		}
	}
	c.things["agents"] = c.agents
}

// token is one of that role in this city; an agent's is of who has the call that goes on.
func (c *isolated) token(role string) string {
	if role == "agent" {
		return c.tokenOf(c.id, role, c.agents[1])
	}
	return c.tokenOf(c.id, role, "")
}

// body is what a route takes, about that call.
func body(r route, call string) string {
	now := time.Now().UTC()
	return strings.NewReplacer("CALL", call, "DAY", now.Add(24*time.Hour).Format(time.RFC3339), "HOUR", now.Add(-time.Hour).Format(time.RFC3339)).
		Replace(bodies[r.method+" "+r.path])
}

// enter has the city's office enter one thing of each kind, and keeps their ids.
func (c *isolated) enter() {
	over, live := c.things["calls"][0], c.things["calls"][1]
	for _, e := range []struct{ role, path, kind string }{
		{"privacy", "/api/v1/consents", "consents"},
		{"records", "/api/v1/processes", "processes"},
		{"supervisor", "/api/v1/screening", "screening"},
		{"privacy", "/api/v1/protected", "protected"},
		{"privacy", "/api/v1/policy/proposals", "policy"},
		{"privacy", "/api/v1/accounting", "accounting"},
		{"supervisor", "/api/v1/calls/{id}/ani-releases", "ani-releases"},
		{"agent", "/api/v1/calls/{id}/handles", "handles"},
	} {
		call := over
		if e.role == "agent" {
			call = live
		}
		var made struct{ ID, Handle string }
		c.post(c.token(e.role), strings.ReplaceAll(e.path, "{id}", call), body(route{"POST", e.path}, call), http.StatusCreated, &made)
		c.things[e.kind] = append(c.things[e.kind], made.ID+made.Handle)
	}
	for kind, path := range map[string]string{"owner-notices": "/api/v1/owner-notices", "recalls": "/api/v1/recalls"} {
		var page struct{ Data []struct{ ID string } }
		_, _, text := c.get(c.token("privacy"), path)
		must(c.t, json.Unmarshal(text, &page))
		for _, d := range page.Data {
			c.things[kind] = append(c.things[kind], d.ID)
		}
	}
}

// words is everything that nobody else may be shown.
func (c *isolated) words() (all []string) {
	for _, ids := range c.things {
		all = append(all, ids...)
	}
	return append(all, "first-"+c.id, "second-"+c.id, "in-"+c.id, "to-"+c.id, "City of "+c.id, "Owner "+c.id, `"`+c.id+`"`)
}

// kindOf says what a route's id is of.
func (r route) kindOf() string {
	return strings.Split(strings.TrimPrefix(r.path, "/api/v1/"), "/")[0]
}

var anID = regexp.MustCompile(`\b([a-z]{2,4})_[a-z2-7]{26}\b`)

// names tells whether a route is about one thing.
func (r route) names() bool {
	return strings.Contains(r.path, "{") && r.kindOf() != "ledger" || strings.Contains(bodies[r.method+" "+r.path], "CALL")
}

// nobodys is an id of the same form that nothing has.
func nobodys(id string) string {
	if m := anID.FindStringSubmatch(id); m != nil {
		return m[1] + "_" + strings.Repeat("a", 26)
	}
	return "9999"
}

// variable is what may differ between two answers that say the same: ids, times, hashes and sizes of the ledger.
var variable = regexp.MustCompile(`[a-z]{2,4}_[a-z2-7]{26}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|\b[0-9]{4}\b`)

// wantStrangers makes one request about a thing of the other city and the same one about nothing.
func (c *isolated) wantStrangers(role string, r route, other *isolated, foreign []string) {
	c.t.Helper()
	if r.path == "/api/v1/ledger/succeed" || r.path == "/api/v1/ledger/keys/rotate" { // they name nothing, and act on the token's own city
		return
	}
	token, name := c.token(role), role+": "+r.method+" "+r.path
	if !r.names() {
		path := placeholder.ReplaceAllString(r.path, "0")
		if strings.HasSuffix(path, "consistency") {
			path += "?from=1&to=1"
		}
		_, _, answer := c.ask(r.method, token, path, body(r, ""))
		c.wantHidden(name, string(answer), foreign, "")
		return
	}
	ids := other.things[r.kindOf()]
	if !strings.Contains(r.path, "{") {
		ids = other.things["calls"]
	}
	for _, id := range ids {
		theirs, none := c.about(token, r, id), c.about(token, r, nobodys(id))
		c.wantHidden(name, theirs.text, foreign, id)
		if theirs != none {
			c.t.Errorf("%s answers %+v about another city's and %+v about nothing", name, theirs, none)
		}
		if theirs.code < 400 && !strings.Contains(theirs.text, `"decision":"DENY"`) && r.path != "/api/v1/processes" {
			c.t.Errorf("%s: %d about another city's %s: %s", name, theirs.code, id, theirs.text)
		}
	}
}

// said is an answer, without what differs between any two.
type said struct {
	code int
	text string
}

func (c *isolated) about(token string, r route, id string) said {
	call := id
	path := placeholder.ReplaceAllString(r.path, id)
	if strings.HasSuffix(path, "/media") {
		path += "?reason=quality-review"
	}
	code, _, answer := c.ask(r.method, token, path, body(r, call))
	text := strings.ReplaceAll(string(answer), id, "ID")
	return said{code, variable.ReplaceAllString(text, "-")}
}

// wantOwn makes the same requests with the city's own tokens: what was refused to the other one was there.
func (c *isolated) wantOwn(routes []route) {
	c.t.Helper()
	for _, r := range routes {
		key := r.method + " " + r.path
		if _, known := bodies[key]; !known && r.method == "POST" && c.wants(r) {
			c.t.Errorf("say in bodies what %s takes", key)
		}
		kind := r.kindOf()
		if !strings.Contains(r.path, "{") || kind == "ledger" {
			continue
		}
		if len(c.things[kind]) == 0 {
			c.t.Logf("%s is tried with no id of the other city's: there is none of its kind", key)
			continue
		}
		for _, role := range apiRoles {
			if c.finds[kind] > 0 {
				break
			}
			if theirs, none := c.about(c.token(role), r, c.things[kind][len(c.things[kind])-1]), c.about(c.token(role), r, nobodys(c.things[kind][0])); theirs != none {
				c.finds[kind]++
			}
		}
	}
	for kind := range c.things {
		if c.finds[kind] == 0 {
			c.t.Errorf("the city itself finds none of its %s: the test proves nothing of them", kind)
		}
	}
}

// wants tells whether a route takes something.
func (c *isolated) wants(r route) bool {
	var api struct {
		Paths map[string]map[string]struct {
			RequestBody *struct{} `json:"requestBody"`
		}
	}
	_, _, text := c.get("", "/openapi.json")
	must(c.t, json.Unmarshal(text, &api))
	return api.Paths[r.path][strings.ToLower(r.method)].RequestBody != nil
}
