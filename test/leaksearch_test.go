package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoNumberLeaks: calls of which every header and line holds a number of its own reach agents, every kind of partner,
// and the caller who is called back; then each number is looked for, in forty spellings and more, in everything that
// can be reached. Where a row of the terms lets one be, is said in wantShown and callBack, and nowhere else.
//
// Redis and PostgreSQL are not among the places: this program uses neither yet. Spoken digits are not either: what a
// caller says is in the recording, which is sealed.
func TestNoNumberLeaks(t *testing.T) {
	t.Parallel()
	for transport, area := range map[string]string{"udp": "212", "tcp": "646"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			g := newLeakStage(t, transport, area)
			g.play()
			g.wantStored()
			g.wantShown()
			g.wantSilentAPI()
			g.wantSilentAdmin()
			g.wantExportToVerify()
			g.wantSilentDisk("while it runs")
			g.quit()
			g.finder().wantNone(t, "the log at debug level, with every goroutine's trace", []byte(g.logged.String()))
			g.finder().wantNone(t, "what serve printed", []byte(g.printed.String()))
			g.wantSilentDisk("after it was cut off")
		})
	}
}

// wantStored waits until every recording is in the bucket, so that the search of the bucket means something.
func (g *leakStage) wantStored() {
	g.t.Helper()
	within(g.t, 30*time.Second, func() error {
		found := 0
		err := filepath.WalkDir(g.bucket, func(_ string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), "rec_") {
				found++
			}
			return err
		})
		if err == nil && found < len(leakCases) {
			err = fmt.Errorf("%d recordings are in the bucket, want %d", found, len(leakCases))
		}
		return err
	})
}

// wantShown checks what every far end was sent.
func (g *leakStage) wantShown() {
	f := g.finder()
	for i, agent := range g.agents { // D08: an agent is shown a mask at the most
		f.wantNone(g.t, "what the phone of the agent was sent, "+leakCases[i].name, agent.heard())
		if mask := fmt.Sprintf("+1 %s ***-**%s", g.caller.area, g.caller.number("PAI")[8:]); bytes.Contains(agent.heard(), []byte(mask)) == leakCases[i].private {
			g.t.Errorf("%s: the agent is shown %q: %v", leakCases[i].name, mask, !leakCases[i].private)
		}
	}
	for _, caller := range g.callers { // the caller's own headers come back to them (RFC 3261 §8.2.6, §12.2.1.1)
		for _, m := range caller.messages() {
			f.wantNone(g.t, "what the caller was sent", without(m, "Via", "From", "To", "Call-Id"))
		}
	}
	for i, c := range leakCases {
		if c.partner != "" {
			g.wantPartner(f, i)
		}
	}
	g.wantHome(f)
}

// without is a message but for some header fields and, of a request, its Request-URI.
func without(m sipText, names ...string) []byte {
	var b bytes.Buffer
	if strings.HasPrefix(m.first, "SIP/2.0") {
		b.WriteString(m.first)
	}
	skip := map[string]bool{}
	for _, n := range names {
		skip[strings.ToLower(n)] = true
	}
	head, body, _ := strings.Cut(m.raw, "\r\n\r\n")
	for i, line := range strings.Split(head, "\r\n") {
		if name, _, _ := strings.Cut(line, ":"); i > 0 && !skip[strings.ToLower(strings.TrimSpace(name))] {
			b.WriteString("\r\n" + line)
		}
	}
	b.WriteString(body)
	return b.Bytes()
}

// dialogMessages are those of the n-th call that a far end got. Cases reach a partner one after another.
func (f *farEnd) dialogMessages(n int) (all []sipText) {
	var ids []string
	for _, m := range f.messages() {
		id := m.header.Get("Call-Id")
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if n < len(ids) && ids[n] == id {
			all = append(all, m)
		}
	}
	return all
}

