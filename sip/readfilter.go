package sip

import (
	"bytes"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// A request that sipgo could not parse is given one of these hosts in place of its Request-URI, so that it arrives
// and can be answered. Nobody is harmed by a stranger who writes them: the answer is the same refusal.
const (
	hostMalformed = "malformed.invalid" // answered 400
	hostOversize  = "oversize.invalid"  // answered 513
	hostScheme    = "scheme.invalid"    // answered 416
)

// A gate stands between the sockets and sipgo's parser. On UDP it drops what is not SIP, and mends a request that
// sipgo would drop without an answer (RFC 3261 §18.3 wants 400); it never returns an error, because sipgo would then
// stop reading. A stream is passed through: its parser closes the connection on what it cannot frame.
type gate struct {
	trunks  *trunks
	rate    *sourceRate
	dropped atomic.Uint64 // datagrams and reads that went no further
}

// Limits on what a source that is no trunk may send. An office of agents behind one address stays far below.
const (
	sourceRatePerSecond = 200
	sourceRateBurst     = 400
)

func newGate(ts *trunks, now func() time.Time) *gate {
	return &gate{trunks: ts, rate: newSourceRate(sourceRatePerSecond, sourceRateBurst, now)}
}

// filter is a sip.TransportReadFilter.
func (g *gate) filter(info sip.TransportReadProps, data []byte) ([]byte, error) {
	src := sourceAddr(info.RemoteAddr)
	if _, trunk := g.trunks.find(src); !trunk && !g.rate.allow(src) {
		g.dropped.Add(1)
		return nil, nil
	}
	if info.Transport != "UDP" {
		return data, nil
	}
	mended := mend(data)
	if len(mended) == 0 {
		g.dropped.Add(1)
	}
	return mended, nil
}

// sourceAddr is the address of a, or the zero address when it has none.
func sourceAddr(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	default:
		return netip.Addr{}
	}
}

// mend returns the datagram as it is when sipgo can frame it, nil when it is not SIP or cannot be answered, and
// otherwise a request without body whose Request-URI says what was wrong.
func mend(data []byte) []byte {
	data = bytes.TrimLeft(data, "\r\n")
	line, _, _ := bytes.Cut(data, []byte("\n"))
	response := bytes.HasPrefix(line, []byte("SIP/"))
	if !response && !bytes.Contains(line, []byte(" SIP/")) {
		return nil
	}
	framed, size := frames(data)
	switch {
	case size > maxHeaderBytes || len(data) >= int(sip.TransportBufferReadSize): // the socket may have cut it
		return rebuild(line, data, hostOversize)
	case framed && (validStatusLine(line) || !response && validRequestLine(line)):
		return data
	case framed && hasOtherScheme(line):
		return rebuild(line, data, hostScheme)
	default:
		return rebuild(line, data, hostMalformed)
	}
}

// hasOtherScheme tells whether line has a URI of a scheme that sipgo cannot read and we do not serve: "soap.beep:…".
func hasOtherScheme(line []byte) bool {
	words := bytes.Split(bytes.TrimSuffix(line, []byte("\r")), []byte(" "))
	if len(words) != 3 {
		return false
	}
	scheme, _, found := strings.Cut(string(words[1]), ":")
	return found && isToken(scheme) && !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips")
}

// frames tells whether sipgo finds its way through the header fields and the body that data declares, and how many
// bytes come before the body.
func frames(data []byte) (ok bool, size int) {
	declared, seen := 0, 0
	for rest := data; ; {
		end := bytes.IndexByte(rest, '\r')
		if end < 0 || end+1 >= len(rest) || rest[end+1] != '\n' {
			return false, len(data)
		}
		line := rest[:end]
		rest = rest[end+2:]
		if len(line) == 0 {
			size = len(data) - len(rest)
			return seen > 0 && declared <= len(rest), size
		}
		if seen++; seen == 1 {
			continue
		}
		name, value, colon := bytes.Cut(line, []byte(":"))
		if !colon && line[0] != ' ' && line[0] != '\t' {
			return false, len(data) - len(rest)
		}
		if isContentLength(name) {
			n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			if err != nil || n < 0 {
				return false, len(data) - len(rest)
			}
			declared = n
		}
	}
}

func isContentLength(name []byte) bool {
	name = bytes.TrimSpace(name)
	return bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l"))
}

// validRequestLine tells whether line is "METHOD URI SIP/x.y" with single spaces and a URI that sipgo can read
// (RFC 3261 §7.1).
func validRequestLine(line []byte) bool {
	parts := strings.Split(strings.TrimSuffix(string(line), "\r"), " ")
	if len(parts) != 3 || !isToken(parts[0]) || !strings.HasPrefix(parts[2], "SIP/") {
		return false
	}
	var uri sip.Uri
	return sip.ParseUri(parts[1], &uri) == nil && !uri.Wildcard && isToken(uri.Scheme)
}

// validStatusLine tells whether line is "SIP/x.y CODE reason" with a code of three digits (RFC 3261 §7.2).
func validStatusLine(line []byte) bool {
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, spaced := bytes.Cut(rest, []byte(" "))
	n, err := strconv.Atoi(string(code))
	return bytes.HasPrefix(version, []byte("SIP/")) && spaced && len(code) == 3 && err == nil && n >= 100
}

// rebuild makes a request that can be answered out of one that cannot be parsed. An ACK and a response cannot be
// answered at all: nil.
func rebuild(line, data []byte, host string) []byte {
	method, _, _ := bytes.Cut(line, []byte(" "))
	if bytes.Equal(method, []byte("ACK")) || bytes.HasPrefix(method, []byte("SIP/")) {
		return nil
	}
	if len(method) > 32 || !isToken(string(method)) {
		method = []byte("INVALID")
	}
	var b bytes.Buffer
	b.Write(method)
	b.WriteString(" sip:" + host + " SIP/2.0\r\n")
	keepHeaders(&b, data)
	b.WriteString("\r\n")
	return b.Bytes()
}

// keepHeaders writes those header fields of data that an answer must repeat.
func keepHeaders(b *bytes.Buffer, data []byte) {
	lines := bytes.Split(data, []byte("\n"))
	keeping := false
	for _, line := range lines[1:] {
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 || b.Len() > 4<<10 {
			return
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, colon := bytes.Cut(line, []byte(":"))
			keeping = colon && isAnswered(canonicalName(string(name)))
		}
		if keeping && bytes.IndexByte(line, '\r') < 0 {
			b.Write(line)
			b.WriteString("\r\n")
		}
	}
}

// isAnswered tells whether a response repeats that header field of its request (RFC 3261 §8.2.6.2).
func isAnswered(name string) bool {
	switch name {
	case "Via", "From", "To", "Call-ID", "CSeq":
		return true
	default:
		return false
	}
}

// isToken tells whether s is a token (RFC 3261 §25.1).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte("-.!%*_+`'~", c) < 0 {
			return false
		}
	}
	return s != ""
}
