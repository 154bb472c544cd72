package sip

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"callhall/ani"
	"callhall/call"
)

// spellings are ways to write the number +1 NPA 555 01XX, of which only NPA and XX differ.
var spellings = []string{
	"+1%[1]s55501%[2]s", "1%[1]s55501%[2]s", "%[1]s55501%[2]s", "+1-%[1]s-555-01%[2]s", "1-%[1]s-555-01%[2]s", "%[1]s-555-01%[2]s",
	"(%[1]s) 555-01%[2]s", "+1 (%[1]s) 555-01%[2]s", "%[1]s.555.01%[2]s", "+1.%[1]s.555.01%[2]s", "%[1]s 555 01%[2]s", "+1 %[1]s 555 01%[2]s",
	"0111%[1]s55501%[2]s", "001%[1]s55501%[2]s", "55501%[2]s", "555-01%[2]s", "%[1]s/555/01%[2]s", "%[1]s_555_01%[2]s",
	"tel:+1%[1]s55501%[2]s", "tel:+1-%[1]s-555-01%[2]s", "tel:55501%[2]s;phone-context=+1%[1]s", "sip:+1%[1]s55501%[2]s@carrier.invalid",
	"sip:+1%[1]s55501%[2]s@carrier.invalid;user=phone", "sips:%[1]s55501%[2]s@carrier.invalid", "sip:%%2B1%[1]s55501%[2]s@carrier.invalid",
	"sip:%%31%[1]s%%355501%[2]s@carrier.invalid", "sip:+1(%[1]s)555-01%[2]s@carrier.invalid", "+1%[1]s55501%[2]s;ext=7", "% [1]s", "base64", "hex",
}

// spell writes the number that ends in 01xx in spelling i.
func spell(i, xx int) string {
	npa, last := "303", fmt.Sprintf("%02d", xx)
	plain := "+1" + npa + "55501" + last
	switch format := spellings[i%len(spellings)]; format {
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(plain))
	case "hex":
		return hex.EncodeToString([]byte(plain))
	case "% [1]s":
		return strings.Join(strings.Split(plain, ""), " ")
	default:
		return fmt.Sprintf(format, npa, last)
	}
}

// inAngles is a spelling as the URI of a header.
func inAngles(i, xx int) string {
	s := spell(i, xx)
	if !strings.HasPrefix(s, "sip") && !strings.HasPrefix(s, "tel:") {
		s = "sip:" + url.PathEscape(s) + "@carrier.invalid"
	}
	return "<" + s + ">"
}

// tellAll is every header field that could name somebody, each with a number of its own in a spelling that turns with
// round, and a word that no message of ours has.
func tellAll(round int) []string {
	n := 10
	next := func() (i, xx int) { n++; return round + n, n }
	address := func(name string) string {
		i, xx := next()
		return fmt.Sprintf(`%s: "Leaky %s" %s`, name, strings.ReplaceAll(spell(i+1, xx), `"`, ""), inAngles(i, xx))
	}
	text := func(name string) string {
		i, xx := next()
		return fmt.Sprintf("%s: leaky %s", name, spell(i, xx))
	}
	fields := []string{"Privacy: none", "Verstat: TN-Validation-Passed", "Recv-Info: callhall-progress"}
	for _, name := range []string{"P-Asserted-Identity", "P-Asserted-Identity ", "p-asserted-identity", "P-Preferred-Identity", "P-Charge-Info",
		"Remote-Party-ID", "Diversion", "History-Info", "Referred-By", "Call-Info", "P-Called-Party-ID", "P-Associated-URI", "Reply-To",
		"Alert-Info", "Error-Info", "Geolocation", "P-Served-User", "P-Profile-Key"} {
		fields = append(fields, address(name))
	}
	for _, name := range []string{"User-to-User", "Identity", "P-Access-Network-Info", "Subject", "X-Number", "X-Callhall-Caller", "Organization",
		"User-Agent", "P-Charging-Vector", "Geolocation-Routing", "Accept-Contact", "Session-ID", "In-Reply-To", "Replaces", "isup-oli", "cpc",
		"Call-Reason", "P-DCS-Billing-Info"} {
		fields = append(fields, text(name))
	}
	return fields
}

