package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/console"
)

// theNumber is that of presentCaller, and otherNumber nobody's who calls.
const (
	theNumber   = "+12125550142"
	otherNumber = "+16465550163"
)

// bureau runs verbs against a node, as the people of its first city.
type bureau struct {
	*node
	t         *testing.T
	dir       string // token files, by the name of whose they are
	accounted string // what the subject was told
	// shows is set while a verb may print the number.
	shows bool
}

// bureauOf lets people in: each has a token of their own.
func bureauOf(t *testing.T, n *node) *bureau {
	t.Helper()
	b := &bureau{node: n, t: t, dir: t.TempDir()}
	for name, token := range map[string]console.Token{"eve": {Role: console.RolePrivacy}, "rosa": {Role: console.RoleRecords},
		"sam": {Role: console.RoleSupervisor}, "ada": {Role: console.RoleAgent, Agent: "aspen-1"}, "bo": {Role: console.RoleAgent, Agent: "aspen-2"}} {
		token.City, token.Name, token.ExpiresAt = "aspen", name, time.Now().Add(time.Hour)
		secret, _, err := n.tokens.Issue(t.Context(), token)
		must(t, err)
		write(t, filepath.Join(b.dir, name), secret+"\n", 0o600)
	}
	return b
}

// try runs one verb as somebody, who types stdin. No verb prints a number unless it may.
func (b *bureau) try(who, stdin string, args ...string) (stdout, stderr string, code int) {
	b.t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--url", "http://"+b.http.Addr().String(), "--token-file", filepath.Join(b.dir, who))
	code = run(b.t.Context(), args, terminal{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	if !b.shows {
		wantNoDigits(b.t, strings.Join(args[:2], " "), out.String()+errs.String())
	}
	b.t.Logf("%s$ callhall %s\n%s%s", who, strings.Join(args[:len(args)-4], " "), &out, &errs)
	return out.String(), errs.String(), code
}

// wantNoDigits fails where one of the numbers of this test is found, in any of a few spellings.
func wantNoDigits(t *testing.T, where, text string) {
	t.Helper()
	bare := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "").Replace(text)
	for _, number := range []string{theNumber, otherNumber} {
		if strings.Contains(bare, number[5:]) {
			t.Errorf("%s prints a number:\n%s", where, text)
		}
	}
}

// does is try for what must work.
func (b *bureau) does(who, stdin string, args ...string) (stdout string) {
	b.t.Helper()
	out, errs, code := b.try(who, stdin, args...)
	if code != 0 {
		b.t.Fatalf("%q as %s: exit %d\n%s%s", args, who, code, out, errs)
	}
	return out
}

// enters is does for what answers one entry, whose id and state it returns.
func (b *bureau) enters(who, stdin string, args ...string) (id, state string) {
	b.t.Helper()
	var e struct{ ID, State string }
	out := b.does(who, stdin, append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &e); err != nil || strings.Count(out, "\n") != 1 {
		b.t.Fatalf("%q: %v: not one object on one line:\n%s", args, err, out)
	}
	return e.ID, e.State
}

// refused is try for what must not work.
func (b *bureau) refused(who, stdin, why string, args ...string) {
	b.t.Helper()
	out, errs, code := b.try(who, stdin, args...)
	if code != exitFailed || out != "" || !strings.Contains(errs, why) {
		b.t.Errorf("%q as %s: exit %d, want %d for %q\n%s%s", args, who, code, exitFailed, why, out, errs)
	}
}

// wants checks what an entry is now.
func wants(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %s, want %s", what, got, want)
	}
}

// TestPrivacyOfficeAtATerminal: the verbs take a number from its first request to the proof of who had it, against a
// whole server, and print it where the person asked to see it and nowhere else.
func TestPrivacyOfficeAtATerminal(t *testing.T) {
	t.Setenv("TZ", "UTC")
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	record := n.talk(t, "127.0.0.1", "aspen-1")
	b := bureauOf(t, n)
	b.does("eve", "", "ledger", "key", "-o", filepath.Join(dir, "first.key"))
	b.does("eve", "", "ledger", "checkpoint", "-o", filepath.Join(dir, "early.checkpoint"))

	b.legalProcess(dir, record.ID)
	b.account(record.ID)
	b.registers(dir, record.ID)
	b.policies()
	b.agentsOwn(record.ID)
	b.traces(record.ID)
	b.proves(dir)
}

