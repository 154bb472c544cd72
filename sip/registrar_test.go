package sip

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"callhall/call"
	"callhall/sip/digest"
)

type testAgents map[string]Agent

func (a testAgents) Credentials(user string) (Agent, bool) {
	agent, ok := a[user]
	return agent, ok
}

// A testPresence writes down what it is told: "ana until 300s", "ana gone: expired".
type testPresence struct {
	now func() time.Time

	mu   sync.Mutex
	told []string
}

func (p *testPresence) Registered(_ context.Context, city call.CityID, agent call.AgentID, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, fmt.Sprintf("%s/%s until %s", city, agent, until.Sub(p.now())))
}

func (p *testPresence) Unregistered(_ context.Context, city call.CityID, agent call.AgentID, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, fmt.Sprintf("%s/%s gone: %s", city, agent, reason))
}

// take returns what was told since it was last asked.
func (p *testPresence) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.told = nil }()
	return strings.Join(p.told, "; ")
}

func newTestRegistrar(now func() time.Time) (*registrar, *testPresence) {
	presence := &testPresence{now: now}
	r := newRegistrar(Config{Realm: "city.example", MinExpires: time.Minute, MaxExpires: time.Hour}, digest.Algorithms(), Deps{
		Log: silentLog(), Now: now, Presence: presence,
		Agents: testAgents{
			"ana": {ID: "agent-a", City: "springfield", Password: "swordfish"},
			"ben": {ID: "agent-b", City: "springfield", Password: "opensesame"},
			"eve": {ID: "agent-e", City: "springfield"}, // no password was set
		},
	})
	return r, presence
}

// A testPhone registers by hand.
type testPhone struct {
	t         *testing.T
	r         *registrar
	user      string
	password  string
	aor       string
	source    string
	callID    string
	algorithm string
	cseq      int
	nc        int
	nonce     string
}

func newTestPhone(t *testing.T, r *registrar, user, password string) *testPhone {
	return &testPhone{t: t, r: r, user: user, password: password, aor: user, source: "192.0.2.9:5060", callID: "c-" + user, algorithm: "SHA-256"}
}

// request builds a REGISTER with further header fields, each ending its line.
func (p *testPhone) request(headers string) *sip.Request {
	p.cseq++
	req := parseRequest(p.t, fmt.Sprintf("REGISTER sip:city.example SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d;rport\r\n"+
		"From: <sip:%s@city.example>;tag=1\r\nTo: <sip:%s@city.example>\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\n"+
		"Max-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n", p.source, p.cseq, p.aor, p.aor, p.callID, p.cseq, headers))
	req.SetSource(p.source)
	req.SetTransport("UDP")
	return req
}

// authorization answers the last challenge.
func (p *testPhone) authorization() string {
	p.nc++
	alg, _ := digest.Named(p.algorithm)
	ans := digest.Credentials{Username: p.user, Realm: "city.example", Nonce: p.nonce, URI: "sip:city.example", CNonce: "abc", QOP: "auth", NC: fmt.Sprintf("%08x", p.nc)}
	return fmt.Sprintf("Authorization: Digest username=\"%s\", realm=\"city.example\", nonce=\"%s\", uri=\"sip:city.example\", "+
		"response=\"%s\", algorithm=%s, cnonce=\"abc\", qop=auth, nc=%s\r\n",
		p.user, p.nonce, alg.Response(ans, "REGISTER", p.password), p.algorithm, ans.NC)
}

// send registers without a fresh challenge and returns the status, the contacts shown and the challenge.
func (p *testPhone) send(req *sip.Request) (code int, shown []string, headers string) {
	p.t.Helper()
	res := sip.NewResponseFromRequest(req, 200, "OK", nil)
	refused := p.r.register(req, res)
	if refused == nil {
		for _, h := range res.GetHeaders("Contact") {
			shown = append(shown, h.Value())
		}
		return 200, shown, ""
	}
	for _, h := range refused.headers {
		headers += h.Name() + ": " + h.Value() + "\n"
	}
	if _, after, found := strings.Cut(headers, `nonce="`); found {
		p.nonce, _, _ = strings.Cut(after, `"`)
		p.nc = 0
	}
	return refused.code, nil, headers
}