// wantPartner checks that what a partner was sent in one case has the number where a row says so and nowhere else:
// D12, D14 and D25 in From and P-Asserted-Identity; D03 and D25 of a caller who withholds in P-Asserted-Identity alone;
// D13, D44 and an untrusted trunk nowhere.
func (g *leakStage) wantPartner(f *finder, i int) {
	g.t.Helper()
	c := leakCases[i]
	before := 0
	for _, other := range leakCases[:i] {
		if other.partner == c.partner {
			before++
		}
	}
	messages := g.partners[c.partner].dialogMessages(before)
	if len(messages) < 2 {
		g.t.Errorf("%s: the partner got %d messages", c.name, len(messages))
		return
	}
	full := "sip:+1" + g.caller.number("PAI") + "@"
	for _, m := range messages {
		allowed := map[string][]string{"asserted": {"From", "P-Asserted-Identity"}, "private": {"P-Asserted-Identity"}}[c.want]
		f.wantNone(g.t, c.name+": a message to the partner", append(without(m, allowed...), m.first...))
		for _, name := range allowed { // and there it is this one
			for _, h := range f.find([]byte(m.header.Get(name))) {
				if h.Number != g.caller.number("PAI") {
					g.t.Errorf("%s: %s has another number: %+v", c.name, name, h)
				}
			}
		}
	}
	invite := messages[0]
	asserted := strings.Contains(invite.header.Get("P-Asserted-Identity"), full)
	if want := c.want != "nothing"; asserted != want {
		g.t.Errorf("%s: asserted %v, want %v: %s", c.name, asserted, want, invite.raw)
	}
	if private := strings.Contains(invite.header.Get("Privacy"), "id"); private != c.private && c.want != "nothing" {
		g.t.Errorf("%s: Privacy is %q", c.name, invite.header.Get("Privacy"))
	}
}

// wantHome checks the call back (D10, D49): the number is the address that is dialled, and the city's own stands
// everywhere else.
func (g *leakStage) wantHome(f *finder) {
	g.t.Helper()
	full := "sip:+1" + g.caller.number("PAI") + "@"
	for i, m := range g.home.messages() {
		f.wantNone(g.t, "a message to the caller who is called back", without(m, "To"))
		if i == 0 && !(strings.HasPrefix(m.first, "INVITE "+full) && strings.Contains(m.header.Get("From"), "+13125550100")) {
			g.t.Errorf("the call back is %s", m.raw)
		}
	}
}

// wantSilentAPI asks every route that reads, in every role, for everything that there is.
func (g *leakStage) wantSilentAPI() {
	g.t.Helper()
	f := g.finder()
	ids := map[string][]string{"calls": g.calls, "ledger": {"0", "5"}}
	var releases struct{ Data []struct{ ID string } }
	_, _, text := g.get(g.token("privacy"), "/api/v1/ani-releases")
	must(g.t, json.Unmarshal(text, &releases))
	for _, r := range releases.Data {
		ids["ani-releases"] = append(ids["ani-releases"], r.ID)
	}
	for _, r := range g.records(g.token("supervisor"), len(leakCases)+1) {
		ids["recordings"] = append(ids["recordings"], r.Recording.ID)
	}
	if len(ids["ani-releases"]) == 0 {
		g.t.Error("there are no releases to look at")
	}
	answered := 0
	for _, role := range []string{"agent", "supervisor", "privacy", "records", "operator"} {
		agent := ""
		if role == "agent" {
			agent = agentOf(len(leakCases) - 1) // who was revealed the number
		}
		token := g.tokenOf("demo", role, agent)
		for _, r := range g.routes() {
			if r.method != "GET" {
				continue
			}
			for _, path := range r.each(ids) {
				code, header, body := g.get(token, path)
				f.wantNone(g.t, fmt.Sprintf("%s: GET %s", role, path), append(fmt.Append(nil, header), body...))
				if code == http.StatusOK {
					answered++
				}
			}
		}
	}
	if answered < 60 {
		g.t.Errorf("only %d requests were answered", answered)
	}
	for _, path := range []string{"/ledger/demo/checkpoint", "/ledger/demo/tile/0/000.p/1"} {
		_, _, body := g.get("", path)
		f.wantNone(g.t, "GET "+path, body)
	}
}

var placeholder = regexp.MustCompile(`\{[a-z_-]+\}`)

