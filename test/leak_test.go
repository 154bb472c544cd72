package test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A marked is one place of a carrier's INVITE that holds a number of its own, so that a number that is found says which
// place let it through. In text, {+} is the number in E.164, {d} its ten digits, {-} and {.} with those between its parts,
// {b} in base64 within a token.
type marked struct {
	place, text string
}

// carried is everything that RULES 2.2 lists and some that it does not. Those of From, Via, Call-ID, Contact and SDP stand
// where only they can.
var carried = []marked{
	{"PAI", "P-Asserted-Identity: <sip:{+}@carrier.example;user=phone>"},
	{"From", "sip:{+}@carrier.example"},
	{"From's name", "Elm Street {-}"},
	{"Via", ";ue={d}"},
	{"Call-ID", "{d}-call"},
	{"Contact", "Contact: <sip:{+}@HOST;transport=TRANSPORT>;+g.3gpp={d}"},
	{"PPI", "P-Preferred-Identity: \"{-}\" <sip:{d}@carrier.example>"},
	{"RPID", "Remote-Party-ID: \"({-})\" <sip:{d}@carrier.example>;party=calling;privacy=off;screen=yes"},
	{"P-Charge-Info", "P-Charge-Info: <sip:{+}@carrier.example;noa=3>"},
	{"Diversion", "Diversion: \"{.}\" <sip:{+}@carrier.example>;reason=unconditional"},
	{"History-Info", "History-Info: <sip:{+}@carrier.example?Privacy=none>;index=1"},
	{"Identity", "Identity: eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly8xMjcuMC4wLjEvYyJ9.{b}.c2lnbmF0dXJl;info=<https://127.0.0.1/c>;alg=ES256;ppt=shaken"},
	{"User-to-User", "User-to-User: {d};encoding=hex"},
	{"Referred-By", "Referred-By: <sip:{+}@carrier.example>"},
	{"Replaces", "Replaces: {d};to-tag={d};from-tag={d}"},
	{"P-Access-Network-Info", "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp={d}"},
	{"Geolocation", "Geolocation: <https://loc.example/{d}>"},
	{"Call-Info", "Call-Info: <http://carrier.example/{d}.png>;purpose=icon"},
	{"P-Called-Party-ID", "P-Called-Party-ID: <sip:{+}@carrier.example>"},
	{"P-Associated-URI", "P-Associated-URI: <tel:{+}>"},
	{"P-Profile-Key", "P-Profile-Key: <sip:{d}@carrier.example>"},
	{"P-Served-User", "P-Served-User: <sip:{+}@carrier.example>"},
	{"Reply-To", "Reply-To: <sip:{+}@carrier.example>"},
	{"Subject", "Subject: call from {.}"},
	{"Organization", "Organization: {-}"},
	{"User-Agent", "User-Agent: carrier {d}"},
	{"Alert-Info", "Alert-Info: <http://carrier.example/{d}.wav>"},
	{"Warning", "Warning: 399 carrier \"{-}\""},
	{"Reason", "Reason: SIP;cause=200;text=\"{d}\""},
	{"Session-ID", "Session-ID: {d}ffffffffffffffffffffff"},
	{"Request-Disposition", "Request-Disposition: {d}"},
	{"Accept-Contact", "Accept-Contact: *;id=\"{d}\""},
	{"Authorization", "Authorization: Digest username=\"{d}\", realm=\"x\", nonce=\"x\", uri=\"sip:x\", response=\"x\""},
	{"unlisted", "X-ANI: {d}"},
	{"unlisted in words", "X-Caller: {w}"},
	{"SDP o=", "o=- {d} 1 IN IP4 127.0.0.1"},
	{"SDP s=", "s=from {d}"},
	{"SDP i=", "i=({-})"},
	{"SDP e=", "e={d}@carrier.example"},
	{"SDP p=", "p={+}"},
	{"SDP a=", "a=x-caller:{d}"},
	{"BYE", "User-to-User: {d};encoding=hex"},
	{"answers", "P-Asserted-Identity: <sip:{+}@far.example>\r\nRemote-Party-ID: <sip:{+}@far.example>\r\nServer: phone {-}\r\nUser-to-User: {d}\r\n"},
}