// traces finds in the ledger every release about the call: what others had of it, of which the subject was told, what
// stayed inside the engine, and what was denied, such as a reveal before the second person and one after the first.
func (b *bureau) traces(id call.ID) {
	t := b.t
	t.Helper()
	all := strings.Split(strings.TrimSpace(b.does("eve", "", "--json", "ledger", "list", "--limit", "0", "--kind", "ani.release/1", "--call", string(id))), "\n")
	var shown, inside, denied []string
	for _, line := range all {
		var e console.LedgerEntry
		must(t, json.Unmarshal([]byte(line), &e))
		at := e.Facts["row"]
		switch {
		case string(e.Call) != string(id) || e.Kind != "ani.release/1":
			t.Errorf("not asked for: %s", line)
		case e.Facts["result"] == "DENY":
			denied = append(denied, at)
		case e.Facts["recipient"] == "ENG":
			inside = append(inside, at)
		default:
			shown = append(shown, at)
			if at != "D16" && !strings.Contains(b.accounted, e.Facts["release"]) { // that one came after the account
				t.Errorf("the subject was not told of %s", line)
			}
		}
	}
	if words(shown) != "D16, D27, D08" || len(inside) == 0 || words(denied) != "D47, D37, D27, D27" {
		t.Errorf("releases about the call by row: shown %v, inside %v, denied %v", shown, inside, denied)
	}
	if one := b.does("eve", "", "ledger", "list", "--limit", "1", "--call", string(id)); strings.Count(one, "\n") != 2 {
		t.Errorf("one entry:\n%s", one)
	}
	b.does("eve", "", "ledger", "list", "--limit", "0", "--kind", "ani.release/1", "--call", string(id))
}

// legalProcess is a subpoena from the counter to the reveal.
func (b *bureau) legalProcess(dir string, id call.ID) {
	t := b.t
	t.Helper()
	scan := filepath.Join(dir, "subpoena.pdf")
	write(t, scan, "%PDF of a subpoena", 0o600)
	paper, state := b.enters("eve", "", "ani", "process", "add", "--form", "subpoena", "--issuer", "County Court", "--reference", "CV-88",
		"--call", string(id), "--until", "30d", "--file", scan)
	wants(t, "the paper", state, "taken")
	b.refused("eve", "", "409", "ani", "process", "verify", paper)
	_, state = b.enters("rosa", "", "ani", "process", "verify", paper)
	wants(t, "the paper", state, "verified")
	b.does("rosa", "", "ani", "process", "paper", paper, "-o", filepath.Join(dir, "copy.pdf"))
	wants(t, "the copy", readFile(t, filepath.Join(dir, "copy.pdf")), "%PDF of a subpoena")

	found := b.does("eve", theNumber+"\n", "ani", "search", "--purpose", "legal-process", "--case", "CV-88")
	if !strings.Contains(found, string(id)) {
		t.Errorf("the search finds:\n%s", found)
	}
	release, state := b.enters("eve", "", "ani", "release", "ask", string(id), "--purpose", "legal-process", "--recipient", "LE", "--to", "County Court",
		"--case", "CV-88", "--ref", paper)
	wants(t, "the request", state, "pending")
	b.refused("eve", "", "not approved yet", "ani", "release", "reveal", release)
	_, state = b.enters("rosa", "", "ani", "release", "approve", release)
	wants(t, "the request", state, "granted")
	if list := b.does("eve", "", "ani", "release", "list", "--state", "granted"); !strings.Contains(list, release) || !strings.Contains(list, "D27") {
		t.Errorf("granted requests:\n%s", list)
	}
	b.shows = true
	out, errs, code := b.try("eve", "", "ani", "release", "reveal", release)
	b.shows = false
	if code != 0 || out != theNumber+"\n" || !strings.Contains(errs, "must not be kept") || strings.Contains(errs, theNumber) {
		t.Errorf("reveal: exit %d, %q, %q", code, out, errs)
	}
	b.refused("eve", "", "409", "ani", "release", "reveal", release)
	if story := b.does("eve", "", "ani", "release", "show", release); !strings.Contains(story, "revealed") || !strings.Contains(story, "token:rosa/") {
		t.Errorf("the request's story:\n%s", story)
	}
	_, state = b.enters("eve", "", "ani", "process", "close", paper)
	wants(t, "the paper", state, "closed")
	if list := b.does("eve", "", "ani", "process", "list"); !strings.Contains(list, "County Court") {
		t.Errorf("papers:\n%s", list)
	}
	if story := b.does("eve", "", "ani", "process", "show", paper); !strings.Contains(story, "CV-88") {
		t.Errorf("the paper's story:\n%s", story)
	}
	denied, state := b.enters("eve", "", "ani", "release", "ask", string(id), "--purpose", "marketing", "--recipient", "PRIV")
	wants(t, "a request for marketing", state, "denied")
	b.refused("rosa", "", "403", "ani", "release", "refuse", denied) // nobody approves what nobody may ask for
}

