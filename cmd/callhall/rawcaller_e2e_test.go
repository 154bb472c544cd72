package main

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// rawCaller is a caller who speaks SIP by hand over one UDP socket, for what no phone of ours would do.
type rawCaller struct {
	t      *testing.T
	socket *net.UDPConn
	server string
	callID string
}

// raw opens a raw caller.
func (s *stage) raw(name string) *rawCaller {
	s.t.Helper()
	server, err := net.ResolveUDPAddr("udp", s.sipHost("udp"))
	must(s.t, err)
	socket, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, server)
	must(s.t, err)
	s.away = append(s.away, func() { socket.Close() })
	return &rawCaller{t: s.t, socket: socket, server: server.String(), callID: name}
}

// g722 is an offer of a codec that we do not speak, pcmu of one that we do.
const (
	g722 = "9"
	pcmu = "0"
)

// send sends one request. sdp is the payload type to offer; empty is no body.
func (r *rawCaller) send(method string, seq int, toTag, sdp string) {
	r.t.Helper()
	at := r.socket.LocalAddr()
	body := ""
	if sdp != "" {
		body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39998 RTP/AVP " + sdp + "\r\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s sip:311@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-%s-%d;rport\r\nMax-Forwards: 70\r\n", method, r.server, at, r.callID, seq)
	fmt.Fprintf(&b, "From: <sip:+12125550142@carrier.example>;tag=raw\r\nTo: <sip:311@%s>%s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n", r.server, toTag, r.callID, seq, method)
	fmt.Fprintf(&b, "Contact: <sip:raw@%s>\r\n", at)
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	_, err := r.socket.Write([]byte(b.String()))
	must(r.t, err)
}

// message is one that came.
type message struct{ first, text string }

// header is the whole line of a header field, empty if there is none.
func (m message) header(name string) string {
	for line := range strings.SplitSeq(m.text, "\r\n") {
		if strings.HasPrefix(line, name+": ") {
			return line
		}
	}
	return ""
}

// toTag is the parameter that the far side has added to To.
func (m message) toTag() string {
	_, tag, ok := strings.Cut(m.header("To"), ";tag=")
	if !ok {
		return ""
	}
	return ";tag=" + tag
}

// receive waits for a message whose first line begins so.
func (r *rawCaller) receive(limit time.Duration, begins string) message {
	r.t.Helper()
	must(r.t, r.socket.SetReadDeadline(time.Now().Add(limit)))
	buf := make([]byte, 64<<10)
	for {
		n, err := r.socket.Read(buf)
		if err != nil {
			r.t.Fatalf("no %q: %v", begins, err)
		}
		first, _, _ := strings.Cut(string(buf[:n]), "\r\n")
		if strings.HasPrefix(first, begins) {
			return message{first, string(buf[:n])}
		}
	}
}

// agree answers 200 to a request.
func (r *rawCaller) agree(m message) {
	r.t.Helper()
	var b strings.Builder
	b.WriteString("SIP/2.0 200 OK\r\n")
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		b.WriteString(m.header(name) + "\r\n")
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	_, err := r.socket.Write([]byte(b.String()))
	must(r.t, err)
}
