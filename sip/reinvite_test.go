package sip

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"callhall/call"
)

// offerOf is an SDP offer with that direction and connection address, at that version.
func offerOf(version int, dir, connection, formats string) string {
	return fmt.Sprintf("v=0\no=- 7 %d IN IP4 127.0.0.1\ns=-\nc=%s\nt=0 0\nm=audio 40000 RTP/AVP %s\na=rtpmap:101 telephone-event/8000\na=%s\n",
		version, connection, formats, dir)
}

func TestHoldAndResumeInEveryDirection(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	const here, nowhere = "IN IP4 127.0.0.1", "IN IP4 0.0.0.0"
	held := false
	for i, step := range []struct {
		dir, connection, answer string
		held                    bool
	}{
		{"sendonly", here, "recvonly", true},
		{"sendrecv", here, "sendrecv", false},
		{"inactive", here, "inactive", true},
		{"sendonly", here, "recvonly", true}, // still held: not told again
		{"recvonly", here, "sendonly", false},
		{"sendrecv", nowhere, "recvonly", true}, // hold as it was before RFC 3264
		{"sendonly", nowhere, "recvonly", true},
		{"recvonly", nowhere, "inactive", true},
		{"inactive", nowhere, "inactive", true},
		{"sendrecv", here, "sendrecv", false},
		{"recvonly", here, "sendonly", false},
		{"inactive", here, "inactive", true},
	} {
		d.invite(offerOf(10+i, step.dir, step.connection, "0 101"))
		ok := d.expect("SIP/2.0 200")
		d.accept(ok, "")
		if !strings.Contains(ok.body, "a="+step.answer+"\r\n") {
			t.Errorf("step %d: %s at %s was answered\n%s", i, step.dir, step.connection, ok.body)
		}
		if step.held != held {
			held = step.held
			if ev := event[call.LegHeld](c); ev.Held != held {
				t.Errorf("step %d: %+v", i, ev)
			}
		}
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestRefreshSaysTheSame(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := d.expect("SIP/2.0 200")
	d.accept(first, "")
	d.invite(pcmuOffer)
	second := d.expect("SIP/2.0 200")
	d.accept(second, "")
	if first.body != second.body {
		t.Errorf("the session was refreshed with\n%s\nafter\n%s", second.body, first.body)
	}
	d.invite(offerOf(2, "sendonly", "IN IP4 127.0.0.1", "0 101"))
	third := d.expect("SIP/2.0 200")
	d.accept(third, "")
	if origin(third.body) != nextVersion(origin(first.body)) {
		t.Errorf("after a change the origin is %q, it was %q", origin(third.body), origin(first.body))
	}
	event[call.LegHeld](c)
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func origin(sdp string) string {
	_, o, _ := strings.Cut(sdp, "o=")
	o, _, _ = strings.Cut(o, "\r\n")
	return o
}

func nextVersion(o string) string {
	words := strings.Fields(o)
	var n int
	fmt.Sscan(words[2], &n)
	words[2] = fmt.Sprint(n + 1)
	return strings.Join(words, " ")
}

func TestNewAddressAndCodec(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	offer := strings.Replace(offerOf(2, "sendrecv", "IN IP4 127.0.0.1", "8 101"), "40000", "40002", 1)
	d.invite(offer)
	ok := d.expect("SIP/2.0 200")
	d.accept(ok, "")
	l := c.Leg.(*callerLeg)
	l.mu.Lock()
	p := l.params
	l.mu.Unlock()
	if p.Codec.String() != "PCMA" || p.Remote != netip.MustParseAddrPort("127.0.0.1:40002") {
		t.Errorf("tuned to %+v", p)
	}
	c.quietNow()
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestOfferlessReinvite(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	d.invite("")
	ok := d.expect("SIP/2.0 200")
	if !strings.Contains(ok.body, "RTP/AVP 0 8 101") || !strings.Contains(ok.body, "a=sendrecv") {
		t.Errorf("our offer:\n%s", ok.body)
	}
	first := *d
	d.invite(pcmuOffer) // while our offer is open
	if m := d.until("SIP/2.0 4"); !strings.HasPrefix(m.start, "SIP/2.0 491") {
		t.Errorf("an offer against our open one was answered %q", m.start)
	}
	d.ack(d.inviteBranch, "")
	first.accept(ok, offerOf(3, "sendonly", "IN IP4 127.0.0.1", "0 101"))
	if ev := event[call.LegHeld](c); !ev.Held {
		t.Errorf("%+v", ev)
	}
	d.seq++
	d.send("%s\n\n", d.request("BYE", d.newBranch(), d.seq))
	event[call.LegEnded](c)
	st.empty()
}

func TestReinviteThatDoesNotFitLeavesAllAsItWas(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	for offer, want := range map[string]string{
		offerOf(2, "sendonly", "IN IP4 127.0.0.1", "9 101"):         "SIP/2.0 488",
		offerOf(2, "sendonly", "IN IP6 2001:db8::1", "0 101"):       "SIP/2.0 488",
		offerOf(2, "sendonly", "IN IP4 phone.invalid", "0 101"):     "SIP/2.0 488",
		"v=0\nthis is no SDP\n":                                     "SIP/2.0 400",
		strings.Replace(pcmuOffer, "m=audio 40000", "m=audio x", 1): "SIP/2.0 400",
	} {
		d.invite(offer)
		if m := d.expect("SIP/2.0 "); !strings.HasPrefix(m.start, want) {
			t.Errorf("%q was answered %q, want %s", offer, m.start, want)
		}
		d.ack(d.inviteBranch, "")
	}
	c.quietNow()
	l := c.Leg.(*callerLeg)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.params.Send || !l.params.Receive || l.params.Codec.String() != "PCMU" {
		t.Errorf("now %+v", l.params)
	}
}

func TestOtherLinesAreRefusedInTheirPlace(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 50000 RTP/AVP 96\na=rtpmap:96 VP8/90000\n" +
		"m=audio 0 RTP/AVP 0\nm=audio 40000 RTP/AVP 18 8 0 96\na=rtpmap:96 telephone-event/8000\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\n")
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	ok := d.expect("SIP/2.0 200")
	d.accept(ok, "")
	var lines []string
	for line := range strings.SplitSeq(ok.body, "\r\n") {
		if strings.HasPrefix(line, "m=") {
			lines = append(lines, line)
		}
	}
	port := c.Leg.(*callerLeg).sound().Local().Port()
	want := fmt.Sprintf("m=video 0 RTP/AVP 96|m=audio 0 RTP/AVP 0|m=audio %d RTP/AVP 8 96|m=application 0 UDP/DTLS/SCTP webrtc-datachannel", port)
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("answer has\n%s\nwant\n%s", got, want)
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestRequestsOutOfOrderAndOutOfDialog(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	d.seq = 10
	if m := d.do("OPTIONS", ""); m.start != "SIP/2.0 200 OK" {
		t.Errorf("OPTIONS in the dialog: %q", m.start)
	}
	d.seq = 4
	if m := d.do("OPTIONS", ""); !strings.HasPrefix(m.start, "SIP/2.0 500") {
		t.Errorf("an older CSeq was answered %q", m.start)
	}
	d.seq = 20
	stranger := *d
	stranger.localTag = "stranger"
	for _, method := range []string{"BYE", "INFO", "OPTIONS"} {
		if m := stranger.do(method, ""); !strings.HasPrefix(m.start, "SIP/2.0 481") {
			t.Errorf("%s with another's tag: %q", method, m.start)
		}
		lost := *d
		lost.remoteTag = "nothere"
		lost.seq = 30
		if m := lost.do(method, ""); !strings.HasPrefix(m.start, "SIP/2.0 481") {
			t.Errorf("%s out of nowhere: %q", method, m.start)
		}
	}
	d.branch += 10
	lost := *d
	lost.remoteTag = "nothere"
	lost.invite(pcmuOffer)
	if m := lost.final("INVITE"); !strings.HasPrefix(m.start, "SIP/2.0 481") {
		t.Errorf("re-INVITE out of nowhere: %q", m.start)
	}
	lost.ack(lost.inviteBranch, "")
	c.quietNow()
	d.seq = 40
	d.branch += 10
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestInfoAndOtherMethods(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	for _, ask := range []struct {
		method, body string
		headers      []string
		want         string
	}{
		{"INFO", "", nil, "200"},
		{"INFO", "Signal=5\n", []string{"Content-Type: application/dtmf-relay"}, "415"},
		{"INFO", "{}", []string{"Info-Package: weather", "Content-Type: application/json"}, "469"},
		{"UPDATE", "", nil, "405"},
		{"REFER", "", []string{"Refer-To: <sip:911@carrier.invalid>"}, "405"},
		{"MESSAGE", "", nil, "405"},
	} {
		m := d.do(ask.method, ask.body, ask.headers...)
		if !strings.HasPrefix(m.start, "SIP/2.0 "+ask.want) {
			t.Errorf("%s %v: %q", ask.method, ask.headers, m.start)
		}
		if ask.want == "405" && !strings.Contains(m.get("allow"), "INVITE") {
			t.Errorf("%s: 405 without Allow", ask.method)
		}
	}
	c.quietNow()
	d.do("BYE", "")
	event[call.LegEnded](c)
}
