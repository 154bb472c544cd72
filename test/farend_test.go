package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A farEnd speaks SIP by hand over one socket, with whatever headers a test wants, and keeps every byte that it is sent.
// It answers every call, says 200 to every other request, and hums into every call.
type farEnd struct {
	t         *testing.T
	server    string
	transport string // "udp", "tcp"
	host      string // host:port where it is reached
	extra     string // header lines that go into its answers, each with its CRLF
	sdpFirst  string // o= and s= of its SDP, where they are not the plain ones
	sdpExtra  string // lines after them
	sdpLast   string // last lines
	answers   chan sipText
	rtp       net.PacketConn
	udp       net.PacketConn
	tcp       net.Conn // to the server, of one that calls

	mu      sync.Mutex
	got     []sipText
	hush    context.CancelFunc // ends every hum
	hum     context.Context
	running sync.WaitGroup
}

// sipText is one message as it came.
type sipText struct {
	first  string
	header textproto.MIMEHeader
	body   string
	raw    string
}

// The sides of a far end: one that is called at its own address, or one that calls the server first and is called on the
// same connection.
func newFarEnd(t *testing.T, s *server, transport, ip string, called bool) *farEnd {
	t.Helper()
	f := &farEnd{t: t, server: s.sip, transport: transport, answers: make(chan sipText, 64)}
	f.hum, f.hush = context.WithCancel(context.Background())
	var err error
	f.rtp, err = net.ListenPacket("udp", ip+":0")
	must(t, err)
	closers := []io.Closer{f.rtp}
	switch {
	case transport == "udp":
		f.udp, err = net.ListenPacket("udp", ip+":0")
		must(t, err)
		closers, f.host = append(closers, f.udp), f.udp.LocalAddr().String()
		f.running.Go(f.readPackets)
	case called:
		l, err := net.Listen("tcp", ip+":0")
		must(t, err)
		closers, f.host = append(closers, l), l.Addr().String()
		f.running.Go(func() { f.accept(l) })
	default:
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		f.tcp, err = d.Dial("tcp", s.sip)
		must(t, err)
		closers, f.host = append(closers, f.tcp), f.tcp.LocalAddr().String()
		f.running.Go(func() { f.readStream(f.tcp) })
	}
	t.Cleanup(func() {
		f.hush()
		for _, c := range closers {
			c.Close()
		}
		f.running.Wait()
	})
	return f
}

func (f *farEnd) readPackets() {
	buf := make([]byte, 65535)
	for {
		n, from, err := f.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		f.take(string(buf[:n]), func(text string) { f.udp.WriteTo([]byte(text), from) })
	}
}

func (f *farEnd) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() { f.readStream(conn) })
		f.running.Go(func() { <-f.hum.Done(); conn.Close() })
	}
}

func (f *farEnd) readStream(conn net.Conn) {
	r := bufio.NewReader(conn)
	var text bytes.Buffer
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if text.Len() == 0 && line == "\r\n" {
			continue // keep-alive
		}
		text.WriteString(line)
		if line != "\r\n" {
			continue
		}
		length, _ := strconv.Atoi(parseSIP(text.String()).header.Get("Content-Length"))
		if _, err := io.CopyN(&text, r, int64(length)); err != nil {
			return
		}
		f.take(text.String(), func(text string) { io.WriteString(conn, text) })
		text.Reset()
	}
}

func parseSIP(raw string) sipText {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	first, rest, _ := strings.Cut(head, "\r\n")
	header, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(rest + "\r\n\r\n"))).ReadMIMEHeader()
	return sipText{first, header, body, raw}
}

// take keeps a message and answers it if it is a request.
func (f *farEnd) take(raw string, answer func(string)) {
	if strings.TrimSpace(raw) == "" {
		return
	}
	m := parseSIP(raw)
	f.mu.Lock()
	f.got = append(f.got, m)
	f.mu.Unlock()
	method, _, _ := strings.Cut(m.first, " ")
	switch method {
	case "SIP/2.0":
		f.answers <- m
	case "ACK":
	case "INVITE":
		answer(f.answer(m, "180 Ringing", ""))
		answer(f.answer(m, "200 OK", f.sdp()))
		f.sing(m.body)
	default:
		answer(f.answer(m, "200 OK", ""))
	}
}

