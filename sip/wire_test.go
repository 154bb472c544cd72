package sip

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A wire is a peer of the server that speaks SIP as text, so that a test can say what no stack would.
type wire struct {
	t      *testing.T
	over   string // "udp" or "tcp"
	conn   net.Conn
	local  string // host:port
	branch int
	in     chan *text

	mu    sync.Mutex
	heard []string // every message that came, as it came
}

// A text is a message as it came.
type text struct {
	raw     string
	start   string
	headers map[string][]string
	body    string
}

// dial opens a peer on that network; from is its address, port 0 for any.
func (st *stage) dial(network, from string) *wire {
	st.t.Helper()
	var local net.Addr
	if network == "udp" {
		local, _ = net.ResolveUDPAddr("udp", from)
	} else {
		local, _ = net.ResolveTCPAddr("tcp", from)
	}
	conn, err := (&net.Dialer{LocalAddr: local}).Dial(network, st.addr(network))
	if err != nil {
		st.t.Fatal(err)
	}
	w := &wire{t: st.t, over: network, conn: conn, local: conn.LocalAddr().String(), in: make(chan *text, 1024)}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		w.read()
	}()
	st.t.Cleanup(func() { conn.Close(); <-reading })
	return w
}

func (st *stage) caller() *wire { return st.dial("udp", "127.0.0.1:0") }

func (w *wire) read() {
	buf := make([]byte, 65536)
	rest := ""
	for {
		n, err := w.conn.Read(buf)
		if err != nil {
			if w.network() == "udp" && !strings.Contains(err.Error(), "closed") {
				continue // an ICMP error for something sent earlier
			}
			return
		}
		rest += string(buf[:n])
		for {
			m, size := parseText(rest)
			if size == 0 {
				break
			}
			rest = rest[size:]
			w.mu.Lock()
			w.heard = append(w.heard, m.raw)
			w.mu.Unlock()
			w.in <- m
		}
	}
}

func (w *wire) network() string { return w.over }

// parseText reads one message from the beginning of s, and says how long it is; 0 when it is not all there.
func parseText(s string) (*text, int) {
	head, _, ok := strings.Cut(s, "\r\n\r\n")
	if !ok {
		return nil, 0
	}
	lines := strings.Split(head, "\r\n")
	m := &text{start: lines[0], headers: map[string][]string{}}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(name)
		m.headers[name] = append(m.headers[name], strings.TrimSpace(value))
	}
	n, _ := strconv.Atoi(m.get("content-length"))
	size := len(head) + 4 + n
	if len(s) < size {
		return nil, 0
	}
	m.body, m.raw = s[len(head)+4:size], s[:size]
	return m, size
}

