package sip

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// A rung is what Ring returned.
type rung struct {
	leg call.Leg
	err error
}

// phone opens a peer that is registered as agent ana's.
func (st *stage) phone(network string) *wireDialog {
	st.t.Helper()
	w := st.dial(network, "127.0.0.1:0")
	d := w.ready()
	d.localTag, d.local = "phone"+d.callID, "sip:ana@demo.invalid"
	var uri sip.Uri
	if err := sip.ParseUri("sip:ana@"+w.local+";transport="+network, &uri); err != nil {
		st.t.Fatal(err)
	}
	if network == "tcp" { // the server knows the connection from what came by it
		d.do("OPTIONS", "")
	}
	who := owner{"demo", "ana"}
	known := append(st.registrar.contacts.of(who), contact{
		uri: uri, source: netip.MustParseAddrPort(w.local), transport: strings.ToUpper(network),
		callID: d.callID, cseq: 1, expires: time.Now().Add(time.Hour), askAt: time.Now().Add(time.Hour),
	})
	st.registrar.contacts.mu.Lock()
	st.registrar.contacts.all[who] = known
	st.registrar.contacts.mu.Unlock()
	return d
}

// ring begins a Ring of agent ana.
func (st *stage) ring(ctx context.Context, ring time.Duration) <-chan rung {
	done := make(chan rung, 1)
	o := call.Offer{City: "demo", Call: "cl_x", Queue: "general", Agent: "ana", Ring: ring}
	go func() {
		leg, err := st.Ring(ctx, o, "agent-1", call.Showing{Call: "cl_x", Queue: "general", Language: "es"})
		done <- rung{leg, err}
	}()
	return done
}

// outcome waits for it.
func (st *stage) outcome(done <-chan rung) rung {
	st.t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(patienceOfTests):
		st.t.Fatal("Ring has not returned")
		return rung{}
	}
}

const phoneAnswer = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 41000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n"

// remember keeps of an INVITE what the phone needs to speak within its dialog.
func (d *wireDialog) remember(invite *text) {
	d.callID, d.remoteTag, d.target = invite.get("call-id"), invite.tag("from"), invite.uri("contact")
	d.local, d.remote = invite.uri("to"), invite.uri("from")
}

func TestAgentAnswersAndHangsUp(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			st := raise(t)
			phone := st.phone(network)
			done := st.ring(t.Context(), patienceOfTests)
			invite := phone.expect("INVITE sip:ana@" + phone.wire.local)
			if !strings.HasPrefix(invite.get("from"), `"311 general" <sip:call-`) || !strings.Contains(invite.get("from"), "@demo.invalid>") {
				t.Errorf("From: %s", invite.get("from"))
			}
			for header, want := range map[string]string{"x-callhall-call": "cl_x", "x-callhall-queue": "general", "x-callhall-language": "es"} {
				if invite.get(header) != want {
					t.Errorf("%s: %q", header, invite.get(header))
				}
			}
			if !strings.Contains(invite.body, "RTP/AVP 0 8 101") || !strings.Contains(invite.body, "o=- ") || !strings.Contains(invite.body, "s=-\r\n") {
				t.Errorf("offer:\n%s", invite.body)
			}
			phone.remember(invite)
			phone.say(invite, "100 Trying", "")
			phone.say(invite, "180 Ringing", "")
			phone.say(invite, "183 Session Progress", phoneAnswer)
			phone.say(invite, "200 OK", phoneAnswer)
			if ack := phone.expect("ACK "); ack.get("cseq") != "1 ACK" || ack.tag("to") != phone.localTag {
				t.Errorf("ACK %v", ack.headers)
			}
			r := st.outcome(done)
			if r.err != nil {
				t.Fatal(r.err)
			}
			in := call.NewInbox()
			r.leg.Attach(in)
			c := &liveCall{t: t, in: in}
			phone.say(invite, "200 OK", phoneAnswer) // our ACK may have been lost
			phone.expect("ACK ")
			if bye := phone.do("BYE", ""); bye.start != "SIP/2.0 200 OK" {
				t.Errorf("BYE: %q", bye.start)
			}
			if ended := event[call.LegEnded](c); ended.Leg != "agent-1" || ended.Cause != call.CauseNormal {
				t.Errorf("%+v", ended)
			}
			st.empty()
		})
	}
}

