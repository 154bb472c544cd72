package sip

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"callhall/call"
)

// malformedAnswers are header fields of a 200 that nobody can make a dialog of.
var malformedAnswers = map[string]func(string) string{
	"no To":            func(s string) string { return without(s, "To:") },
	"no tag":           func(s string) string { return strings.Replace(s, ";tag=phone", ";gat=phone", 1) },
	"unreadable To":    func(s string) string { return strings.Replace(s, "To: <", "To: <<", 1) },
	"no From":          func(s string) string { return without(s, "From:") },
	"no Call-ID":       func(s string) string { return without(s, "Call-ID:") },
	"Contact of stars": func(s string) string { return without(s, "Contact:") + "\nContact: *" },
	"unreadable route": func(s string) string { return s + "\nRecord-Route: <sip:" },
}

func without(s, header string) string {
	var kept []string
	for line := range strings.SplitSeq(s, "\n") {
		if !strings.HasPrefix(line, header) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// spoil answers req with what change makes of a 200.
func (d *wireDialog) spoil(req *text, change func(string) string) {
	d.t.Helper()
	head := strings.Join([]string{"SIP/2.0 200 OK", "Via: " + req.get("via"), "From: " + req.get("from"),
		"To: " + req.get("to") + ";tag=" + d.localTag, "Call-ID: " + req.get("call-id"), "CSeq: " + req.get("cseq"),
		"Contact: <" + d.contact + ">"}, "\n")
	d.send("%s\nContent-Type: application/sdp\n\n%s", change(head), phoneAnswer)
}

func TestMalformedAnswerOfAPhone(t *testing.T) {
	for name, change := range malformedAnswers {
		t.Run(name, func(t *testing.T) {
			st := raise(t)
			phone := st.phone("udp")
			done := st.ring(t.Context(), patienceOfTests)
			invite := phone.expect("INVITE ")
			phone.spoil(invite, change)
			if r := st.outcome(done); !errors.Is(r.err, call.ErrUnreachable) {
				t.Errorf("Ring: %v", r.err)
			}
			st.empty()
		})
	}
}

// TestMalformedAnswerAgain sends the malformed 200 behind a good one, where sipgo takes it for a repeated one.
func TestMalformedAnswerAgain(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	done := st.ring(t.Context(), patienceOfTests)
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	phone.say(invite, "200 OK", phoneAnswer)
	phone.expect("ACK ")
	r := st.outcome(done)
	if r.err != nil {
		t.Fatal(r.err)
	}
	for _, change := range malformedAnswers {
		phone.spoil(invite, change)
	}
	phone.say(invite, "200 OK", phoneAnswer)
	phone.expect("ACK ")
	if m := phone.do("BYE", ""); m.start != "SIP/2.0 200 OK" {
		t.Errorf("BYE: %q", m.start)
	}
	st.empty()
}

func TestPanicBesideACallEndsNothingElse(t *testing.T) {
	var log bytes.Buffer
	c := newCrew(true, slog.New(slog.NewTextHandler(&log, nil)))
	if !c.run(func() { panic("+12125550142") }) {
		t.Fatal("not run")
	}
	c.close()
	<-c.over()
	if text := log.String(); !strings.Contains(text, "level=ERROR") || strings.Contains(text, "5550142") {
		t.Errorf("log: %q", text)
	}
}
