package sip

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"callhall/media"
)

// A direction is which way sound goes, as the side that says it means it (RFC 3264 §5.1).
type direction string

// The directions of RFC 8866 §6.7.
const (
	sendrecv direction = "sendrecv"
	sendonly direction = "sendonly"
	recvonly direction = "recvonly"
	inactive direction = "inactive"
)

// towards is the direction of a side that sends and receives so.
func towards(send, receive bool) direction {
	switch {
	case send && receive:
		return sendrecv
	case send:
		return sendonly
	case receive:
		return recvonly
	default:
		return inactive
	}
}

// errBadSDP says that a body is not SDP that can be used.
var errBadSDP = errors.New("malformed SDP")

// maxMediaLines bounds a description: an answer has to name each of them again.
const maxMediaLines = 16

// ourDTMF is the payload type that our offers give to telephone-event.
const ourDTMF = 101

// A session is what the far side's SDP says, as far as we use it.
type session struct {
	lines []mediaLine
	audio int // the line we take part in, -1 for none
}

// A mediaLine is one m= line with what belongs to it.
type mediaLine struct {
	media, proto string
	formats      []string
	addr         netip.AddrPort // where the far side wants RTP
	rtcp         netip.AddrPort // and RTCP; it differs from the port above only by a=rtcp (RFC 3605)
	direction    direction
	codecs       []media.Codec // those we know, in the far side's order
	dtmf         uint8         // payload type of telephone-event, 0 for none
}

// parseSDP reads an offer or an answer (RFC 8866). Names are not looked up: a connection address that is no IP
// address makes its line unusable, not the whole description. Errors: errBadSDP.
func parseSDP(body []byte) (*session, error) {
	var d sdp.SessionDescription
	if err := d.Unmarshal(body); err != nil {
		return nil, errBadSDP // pion's error repeats the text
	}
	if len(d.MediaDescriptions) > maxMediaLines {
		return nil, fmt.Errorf("%w: more than %d m= lines", errBadSDP, maxMediaLines)
	}
	s := &session{audio: -1}
	for i, m := range d.MediaDescriptions {
		line, err := parseMediaLine(&d, m)
		if err != nil {
			return nil, err
		}
		s.lines = append(s.lines, line)
		if s.audio < 0 && line.usable() {
			s.audio = i
		}
	}
	return s, nil
}

func parseMediaLine(d *sdp.SessionDescription, m *sdp.MediaDescription) (mediaLine, error) {
	port := m.MediaName.Port.Value
	if port < 0 || port > 65535 || len(m.MediaName.Formats) == 0 || len(m.MediaName.Formats) > 64 {
		return mediaLine{}, fmt.Errorf("%w: m= line", errBadSDP)
	}
	line := mediaLine{
		media: m.MediaName.Media, proto: strings.Join(m.MediaName.Protos, "/"), formats: m.MediaName.Formats,
		direction: sendrecv,
	}
	connection := m.ConnectionInformation
	if connection == nil {
		connection = d.ConnectionInformation
	}
	line.addr = netip.AddrPortFrom(connectionAddr(connection), uint16(port))
	line.rtcp = netip.AddrPortFrom(line.addr.Addr(), uint16(port)+1)
	for _, a := range slices.Concat(d.Attributes, m.Attributes) { // those of the line come last and win
		line.attribute(a.Key, a.Value)
	}
	if line.media == "audio" {
		line.readCodecs(m.Attributes)
	}
	return line, nil
}