func (f *farEnd) answer(m sipText, status, sdp string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %s\r\n", status)
	for _, name := range []string{"Via", "From", "To", "Call-Id", "Cseq", "Record-Route"} {
		for _, v := range m.header[name] {
			if name == "To" && !strings.Contains(v, ";tag=") {
				v += ";tag=far"
			}
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:far@%s;transport=%s>\r\n%s", f.host, f.transport, f.extra)
	return b.String() + withBody(sdp)
}

// withContact adds the far end's own Contact where a test has written none.
func (f *farEnd) withContact(headers string) string {
	if strings.HasPrefix(headers, "Contact:") {
		return headers
	}
	return fmt.Sprintf("Contact: <sip:far@%s;transport=%s>\r\n%s", f.host, f.transport, headers)
}

func withBody(sdp string) string {
	if sdp == "" {
		return "Content-Length: 0\r\n\r\n"
	}
	return fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
}

func (f *farEnd) sdp() string {
	host, port, _ := net.SplitHostPort(f.rtp.LocalAddr().String())
	first := f.sdpFirst
	if first == "" {
		first = "o=- 1 1 IN IP4 " + host + "\r\ns=-\r\n"
	}
	return fmt.Sprintf("v=0\r\n%s%sc=IN IP4 %s\r\nt=0 0\r\nm=audio %s RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n%s", first, f.sdpExtra, host, port, f.sdpLast)
}

var (
	audioPort = regexp.MustCompile(`(?m)^m=audio ([0-9]+) `)
	audioHost = regexp.MustCompile(`(?m)^c=IN IP4 ([0-9.]+)`)
)

// sing sends a hum of G.711 to where an SDP says, until the far end is hushed.
func (f *farEnd) sing(sdp string) {
	port, host := audioPort.FindStringSubmatch(sdp), audioHost.FindStringSubmatch(sdp)
	if port == nil || host == nil {
		return
	}
	to, err := net.ResolveUDPAddr("udp", host[1]+":"+port[1])
	if err != nil {
		return
	}
	f.running.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			packet := append([]byte{0x80, 0, byte(n >> 8), byte(n), 0, byte(n * 160 >> 16), byte(n * 160 >> 8), byte(n * 160), 1, 2, 3, 4}, bytes.Repeat([]byte{0x80, 0, 0x80, 0xff}, 40)...)
			f.rtp.WriteTo(packet, to)
			select {
			case <-tick.C:
			case <-f.hum.Done():
				return
			}
		}
	})
}

func (f *farEnd) send(text string) {
	f.t.Helper()
	var err error
	if f.transport == "udp" {
		var to *net.UDPAddr
		to, err = net.ResolveUDPAddr("udp", f.server)
		must(f.t, err)
		_, err = f.udp.WriteTo([]byte(text), to)
	} else {
		_, err = io.WriteString(f.tcp, text)
	}
	must(f.t, err)
}

// heard is every byte that the far end was sent.
func (f *farEnd) heard() []byte {
	var b bytes.Buffer
	for _, m := range f.messages() {
		b.WriteString(m.raw)
	}
	return b.Bytes()
}

func (f *farEnd) messages() []sipText {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]sipText(nil), f.got...)
}

// invites counts the calls that came.
func (f *farEnd) invites() (n int) {
	for _, m := range f.messages() {
		if strings.HasPrefix(m.first, "INVITE ") && !strings.Contains(m.header.Get("To"), ";tag=") {
			n++
		}
	}
	return n
}

// wait returns the first answer with that number in CSeq whose status is not provisional.
func (f *farEnd) wait(limit time.Duration, cseq string) sipText {
	f.t.Helper()
	deadline := time.After(limit)
	for {
		select {
		case m := <-f.answers:
			if m.header.Get("Cseq") == cseq && !strings.HasPrefix(m.first, "SIP/2.0 1") {
				return m
			}
		case <-deadline:
			f.t.Fatalf("no answer to %s within %v", cseq, limit)
		}
	}
}

