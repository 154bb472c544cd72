package test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"
)

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
