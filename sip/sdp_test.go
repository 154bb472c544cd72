package sip

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"callhall/call"
	"callhall/media"
)

var loopback4 = netip.MustParseAddrPort("127.0.0.1:30000")

// TestDirections is RFC 3264 §6.1 as a table: what we answer, and what we then do.
func TestDirections(t *testing.T) {
	for _, c := range []struct {
		offered       direction
		connection    string
		answered      direction
		send, receive bool
	}{
		{sendrecv, "127.0.0.1", sendrecv, true, true},
		{sendonly, "127.0.0.1", recvonly, false, true},
		{recvonly, "127.0.0.1", sendonly, true, false},
		{inactive, "127.0.0.1", inactive, false, false},
		{sendrecv, "0.0.0.0", recvonly, false, true},
		{sendonly, "0.0.0.0", recvonly, false, true},
		{recvonly, "0.0.0.0", inactive, false, false},
		{inactive, "0.0.0.0", inactive, false, false},
	} {
		far, err := parseSDP([]byte(offerOf(1, string(c.offered), "IN IP4 "+c.connection, "0")))
		if err != nil {
			t.Fatal(err)
		}
		body, agreed, err := newDescription().answer(far, loopback4, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), "\r\na="+string(c.answered)+"\r\n") || agreed.params.Send != c.send ||
			agreed.params.Receive != c.receive || agreed.held == c.send {
			t.Errorf("%s at %s: %+v\n%s", c.offered, c.connection, agreed, body)
		}
		// The same words in an answer to our offer mean the same.
		if again, err := agree(far, loopback4.Addr(), netip.Addr{}); err != nil || again != agreed {
			t.Errorf("%s at %s: as an answer %+v, as an offer %+v", c.offered, c.connection, again, agreed)
		}
	}
}

func TestDirectionOfSessionAndLine(t *testing.T) {
	for sdp, want := range map[string]direction{
		"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\na=sendonly\nm=audio 4000 RTP/AVP 0\n":             sendonly,
		"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\na=sendonly\nm=audio 4000 RTP/AVP 0\na=inactive\n": inactive,
		"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n":                         sendrecv,
	} {
		s, err := parseSDP([]byte(sdp))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.lines[0].direction; got != want {
			t.Errorf("%q: %s, want %s", sdp, got, want)
		}
	}
}

func TestWhereSoundGoes(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
	for lines, want := range map[string]string{
		"m=audio 4000 RTP/AVP 0\n":                                           "192.0.2.1:4000 192.0.2.1:4001",
		"m=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.2\n":                       "192.0.2.2:4000 192.0.2.2:4001",
		"m=audio 4000 RTP/AVP 0\na=rtcp:4010\n":                              "192.0.2.1:4000 192.0.2.1:4010",
		"m=audio 4000 RTP/AVP 0\na=rtcp:4010 IN IP4 192.0.2.1\n":             "192.0.2.1:4000 192.0.2.1:4010",
		"m=audio 4000 RTP/AVP 0\na=rtcp:4010 IN IP4 198.51.100.9\n":          "192.0.2.1:4000 192.0.2.1:4001", // not to a third party
		"m=audio 4000 RTP/AVP 0\na=rtcp:99999\n":                             "192.0.2.1:4000 192.0.2.1:4001",
		"m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::7\n":                     "[2001:db8::7]:4000 [2001:db8::7]:4001",
		"m=audio 4000 RTP/AVP 0\nc=IN IP6 ::ffff:192.0.2.3\n":                "192.0.2.3:4000 192.0.2.3:4001",
		"m=video 1 RTP/AVP 9\nm=audio 4000 RTP/AVP 0\nm=audio 1 RTP/AVP 8\n": "192.0.2.1:4000 192.0.2.1:4001",
	} {
		s, err := parseSDP([]byte(head + lines))
		if err != nil || s.audio < 0 {
			t.Errorf("%q: %v", lines, err)
			continue
		}
		m := s.lines[s.audio]
		if got := m.addr.String() + " " + m.rtcp.String(); got != want {
			t.Errorf("%q: %s, want %s", lines, got, want)
		}
	}
}