// register registers as an agent, whose password the server asks for (RFC 3261 §10.2, RFC 2617).
func (f *farEnd) register(agent string) {
	f.t.Helper()
	send := func(seq int, authorization string) sipText {
		f.send(fmt.Sprintf("REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK-r%d-%s;rport\r\nFrom: <sip:%s@%s>;tag=r\r\nTo: <sip:%s@%s>\r\nCall-ID: reg-%s\r\nCSeq: %d REGISTER\r\n"+
			"Contact: <sip:%s@%s;transport=%s>\r\nMax-Forwards: 70\r\nExpires: 300\r\n%sContent-Length: 0\r\n\r\n", f.server, strings.ToUpper(f.transport), f.host, seq, agent,
			agent, f.server, agent, f.server, agent, seq, agent, f.host, f.transport, authorization))
		return f.wait(10*time.Second, fmt.Sprintf("%d REGISTER", seq))
	}
	asked := send(1, "").header.Get("Www-Authenticate")
	value := func(name string) string {
		m := regexp.MustCompile(name + `="([^"]*)"`).FindStringSubmatch(asked)
		if m == nil {
			f.t.Fatalf("no %s in %q", name, asked)
		}
		return m[1]
	}
	hash := func(parts ...string) string {
		h := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h[:])
	}
	realm, nonce, uri := value("realm"), value("nonce"), "sip:"+f.server
	response := hash(hash(agent, realm, "secret-"+agent), nonce, "00000001", "c1", "auth", hash("REGISTER", uri))
	m := send(2, fmt.Sprintf("Authorization: Digest username=%q, realm=%q, nonce=%q, uri=%q, response=%q, algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c1\"\r\n",
		agent, realm, nonce, uri, response))
	if !strings.HasPrefix(m.first, "SIP/2.0 200") {
		f.t.Fatalf("agent %s: REGISTER: %s", agent, m.first)
	}
}

// A dialog is a call that a far end has placed.
type dialog struct {
	f              *farEnd
	from, id       string // From and Call-ID
	via, headers   string // parameters of Via; header lines of the INVITE
	to, next, song string
	seq            int
}

// call places a call to number and waits until it is answered, with 200. headers are whole lines.
func (f *farEnd) call(number, from, id, via, headers string) *dialog {
	f.t.Helper()
	d := f.invite(number, from, id, via, headers)
	d.answered(30 * time.Second)
	return d
}

// invite places a call and does not wait.
func (f *farEnd) invite(number, from, id, via, headers string) *dialog {
	f.t.Helper()
	d := &dialog{f: f, from: from, id: id, via: via, headers: headers, to: fmt.Sprintf("<sip:%s@%s>", number, f.server), next: fmt.Sprintf("sip:%s@%s", number, f.server), seq: 1}
	d.request("INVITE", headers, f.sdp())
	return d
}

// answered waits for the 200 and acknowledges it.
func (d *dialog) answered(limit time.Duration) {
	d.f.t.Helper()
	m := d.f.wait(limit, fmt.Sprintf("%d INVITE", d.seq))
	if !strings.HasPrefix(m.first, "SIP/2.0 200") {
		d.f.t.Fatalf("INVITE: %s", m.raw)
	}
	d.to = m.header.Get("To")
	_, uri, _ := strings.Cut(m.header.Get("Contact"), "<")
	d.next, _, _ = strings.Cut(uri, ">")
	d.request("ACK", "", "")
	if d.song != m.body {
		d.song = m.body
		d.f.sing(m.body)
	}
}

func (d *dialog) request(method, headers, sdp string) {
	d.f.t.Helper()
	f := d.f
	f.send(fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK-%s-%s-%d;rport%s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n%s%s",
		method, d.next, strings.ToUpper(f.transport), f.host, d.id, strings.ToLower(method), d.seq, d.via, d.from, d.to, d.id, d.seq, method, f.withContact(headers), withBody(sdp)))
}

// again sends a re-INVITE with the same headers and waits for its answer.
func (d *dialog) again() {
	d.f.t.Helper()
	d.seq++
	d.request("INVITE", d.headers, d.f.sdp())
	d.answered(10 * time.Second)
}

// hangUp ends the call, with more headers.
func (d *dialog) hangUp(headers string) {
	d.f.t.Helper()
	d.seq++
	d.request("BYE", headers, "")
	if m := d.f.wait(10*time.Second, fmt.Sprintf("%d BYE", d.seq)); !strings.HasPrefix(m.first, "SIP/2.0 200") {
		d.f.t.Errorf("BYE: %s", m.first)
	}
}