// account is a subject who asks who has had their number.
func (b *bureau) account(id call.ID) {
	t := b.t
	t.Helper()
	ask := []string{"ani", "account", "ask", "--name", "Jo Doe", "--proof", "document=desk-12", "--proof", "letter=post-3"}
	request, state := b.enters("eve", theNumber, ask...)
	wants(t, "the subject's request", state, "asked")
	b.refused("eve", "", "409", "ani", "account", "answer", request)
	_, state = b.enters("rosa", "", "ani", "account", "approve", request)
	wants(t, "the subject's request", state, "approved")
	b.shows = true
	out, _, code := b.try("eve", "", "ani", "account", "show", request)
	b.shows = false
	first, rest, _ := strings.Cut(out, "\n")
	b.accounted = rest
	if code != 0 || first != theNumber || !strings.Contains(rest, string(id)) || !strings.Contains(rest, "D27") || !strings.Contains(rest, "County Court") {
		t.Errorf("the account: exit %d\n%s", code, out)
	}
	other, _ := b.enters("eve", otherNumber, ask...)
	_, state = b.enters("rosa", "", "ani", "account", "refuse", other, "--code", "unverified")
	wants(t, "another request", state, "refused")
	if list := b.does("eve", "", "ani", "account", "list"); strings.Count(list, "\n") != 3 || !strings.Contains(list, "Jo Doe") {
		t.Errorf("subjects' requests:\n%s", list)
	}
}

