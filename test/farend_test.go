package test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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

// ringing waits for the call that an agent's phone is told of, and returns its id.
func (f *farEnd) ringing() (id string) {
	f.t.Helper()
	within(f.t, 30*time.Second, func() error {
		for _, m := range f.messages() {
			if id = m.header.Get("X-Callhall-Call"); id != "" {
				return nil
			}
		}
		return errors.New("the phone has not rung")
	})
	return id
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