func TestWeHangUpTheAgent(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	done := st.ring(t.Context(), patienceOfTests)
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	phone.say(invite, "200 OK", phoneAnswer)
	phone.expect("ACK ")
	r := st.outcome(done)
	r.leg.HangUp(call.CauseNormal)
	bye := phone.expect("BYE ")
	if bye.get("cseq") != "2 BYE" {
		t.Errorf("BYE with CSeq %s", bye.get("cseq"))
	}
	phone.say(bye, "200 OK", "")
	st.empty()
}

func TestAgentHangsUpAtOnce(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	done := st.ring(t.Context(), patienceOfTests)
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	phone.say(invite, "200 OK", phoneAnswer)
	phone.seq++
	phone.send("%s\n\n", phone.request("BYE", phone.newBranch(), phone.seq)) // may well be handled before the 200
	r := st.outcome(done)
	if r.err != nil {
		t.Fatal(r.err)
	}
	in := call.NewInbox()
	r.leg.Attach(in)
	if ended := event[call.LegEnded](&liveCall{t: t, in: in}); ended.Cause != call.CauseNormal {
		t.Errorf("%+v", ended)
	}
	r.leg.HangUp(call.CauseNormal)
	st.empty()
}

func TestAgentDoesNotTakeTheCall(t *testing.T) {
	for status, want := range map[string]error{
		"486 Busy Here": call.ErrRejected, "603 Decline": call.ErrRejected, "600 Busy Everywhere": call.ErrRejected,
		"480 Temporarily Unavailable": call.ErrRejected, "404 Not Found": call.ErrUnreachable, "408 Request Timeout": call.ErrUnreachable,
		"302 Moved Temporarily": call.ErrUnreachable, "401 Unauthorized": call.ErrUnreachable, "407 Proxy Authentication Required": call.ErrUnreachable,
		"500 Server Internal Error": call.ErrUnreachable, "488 Not Acceptable Here": call.ErrNoMedia,
	} {
		t.Run(status[:3], func(t *testing.T) {
			st := raise(t)
			phone := st.phone("udp")
			done := st.ring(t.Context(), patienceOfTests)
			invite := phone.expect("INVITE ")
			phone.answer(invite, status, "x", "", "Contact: <sip:+12125550199@elsewhere.invalid>",
				`WWW-Authenticate: Digest realm="trap", nonce="1"`)
			if r := st.outcome(done); !errors.Is(r.err, want) {
				t.Errorf("Ring: %v, want %v", r.err, want)
			}
			phone.expect("ACK ")
			st.empty()
			select {
			case m := <-phone.in:
				t.Errorf("then came %q", m.start)
			default:
			}
		})
	}
}

func TestAgentDoesNotAnswer(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	done := st.ring(t.Context(), 50*time.Millisecond)
	invite := phone.expect("INVITE ")
	phone.say(invite, "180 Ringing", "")
	if r := st.outcome(done); !errors.Is(r.err, call.ErrNoAnswer) {
		t.Errorf("Ring: %v", r.err)
	}
	cancel := phone.expect("CANCEL ")
	if cancel.get("via") != invite.get("via") || cancel.get("reason") != "Q.850;cause=19" || cancel.get("cseq") != "1 CANCEL" {
		t.Errorf("CANCEL %v", cancel.headers)
	}
	phone.say(cancel, "200 OK", "")
	phone.say(invite, "487 Request Terminated", "")
	phone.expect("ACK ")
	st.empty()
}

func TestPhoneThatIsNotThere(t *testing.T) {
	st := raise(t)
	if r := st.outcome(st.ring(t.Context(), time.Second)); !errors.Is(r.err, call.ErrUnreachable) {
		t.Errorf("without any phone: %v", r.err)
	}
	phone := st.phone("udp")
	done := st.ring(t.Context(), 50*time.Millisecond)
	invite := phone.expect("INVITE ") // and says nothing
	if r := st.outcome(done); !errors.Is(r.err, call.ErrUnreachable) {
		t.Errorf("with a silent phone: %v", r.err)
	}
	phone.until("INVITE ")
	phone.say(invite, "180 Ringing", "") // late: only now may it be cancelled
	phone.say(phone.until("CANCEL "), "200 OK", "")
	phone.say(invite, "487 Request Terminated", "")
	phone.until("ACK ")
	st.empty()
}