// registers are consents, screening, protected subjects, notices and recalls.
func (b *bureau) registers(dir string, id call.ID) {
	t := b.t
	t.Helper()
	form := filepath.Join(dir, "consent.pdf")
	write(t, form, "%PDF of a consent", 0o600)
	consent, state := b.enters("eve", theNumber, "ani", "consent", "add", "--kind", "written", "--subscriber", "Jo Doe", "--purpose", "disclosure",
		"--recipient", "PRIV", "--party", "Gas Works", "--evidence", form, "--kept", "cabinet 3", "--until", "365d")
	wants(t, "the consent", state, "active")
	if story := b.does("eve", "", "ani", "consent", "show", consent); !strings.Contains(story, "Gas Works") {
		t.Errorf("the consent's story:\n%s", story)
	}
	_, state = b.enters("eve", "", "ani", "consent", "withdraw", consent)
	wants(t, "the consent", state, "withdrawn")
	if list := b.does("eve", "", "ani", "consent", "list"); !strings.Contains(list, "withdrawn") {
		t.Errorf("consents:\n%s", list)
	}

	line, state := b.enters("sam", "", "ani", "screening", "propose", string(id), "--reason", "flood", "--until", "7d")
	wants(t, "the line", state, "proposed")
	_, state = b.enters("eve", "", "ani", "screening", "confirm", line)
	wants(t, "the line", state, "active")
	if out, errs, code := b.try("sam", "", "ani", "screening", "review", line); code != 0 || len(out) < 8 || !strings.Contains(errs, "row D16") {
		t.Errorf("the review: exit %d, %q %q", code, out, errs)
	}
	_, state = b.enters("sam", "", "ani", "screening", "end", line)
	wants(t, "the line", state, "ended")
	if list := b.does("sam", "", "ani", "screening", "list"); !strings.Contains(list, "flood") {
		t.Errorf("the screening list:\n%s", list)
	}

	ward, state := b.enters("eve", otherNumber, "ani", "protected", "add", "--ground", "court-seal", "--reference", "SEAL-7", "--until", "365d")
	wants(t, "the protection", state, "active")
	_, state = b.enters("eve", "", "ani", "protected", "lift", ward)
	wants(t, "the protection", state, "lifting")
	_, state = b.enters("rosa", "", "ani", "protected", "lift", ward)
	wants(t, "the protection", state, "lifted")
	if list := b.does("eve", "", "ani", "protected", "list"); !strings.Contains(list, "SEAL-7") {
		t.Errorf("protected subjects:\n%s", list)
	}

	var notice struct{ ID string }
	newest, _, _ := strings.Cut(b.does("eve", "", "--json", "ani", "notices", "list", "--limit", "1"), "\n")
	must(t, json.Unmarshal([]byte(newest), &notice))
	_, state = b.enters("eve", "", "ani", "notices", "acknowledge", notice.ID)
	wants(t, "the notice", state, "acknowledged")
	b.does("eve", "", "ani", "notices", "list")
	b.does("eve", "", "ani", "recalls", "list")
	b.refused("eve", "", "404", "ani", "recalls", "delivered", "rcl_"+strings.Repeat("a", 26))
}

// policies changes the city's terms, by two people.
func (b *bureau) policies() {
	t := b.t
	t.Helper()
	proposal, state := b.enters("eve", "", "ani", "policy", "propose", "nyc-3.3")
	wants(t, "the proposal", state, "proposed")
	b.refused("eve", "", "409", "ani", "policy", "approve", proposal)
	_, state = b.enters("sam", "", "ani", "policy", "approve", proposal)
	wants(t, "the proposal", state, "approved")
	if story := b.does("eve", "", "ani", "policy", "show"); !strings.Contains(story, "effective nyc-3.3") || !strings.Contains(story, proposal) {
		t.Errorf("the terms in force:\n%s", story)
	}
	again, _ := b.enters("eve", "", "ani", "policy", "propose", "card")
	_, state = b.enters("sam", "", "ani", "policy", "refuse", again)
	wants(t, "the other proposal", state, "refused")
	question := []string{"ani", "policy", "explain", "--purpose", "screening-review", "--recipient", "SUP", "--privacy", "none"}
	if said := b.does("eve", "", question...); !strings.HasPrefix(said, "decision    TOKEN") {
		t.Errorf("by the card:\n%s", said)
	}
	if said := b.does("eve", "", append(question, "--online")...); !strings.HasPrefix(said, "decision    MASK") {
		t.Errorf("by the city's own:\n%s", said)
	}
}

// agentsOwn are the verbs of agents. The call is over: what they ask for is refused, by the one who has the calls.
func (b *bureau) agentsOwn(id call.ID) {
	t := b.t
	t.Helper()
	b.does("ada", "", "ani", "transfer", "partners")
	b.refused("ada", "", "404", "ani", "transfer", "start", string(id), "--to", "gas", "--spoken-consent")
	b.refused("ada", "", "404", "ani", "transfer", "cancel", string(id))
	b.refused("ada", "", "the server answered 4", "ani", "handle", "give", string(id))
	b.refused("ada", "", "404", "ani", "handle", "dial", "hdl_"+strings.Repeat("a", 26))
	b.refused("ada", "", "the server answered 4", "ani", "consent", "spoken", string(id), "--purpose", "completion-transfer", "--recipient", "CITY")
	b.refused("sam", "", "403", "ani", "handle", "give", string(id))
}