// A caller of the leak test has a number for each place; area is theirs.
type markedCaller struct{ area string }

func (c markedCaller) number(place string) string {
	i := slices.IndexFunc(carried, func(m marked) bool { return m.place == place })
	if i < 0 {
		panic("no place " + place)
	}
	return fmt.Sprintf("%s55501%02d", c.area, i)
}

// numbers are those of every place.
func (c markedCaller) numbers() (all []string) {
	for _, m := range carried {
		all = append(all, c.number(m.place))
	}
	return all
}

// text is what stands at a place.
func (c markedCaller) text(place string) string {
	d := c.number(place)
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"attest":"A","dest":{"tn":["13125550100"]},"iat":%d,"orig":{"tn":"1%s"},"origid":"0-0-0-0-0"}`, time.Now().Unix(), d))
	i := slices.IndexFunc(carried, func(m marked) bool { return m.place == place })
	return strings.NewReplacer("{+}", "+1"+d, "{d}", d, "{-}", d[:3]+"-"+d[3:6]+"-"+d[6:], "{.}", d[:3]+"."+d[3:6]+"."+d[6:], "{b}", claims,
		"{w}", strings.Join(inWords(d, "zero"), " ")).Replace(carried[i].text)
}

// headers are the lines of every header field that is one.
func (c markedCaller) headers(f *farEnd, more ...string) string {
	var b strings.Builder
	for _, m := range carried[5:] {
		if strings.HasPrefix(m.place, "SDP") || m.place == "BYE" || m.place == "answers" {
			continue
		}
		b.WriteString(strings.NewReplacer("HOST", f.host, "TRANSPORT", f.transport).Replace(c.text(m.place)) + "\r\n")
	}
	b.WriteString(c.text("PAI") + "\r\n")
	for _, line := range more {
		b.WriteString(line + "\r\n")
	}
	return b.String()
}

// dial places the call of this caller to one of the city's numbers and waits until it is answered.
func (c markedCaller) dial(f *farEnd, number string, more ...string) *dialog {
	f.t.Helper()
	var lines []string
	for _, place := range []string{"SDP i=", "SDP e=", "SDP p="} {
		lines = append(lines, c.text(place)+"\r\n")
	}
	f.sdpExtra = strings.Join(lines, "")
	f.sdpFirst, f.sdpLast = c.text("SDP o=")+"\r\n"+c.text("SDP s=")+"\r\n", c.text("SDP a=")+"\r\n"
	from := fmt.Sprintf("%q <%s>;tag=t%s", c.text("From's name"), c.text("From"), number)
	return f.call(number, from, c.text("Call-ID")+number, c.text("Via"), c.headers(f, more...))
}

// The leak test's city has an agent and a queue of their own for each case, so that it is known who gets which call.
var leakCases = []leakCase{
	{name: "to the city", partner: "water", want: "asserted"},
	{name: "to 911", partner: "psap", want: "asserted"},
	{name: "to a company", partner: "power", want: "nothing"},
	{name: "to a company, as the caller said", partner: "power", spoken: true, want: "asserted"},
	{name: "to an interpreter", partner: "tongues", want: "nothing"},
	{name: "to the city, withheld", partner: "water", private: true, want: "private"},
	{name: "to 911, withheld", partner: "psap", private: true, want: "private"},
	{name: "to a company, withheld", partner: "power", private: true, spoken: true, want: "private"},
	{name: "to the city over a stranger's trunk", partner: "outside", want: "nothing"},
	{name: "cut off", want: "called back"},
}

// leakCase is one call: whom it is carried on to, and what they may be shown.
type leakCase struct {
	name, partner   string
	private, spoken bool
	want            string // "nothing", "asserted" (From and PAI), "private" (PAI alone, with Privacy: id), "called back"
}

// leakPartners are the kinds of partners. Each has a far end, and a trunk, of its own.
var leakPartners = []struct{ id, kind, ip, trust string }{
	{"water", "city", "127.0.0.10", "trust_out: true"},
	{"psap", "psap", "127.0.0.11", "trust_out: false"},
	{"power", "private", "127.0.0.12", "trust_out: true"},
	{"tongues", "interpreter", "127.0.0.13", "trust_out: true"},
	{"outside", "city", "127.0.0.14", "trust_out: false"},
}

// leakStage is a city with everybody whom a call can reach, all over one transport.
type leakStage struct {
	*server
	caller    markedCaller
	transport string
	agents    []*farEnd
	partners  map[string]*farEnd
	home      *farEnd // where the carrier takes calls back
	callers   []*farEnd
	calls     []string // ids, one a case
	bucket    string
}

func agentOf(i int) string { return fmt.Sprint(2000 + i) }

// newLeakStage starts the city with its recordings in a bucket and all its files in one directory.
func newLeakStage(t *testing.T, transport, area string) *leakStage {
	var agents []string
	for i := range leakCases {
		agents = append(agents, agentOf(i))
	}
	g := &leakStage{server: prepare(t, agents...), caller: markedCaller{area}, transport: transport, partners: map[string]*farEnd{}}
	must(t, os.Mkdir(filepath.Join(g.dir, "tmp"), 0o700))
	g.env = []string{"TMPDIR=" + filepath.Join(g.dir, "tmp"), "GOTRACEBACK=all"}
	var endpoint string
	endpoint, g.bucket = startBucket(t)
	g.secret("access", bucketKey)
	g.secret("key", bucketSecret)
	g.home = g.far("127.0.0.1", true)
	trunks := fmt.Sprintf("      - {id: carrier, allow: [127.0.0.1/32], trust_identity: true, trust_remote_party_id: true, trust_charge_info: true, trust_retarget: true, "+
		"progress: true, proxy: \"%s://%s\", trust_out: true}\n", transport, g.home.host)
	var partners, queues, numbers, people strings.Builder
	for _, p := range leakPartners {
		f := g.far(p.ip, true)
		f.extra = g.caller.text("answers")
		g.partners[p.id] = f
		trunks += fmt.Sprintf("      - {id: to-%s, allow: [%s/32], proxy: \"%s://%s\", %s}\n", p.id, p.ip, transport, f.host, p.trust)
		fmt.Fprintf(&partners, "      - {id: %s, kind: %s, name: The %s desk, uri: \"sip:desk@%s\", trunk: to-%s}\n", p.id, p.kind, p.id, f.host, p.id)
	}
	for i := range leakCases {
		fmt.Fprintf(&queues, "      - {id: q%d, ring: 5s, wrap_up: 0s}\n", i)
		fmt.Fprintf(&numbers, "      - {number: \"+131255501%02d\", queue: q%d}\n", i, i)
		fmt.Fprintf(&people, "      - {id: %q, password_file: secrets/%s, queues: [q%d]}\n", agentOf(i), agentOf(i), i)
	}
	g.configure(fmt.Sprintf(`cities:
  - id: demo
    name: Demo City
    ani: {owner: Privacy Officer}
    caller_id: "+13125550100"
    callback_trunk: carrier
    recording: {store: {kind: s3, s3: {endpoint: %q, bucket: calls, tls: false, access_key_file: secrets/access, secret_key_file: secrets/key}}}
    trunks:
