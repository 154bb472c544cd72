package load

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// message is as much of a SIP message as the generator reads.
type message struct {
	start   string // request or status line
	headers map[string][]string
	body    []byte
}

// shortNames are the compact header forms that a server may use (RFC 3261 §7.3.3).
var shortNames = map[string]string{"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type"}

// parse reads one datagram. It is for a server that is being measured, not for an enemy: what does not parse is ignored.
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
	return m, m.first("call-id") != ""
}

func (m message) first(name string) string {
	if v := m.headers[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

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
	return method
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
		return m.first("contact")
	}
	uri, _, _ := strings.Cut(rest, ">")
	return uri
}

// audioPort is the port of the first audio line of the SDP, 0 without one.
func (m message) audioPort() uint16 {
	_, rest, ok := bytes.Cut(m.body, []byte("m=audio "))
	if !ok {
		return 0
	}
	port, _, _ := bytes.Cut(rest, []byte(" "))
	n, _ := strconv.ParseUint(string(port), 10, 16)
	return uint16(n)
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
		m.first("call-id"), m.first("cseq"), extra, len(body))
	b.Write(body)
	return b.Bytes()
}

// sdp offers or answers G.711 mu-law and RFC 4733 at one port.
func sdp(addr string, port uint16) []byte {
	return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"+
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n", addr, addr, port)
}

// authorization answers a digest challenge (RFC 7616, RFC 8760).
func authorization(challenge, method, uri, user, password string) (string, error) {
	p := digestParams(challenge)
	var newHash func() hash.Hash
	switch strings.ToUpper(p["algorithm"]) {
	case "SHA-256":
		newHash = sha256.New
	case "MD5", "":
		newHash = md5.New
	default:
		return "", fmt.Errorf("digest algorithm %q is not ours", p["algorithm"])
	}
	h := func(s string) string {
		sum := newHash()
		sum.Write([]byte(s))
		return hex.EncodeToString(sum.Sum(nil))
	}
	const nc, cnonce = "00000001", "6c6f6164"
	ha1, ha2 := h(user+":"+p["realm"]+":"+password), h(method+":"+uri)
	response := h(strings.Join([]string{ha1, p["nonce"], nc, cnonce, "auth", ha2}, ":"))
	algorithm := p["algorithm"]
	if algorithm == "" {
		algorithm = "MD5"
	}
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=%s, cnonce="%s", qop=auth, nc=%s, opaque="%s"`,
		user, p["realm"], p["nonce"], uri, response, algorithm, cnonce, nc, p["opaque"]), nil
}

// digestParams reads the parameters of a challenge. Quoted values may hold commas.
func digestParams(s string) map[string]string {
	s = strings.TrimPrefix(s, "Digest ")
	out := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if quoted, isQuoted := strings.CutPrefix(rest, `"`); isQuoted {
			value, s, _ = strings.Cut(quoted, `"`)
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		out[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		s = strings.TrimLeft(s, ", ")
	}
	return out
}