// each is the route's path for each id that it could be about.
func (r route) each(ids map[string][]string) (paths []string) {
	query := ""
	switch {
	case strings.HasSuffix(r.path, "/media"):
		query = "?reason=quality-review"
	case strings.HasSuffix(r.path, "/consistency"):
		query = "?from=1&to=5"
	case strings.HasSuffix(r.path, "/export"):
		paths = append(paths, r.path+"?format=csv")
		query = "?format=jsonl"
	}
	if !strings.Contains(r.path, "{") {
		return append(paths, r.path+query)
	}
	kind := strings.Split(strings.TrimPrefix(r.path, "/api/v1/"), "/")[0]
	for _, id := range ids[kind] {
		paths = append(paths, placeholder.ReplaceAllString(r.path, id)+query)
	}
	return paths
}

func (g *leakStage) wantSilentAdmin() {
	for _, path := range []string{"/metrics", "/readyz?verbose", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1",
		"/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/block?debug=1", "/debug/pprof/mutex?debug=1"} {
		g.finder().wantNone(g.t, "admin "+path, fetch(g.t, g.admin+path))
	}
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	must(t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("GET %s: %d", url, resp.StatusCode)
	}
	return b.Bytes()
}

// wantExportToVerify: what a stranger does with the running server's export, offline: every release is decided again and
// comes out alike. One changed byte is found.
func (g *leakStage) wantExportToVerify() {
	g.t.Helper()
	privacy := g.token("privacy")
	_, _, export := g.get(privacy, "/api/v1/ledger/export")
	_, _, key := g.get(privacy, "/api/v1/ledger/key")
	_, _, checkpoint := g.get(privacy, "/api/v1/ledger/checkpoint")
	f := g.finder()
	f.wantNone(g.t, "the ledger's export", export)
	f.wantNone(g.t, "the ledger's checkpoint", checkpoint)
	must(g.t, os.WriteFile(filepath.Join(g.dir, "export"), export, 0o600))
	out, err := g.run(g.t.Context(), "--json", "ledger", "verify", "export", "--key", strings.TrimSpace(string(key)))
	must(g.t, err)
	var report struct {
		OK                 bool
		Decided, Undecided int
		Kinds              map[string]int
	}
	must(g.t, json.Unmarshal([]byte(out), &report))
	releases := report.Kinds["ani.release/1"]
	if !report.OK || releases < 2*len(leakCases) || report.Decided != releases || report.Undecided != 0 {
		g.t.Errorf("the export verifies as %s", out)
	}
	at := bytes.Index(export, []byte("completion-dropped"))
	if at < 0 {
		g.t.Fatal("the reveal is not in the export")
	}
	export[at] ^= 1
	must(g.t, os.WriteFile(filepath.Join(g.dir, "export"), export, 0o600))
	if out, err := g.run(g.t.Context(), "--json", "ledger", "verify", "export"); err == nil {
		g.t.Errorf("a changed export verifies: %s", out)
	}
	must(g.t, os.Remove(filepath.Join(g.dir, "export")))
}

// wantSilentDisk searches the server's whole directory, with its data, its temporary files and any core, and the bucket.
func (g *leakStage) wantSilentDisk(when string) {
	g.t.Helper()
	for _, dir := range []string{filepath.Join(g.dir, "data"), filepath.Join(g.dir, "tmp"), g.bucket} {
		searched := g.finder().wantNoneBelow(g.t, dir)
		if least := 100_000; searched < least && !strings.HasSuffix(dir, "tmp") {
			g.t.Errorf("%s, %s has %d bytes: the search missed the data", when, dir, searched)
		}
	}
	for _, name := range []string{"core", "data/core"} {
		if _, err := os.Stat(filepath.Join(g.dir, name)); err == nil {
			g.t.Errorf("%s is there", name)
		}
	}
}

// quit cuts the server off as SIGQUIT does, which makes a Go program print every goroutine.
func (g *leakStage) quit() {
	g.t.Helper()
	must(g.t, g.cmd.Process.Signal(syscall.SIGQUIT))
	<-g.exited
	g.cmd = nil
	if !strings.Contains(g.logged.String(), "SIGQUIT: quit") || strings.Count(g.logged.String(), "goroutine ") < 20 {
		g.t.Errorf("no trace was printed: %s", tail(g.logged.String()))
	}
}
