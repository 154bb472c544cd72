package sip

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"callhall/media"
)

// FuzzSDP reads anything as an offer. What can be read can be answered: with as many lines in the same order, nothing
// in them but what we put there, and a stream set only towards an address that the offer named.
func FuzzSDP(f *testing.F) {
	f.Add([]byte(pcmuOffer))
	f.Add([]byte(phoneAnswer))
	for _, dir := range []string{"sendrecv", "sendonly", "recvonly", "inactive"} {
		f.Add([]byte(offerOf(1, dir, "IN IP4 0.0.0.0", "8 0 101")))
		f.Add([]byte(strings.ReplaceAll(offerOf(2, dir, "IN IP6 2001:db8::1", "0 101"), "\n", "\r\n")))
	}
	f.Add([]byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000/2 RTP/AVPF 0 8 96\r\na=rtcp:4003 IN IP4 127.0.0.1\r\nm=video 0 RTP/SAVPF 97\r\n"))
	f.Add([]byte("v=0\no=a b c d e f\ns=\nt=0 0\nm=audio 65535 RTP/AVP 0\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		far, err := parseSDP(body)
		if err != nil {
			return
		}
		answer, agreed, err := newDescription().answer(far, loopback4, netip.Addr{})
		if err != nil {
			return
		}
		if p := agreed.params; p.Send && (!p.Remote.IsValid() || p.Remote.Addr().IsUnspecified() || p.Remote.Port() == 0) {
			t.Fatalf("sends to %s", p.Remote)
		}
		ours, err := parseSDP(answer)
		if err != nil {
			t.Fatalf("our answer cannot be read: %v\n%s", err, answer)
		}
		if len(ours.lines) != len(far.lines) {
			t.Fatalf("%d lines answered with %d", len(far.lines), len(ours.lines))
		}
		for i, m := range ours.lines {
			switch {
			case !isToken(m.media):
				t.Fatalf("line %d repeats %q", i, m.media)
			case m.media != far.lines[i].media || m.proto != far.lines[i].proto:
				t.Fatalf("line %d is %s %s", i, m.media, m.proto)
			case i != far.audio && m.addr.Port() != 0:
				t.Fatalf("line %d is taken, the sound is line %d", i, far.audio)
			case i == far.audio && (m.addr != loopback4 || !slices.Equal(m.codecs, []media.Codec{agreed.params.Codec})):
				t.Fatalf("line %d is %+v", i, m)
			}
		}
	})
}