func TestCallerLeavesWhileItRings(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	ctx, leave := context.WithCancel(t.Context())
	done := st.ring(ctx, patienceOfTests)
	invite := phone.expect("INVITE ")
	phone.say(invite, "180 Ringing", "")
	eventually(t, func() string { // the 180 is handled
		if phones := st.Legs(); phones != 1 {
			return "not ringing"
		}
		return ""
	})
	leave()
	if r := st.outcome(done); !errors.Is(r.err, context.Canceled) {
		t.Errorf("Ring: %v", r.err)
	}
	phone.say(phone.expect("CANCEL "), "200 OK", "")
	phone.say(invite, "487 Request Terminated", "")
	phone.expect("ACK ")
	st.empty()
}

func TestAnswerCrossesOurCancel(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	done := st.ring(t.Context(), 50*time.Millisecond)
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	phone.say(invite, "180 Ringing", "")
	if r := st.outcome(done); !errors.Is(r.err, call.ErrNoAnswer) {
		t.Errorf("Ring: %v", r.err)
	}
	cancel := phone.expect("CANCEL ")
	phone.say(invite, "200 OK", phoneAnswer)
	phone.say(cancel, "200 OK", "")
	phone.expect("ACK ")
	phone.say(phone.expect("BYE "), "200 OK", "")
	st.empty()
}

func TestOnePhoneOfTwoWins(t *testing.T) {
	st := raise(t)
	winner, loser := st.phone("udp"), st.phone("tcp")
	done := st.ring(t.Context(), patienceOfTests)
	first, second := winner.expect("INVITE "), loser.expect("INVITE ")
	if first.get("call-id") == second.get("call-id") {
		t.Error("the two phones share a dialog")
	}
	winner.remember(first)
	winner.say(first, "180 Ringing", "")
	loser.say(second, "180 Ringing", "")
	winner.say(first, "200 OK", phoneAnswer)
	r := st.outcome(done)
	if r.err != nil {
		t.Fatal(r.err)
	}
	cancel := loser.expect("CANCEL ")
	if cancel.get("reason") != `SIP;cause=200;text="Call completed elsewhere"` {
		t.Errorf("Reason: %s", cancel.get("reason"))
	}
	loser.say(cancel, "200 OK", "")
	loser.say(second, "487 Request Terminated", "")
	loser.expect("ACK ")
	winner.expect("ACK ")
	r.leg.HangUp(call.CauseNormal)
	winner.say(winner.expect("BYE "), "200 OK", "")
	st.empty()
}

func TestBothPhonesAnswer(t *testing.T) {
	st := raise(t)
	one, other := st.phone("udp"), st.phone("udp")
	done := st.ring(t.Context(), patienceOfTests)
	first, second := one.expect("INVITE "), other.expect("INVITE ")
	one.remember(first)
	other.remember(second)
	one.say(first, "200 OK", phoneAnswer)
	other.say(second, "200 OK", phoneAnswer)
	r := st.outcome(done)
	if r.err != nil {
		t.Fatal(r.err)
	}
	one.expect("ACK ")
	other.until("ACK ")
	loser := one
	if r.leg.(calledLeg).dialog.callID == one.callID {
		loser = other
	}
	loser.say(loser.until("BYE "), "200 OK", "")
	eventually(t, func() string {
		if st.Legs() != 1 {
			return "the loser's dialog is left"
		}
		return ""
	})
	r.leg.HangUp(call.CauseNormal)
	for _, p := range []*wireDialog{one, other} {
		if p != loser {
			p.say(p.until("BYE "), "200 OK", "")
		}
	}
	st.empty()
}

