package sip

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"

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

// Bounds of a description: an answer has to name each line and format again.
const (
	maxMediaLines = 16
	maxFormats    = 64
)

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
	reports      string         // a=rtcp as it came
	events       []string       // formats that are telephone-event
	direction    direction
	codecs       []media.Codec // those we know, in the far side's order
	dtmf         uint8         // payload type of telephone-event, 0 for none
}

// parseSDP reads an offer or an answer (RFC 8866) as far as we use it. It is read here and not by a library, because
// the one at hand refuses a whole description for a kind of media or bandwidth that it does not know, and an offer of
// sound and fax is a common one. Names are not looked up: a connection address that is no IP address makes its line
// unusable, not the description malformed. Errors: errBadSDP.
func parseSDP(body []byte) (*session, error) {
	s := &session{audio: -1}
	common := mediaLine{direction: sendrecv}
	at := &common // what c= and a= lines belong to
	first, origin := true, false
	for text := range strings.Lines(string(body)) {
		text = strings.TrimRight(text, "\r\n")
		kind, value, ok := strings.Cut(text, "=")
		if !ok && text == "" {
			continue
		}
		if len(kind) != 1 || first != (kind == "v") || first && value != "0" {
			return nil, errBadSDP
		}
		first = false
		switch kind {
		case "o":
			origin = true
		case "c":
			at.addr = netip.AddrPortFrom(connectionAddr(value), at.addr.Port())
		case "a":
			key, rest, _ := strings.Cut(value, ":")
			at.attribute(key, rest)
		case "m":
			line, err := parseMediaLine(value, common)
			if err != nil || len(s.lines) == maxMediaLines {
				return nil, errBadSDP
			}
			s.lines = append(s.lines, line)
			at = &s.lines[len(s.lines)-1]
		}
	}
	if !origin {
		return nil, errBadSDP
	}
	for i := range s.lines {
		s.lines[i].settle()
		if s.audio < 0 && s.lines[i].usable() {
			s.audio = i
		}
	}
	return s, nil
}

// parseMediaLine reads "audio 49170/1 RTP/AVP 0 8", with what the session says for all of its lines.
func parseMediaLine(value string, common mediaLine) (mediaLine, error) {
	words := strings.Fields(value)
	if len(words) < 4 || len(words) > 3+maxFormats {
		return mediaLine{}, errBadSDP
	}
	for _, w := range words {
		if !isToken(strings.ReplaceAll(w, "/", "")) { // they are said again in an answer
			return mediaLine{}, errBadSDP
		}
	}
	number, _, _ := strings.Cut(words[1], "/")
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return mediaLine{}, errBadSDP
	}
	m := common
	m.media, m.proto, m.formats, m.reports, m.events = words[0], words[2], words[3:], "", nil
	m.addr = netip.AddrPortFrom(common.addr.Addr(), uint16(port))
	return m, nil
}

// connectionAddr is the address in "IN IP4 192.0.2.1", the zero one where it is none that we can send to.
func connectionAddr(value string) netip.Addr {
	words := strings.Fields(value)
	if len(words) != 3 || words[0] != "IN" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(words[2])
	if err != nil || addr.Zone() != "" || addr.IsMulticast() {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// attribute takes in an a= line.
func (m *mediaLine) attribute(key, value string) {
	switch key {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		m.direction = direction(key)
	case "rtcp":
		m.reports = value
	case "rtpmap":
		format, encoding, _ := strings.Cut(value, " ")
		if strings.EqualFold(strings.TrimSpace(encoding), "telephone-event/8000") {
			m.events = append(m.events, format)
		}
	}
}

// settle works out what needs all of a line's attributes.
func (m *mediaLine) settle() {
	m.rtcp = netip.AddrPortFrom(m.addr.Addr(), m.addr.Port()+1)
	m.readRTCP(m.reports)
	if m.media == "audio" {
		m.readCodecs()
	}
}

// readRTCP reads "53020" or "53020 IN IP4 192.0.2.1" (RFC 3605 §2.1). Reports go nowhere but where the sound goes.
func (m *mediaLine) readRTCP(value string) {
	words := strings.Fields(value)
	if len(words) != 1 && len(words) != 4 {
		return
	}
	if len(words) == 4 && connectionAddr(strings.Join(words[1:], " ")) != m.addr.Addr() {
		return
	}
	if port, err := strconv.ParseUint(words[0], 10, 16); err == nil && port != 0 {
		m.rtcp = netip.AddrPortFrom(m.addr.Addr(), uint16(port))
	}
}

// readCodecs finds PCMU, PCMA and telephone-event among the formats. The first two have static payload types
// (RFC 3551 §6) and need no rtpmap.
func (m *mediaLine) readCodecs() {
	for _, format := range m.formats {
		switch {
		case format == "0":
			m.addCodec(media.PCMU)
		case format == "8":
			m.addCodec(media.PCMA)
		case slices.Contains(m.events, format) && m.dtmf == 0:
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