// register asks, answers the challenge and returns the outcome.
func (p *testPhone) register(headers string) (int, []string) {
	p.t.Helper()
	if code, _, _ := p.send(p.request(headers)); code != 401 {
		return code, nil
	}
	code, shown, _ := p.send(p.request(p.authorization() + headers))
	return code, shown
}

func (p *testPhone) mustRegister(headers string) []string {
	p.t.Helper()
	code, shown := p.register(headers)
	if code != 200 {
		p.t.Fatalf("REGISTER %s: %d", headers, code)
	}
	return shown
}

func TestRegister(t *testing.T) {
	clock := newTestClock()
	r, presence := newTestRegistrar(clock.now)
	ana := newTestPhone(t, r, "ana", "swordfish")
	for _, alg := range []string{"SHA-256", "MD5"} {
		ana.algorithm = alg
		shown := ana.mustRegister("Contact: <sip:ana@10.0.0.5:5070;ob>;expires=120\r\n")
		if len(shown) != 1 || shown[0] != "<sip:ana@10.0.0.5:5070;ob>;expires=120" {
			t.Errorf("%s: shown %q", alg, shown)
		}
		if got := presence.take(); got != "springfield/agent-a until 2m0s" {
			t.Errorf("%s: told %q", alg, got)
		}
	}
	phones := r.phones("springfield", "agent-a")
	if len(phones) != 1 || phones[0].source != netip.MustParseAddrPort("192.0.2.9:5060") || phones[0].transport != "UDP" || phones[0].uri.User != "ana" {
		t.Errorf("%+v", phones)
	}
	if r.phones("shelbyville", "agent-a") != nil || r.phones("springfield", "agent-b") != nil {
		t.Error("somebody else's phones are shown")
	}
	clock.advance(30 * time.Second)
	if shown := ana.mustRegister(""); len(shown) != 1 || !strings.HasSuffix(shown[0], ";expires=90") {
		t.Errorf("asking only: %q", shown)
	}
	if got := ana.mustRegister("Contact: <sip:ana@10.0.0.5:5070;ob>\r\nExpires: 0\r\n"); got != nil {
		t.Errorf("after unregistering: %q", got)
	}
	if got := presence.take(); got != "springfield/agent-a gone: unregistered" {
		t.Errorf("told %q", got)
	}
}

func TestRegisterExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		headers string
		code    int
		lasts   string // as told
	}{
		"default":            {"Contact: <sip:ana@h>\r\n", 200, "5m0s"},
		"header":             {"Contact: <sip:ana@h>\r\nExpires: 600\r\n", 200, "10m0s"},
		"parameter wins":     {"Contact: <sip:ana@h>;expires=100\r\nExpires: 600\r\n", 200, "1m40s"},
		"too long":           {"Contact: <sip:ana@h>;expires=999999\r\n", 200, "1h0m0s"},
		"absurd":             {"Contact: <sip:ana@h>;expires=99999999999999999999\r\n", 200, "1h0m0s"},
		"no number":          {"Contact: <sip:ana@h>;expires=soon\r\n", 200, "5m0s"},
		"least":              {"Contact: <sip:ana@h>;expires=60\r\n", 200, "1m0s"},
		"too brief":          {"Contact: <sip:ana@h>;expires=59\r\n", 423, ""},
		"one too brief":      {"Contact: <sip:ana@h>, <sip:ana@i>;expires=1\r\n", 423, ""},
		"six contacts":       {"Contact: <sip:a@h>,<sip:b@h>,<sip:c@h>,<sip:d@h>,<sip:e@h>,<sip:f@h>\r\n", 400, ""},
		"star alone":         {"Contact: *\r\nExpires: 0\r\n", 200, ""},
		"star that stays":    {"Contact: *\r\nExpires: 60\r\n", 400, ""},
		"star with another":  {"Contact: *\r\nContact: <sip:ana@h>\r\nExpires: 0\r\n", 400, ""},
		"not a SIP contact":  {"Contact: <tel:+12125550142>\r\n", 400, ""},
		"headers in contact": {"Contact: <sip:ana@h?Route=%3Csip:x%3E>\r\n", 400, ""},
		"long contact":       {"Contact: <sip:ana@h;x=" + strings.Repeat("y", 2000) + ">\r\n", 400, ""},
	} {
		clock := newTestClock()
		r, presence := newTestRegistrar(clock.now)
		code, _ := newTestPhone(t, r, "ana", "swordfish").register(c.headers)
		want := ""
		if c.lasts != "" {
			want = "springfield/agent-a until " + c.lasts
		}
		if got := presence.take(); code != c.code || got != want {
			t.Errorf("%s: %d %q; want %d %q", name, code, got, c.code, want)
		}
	}
}