func TestDeclineOnOnePhoneEndsTheRinging(t *testing.T) {
	st := raise(t)
	one, other := st.phone("udp"), st.phone("udp")
	done := st.ring(t.Context(), patienceOfTests)
	first, second := one.expect("INVITE "), other.expect("INVITE ")
	other.say(second, "180 Ringing", "")
	one.say(first, "603 Decline", "")
	if r := st.outcome(done); !errors.Is(r.err, call.ErrRejected) {
		t.Errorf("Ring: %v", r.err)
	}
	other.say(other.until("CANCEL "), "200 OK", "")
	other.say(second, "487 Request Terminated", "")
	other.until("ACK ")
	st.empty()
}

func TestBusyOnOnePhoneLetsTheOtherRing(t *testing.T) {
	st := raise(t)
	one, other := st.phone("udp"), st.phone("udp")
	done := st.ring(t.Context(), patienceOfTests)
	first, second := one.expect("INVITE "), other.expect("INVITE ")
	other.remember(second)
	one.say(first, "486 Busy Here", "")
	one.expect("ACK ")
	other.say(second, "200 OK", phoneAnswer)
	r := st.outcome(done)
	if r.err != nil {
		t.Fatal(r.err)
	}
	other.expect("ACK ")
	r.leg.HangUp(call.CauseNormal)
	other.say(other.expect("BYE "), "200 OK", "")
	st.empty()
}

func TestSecondAnswerBehindOneContact(t *testing.T) {
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
	phone.answer(invite, "200 OK", "another", phoneAnswer) // a proxy in between forked
	if ack := phone.expect("ACK "); ack.tag("to") != "another" {
		t.Errorf("ACK to %s", ack.get("to"))
	}
	bye := phone.expect("BYE ")
	if bye.tag("to") != "another" {
		t.Errorf("BYE to %s", bye.get("to"))
	}
	phone.say(bye, "200 OK", "")
	r.leg.HangUp(call.CauseNormal)
	phone.say(phone.expect("BYE "), "200 OK", "")
	st.empty()
}

func TestAgentAnswersWithNothingInCommon(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	done := st.ring(t.Context(), patienceOfTests)
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	phone.say(invite, "200 OK", strings.Replace(phoneAnswer, "0 101", "9", 1))
	phone.expect("ACK ")
	if r := st.outcome(done); !errors.Is(r.err, call.ErrNoMedia) {
		t.Errorf("Ring: %v", r.err)
	}
	phone.say(phone.expect("BYE "), "200 OK", "")
	st.empty()
}

// TestNothingOfTheCallerReachesTheAgent offers every road that a number could take across.
func TestNothingOfTheCallerReachesTheAgent(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	sdp := strings.Replace(pcmuOffer, "o=- 1", "o=12125550142 1", 1)
	sdp = strings.Replace(sdp, "s=-", "s=call from 12125550142\ni=+12125550142", 1) + "a=x-caller:12125550142\n"
	d.invite(sdp, "P-Asserted-Identity: \"(212) 555-0142\" <tel:+12125550142>", "Remote-Party-ID: <sip:2125550142@x>",
		"Diversion: <tel:+12125550142>", "Subject: 2125550142", "X-Number: 2125550142", "User-to-User: 2125550142")
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.accept(d.expect("SIP/2.0 200"), "")
	phone := st.phone("udp")
	o := call.Offer{City: "demo", Call: c.ID, Queue: "general", Agent: "ana", Ring: patienceOfTests}
	done := make(chan rung, 1)
	go func() {
		leg, err := st.Ring(t.Context(), o, "agent-1", call.Showing{Call: c.ID, Queue: "general", Language: "en", Near: c.Leg})
		done <- rung{leg, err}
	}()
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	all := invite.start + invite.body
	for name, values := range invite.headers {
		all += name + strings.Join(values, "|")
	}
	if strings.Contains(all, "5550142") || strings.Contains(all, d.callID) || strings.Contains(all, d.localTag) {
		t.Errorf("the agent was sent\n%s", all)
	}
	phone.say(invite, "200 OK", phoneAnswer)
	phone.expect("ACK ")
	r := st.outcome(done)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if err := c.Leg.Join(r.leg); err != nil {
		t.Fatal(err)
	}
	r.leg.HangUp(call.CauseNormal)
	phone.say(phone.expect("BYE "), "200 OK", "")
	d.do("BYE", "")
	st.empty()
}
