package load

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// message is as much of a SIP message as the generator reads.
type message struct {
	from    netip.AddrPort // who sent the datagram
	start   string         // request or status line
	headers map[string][]string
	body    []byte
}

// shortNames are the compact header forms that a server may use (RFC 3261 §7.3.3).
var shortNames = map[string]string{"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type"}

// parse reads one datagram. It is for a server that is being measured, not for an enemy: what does not parse is ignored.
// The body is a part of b.
func parse(b []byte) (message, bool) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return message{}, false
	}
	lines := strings.Split(string(head), "\r\n")
	m := message{start: lines[0], headers: make(map[string][]string, len(lines)), body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if long, short := shortNames[name]; short {
			name = long
		}
		m.headers[name] = append(m.headers[name], strings.TrimSpace(value))
	}
	return m, m.callID() != ""
}

func (m message) first(name string) string {
	if v := m.headers[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (m message) callID() string { return m.first("call-id") }

// status is the status code of a response, 0 of a request.
func (m message) status() int {
	rest, ok := strings.CutPrefix(m.start, "SIP/2.0 ")
	if !ok || len(rest) < 3 {
		return 0
	}
	n, _ := strconv.Atoi(rest[:3])
	return n
}

// method is the method of a request, or of the request that a response answers.
func (m message) method() string {
	if m.status() == 0 {
		method, _, _ := strings.Cut(m.start, " ")
		return method
	}
	_, method, _ := strings.Cut(m.first("cseq"), " ")
	return strings.TrimSpace(method)
}

// uri is the Request-URI.
func (m message) uri() string {
	_, rest, _ := strings.Cut(m.start, " ")
	uri, _, _ := strings.Cut(rest, " ")
	return uri
}

// contact is the URI in Contact.
func (m message) contact() string {
	_, rest, ok := strings.Cut(m.first("contact"), "<")
	if !ok {
		uri, _, _ := strings.Cut(m.first("contact"), ";")
		return uri
	}
	uri, _, _ := strings.Cut(rest, ">")
	return uri
}

// branch is the branch of the topmost Via.
func (m message) branch() string {
	_, rest, _ := strings.Cut(m.first("via"), "branch=")
	return rest[:len(rest)-len(strings.TrimLeft(rest, branchChars))]
}

const branchChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~"

// audio is where the SDP wants the sound: the port of its first audio line at the address of the c= line before it, or
// of that media's own. It is not valid without an SDP, or where the port is 0.
func (m message) audio() netip.AddrPort {
	var host netip.Addr
	var port uint64
	for line := range strings.SplitSeq(string(m.body), "\n") {
		line = strings.TrimRight(line, "\r")
		if rest, ok := strings.CutPrefix(line, "c=IN IP4 "); ok {
			host, _ = netip.ParseAddr(strings.TrimSpace(rest))
		}
		if rest, ok := strings.CutPrefix(line, "m="); ok {
			if port != 0 {
				break // another medium
			}
			if rest, ok = strings.CutPrefix(rest, "audio "); ok {
				word, _, _ := strings.Cut(rest, " ")
				port, _ = strconv.ParseUint(word, 10, 16)
			}
		}
	}
	if !host.IsValid() || port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(host, uint16(port))
}

// answer builds a response to m with our tag in To.
func (m message) answer(code int, reason, tag, extra string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", code, reason)
	for _, v := range m.headers["via"] {
		fmt.Fprintf(&b, "Via: %s\r\n", v)
	}
	for _, v := range m.headers["record-route"] {
		fmt.Fprintf(&b, "Record-Route: %s\r\n", v)
	}
	to := m.first("to")
	if tag != "" && !strings.Contains(to, ";tag=") {
		to += ";tag=" + tag
	}
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n", m.first("from"), to,
		m.callID(), m.first("cseq"), extra, len(body))
	b.Write(body)
	return b.Bytes()
}

// sdp offers or answers G.711 mu-law and RFC 4733 at an address.
func sdp(at netip.AddrPort) []byte {
	return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"+
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n", at.Addr(), at.Addr(), at.Port())
}
