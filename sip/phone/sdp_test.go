package phone

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"callhall/media"
)

func TestDirections(t *testing.T) {
	for _, c := range []struct{ mine, offer, want direction }{
		{sendrecv, sendrecv, sendrecv}, {sendrecv, sendonly, recvonly}, {sendrecv, recvonly, sendonly}, {sendrecv, inactive, inactive},
		{sendonly, sendrecv, sendonly}, {sendonly, sendonly, inactive}, {sendonly, recvonly, sendonly}, {sendonly, inactive, inactive},
		{recvonly, sendrecv, recvonly}, {recvonly, sendonly, recvonly}, {recvonly, recvonly, inactive}, {inactive, sendrecv, inactive},
	} {
		if got := c.mine.answerTo(c.offer); got != c.want {
			t.Errorf("%s to an offer of %s: %s, want %s", c.mine, c.offer, got, c.want)
		}
	}
}

func TestDescribeAndRead(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:40000")
	o := ours{at: at, session: 7, version: 3, direction: recvonly, codecs: []media.Codec{media.PCMA, media.PCMU}, dtmf: 96}
	got, err := read(o.describe())
	want := theirs{at: at, codecs: o.codecs, dtmf: 96, direction: recvonly}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(theirs{}), cmpopts.EquateComparable(netip.AddrPort{})); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestReadRefuses(t *testing.T) {
	head := "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"
	for name, body := range map[string]string{
		"nothing":    "",
		"no audio":   head + "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=video 4000 RTP/AVP 31\r\n",
		"port 0":     head + "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n",
		"no codec":   head + "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9\r\n",
		"no address": head + "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
		"SRTP":       head + "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n",
	} {
		if got, err := read([]byte(body)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := read([]byte(head + "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9\r\n")); !errors.Is(err, errNoAudio) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:4001\r\na=sendonly\r\n"))
	f.Add([]byte("v=0\r\nm=audio"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := read(body); err == nil && len(got.codecs) == 0 {
			t.Fatalf("%q: no codec and no error", body)
		}
	})
}