func TestRegisterTooBriefSaysHowLong(t *testing.T) {
	r, _ := newTestRegistrar(newTestClock().now)
	ana := newTestPhone(t, r, "ana", "swordfish")
	ana.send(ana.request(""))
	code, _, headers := ana.send(ana.request(ana.authorization() + "Contact: <sip:ana@h>;expires=5\r\n"))
	if code != 423 || headers != "Min-Expires: 60\n" {
		t.Errorf("%d %q", code, headers)
	}
}

func TestRegisterSeveralPhones(t *testing.T) {
	clock := newTestClock()
	r, presence := newTestRegistrar(clock.now)
	for i := range maxContacts + 2 {
		p := newTestPhone(t, r, "ana", "swordfish")
		p.source, p.callID = fmt.Sprintf("192.0.2.%d:5060", i+1), fmt.Sprint("call-", i)
		p.mustRegister(fmt.Sprintf("Contact: <sip:ana@192.0.2.%d>;expires=%d\r\n", i+1, 100+i))
	}
	phones := r.phones("springfield", "agent-a")
	if len(phones) != maxContacts {
		t.Fatalf("%d phones", len(phones))
	}
	if slices.ContainsFunc(phones, func(c contact) bool { return c.uri.Host == "192.0.2.1" || c.uri.Host == "192.0.2.2" }) {
		t.Error("those that expire first were not the ones to go")
	}
	presence.take()
	one := newTestPhone(t, r, "ana", "swordfish")
	one.source, one.callID, one.cseq = "192.0.2.7:5060", "call-6", 100
	one.mustRegister("Contact: <sip:ana@192.0.2.7>;expires=0\r\n")
	if got := len(r.phones("springfield", "agent-a")); got != maxContacts-1 {
		t.Errorf("%d phones after one has left", got)
	}
	if got := presence.take(); got != "springfield/agent-a until 1m45s" {
		t.Errorf("told %q", got)
	}
	one.mustRegister("Contact: *\r\nExpires: 0\r\n")
	if got := len(r.phones("springfield", "agent-a")); got != 0 {
		t.Errorf("%d phones after *", got)
	}
	if got := presence.take(); got != "springfield/agent-a gone: unregistered" {
		t.Errorf("told %q", got)
	}
}

func TestRegisterTheSamePhoneAgain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testPhone)
		second string
		want   int
	}{
		"renewed":                 {func(*testPhone) {}, "<sip:ana@h>", 1},
		"host in capitals":        {func(*testPhone) {}, "<sip:ana@H>", 1},
		"started anew, same flow": {func(p *testPhone) { p.callID = "other" }, "<sip:ana-0x55@h>", 1},
		"same instance, moved":    {func(p *testPhone) { p.callID, p.source = "other", "192.0.2.10:5060" }, "<sip:ana@i>;+sip.instance=\"<urn:uuid:1>\"", 1},
		"another phone":           {func(p *testPhone) { p.callID, p.source = "other", "192.0.2.10:5060" }, "<sip:ana@i>;+sip.instance=\"<urn:uuid:2>\"", 2},
		"two from one phone":      {func(*testPhone) {}, "<sip:ana@i>", 2},
	} {
		r, _ := newTestRegistrar(newTestClock().now)
		ana := newTestPhone(t, r, "ana", "swordfish")
		ana.mustRegister("Contact: <sip:ana@h>;+sip.instance=\"<urn:uuid:1>\"\r\n")
		c.change(ana)
		ana.mustRegister("Contact: " + c.second + "\r\n")
		if got := len(r.phones("springfield", "agent-a")); got != c.want {
			t.Errorf("%s: %d contacts, want %d", name, got, c.want)
		}
	}
}

