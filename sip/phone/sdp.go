package phone

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"callhall/media"
)

// A direction is which way the sound of one party may flow, as that party says it (RFC 3264 §5.1).
type direction string

const (
	sendrecv direction = "sendrecv"
	sendonly direction = "sendonly"
	recvonly direction = "recvonly"
	inactive direction = "inactive"
)

func (d direction) sends() bool    { return d == sendrecv || d == sendonly }
func (d direction) receives() bool { return d == sendrecv || d == recvonly }

// answerTo is what we say to an offer of d when we would like to say mine (RFC 3264 §6.1).
func (mine direction) answerTo(d direction) direction {
	switch sends, receives := mine.sends() && d.receives(), mine.receives() && d.sends(); {
	case sends && receives:
		return sendrecv
	case sends:
		return sendonly
	case receives:
		return recvonly
	default:
		return inactive
	}
}

// ours is what we describe of ourselves.
type ours struct {
	at        netip.AddrPort
	session   uint64 // constant for a call (RFC 3264 §5)
	version   uint64 // one more with each change
	direction direction
	codecs    []media.Codec
	dtmf      uint8 // 0: none
}

// defaultDTMF is the payload type under which we offer telephone-event.
const defaultDTMF = 101

// describe writes an offer or an answer (RFC 8866, RFC 3264).
func (o ours) describe() []byte {
	family := "IP4"
	if o.at.Addr().Is6() {
		family = "IP6"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", o.session, o.version, family, o.at.Addr(), family, o.at.Addr())
	fmt.Fprintf(&b, "m=audio %d RTP/AVP", o.at.Port())
	for _, c := range o.codecs {
		fmt.Fprintf(&b, " %d", c)
	}
	if o.dtmf != 0 {
		fmt.Fprintf(&b, " %d", o.dtmf)
	}
	b.WriteString("\r\n")
	for _, c := range o.codecs {
		fmt.Fprintf(&b, "a=rtpmap:%d %s/8000\r\n", c, c)
	}
	if o.dtmf != 0 {
		fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", o.dtmf, o.dtmf)
	}
	fmt.Fprintf(&b, "a=ptime:20\r\na=%s\r\n", o.direction)
	return []byte(b.String())
}

// theirs is what a far side describes of itself, as far as we use it.
type theirs struct {
	at, rtcp  netip.AddrPort
	codecs    []media.Codec // in its order of preference; those that we know
	dtmf      uint8
	direction direction
}

// errNoAudio says that a description has no audio that we could take part in.
var errNoAudio = errors.New("no audio in a codec of ours")

// read reads a description. Errors: what is wrong with it, errNoAudio.
func read(body []byte) (theirs, error) {
	var d sdp.SessionDescription
	if err := d.Unmarshal(body); err != nil {
		return theirs{}, fmt.Errorf("read SDP: %w", err)
	}
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Media == "audio" && strings.Join(m.MediaName.Protos, "/") == "RTP/AVP" && m.MediaName.Port.Value != 0 {
			return readAudio(&d, m)
		}
	}
	return theirs{}, errNoAudio
}

func readAudio(d *sdp.SessionDescription, m *sdp.MediaDescription) (theirs, error) {
	where := m.ConnectionInformation
	if where == nil {
		where = d.ConnectionInformation
	}
	if where == nil || where.Address == nil {
		return theirs{}, fmt.Errorf("read SDP: no connection address")
	}
	addr, err := netip.ParseAddr(where.Address.Address)
	if err != nil {
		return theirs{}, fmt.Errorf("read SDP: connection address: %w", err)
	}
	t := theirs{at: netip.AddrPortFrom(addr.Unmap(), uint16(m.MediaName.Port.Value)), direction: directionOf(d, m)}
	if addr.IsUnspecified() { // hold as RFC 2543 had it
		t.direction = inactive
	}
	if text, ok := m.Attribute("rtcp"); ok {
		port, _, _ := strings.Cut(text, " ")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			t.rtcp = netip.AddrPortFrom(t.at.Addr(), uint16(n))
		}
	}
	t.codecs, t.dtmf = formats(m)
	if len(t.codecs) == 0 {
		return theirs{}, errNoAudio
	}
	return t, nil
}

// formats reads the payload types: G.711 by its fixed numbers (RFC 3551), telephone-event by its name.
func formats(m *sdp.MediaDescription) (codecs []media.Codec, dtmf uint8) {
	events := map[string]bool{}
	for _, a := range m.Attributes {
		format, encoding, _ := strings.Cut(a.Value, " ")
		if a.Key == "rtpmap" && strings.EqualFold(strings.TrimSpace(encoding), "telephone-event/8000") {
			events[format] = true
		}
	}
	for _, format := range m.MediaName.Formats {
		n, err := strconv.ParseUint(format, 10, 7)
		switch {
		case err != nil:
		case events[format] && dtmf == 0:
			dtmf = uint8(n)
		case n == uint64(media.PCMU) || n == uint64(media.PCMA):
			codecs = append(codecs, media.Codec(n))
		}
	}
	return codecs, dtmf
}

// directionOf reads the direction of a medium, or else of its session; nothing said is sendrecv.
func directionOf(d *sdp.SessionDescription, m *sdp.MediaDescription) direction {
	for _, has := range []func(string) (string, bool){m.Attribute, d.Attribute} {
		for _, dir := range []direction{sendrecv, sendonly, recvonly, inactive} {
			if _, ok := has(string(dir)); ok {
				return dir
			}
		}
	}
	return sendrecv
}