// connectionAddr is the address of a c= line, the zero one where it has none that we can send to.
func connectionAddr(c *sdp.ConnectionInformation) netip.Addr {
	if c == nil || c.Address == nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(c.Address.Address)
	if err != nil || addr.Zone() != "" || addr.IsMulticast() {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// attribute takes in an a= line that says where and which way.
func (m *mediaLine) attribute(key, value string) {
	switch key {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		m.direction = direction(key)
	case "rtcp":
		m.readRTCP(value)
	}
}

// readRTCP reads "53020" or "53020 IN IP4 192.0.2.1" (RFC 3605 §2.1).
func (m *mediaLine) readRTCP(value string) {
	words := strings.Fields(value)
	if len(words) != 1 && len(words) != 4 {
		return
	}
	port, err := strconv.ParseUint(words[0], 10, 16)
	if err != nil || port == 0 {
		return
	}
	addr := m.addr.Addr()
	if len(words) == 4 {
		if addr, err = netip.ParseAddr(words[3]); err != nil || addr.Unmap() != m.addr.Addr() {
			return // reports go nowhere but where the sound goes
		}
	}
	m.rtcp = netip.AddrPortFrom(addr.Unmap(), uint16(port))
}

// readCodecs finds PCMU, PCMA and telephone-event among the formats. The first two have static payload types
// (RFC 3551 §6) and need no rtpmap.
func (m *mediaLine) readCodecs(attributes []sdp.Attribute) {
	event := map[string]bool{}
	for _, a := range attributes {
		format, encoding, ok := strings.Cut(a.Value, " ")
		if a.Key == "rtpmap" && ok && strings.EqualFold(strings.TrimSpace(encoding), "telephone-event/8000") {
			event[format] = true
		}
	}
	for _, format := range m.formats {
		switch {
		case format == "0":
			m.addCodec(media.PCMU)
		case format == "8":
			m.addCodec(media.PCMA)
		case event[format] && m.dtmf == 0:
			if pt, err := strconv.ParseUint(format, 10, 7); err == nil && pt >= 96 {
				m.dtmf = uint8(pt)
			}
		}
	}
}

func (m *mediaLine) addCodec(c media.Codec) {
	if !slices.Contains(m.codecs, c) {
		m.codecs = append(m.codecs, c)
	}
}

// usable tells whether we can take part in the line.
func (m *mediaLine) usable() bool {
	return m.media == "audio" && (m.proto == "RTP/AVP" || m.proto == "RTP/AVPF") &&
		m.addr.Port() != 0 && m.addr.Addr().IsValid() && len(m.codecs) > 0
}

// disabled tells whether the far side has switched off its sound (RFC 3264 §8.2).
func (s *session) disabled() bool {
	return s.audio < 0 && slices.ContainsFunc(s.lines, func(m mediaLine) bool { return m.media == "audio" && m.addr.Port() == 0 })
}

// A description is our own SDP over the life of a dialog: one origin, and a version that grows by one whenever what
// it says has changed (RFC 3264 §8).
type description struct {
	id, version uint64
	said        string // all but the o= line, as said last
}

func newDescription() *description {
	return &description{id: uint64(rand.Uint32()), version: uint64(rand.Uint32N(1 << 16))}
}

// body returns SDP that says the m= lines given, for sound at addr.
func (d *description) body(addr netip.Addr, lines string) []byte {
	family := "IP4"
	if addr.Is6() {
		family = "IP6"
	}
	said := "s=-\r\nc=IN " + family + " " + addr.String() + "\r\nt=0 0\r\n" + lines
	if d.said != said {
		d.version++
		d.said = said
	}
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN %s %s\r\n%s", d.id, d.version, family, addr, said)
}

// audioLine is an m= line of ours: the codecs, telephone-event under that payload type unless it is 0, 20 ms a packet.
func audioLine(port uint16, proto string, codecs []media.Codec, dtmf uint8, dir direction) string {
	var formats, maps strings.Builder
	for _, c := range codecs {
		fmt.Fprintf(&formats, " %d", c)
		fmt.Fprintf(&maps, "a=rtpmap:%d %s/8000\r\n", c, c)
	}
	if dtmf != 0 {
		fmt.Fprintf(&formats, " %d", dtmf)
		fmt.Fprintf(&maps, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", dtmf, dtmf)
	}
	return fmt.Sprintf("m=audio %d %s%s\r\n%sa=ptime:20\r\na=%s\r\n", port, proto, formats.String(), maps.String(), dir)
}

// refusedLine says no to an m= line of the far side's, which keeps its place (RFC 3264 §6).
func refusedLine(m *mediaLine) string {
	return fmt.Sprintf("m=%s 0 %s %s\r\n", m.media, m.proto, strings.Join(m.formats, " "))
}