func TestRegisterOutOfOrder(t *testing.T) {
	r, _ := newTestRegistrar(newTestClock().now)
	ana := newTestPhone(t, r, "ana", "swordfish")
	ana.mustRegister("Contact: <sip:ana@h>;expires=100\r\n")
	ana.cseq -= 2
	if code, _ := ana.register("Contact: <sip:ana@h>;expires=0\r\n"); code != 400 {
		t.Errorf("an older REGISTER: %d", code)
	}
	ana.cseq -= 3
	if code, _ := ana.register("Contact: *\r\nExpires: 0\r\n"); code != 400 {
		t.Errorf("an older REGISTER of all: %d", code)
	}
	if len(r.phones("springfield", "agent-a")) != 1 {
		t.Error("the older one won")
	}
}

func TestRegisterNeedsTheOwnPassword(t *testing.T) {
	clock := newTestClock()
	r, presence := newTestRegistrar(clock.now)
	contactHeader := "Contact: <sip:x@h>\r\n"
	wrong, nobody := newTestPhone(t, r, "ana", "guess"), newTestPhone(t, r, "nobody", "guess")
	wrong.source, nobody.source = "192.0.2.20:1", "192.0.2.21:1"
	for i := range guessesPerPair + 3 { // the same answers for a wrong password and for no such user
		var first, second [2]string
		for j, p := range []*testPhone{wrong, nobody} {
			code, _, headers := p.send(p.request(contactHeader))
			first[j] = fmt.Sprint(code, strings.ReplaceAll(headers, p.nonce, "N"))
			code, _, headers = p.send(p.request(p.authorization() + contactHeader))
			second[j] = fmt.Sprint(code, strings.ReplaceAll(headers, p.nonce, "N"))
		}
		if first[0] != first[1] || second[0] != second[1] {
			t.Fatalf("round %d tells users apart: %q %q", i, first, second)
		}
		limited := strings.HasPrefix(second[0], "403") && strings.Contains(second[0], "Retry-After: ")
		if limited != (i >= guessesPerPair) {
			t.Fatalf("round %d: %s", i, second[0])
		}
	}
	ana := newTestPhone(t, r, "ana", "swordfish")
	ana.mustRegister(contactHeader) // the owner, from elsewhere
	ben := newTestPhone(t, r, "ben", "opensesame")
	ben.aor = "ana"
	if code, _ := ben.register(contactHeader); code != 403 {
		t.Errorf("one agent registers another: %d", code)
	}
	eve := newTestPhone(t, r, "eve", "")
	if code, _ := eve.register(contactHeader); code != 401 {
		t.Errorf("an empty password: %d", code)
	}
	if got := presence.take(); got != "springfield/agent-a until 5m0s" {
		t.Errorf("told %q", got)
	}
}

func TestRegisterReplay(t *testing.T) {
	clock := newTestClock()
	r, _ := newTestRegistrar(clock.now)
	ana := newTestPhone(t, r, "ana", "swordfish")
	ana.send(ana.request(""))
	proof := ana.authorization()
	if code, _, _ := ana.send(ana.request(proof)); code != 200 {
		t.Fatal(code)
	}
	if code, _, headers := ana.send(ana.request(proof)); code != 401 || !strings.Contains(headers, "stale=true") {
		t.Errorf("replayed: %d %s", code, headers)
	}
	thief := newTestPhone(t, r, "ana", "")
	thief.source = "192.0.2.66:5060"
	if code, _, _ := thief.send(thief.request(proof)); code != 401 {
		t.Errorf("replayed from elsewhere: %d", code)
	}
	ana.send(ana.request(""))
	for range 2 { // the count may go on with one nonce
		if code, _, _ := ana.send(ana.request(ana.authorization())); code != 200 {
			t.Errorf("counting on: %d", code)
		}
	}
	clock.advance(nonceLife + time.Second)
	if code, _, headers := ana.send(ana.request(ana.authorization())); code != 401 || strings.Count(headers, "stale=true") != 2 {
		t.Errorf("an old nonce: %d %s", code, headers)
	}
}