func TestNothingToTakePartIn(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
	for _, lines := range []string{
		"", "m=audio 4000 RTP/AVP 9 18\n", "m=video 4000 RTP/AVP 0\n", "m=audio 4000 RTP/SAVP 0\n", "m=audio 4000 udp 0\n", "m=image 4000 udptl t38\n",
		"m=audio 4000 RTP/AVP 0\nc=IN IP4 pbx.invalid\n", "m=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\n",
		"m=audio 4000 RTP/AVP 101\na=rtpmap:101 telephone-event/8000\n", "m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n",
	} {
		s, err := parseSDP([]byte(head + lines))
		if err != nil {
			t.Errorf("%q: %v", lines, err)
			continue
		}
		if _, err := agree(s, loopback4.Addr(), netip.Addr{}); !errors.Is(err, call.ErrNoMedia) {
			t.Errorf("%q: %v", lines, err)
		}
	}
}

func TestFaxBesideSound(t *testing.T) {
	s, err := parseSDP([]byte(pcmuOffer + "b=X-ODD:1\nm=image 4002 udptl t38\na=T38FaxVersion:0\n"))
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := newDescription().answer(s, loopback4, netip.Addr{})
	if err != nil || !strings.Contains(string(body), "m=audio 30000 ") || !strings.HasSuffix(string(body), "m=image 0 udptl t38\r\n") {
		t.Errorf("%v\n%s", err, body)
	}
}

func TestSoundSwitchedOff(t *testing.T) {
	s, err := parseSDP([]byte(strings.Replace(pcmuOffer, "m=audio 40000", "m=audio 0", 1)))
	if err != nil {
		t.Fatal(err)
	}
	body, agreed, err := newDescription().answer(s, loopback4, netip.Addr{})
	if err != nil || !agreed.held || agreed.params.Send || agreed.params.Receive || !strings.Contains(string(body), "m=audio 0 RTP/AVP 0 8 101") {
		t.Errorf("%v %+v\n%s", err, agreed, body)
	}
}

func TestBadSDP(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
	for _, sdp := range []string{"", "hello", "v=1\n", "o=- 1 1 IN IP4 127.0.0.1\nv=0\n", "v=0\ns=-\n", head + "v=0\n", head + "m=au\x00dio 4000 RTP/AVP 0\n", head + "m=audio\n", head + "m=audio 70000 RTP/AVP 0\n", head + "m=audio -1 RTP/AVP 0\n",
		head + strings.Repeat("m=audio 4000 RTP/AVP 0\n", 17), head + "m=audio 4000 RTP/AVP" + strings.Repeat(" 0", 65) + "\n"} {
		if s, err := parseSDP([]byte(sdp)); !errors.Is(err, errBadSDP) {
			t.Errorf("%.80q: %v %+v", sdp, err, s)
		}
	}
}

func TestKeysUnderTheirPayloadType(t *testing.T) {
	s, err := parseSDP([]byte("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 8 96 97\n" +
		"a=rtpmap:8 PCMA/8000\na=rtpmap:96 telephone-event/16000\na=rtpmap:97 TELEPHONE-EVENT/8000\na=fmtp:97 0-16\n"))
	if err != nil {
		t.Fatal(err)
	}
	body, agreed, err := newDescription().answer(s, loopback4, netip.Addr{})
	if err != nil || agreed.params.DTMF != 97 || agreed.params.Codec != media.PCMA || !strings.Contains(string(body), "m=audio 30000 RTP/AVP 8 97\r\n") {
		t.Errorf("%v %+v\n%s", err, agreed, body)
	}
}

func TestOfferLeadsWithWhatTheOtherPartySpeaks(t *testing.T) {
	for first, want := range map[media.Codec]string{media.PCMU: "RTP/AVP 0 8 101", media.PCMA: "RTP/AVP 8 0 101"} {
		if body := newDescription().offer(loopback4, codecOrder(first), sendrecv); !strings.Contains(string(body), want) {
			t.Errorf("%s first:\n%s", first, body)
		}
	}
	six := newDescription().offer(netip.MustParseAddrPort("[2001:db8::1]:4000"), codecOrder(0), sendrecv)
	if !strings.Contains(string(six), " IN IP6 2001:db8::1\r\n") || !strings.Contains(string(six), "c=IN IP6 2001:db8::1\r\n") {
		t.Errorf("IPv6:\n%s", six)
	}
}