%s    partners:
%s    numbers:
%s    queues:
%s    agents:
%s`, endpoint, trunks, &partners, &numbers, &queues, &people), "silence: 5s", onlyMD5)
	g.start()
	for i := range leakCases {
		f := g.far("127.0.0.1", false)
		f.extra = g.caller.text("answers")
		f.register(agentOf(i))
		g.agents = append(g.agents, f)
	}
	return g
}

func (g *leakStage) far(ip string, called bool) *farEnd {
	return newFarEnd(g.t, g.server, g.transport, ip, called)
}

// play runs every case, side by side.
func (g *leakStage) play() {
	dialogs := make([]*dialog, len(leakCases))
	for i, c := range leakCases {
		f := g.far("127.0.0.1", false)
		g.callers = append(g.callers, f)
		var more []string
		if c.private {
			more = append(more, "Privacy: id")
		}
		dialogs[i] = g.caller.dial(f, fmt.Sprintf("+131255501%02d", i), more...)
	}
	for i, c := range leakCases {
		g.calls = append(g.calls, g.agents[i].ringing())
		g.talking(i)
		dialogs[i].again()
		if c.partner == "" {
			g.callers[i].hush() // cut off: no sound, no BYE
			continue
		}
		g.carryOn(i)
	}
	for i, c := range leakCases {
		if c.partner != "" {
			dialogs[i].hangUp(g.caller.text("BYE") + "\r\n")
		}
	}
	g.records(g.token("supervisor"), len(leakCases))
	g.callBack(len(leakCases) - 1)
}

// talking waits until the agent has the call.
func (g *leakStage) talking(i int) {
	g.t.Helper()
	within(g.t, 20*time.Second, func() error {
		for _, m := range g.agents[i].messages() {
			if strings.HasPrefix(m.first, "ACK ") {
				return nil
			}
		}
		return fmt.Errorf("%s: the agent does not have it", leakCases[i].name)
	})
}

// carryOn transfers a call and waits until the partner has it.
func (g *leakStage) carryOn(i int) {
	g.t.Helper()
	c, partner := leakCases[i], g.partners[leakCases[i].partner]
	before := partner.invites()
	token := g.tokenOf("demo", "agent", agentOf(i))
	g.post(token, "/api/v1/calls/"+g.calls[i]+"/transfers", fmt.Sprintf(`{"to":%q,"spoken_consent":%v}`, c.partner, c.spoken), http.StatusAccepted, nil)
	within(g.t, 20*time.Second, func() error {
		if n := partner.invites(); n != before+1 {
			return fmt.Errorf("%s: the partner has %d calls, want %d", c.name, n, before+1)
		}
		return nil
	})
}

// callBack calls the caller of a call that was cut off back, and has the number revealed once to the agent (D09).
func (g *leakStage) callBack(i int) {
	g.t.Helper()
	token := g.tokenOf("demo", "agent", agentOf(i))
	var handle struct{ Handle string }
	g.post(token, "/api/v1/calls/"+g.calls[i]+"/handles", "", http.StatusCreated, &handle)
	g.post(token, "/api/v1/handles/"+handle.Handle+"/dial", "", http.StatusAccepted, nil)
	within(g.t, 20*time.Second, func() error {
		if g.home.invites() != 1 {
			return fmt.Errorf("the caller is not called back")
		}
		return nil
	})
	g.home.hush() // that call is over too, in a while
	var asked struct{ ID, State, Row string }
	g.post(token, "/api/v1/calls/"+g.calls[i]+"/ani-releases", `{"purpose":"completion-dropped","recipient":"AGT","reason":"relay"}`, http.StatusCreated, &asked)
	code, header, body := g.ask("POST", token, "/api/v1/ani-releases/"+asked.ID+"/reveal", "")
	if want := "+1" + g.caller.number("PAI"); code != http.StatusOK || !bytes.Contains(body, []byte(want)) || header.Get("Cache-Control") != "no-store" {
		g.t.Errorf("reveal of %+v: %d %v %s", asked, code, header, body)
	}
	if code, _, body := g.ask("POST", token, "/api/v1/ani-releases/"+asked.ID+"/reveal", ""); code == http.StatusOK || len(g.finder().find(body)) != 0 {
		g.t.Errorf("a second reveal: %d %s", code, body)
	}
}

// finder looks for every number of the stage's caller.
func (g *leakStage) finder() *finder { return newFinder(g.caller.numbers()...) }