func TestRegisterBadProofs(t *testing.T) {
	r, _ := newTestRegistrar(newTestClock().now)
	for name, replace := range map[string][2]string{
		"no qop":           {", qop=auth", ""},
		"auth-int":         {"qop=auth", "qop=auth-int"},
		"no cnonce":        {"cnonce=\"abc\"", "cnonce=\"\""},
		"nc is short":      {"nc=00000001", "nc=1"},
		"nc is no number":  {"nc=00000001", "nc=0000000z"},
		"nc is zero":       {"nc=00000001", "nc=00000000"},
		"other algorithm":  {"algorithm=SHA-256", "algorithm=SHA-256-sess"},
		"downgraded":       {"algorithm=SHA-256", "algorithm=MD5"},
		"other realm":      {"realm=\"city.example\"", "realm=\"x\""},
		"other target":     {"uri=\"sip:city.example\"", "uri=\"sip:x\""},
		"hashed user name": {"nc=", "userhash=true, nc="},
		"long user name":   {"username=\"ana\"", "username=\"" + strings.Repeat("a", 200) + "\""},
	} {
		ana := newTestPhone(t, r, "ana", "swordfish")
		ana.source = fmt.Sprintf("192.0.2.%d:5060", len(name)) // each a source of its own
		ana.send(ana.request(""))
		proof := strings.Replace(ana.authorization(), replace[0], replace[1], 1)
		if code, _, _ := ana.send(ana.request(proof)); code != 401 {
			t.Errorf("%s: %d", name, code)
		}
	}
}

func TestChallengeOffersTheBestFirst(t *testing.T) {
	r, _ := newTestRegistrar(newTestClock().now)
	ana := newTestPhone(t, r, "ana", "")
	code, _, headers := ana.send(ana.request(""))
	lines := strings.Split(strings.TrimSpace(headers), "\n")
	if code != 401 || len(lines) != 2 || !strings.Contains(lines[0], "algorithm=SHA-256, qop=\"auth\"") || !strings.Contains(lines[1], "algorithm=MD5,") {
		t.Errorf("%d\n%s", code, headers)
	}
}

func TestRegistrationExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, presence := newTestRegistrar(time.Now)
		newTestPhone(t, r, "ana", "swordfish").mustRegister("Contact: <sip:ana@h>;expires=60\r\n")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.run(ctx); close(done) }()
		time.Sleep(59 * time.Second)
		if len(r.phones("springfield", "agent-a")) != 1 {
			t.Error("gone too early")
		}
		time.Sleep(3 * time.Second)
		if got := presence.take(); got != "springfield/agent-a until 1m0s; springfield/agent-a gone: expired" {
			t.Errorf("told %q", got)
		}
		if len(r.phones("springfield", "agent-a")) != 0 {
			t.Error("still there")
		}
		cancel()
		<-done
	})
}

func TestQualify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, presence := newTestRegistrar(time.Now)
		var mu sync.Mutex
		alive, asked := true, 0
		r.ask = func(ctx context.Context, c contact) bool {
			mu.Lock()
			asked++
			up := alive
			mu.Unlock()
			if !up {
				<-ctx.Done() // a phone that keeps silent
			}
			return up
		}
		count := func() int { mu.Lock(); defer mu.Unlock(); return asked }
		set := func(up bool) { mu.Lock(); alive = up; mu.Unlock() }
		newTestPhone(t, r, "ana", "swordfish").mustRegister("Contact: <sip:ana@h>;expires=3600\r\n")
		presence.take()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.run(ctx); close(done) }()

		time.Sleep(95 * time.Second)
		if n := count(); n != 3 || presence.take() != "" {
			t.Errorf("asked %d times in 95 s", n)
		}
		set(false)
		time.Sleep(35 * time.Second) // one miss
		if got := presence.take(); got != "" {
			t.Errorf("one miss: %q", got)
		}
		time.Sleep(30 * time.Second)
		if got := presence.take(); got != "springfield/agent-a gone: unreachable" {
			t.Errorf("two misses: %q", got)
		}
		if len(r.phones("springfield", "agent-a")) != 0 {
			t.Error("a phone that does not answer would be rung")
		}
		set(true)
		time.Sleep(35 * time.Second)
		if got := presence.take(); !strings.HasPrefix(got, "springfield/agent-a until ") || len(r.phones("springfield", "agent-a")) != 1 {
			t.Errorf("it is back: %q", got)
		}
		set(false)
		time.Sleep(30 * time.Second)
		cancel() // while a phone is being asked
		<-done
		if got := presence.take(); got != "" {
			t.Errorf("at the end: %q", got)
		}
	})
}

