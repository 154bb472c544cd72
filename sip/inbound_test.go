package sip

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"callhall/call"
)

func TestCallerIsAnsweredAndHangsUp(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			st := raise(t)
			d := st.dial(network, "127.0.0.1:0").ready()
			d.invite(pcmuOffer)
			if m := d.next(); m.start != "SIP/2.0 100 Trying" {
				t.Fatalf("first answer %q", m.start)
			}
			ringing := d.next()
			if ringing.start != "SIP/2.0 180 Ringing" || ringing.tag("to") == "" {
				t.Fatalf("second answer %q %v", ringing.start, ringing.headers)
			}
			c := st.call()
			if c.City != "demo" || c.Trunk != "carrier" || c.Entry != "311" || c.Queue != "general" || c.Caller != call.CallerPresent {
				t.Errorf("arrival %+v", c.Arrival)
			}
			if err := c.Leg.Answer(t.Context()); err != nil {
				t.Fatal(err)
			}
			ok := d.expect("SIP/2.0 200")
			if ok.tag("to") != ringing.tag("to") {
				t.Errorf("tag of 200 is %q, of 180 %q", ok.tag("to"), ringing.tag("to"))
			}
			if !strings.Contains(ok.body, "RTP/AVP 0 101\r\n") || !strings.Contains(ok.body, "a=sendrecv") || !strings.Contains(ok.body, "a=ptime:20") {
				t.Errorf("answer:\n%s", ok.body)
			}
			d.accept(ok, "")
			if bye := d.do("BYE", ""); bye.start != "SIP/2.0 200 OK" {
				t.Errorf("BYE was answered %q", bye.start)
			}
			if ended := event[call.LegEnded](c); ended.Cause != call.CauseNormal || ended.Leg != "caller" {
				t.Errorf("%+v", ended)
			}
			st.empty()
			c.quietNow()
		})
	}
}

func TestWeHangUp(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	c.Leg.HangUp(call.CauseNormal)
	c.Leg.HangUp(call.CauseNormal)
	bye := d.expect("BYE " + "sip:peer@" + d.wire.local)
	if bye.get("reason") != "Q.850;cause=16" || bye.tag("from") != d.remoteTag || bye.tag("to") != d.localTag {
		t.Errorf("BYE %v", bye.headers)
	}
	d.say(bye, "200 OK", "")
	st.empty()
	c.quietNow()
}

func TestBYEWithoutAnswer(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	c.Leg.HangUp(call.CauseNormal)
	d.expect("BYE ")
	st.empty() // by our own clock
}

func TestNobodyGetsAPasswordFromUs(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	c.Leg.HangUp(call.CauseNormal)
	bye := d.expect("BYE ")
	d.answer(bye, "401 Unauthorized", d.localTag, "", `WWW-Authenticate: Digest realm="trap", nonce="1", algorithm=MD5`)
	st.empty()
	select {
	case m := <-d.in:
		t.Errorf("after the challenge came %q", m.start)
	default:
	}
}

func TestRefusals(t *testing.T) {
	for cause, want := range map[call.Cause]string{
		call.CauseBusy: "486 Busy Here", call.CauseNoMedia: "488 Not Acceptable Here", call.CauseInternal: "500 Server Internal Error",
		call.CauseUnavailable: "503 Service Unavailable", call.CauseNoAnswer: "480 Temporarily Unavailable",
	} {
		t.Run(string(cause), func(t *testing.T) {
			st := raise(t)
			d := st.caller().ready()
			d.invite(pcmuOffer)
			c := st.call()
			if cause == call.CauseInternal {
				c.Leg.HangUp(cause)
			} else {
				c.Leg.Refuse(cause)
			}
			m := d.expect("SIP/2.0 " + want)
			if cause == call.CauseUnavailable && m.get("retry-after") == "" {
				t.Error("503 without Retry-After")
			}
			d.remoteTag = m.tag("to")
			d.ack(d.inviteBranch, "")
			if err := c.Leg.Answer(t.Context()); !errors.Is(err, call.ErrLegGone) {
				t.Errorf("Answer after Refuse: %v", err)
			}
			st.empty()
			c.quietNow()
		})
	}
}