// tellingSDP has numbers in every line that takes text.
func tellingSDP(round int) string {
	n := func(xx int) string { return strings.ReplaceAll(spell(round+xx, xx), " ", "") }
	return "v=0\no=leaky" + n(60) + " 1 1 IN IP4 127.0.0.1\ns=leaky " + n(61) + "\ni=leaky " + n(62) + "\nu=http://leaky/" + n(63) +
		"\ne=leaky@" + n(64) + "\np=" + n(65) + "\nc=IN IP4 127.0.0.1\nt=0 0\na=leaky:" + n(66) +
		"\nm=audio 40000 RTP/AVP 0 8 101\ni=leaky " + n(67) + "\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=x-caller:leaky" + n(68) + "\n"
}

// tellingCaller is a caller who tells all, in a call that is answered.
func (st *stage) tellingCaller(network string, round int) (*wireDialog, *liveCall) {
	st.t.Helper()
	d := st.dial(network, "127.0.0.1:0").ready()
	d.callID = "leaky-13035550170-" + d.callID
	d.localTag = "leaky" + d.localTag + "13035550171"
	d.local = fmt.Sprintf("sip:+13035550172@leaky.invalid;verstat=TN-Validation-Passed;cpc=payphone;isup-oli=%d", 27)
	d.contact = strings.Replace(d.contact, "sip:peer@", "sip:leaky13035550173@", 1)
	d.invite(tellingSDP(round), tellAll(round)...)
	c := st.call()
	if err := c.Leg.Answer(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
	d.accept(d.expect("SIP/2.0 200"), "")
	return d, c
}

// onlyDigits is s without anything else, once percent escapes are undone.
func onlyDigits(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// wantsNothingOf fails where a message sent to w has anything that the other side said of itself: a number in whatever
// spelling, one of its marks, its addresses. Every piece is read by itself, because only there do digits belong together.
func wantsNothingOf(t *testing.T, heard []string, round int, marks, allowed []string) {
	t.Helper()
	for _, message := range heard {
		for _, line := range pieces(message) {
			for _, ok := range allowed {
				line = strings.ReplaceAll(line, ok, "")
			}
			lower := strings.ToLower(line)
			for _, mark := range marks {
				if strings.Contains(lower, strings.ToLower(mark)) {
					t.Errorf("%q went across in\n%s", mark, line)
				}
			}
			for xx := 10; xx < 80; xx++ {
				last := fmt.Sprintf("55501%02d", xx)
				secret := []string{spell(slices.Index(spellings, "base64"), xx), spell(slices.Index(spellings, "hex"), xx)}
				if strings.Contains(onlyDigits(line), last) || strings.Contains(line, secret[0]) || strings.Contains(line, secret[1]) {
					t.Errorf("the number %s went across in\n%s", last, line)
				}
			}
		}
	}
}

// pieces are the lines of a message, and of a Via its parameters each: behind a port that happens to end in 555 the random
// branch may go on.
func pieces(message string) (all []string) {
	for line := range strings.Lines(message) {
		if strings.HasPrefix(line, "Via:") {
			all = append(all, strings.Split(line, ";")...)
		} else {
			all = append(all, line)
		}
	}
	return all
}

// TestPieces: a number is looked for in each piece, and not across two that only stand beside each other.
func TestPieces(t *testing.T) {
	want := []string{"Via: SIP/2.0/UDP 127.0.0.1:45550", "branch=z9hG4bK.a1b42\r\n", "From: <sip:555@x>;tag=0142\r\n"}
	if got := pieces(strings.Replace(strings.Join(want, ";"), "\n;", "\n", 1)); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func (w *wire) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.heard)
}

// TestNothingGoesAcross has a caller say all there is to say, in every spelling, and reads each byte that a leg of every
// kind is sent for it, from INVITE to BYE; and the same the other way round.
func TestNothingGoesAcross(t *testing.T) {
	number, mask := full(t, "+12125550142"), masked(t, "+12125550142")
	d := &decisions{handles: handles{"hdl_1": number}, shown: map[string]ani.Shown{
		"agent": {Mask: mask, Status: call.CallerPresent, Verified: true}, "city": {Number: number}, "private": {Number: number},
		"psap": {Number: number, Anonymous: true, Privacy: []string{"id"}}, "interpreter": {Number: number, Mask: mask},
	}}
	released := "sip:+12125550142@127.0.0.1;user=phone"
	legs := []struct {
		name    string
		o       call.Outward
		trusted bool
		allowed []string // and nothing else
	}{
		{"agent", call.Outward{}, false, []string{"+1 212 ***-**42"}},
		{"city", call.Outward{Partner: "parks"}, true, []string{released}},
		{"stranger", call.Outward{Partner: "power"}, false, []string{"+12125550177"}},
		{"psap", call.Outward{Partner: "911"}, false, []string{released}},
		{"interpreter", call.Outward{Partner: "tongues"}, true, []string{"+12125550178", "+12125550100"}},
		{"callback", call.Outward{Handle: "hdl_1"}, true, []string{released, "+12125550100"}},
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, leg := range legs {
			t.Run(network+" "+leg.name, func(t *testing.T) {
				for round := 0; round < len(spellings); round += 5 {
					st := raise(t, decide(d))
					caller, c := st.tellingCaller(network, round)
					var far *wireDialog
					var done <-chan rung
					if leg.name == "agent" {
						far = st.phone(network)
						done = st.ringNear(c)
					} else {
						far = st.outside(network, func(tr *Trunk) { tr.TrustOut = leg.trusted })
						leg.o.Near, leg.o.Ring = c.Leg, patienceOfTests
						done = st.outward(t.Context(), leg.o)
					}
					st.across(caller, c, far, done)
					c.end()
					st.stop()
					callerMarks := []string{"leaky", caller.callID, caller.localTag, caller.wire.local}
					if !strings.Contains(strings.Join(far.all(), ""), leg.allowed[0]) {
						t.Errorf("what may be shown is not: %s", leg.allowed[0])
					}
					wantsNothingOf(t, far.all(), round, callerMarks, leg.allowed)
					if strings.Contains(onlyDigits(strings.Join(cut(far.all(), leg.allowed), "")), "2125550142") {
						t.Error("the caller's number went out beside the decision")
					}
					wantsNothingOf(t, cut(caller.all(), own(caller)), round, []string{"farside", far.callID, "user-to-user", "subject"}, nil)
				}
			})
		}
	}
}

// own are the caller's own words, which have to be repeated to them: From, Call-ID, tag and Contact (RFC 3261 §8.2.6.2).
func own(d *wireDialog) []string { return []string{d.callID, d.localTag, d.local, d.contact} }

func cut(messages, words []string) []string {
	all := slices.Clone(messages)
	for i := range all {
		for _, w := range words {
			all[i] = strings.ReplaceAll(all[i], w, "")
		}
	}
	return all
}

// ringNear rings agent ana beside the caller of c.
func (st *stage) ringNear(c *liveCall) <-chan rung {
	done := make(chan rung, 1)
	go func() {
		leg, err := st.Ring(st.t.Context(), call.Offer{City: "demo", Call: c.ID, Queue: "general", Agent: "ana", Ring: patienceOfTests}, "agent-1",
			call.Showing{Call: c.ID, Queue: "general", Language: "en", Near: c.Leg})
		done <- rung{leg, err}
	}()
	return done
}

// across is a conversation with everything in it that either side is sent: hold and news too, and who answers tells all.
func (st *stage) across(caller *wireDialog, c *liveCall, far *wireDialog, done <-chan rung) {
	invite := far.until("INVITE ")
	far.remember(invite)
	far.contact = strings.Replace(far.contact, "sip:peer@", "sip:farside@", 1)
	sdp := strings.NewReplacer("o=- ", "o=farside ", "s=-", "s=farside").Replace(phoneAnswer)
	far.answer(invite, "183 Session Progress", far.localTag, sdp, "P-Asserted-Identity: <sip:farside@x.invalid>")
	far.answer(invite, "200 OK", far.localTag, sdp, "P-Asserted-Identity: <sip:farside@x.invalid>", "Server: farside", "Subject: farside",
		"User-to-User: farside")
	far.until("ACK ")
	r := st.outcome(done)
	if r.err != nil {
		st.t.Fatal(r.err)
	}
	r.leg.Attach(call.NewInbox())
	if err := c.Leg.Join(r.leg); err != nil {
		st.t.Fatal(err)
	}
	caller.invite(strings.Replace(tellingSDP(3), "a=rtpmap:0", "a=sendonly\na=rtpmap:0", 1), tellAll(3)...)
	caller.accept(caller.final("INVITE"), "")
	far.invite(sdp, "Subject: farside")
	far.accept(far.final("INVITE"), "")
	c.Leg.Tell(call.News{Queue: "general", Place: 1})
	caller.say(caller.until("INFO "), "200 OK", "")
	r.leg.HangUp(call.CauseNormal)
	far.say(far.until("BYE "), "200 OK", "")
	c.Leg.HangUp(call.CauseNormal)
	caller.say(caller.until("BYE "), "200 OK", "")
	st.empty()
}