// TestRegisterOnTheWire registers with sipgo's client, whose digest is none of ours, and asks the phone by OPTIONS over
// the flow it came by.
func TestRegisterOnTheWire(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		r, presence := newTestRegistrar(time.Now)
		f := startFront(t, func(req *sip.Request, tx sip.ServerTransaction) { r.handle(req, tx) })
		addr := f.udp
		if network == "tcp" {
			addr = f.tcp
		}
		phone, options := newWirePhone(t)
		var target sip.Uri
		if err := sip.ParseUri("sip:"+addr+";transport="+network, &target); err != nil {
			t.Fatal(err)
		}
		req := sip.NewRequest(sip.REGISTER, target)
		from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: "ana", Host: "127.0.0.1"}}
		from.Params.Add("tag", "1")
		req.AppendHeader(&from)
		req.AppendHeader(&sip.ToHeader{Address: from.Address})
		req.AppendHeader(sip.NewHeader("Contact", "<sip:ana@127.0.0.1:9;transport="+network+">"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		res, err := phone.Do(ctx, req)
		if err != nil || res.StatusCode != 401 {
			t.Fatalf("%s: %v %v", network, res, err)
		}
		res, err = phone.DoDigestAuth(ctx, req, res, sipgo.DigestAuth{Username: "ana", Password: "swordfish"})
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %v %v", network, res, err)
		}
		if got := presence.take(); !strings.HasPrefix(got, "springfield/agent-a until 5m0s") && !strings.HasPrefix(got, "springfield/agent-a until 4m59") {
			t.Errorf("%s: told %q", network, got)
		}
		phones := r.phones("springfield", "agent-a")
		if len(phones) != 1 || !strings.EqualFold(phones[0].transport, network) {
			t.Fatalf("%s: %v", network, phones)
		}
		client, err := sipgo.NewClient(f.ua)
		if err != nil {
			t.Fatal(err)
		}
		if !askWith(client, "city.example")(ctx, phones[0]) || options.Load() != 1 {
			t.Errorf("%s: the phone did not answer OPTIONS (it saw %d)", network, options.Load())
		}
	}
}

// A stuckPresence does not come back from telling of ana until let go.
type stuckPresence struct {
	noPresence
	entered chan struct{}
	letGo   chan struct{}
	told    chan call.AgentID
}

func (p *stuckPresence) Registered(_ context.Context, _ call.CityID, agent call.AgentID, _ time.Time) {
	if agent == "agent-a" {
		close(p.entered)
		<-p.letGo
	}
	p.told <- agent
}

func TestOneAgentDoesNotWaitForAnother(t *testing.T) {
	clock := newTestClock()
	r, _ := newTestRegistrar(clock.now)
	p := &stuckPresence{entered: make(chan struct{}), letGo: make(chan struct{}), told: make(chan call.AgentID, 2)}
	r.presence = p
	for _, agent := range []call.AgentID{"agent-a", "agent-b"} {
		c := contact{callID: string(agent), cseq: 1, expires: clock.now().Add(time.Hour)}
		c.uri.Host = string(agent) + ".invalid"
		if err := r.contacts.update(owner{"springfield", agent}, []contact{c}, clock.now()); err != nil {
			t.Fatal(err)
		}
	}
	var telling sync.WaitGroup
	defer telling.Wait()
	defer close(p.letGo)
	telling.Go(func() { r.tell(owner{"springfield", "agent-a"}, "") })
	<-p.entered
	telling.Go(func() { r.tell(owner{"springfield", "agent-b"}, "") })
	select {
	case agent := <-p.told:
		if agent != "agent-b" {
			t.Errorf("told of %s", agent)
		}
	case <-time.After(patienceOfTests):
		t.Error("agent-b waits for agent-a")
	}
}