func (m *text) get(name string) string {
	if v := m.headers[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// tag is the tag of that header.
func (m *text) tag(header string) string {
	_, tag, _ := strings.Cut(m.get(header), "tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}

func (m *text) uri(header string) string {
	_, uri, _ := strings.Cut(m.get(header), "<")
	uri, _, _ = strings.Cut(uri, ">")
	return uri
}

func (w *wire) send(format string, args ...any) {
	w.t.Helper()
	s := fmt.Sprintf(format, args...)
	head, body, _ := strings.Cut(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n"), "\r\n\r\n")
	s = head + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	if _, err := w.conn.Write([]byte(s)); err != nil {
		w.t.Fatal(err)
	}
}

// next waits for the next message.
func (w *wire) next() *text {
	w.t.Helper()
	select {
	case m := <-w.in:
		return m
	case <-time.After(patienceOfTests):
		w.t.Fatal("nothing came")
		return nil
	}
}

// expect waits for the next message that begins so; provisional answers before it are passed over.
func (w *wire) expect(start string) *text {
	w.t.Helper()
	for {
		m := w.next()
		if strings.HasPrefix(m.start, start) {
			return m
		}
		if !strings.HasPrefix(m.start, "SIP/2.0 1") {
			w.t.Fatalf("came %q, want %q\n%v", m.start, start, m.headers)
		}
	}
}

// until passes over everything before a message that begins so.
func (w *wire) until(start string) *text {
	w.t.Helper()
	for {
		if m := w.next(); strings.HasPrefix(m.start, start) {
			return m
		}
	}
}

// A party on the wire: one dialog of a peer, as caller or as phone.
type wireDialog struct {
	*wire
	callID, localTag, remoteTag string
	local, remote, target       string
	seq                         int
	inviteBranch                string
	contact                     string
}

const pcmuOffer = `v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 40000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
`

var callNumber = struct {
	sync.Mutex
	n int
}{}

// ready makes the dialog of a call that the peer is going to place.
func (w *wire) ready() *wireDialog {
	callNumber.Lock()
	callNumber.n++
	n := callNumber.n
	callNumber.Unlock()
	return &wireDialog{wire: w, callID: fmt.Sprintf("test-%d", n), localTag: fmt.Sprintf("from%d", n),
		local: "sip:+12125550142@carrier.invalid", remote: "sip:311@127.0.0.1", target: "sip:311@127.0.0.1",
		contact: "sip:peer@" + w.local + ";transport=" + w.network()}
}

func (d *wireDialog) via(branch string) string {
	return fmt.Sprintf("Via: SIP/2.0/%s %s;branch=%s;rport", strings.ToUpper(d.network()), d.wire.local, branch)
}

func (d *wireDialog) newBranch() string {
	d.branch++
	return fmt.Sprintf("z9hG4bK-%s-%s-%d", d.callID, d.localTag, d.branch)
}

// request is the text of a request of the dialog, without the empty line and body.
func (d *wireDialog) request(method, branch string, seq int, extra ...string) string {
	to := "<" + d.remote + ">"
	if d.remoteTag != "" {
		to += ";tag=" + d.remoteTag
	}
	lines := append([]string{
		method + " " + d.target + " SIP/2.0", d.via(branch), "From: <" + d.local + ">;tag=" + d.localTag, "To: " + to,
		"Call-ID: " + d.callID, fmt.Sprintf("CSeq: %d %s", seq, method), "Max-Forwards: 70",
		"Contact: <" + d.contact + ">"}, extra...)
	return strings.Join(lines, "\n")
}

// invite sends an INVITE with that SDP, none when it is empty.
func (d *wireDialog) invite(sdp string, extra ...string) {
	d.t.Helper()
	d.seq++
	d.inviteBranch = d.newBranch()
	if sdp != "" {
		extra = append(extra, "Content-Type: application/sdp")
	}
	d.send("%s\n\n%s", d.request("INVITE", d.inviteBranch, d.seq, extra...), sdp)
}

// accept takes the 2xx to the last INVITE and sends its ACK.
func (d *wireDialog) accept(res *text, sdp string) {
	d.t.Helper()
	d.remoteTag, d.target = res.tag("to"), res.uri("contact")
	d.ack(d.newBranch(), sdp)
}

func (d *wireDialog) ack(branch, sdp string) {
	d.t.Helper()
	extra := []string{}
	if sdp != "" {
		extra = append(extra, "Content-Type: application/sdp")
	}
	d.send("%s\n\n%s", d.request("ACK", branch, d.seq, extra...), sdp)
}

// do sends a request within the dialog and returns its final answer.
func (d *wireDialog) do(method string, body string, extra ...string) *text {
	d.t.Helper()
	d.seq++
	d.send("%s\n\n%s", d.request(method, d.newBranch(), d.seq, extra...), body)
	return d.final(method)
}

// final waits for the final answer to the last request of that method.
func (d *wireDialog) final(method string) *text {
	d.t.Helper()
	for {
		m := d.expect("SIP/2.0 ")
		if strings.HasSuffix(m.get("cseq"), method) && !strings.HasPrefix(m.start, "SIP/2.0 1") {
			return m
		}
	}
}

// mine waits for a message of this dialog that begins so, and passes over all others.
func (d *wireDialog) mine(start string) *text {
	d.t.Helper()
	for {
		if m := d.until(start); m.get("call-id") == d.callID {
			return m
		}
	}
}

// say answers a request that came, and names the peer's tag and contact.
func (d *wireDialog) say(req *text, status, sdp string) {
	d.t.Helper()
	d.answer(req, status, d.localTag, sdp)
}

func (d *wireDialog) answer(req *text, status, tag, sdp string, extra ...string) {
	d.t.Helper()
	lines := []string{"SIP/2.0 " + status}
	for _, via := range req.headers["via"] {
		lines = append(lines, "Via: "+via)
	}
	to := req.get("to")
	if !strings.Contains(to, "tag=") {
		to += ";tag=" + tag
	}
	lines = append(lines, "From: "+req.get("from"), "To: "+to, "Call-ID: "+req.get("call-id"), "CSeq: "+req.get("cseq"),
		"Contact: <"+d.contact+">")
	if sdp != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	d.send("%s\n\n%s", strings.Join(append(lines, extra...), "\n"), sdp)
}