func TestNoCodecInCommon(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(strings.Replace(pcmuOffer, "RTP/AVP 0 8 101", "RTP/AVP 9 101", 1))
	c := st.call()
	if err := c.Leg.Answer(t.Context()); !errors.Is(err, call.ErrNoMedia) {
		t.Fatalf("Answer: %v", err)
	}
	c.Leg.Refuse(call.CauseNoMedia)
	d.expect("SIP/2.0 488")
	st.empty()
}

func TestLateOffer(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite("")
	c := st.call()
	answered := make(chan error, 1)
	go func() { answered <- c.Leg.Answer(t.Context()) }()
	ok := d.expect("SIP/2.0 200")
	if !strings.Contains(ok.body, "RTP/AVP 0 8 101") {
		t.Errorf("our offer:\n%s", ok.body)
	}
	select {
	case err := <-answered:
		t.Fatalf("Answer returned %v before the ACK: no sound can flow", err)
	default:
	}
	d.accept(ok, strings.Replace(pcmuOffer, "0 8 101", "8 101", 1))
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if codec := c.Leg.(*callerLeg).codec(); codec.String() != "PCMA" {
		t.Errorf("the answer in ACK took PCMA, we send %s", codec)
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestLateOfferWithoutAnswer(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite("")
	c := st.call()
	answered := make(chan error, 1)
	go func() { answered <- c.Leg.Answer(t.Context()) }()
	d.accept(d.expect("SIP/2.0 200"), "")
	if ended := event[call.LegEnded](c); ended.Cause != call.CauseNoMedia {
		t.Errorf("%+v", ended)
	}
	if err := <-answered; !errors.Is(err, call.ErrNoMedia) {
		t.Errorf("Answer: %v", err)
	}
	d.say(d.until("BYE "), "200 OK", "")
	st.empty()
}

func TestLateOfferWithoutACK(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite("")
	c := st.call()
	if err := c.Leg.Answer(t.Context()); !errors.Is(err, call.ErrLegGone) {
		t.Errorf("Answer: %v", err)
	}
	select { // the call asks at once why
	case ev := <-c.in.Events():
		if ended, ok := ev.(call.LegEnded); !ok || ended.Cause != call.CauseNoAck {
			t.Errorf("%T%+v", ev, ev)
		}
	default:
		t.Error("the leg is gone and nobody said why")
	}
	d.say(d.until("BYE "), "200 OK", "")
	st.empty()
}

func TestLateOfferWhenTheCallIsStopped(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite("")
	c := st.call()
	ctx, stop := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() { answered <- c.Leg.Answer(ctx) }()
	ok := d.expect("SIP/2.0 200")
	stop()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("Answer: %v", err)
	}
	c.Leg.HangUp(call.CauseUnavailable)
	d.accept(ok, pcmuOffer)
	d.say(d.until("BYE "), "200 OK", "")
	st.empty()
}

func TestAnswerIsRepeatedUntilItsACK(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := d.expect("SIP/2.0 200")
	var gaps []time.Duration
	for last := time.Now(); len(gaps) < 4; last = time.Now() {
		if again := d.expect("SIP/2.0 200"); again.body != first.body || again.tag("to") != first.tag("to") {
			t.Fatalf("repeated as\n%v", again)
		}
		gaps = append(gaps, time.Since(last))
	}
	if gaps[1] < gaps[0]*3/2 || gaps[2] < gaps[1]*3/2 {
		t.Errorf("gaps %v: want each about twice the one before", gaps)
	}
	d.accept(first, "")
	d.ack(d.newBranch(), "") // an ACK may come twice
	c.quietNow()
	c.Leg.HangUp(call.CauseNormal)
	d.say(d.until("BYE "), "200 OK", "")
	st.empty()
}

func TestACKNeverComes(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.remoteTag = d.expect("SIP/2.0 200").tag("to")
	if ended := event[call.LegEnded](c); ended.Cause != call.CauseNoAck {
		t.Errorf("%+v", ended)
	}
	bye := d.until("BYE ")
	d.say(bye, "200 OK", "")
	st.empty()
}

func TestHangUpBeforeTheACKWaitsForIt(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Leg.HangUp(call.CauseNormal)
	c.end()
	ok := d.expect("SIP/2.0 200")
	d.expect("SIP/2.0 200") // still repeated, and no BYE before the ACK (RFC 3261 §15)
	d.accept(ok, "")
	d.say(d.until("BYE "), "200 OK", "")
	st.empty()
}

func TestACKWithTheBranchOfItsINVITE(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	ok := d.expect("SIP/2.0 200")
	d.remoteTag, d.target = ok.tag("to"), ok.uri("contact")
	d.ack(d.inviteBranch, "")
	c.Leg.HangUp(call.CauseNormal)
	d.say(d.until("BYE "), "200 OK", "")
	st.empty()
}

func TestRepeatedINVITEIsOneCall(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	d.expect("SIP/2.0 180")
	d.seq--
	branch := d.inviteBranch
	d.seq++
	d.send("%s\n\n%s", d.request("INVITE", branch, d.seq, "Content-Type: application/sdp"), pcmuOffer)
	if m := d.next(); m.start != "SIP/2.0 180 Ringing" {
		t.Errorf("repeated INVITE was answered %q", m.start)
	}
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.accept(d.expect("SIP/2.0 200"), "")
	select {
	case <-st.board.calls:
		t.Error("there are two calls")
	default:
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestCancel(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	d.send("%s\n\n", d.request("CANCEL", d.inviteBranch, d.seq))
	if m := d.expect("SIP/2.0 200"); !strings.HasSuffix(m.get("cseq"), "CANCEL") {
		t.Errorf("200 to %s", m.get("cseq"))
	}
	gone := d.expect("SIP/2.0 487")
	d.remoteTag = gone.tag("to")
	d.ack(d.inviteBranch, "")
	if ended := event[call.LegEnded](c); ended.Cause != call.CauseCancelled {
		t.Errorf("%+v", ended)
	}
	if err := c.Leg.Answer(t.Context()); !errors.Is(err, call.ErrLegGone) {
		t.Errorf("Answer: %v", err)
	}
	st.empty()
}

// TestCancelRightBehindInvite sends both in one breath. sipgo handles each datagram on a goroutine of its own, the
// later one often first, and alone would answer most of these CANCELs 405 and go on ringing.
func TestCancelRightBehindInvite(t *testing.T) {
	st := raise(t)
	st.board.play(func(ctx context.Context, a call.Arrival) call.End {
		in := call.NewInbox()
		a.Leg.Attach(in)
		if ended := (<-in.Events()).(call.LegEnded); ended.Cause != call.CauseCancelled {
			t.Errorf("%+v", ended)
		}
		return call.EndCancelled
	})
	w := st.caller()
	const times = 200
	for range times {
		d := w.ready()
		d.invite(pcmuOffer)
		d.send("%s\n\n", d.request("CANCEL", d.inviteBranch, d.seq))
		cancelled, terminated := false, false
		for !cancelled || !terminated {
			switch m := w.next(); {
			case m.get("call-id") != d.callID || strings.HasPrefix(m.start, "SIP/2.0 1"):
			case strings.HasSuffix(m.get("cseq"), "CANCEL"):
				cancelled = true
				if m.start != "SIP/2.0 200 OK" {
					t.Fatalf("CANCEL was answered %q", m.start)
				}
			case strings.HasSuffix(m.get("cseq"), "INVITE"):
				terminated = true
				if !strings.HasPrefix(m.start, "SIP/2.0 487") {
					t.Fatalf("INVITE was answered %q", m.start)
				}
				d.remoteTag = m.tag("to")
				d.ack(d.inviteBranch, "")
			}
		}
	}
	st.empty()
}

// TestCancelMeetsAnswer lets the two cross. Either the call is cancelled or it is answered, and both sides know which.
func TestCancelMeetsAnswer(t *testing.T) {
	st := raise(t)
	var mu sync.Mutex
	ours := map[string]int{}
	st.board.play(func(ctx context.Context, a call.Arrival) call.End {
		in := call.NewInbox()
		a.Leg.Attach(in)
		err := a.Leg.Answer(ctx)
		ended := (<-in.Events()).(call.LegEnded)
		mu.Lock()
		defer mu.Unlock()
		ours[fmt.Sprintf("%t %s", err == nil, ended.Cause)]++
		return call.EndCancelled
	})
	w := st.caller()
	theirs := map[string]int{}
	for i := range 100 {
		d := w.ready()
		d.invite(pcmuOffer)
		if i%2 == 0 {
			d.mine("SIP/2.0 180")
		}
		d.send("%s\n\n", d.request("CANCEL", d.inviteBranch, d.seq))
		for done := false; !done; {
			m := w.next()
			if m.get("call-id") != d.callID || !strings.HasSuffix(m.get("cseq"), "INVITE") || strings.HasPrefix(m.start, "SIP/2.0 1") {
				continue
			}
			done = true
			theirs[m.start]++
			if strings.HasPrefix(m.start, "SIP/2.0 200") {
				d.accept(m, "")
				d.seq++
				d.send("%s\n\n", d.request("BYE", d.newBranch(), d.seq))
			} else {
				d.remoteTag = m.tag("to")
				d.ack(d.inviteBranch, "")
			}
		}
	}
	st.empty()
	mu.Lock()
	defer mu.Unlock()
	if ours["true normal"] != theirs["SIP/2.0 200 OK"] {
		t.Errorf("we saw %v, the callers %v", ours, theirs)
	}
}

func TestByeBeforeTheAnswer(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	d.remoteTag = d.expect("SIP/2.0 180").tag("to")
	c := st.call()
	d.seq++
	d.send("%s\n\n", d.request("BYE", d.newBranch(), d.seq))
	for _, want := range []string{"SIP/2.0 200", "SIP/2.0 487"} {
		d.expect(want)
	}
	d.seq--
	d.ack(d.inviteBranch, "")
	if ended := event[call.LegEnded](c); ended.Cause != call.CauseCancelled {
		t.Errorf("%+v", ended)
	}
	st.empty()
}

func TestAnswerTooLargeForADatagramLeavesAllTheSame(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	var routes []string
	for i := range 40 {
		routes = append(routes, fmt.Sprintf("Record-Route: <sip:hop%02d.carrier.invalid;lr>", i))
	}
	routes[0] = "Record-Route: <sip:" + d.wire.local + ";lr>"
	d.invite(pcmuOffer, routes...)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	ok := d.expect("SIP/2.0 200")
	if n := len(ok.headers["record-route"]); n != 40 {
		t.Errorf("%d Record-Route", n)
	}
	d.accept(ok, "")
	c.Leg.HangUp(call.CauseNormal)
	bye := d.expect("BYE ")
	if n := len(bye.headers["route"]); n != 40 || !strings.Contains(bye.get("route"), d.wire.local) {
		t.Errorf("%d Route, the first %q", n, bye.get("route"))
	}
	d.say(bye, "200 OK", "")
	st.empty()
}

func TestPanicEndsOneCall(t *testing.T) {
	st := raise(t)
	live, c := st.talk(st.caller())
	st.board.play(func(context.Context, call.Arrival) call.End { panic("broken") })
	d := st.caller().ready()
	d.invite(pcmuOffer)
	d.expect("SIP/2.0 500")
	if res := live.do("OPTIONS", ""); res.start != "SIP/2.0 200 OK" {
		t.Errorf("the other call: %q", res.start)
	}
	live.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestTheINVITEIsLetGoWhenItIsOver(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := c.Leg.(*callerLeg)
	if l.asked().req == nil {
		t.Error("it is gone before its ACK")
	}
	d.accept(d.expect("SIP/2.0 200"), "")
	eventually(t, func() string {
		if l.asked() != (asking{}) {
			return "the INVITE is kept while the call goes on"
		}
		return ""
	})
	d.do("BYE", "")
	st.empty()
}
