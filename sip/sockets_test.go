package sip

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A faultyListener gives what it has, one after the other, and then is closed.
type faultyListener struct {
	net.Listener
	next []any // error or net.Conn
}

func (l *faultyListener) Close() error { return nil }

func (l *faultyListener) Accept() (net.Conn, error) {
	if len(l.next) == 0 {
		return nil, net.ErrClosed
	}
	first := l.next[0]
	l.next = l.next[1:]
	if err, ok := first.(error); ok {
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	return first.(net.Conn), nil
}

func nobody(netip.Addr) bool    { return false }
func everybody(netip.Addr) bool { return true }

func TestAcceptOutlivesFaultsThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := net.Pipe()
		defer far.Close()
		next := []any{conn}
		for range 20 {
			next = append([]any{error(syscall.EMFILE)}, next...)
		}
		l := newStreams(&faultyListener{next: append([]any{error(syscall.ECONNABORTED)}, next...)}, nobody, silentLog(), new(atomic.Bool))
		start := time.Now()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 5*time.Second || took > 21*time.Second {
			t.Errorf("21 faults were waited out in %s", took)
		}
		c.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("then %v", err)
		}
		l = newStreams(&faultyListener{next: []any{error(syscall.EBADF)}}, nobody, silentLog(), new(atomic.Bool))
		if _, err := l.Accept(); !errors.Is(err, syscall.EBADF) {
			t.Errorf("a fault that stays: %v", err)
		}
	})
}

// connectTo returns the server's side and the far side of a connection.
func connectTo(t *testing.T, trunk func(netip.Addr) bool) (near net.Conn, far net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { b.Close() })
	l := newStreams(&faultyListener{next: []any{a}}, trunk, silentLog(), new(atomic.Bool))
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return near, b
}

// heardFor is how long the server goes on reading.
func heardFor(near net.Conn) time.Duration {
	start := time.Now()
	_, _ = io.Copy(io.Discard, near)
	return time.Since(start)
}

func TestSilentConnectionsAreClosed(t *testing.T) {
	say := func(far net.Conn, every time.Duration, texts ...string) {
		for _, text := range texts {
			time.Sleep(every)
			_, _ = far.Write([]byte(text))
		}
	}
	whole := "OPTIONS sip:311@city.invalid SIP/2.0\r\nVia: x\r\n\r\n"
	for name, c := range map[string]struct {
		trunk bool
		every time.Duration
		texts []string
		want  time.Duration
	}{
		"says nothing":     {want: 30 * time.Second},
		"says CRLF only":   {every: 9 * time.Second, texts: []string{"\r\n\r\n", "\r\n\r\n", "\r\n\r\n"}, want: 30 * time.Second},
		"drips a message":  {every: 9 * time.Second, texts: []string{"OPTIONS ", "sip:x", "@y\r"}, want: 30 * time.Second},
		"speaks once":      {every: time.Second, texts: []string{whole}, want: time.Second + 3*time.Minute},
		"speaks in pieces": {every: time.Second, texts: []string{"\r\n", whole[:len(whole)-3], "\n\r", "\n"}, want: 4*time.Second + 3*time.Minute},
		"is a trunk":       {trunk: true, every: time.Hour, texts: []string{whole, whole}, want: 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trunk := nobody
				if c.trunk {
					trunk = everybody
				}
				near, far := connectTo(t, trunk)
				go func() {
					say(far, c.every, c.texts...)
					if c.trunk {
						time.Sleep(c.every)
						far.Close()
					}
				}()
				if got := heardFor(near); got != c.want {
					t.Errorf("heard for %s, want %s", got, c.want)
				}
				near.Close()
				time.Sleep(time.Hour) // for who still speaks
			})
		})
	}
}

func TestKeepAliveKeepsAPhoneConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connectTo(t, nobody)
		go func() {
			_, _ = far.Write([]byte("REGISTER sip:city.invalid SIP/2.0\r\n\r\n"))
			for range 60 {
				time.Sleep(2 * time.Minute)
				_, _ = far.Write([]byte("\r\n\r\n"))
			}
		}()
		if got, want := heardFor(near), 2*time.Hour+3*time.Minute; got != want {
			t.Errorf("heard for %s, want %s", got, want)
		}
	})
}

func TestOneSourceCannotTakeAllConnections(t *testing.T) {
	st := raise(t)
	open := func(from string) net.Conn {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", st.addr("tcp"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	answers := func(conn net.Conn) bool {
		_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
		if _, err := io.WriteString(conn, optionsTo("stream"+portOf(conn))); err != nil {
			return false
		}
		n, err := conn.Read(make([]byte, 4096))
		return err == nil && n > 0
	}
	var held []net.Conn
	for range maxStreamsFrom {
		held = append(held, open("127.0.0.2"))
	}
	if !answers(held[maxStreamsFrom-1]) {
		t.Error("the last one allowed is not served")
	}
	if answers(open("127.0.0.2")) {
		t.Error("one more is served")
	}
	if !answers(open("127.0.0.3")) {
		t.Error("another source is not served")
	}
	for range maxStreamsFrom + 1 {
		if !answers(open("127.0.0.1")) {
			t.Fatal("a trunk is not served")
		}
	}
	held[0].Close()
	eventually(t, func() string {
		if !answers(open("127.0.0.2")) {
			return "a place that was given back is not taken"
		}
		return ""
	})
}

// A brokenSocket cannot be read.
type brokenSocket struct{ net.PacketConn }

func (brokenSocket) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, syscall.EIO }

func TestSocketThatFailsIsAnError(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Listen: []string{"udp://127.0.0.1:0"}}, Deps{Log: silentLog(), Agents: noAgents{}, Presence: noPresence{}})
	if err != nil {
		t.Fatal(err)
	}
	s.listeners[0].close()
	s.listeners[0] = &listener{network: "udp", addr: mustAddrPort(conn.LocalAddr().String()), packets: brokenSocket{conn}}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "udp://") {
		t.Errorf("Run: %v", err)
	}
}

func TestDeafServerHandlesNothing(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	if m := d.do("OPTIONS", ""); m.start != "SIP/2.0 200 OK" {
		t.Fatalf("%q", m.start)
	}
	st.handling.enter() // a handler at work
	deaf := make(chan struct{})
	go func() {
		defer close(deaf)
		st.turnDeaf()
	}()
	select {
	case <-deaf:
		t.Error("the handler was not waited for")
	case <-time.After(2 * settling):
	}
	st.handling.leave()
	<-deaf
	d.seq++
	d.send("%s\n\n", d.request("OPTIONS", d.newBranch(), d.seq))
	select {
	case m := <-d.in:
		t.Errorf("a deaf server said %q", m.start)
	case <-time.After(2 * settling):
	}
}