// TestAgentAtATerminal: on a live call, the agent who has it enters what the caller says and gets a handle; another agent
// gets neither.
func TestAgentAtATerminal(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.placeStores()
	b := bureauOf(t, openNode(t, cfg, nil).run())
	s := b.stage(t)
	defer s.clear()
	s.agent("aspen-1", answers())
	caller := s.dial("311")
	caller.served()
	id := string(caller.id)
	word, state := b.enters("ada", "", "ani", "consent", "spoken", id, "--purpose", "completion-dropped", "--recipient", "AGT")
	wants(t, "the caller's word", state, "active")
	b.refused("bo", "", "403", "ani", "consent", "spoken", id, "--purpose", "completion-dropped", "--recipient", "AGT")
	_, state = b.enters("ada", "", "ani", "consent", "withdraw", word)
	wants(t, "the caller's word", state, "withdrawn")
	given := b.does("ada", "", "ani", "handle", "give", id)
	if !strings.Contains(given, "hdl_") || !strings.Contains(given, id) {
		t.Errorf("the handle:\n%s", given)
	}
	b.refused("bo", "", "the server answered 4", "ani", "handle", "give", id)
	handle := given[strings.Index(given, "hdl_"):][:30]
	b.refused("ada", "", "409", "ani", "handle", "dial", handle) // the call goes on
	b.refused("ada", "", "422", "ani", "transfer", "start", id, "--to", "nobody")
	b.refused("bo", "", "the server answered 4", "ani", "transfer", "cancel", id)
	caller.hangUp()
}

// proves exports the ledger and verifies it with the key from before all this.
func (b *bureau) proves(dir string) {
	t := b.t
	t.Helper()
	key := strings.TrimSpace(b.does("eve", "", "ledger", "rotate", "--yes"))
	export, grown, early := filepath.Join(dir, "export.jsonl"), filepath.Join(dir, "grown.proof"), filepath.Join(dir, "early.checkpoint")
	first := strings.TrimSpace(readFile(t, filepath.Join(dir, "first.key")))
	if key == first || !strings.HasPrefix(key, "callhall/ledger/aspen+") {
		t.Errorf("the new key is %s, the old one %s", key, first)
	}
	size := strings.Split(readFile(t, early), "\n")[1]
	b.does("eve", "", "ledger", "export", "-o", export)
	b.does("eve", "", "ledger", "consistency", "--from", size, "-o", grown)
	b.refused("eve", "", "409", "ledger", "succeed", "--reason", "nothing happened")
	b.does("eve", "", "ani", "keys", "rotate")
	if n := strings.TrimSpace(b.does("eve", "", "ani", "keys", "drop", "--yes")); n != "0" {
		t.Errorf("%s keys were dropped that calls of today need", n)
	}
	for _, k := range []string{first, key} {
		out, errs, code := verb(t, "ledger", "verify", export, "--since", early, "--key", k)
		if code != 0 || !strings.Contains(out, "key as given, or one that it leads to, changed 1 time\n") || !strings.Contains(out, "ani.release/1") ||
			strings.Contains(out, "releases 0 decided") {
			t.Errorf("verify: exit %d\n%s%s", code, out, errs)
		}
		wantNoDigits(t, "ledger verify", out+errs)
		t.Logf("$ callhall ledger verify\n%s", out)
		out, errs, code = verb(t, "ledger", "verify", grown, "--since", early, "--key", k)
		if code != 0 || !strings.Contains(out, "are a continuation of the first "+size) {
			t.Errorf("verify the growth: exit %d\n%s%s", code, out, errs)
		}
	}
	text, err := os.ReadFile(export)
	must(t, err)
	wantNoDigits(t, "the export", string(text))
}
