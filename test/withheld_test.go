package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAnonymousCallersWaitTheirTurn: twenty callers, every other of whom withholds their number or sends none, are
// answered in the order in which they came, and get the same messages.
func TestAnonymousCallersWaitTheirTurn(t *testing.T) {
	t.Parallel()
	const callers = 20
	s := prepare(t, testAgents...)
	s.configure(strings.Replace(oneCity(), "wrap_up: 1s", "wrap_up: 0s", 1), onlyMD5)
	s.start()
	phone := newFarEnd(t, s, "udp", "127.0.0.1", false)
	var dialogs []*dialog
	for i := range callers {
		from, headers := fmt.Sprintf("<sip:+121255501%02d@carrier.example>;tag=c", i), fmt.Sprintf("P-Asserted-Identity: <sip:+121255501%02d@carrier.example>\r\n", i)
		switch {
		case i%4 == 1: // withheld: the carrier knows, and says that nobody may
			from, headers = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=c", headers+"Privacy: id\r\n"
		case i%4 == 3: // no number at all
			from, headers = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=c", ""
		}
		caller := newFarEnd(t, s, "udp", "127.0.0.1", false)
		d := caller.call("311", from, fmt.Sprintf("turn-%d", i), "", headers)
		dialogs = append(dialogs, d)
	}
	within(t, 30*time.Second, func() error {
		if n := s.waiting(); n != callers {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	phone.register("1001")
	for i := range callers {
		within(t, 20*time.Second, func() error {
			if n := phone.talks(); n <= i {
				return fmt.Errorf("the agent has had %d calls, want %d", n, i+1)
			}
			return nil
		})
		dialogs[i].hangUp("") // only the one whose turn it is: if it is another's, the agent stays with that one
	}
	records := s.records(s.token("supervisor"), callers)
	statuses := map[string]int{}
	for _, r := range records {
		statuses[r.Caller]++
		if r.Agent != "1001" || r.End != "caller-hung-up" {
			t.Errorf("%+v", r)
		}
	}
	if statuses["present"] != callers/2 || statuses["withheld"] == 0 || len(statuses) < 2 {
		t.Errorf("callers are %v: the test proves nothing", statuses)
	}
	for i, d := range dialogs {
		if got, want := d.f.answered(), dialogs[0].f.answered(); got != want {
			t.Errorf("caller %d is answered\n%s\nand the first one\n%s", i, got, want)
		}
	}
	newFinderOf(callers).wantNone(t, "what the agent's phone was sent", phone.heard())
}

// talks counts the calls that the far end has answered.
func (f *farEnd) talks() int {
	ids := map[string]bool{}
	for _, m := range f.messages() {
		if strings.HasPrefix(m.first, "ACK ") {
			ids[m.header.Get("Call-Id")] = true
		}
	}
	return len(ids)
}

// answered are the answers that the far end got, each kind once.
func (f *farEnd) answered() string {
	var kinds []string
	for _, m := range f.messages() {
		if kind := m.first + " to " + m.header.Get("Cseq"); strings.HasPrefix(kind, "SIP/2.0 ") && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, "\n")
}

// waiting counts the callers in line.
func (s *server) waiting() int {
	_, _, body := s.get(s.token("supervisor"), "/api/v1/queues")
	var n int
	if _, rest, ok := strings.Cut(string(body), `"waiting":`); ok {
		fmt.Sscan(strings.TrimSpace(rest), &n)
	}
	return n
}

func newFinderOf(n int) *finder {
	var numbers []string
	for i := range n {
		numbers = append(numbers, fmt.Sprintf("21255501%02d", i))
	}
	return newFinder(numbers...)
}
