package sip

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"callhall/call"
	"callhall/media"
)

var _ = []call.Conferrer{(*callerLeg)(nil), calledLeg{}}

// A hearer is a leg with sound, and the far end that hears it.
type hearer struct {
	calledLeg
	hears *net.UDPConn
}

// listen puts up a leg whose party can be heard and hears.
func (st *stage) listen(id call.LegID) *hearer {
	st.t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() { conn.Close() })
	stream, err := st.lease(nil)
	if err != nil {
		st.t.Fatal(err)
	}
	l := &hearer{calledLeg{st.newLeg(id, testLog(st.t), nil)}, conn}
	l.take(stream)
	remote := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	l.tune(agreement{params: media.Params{Remote: remote, Send: true, Receive: true}})
	st.t.Cleanup(func() { l.stop() })
	return l
}

// packets tells whether RTP comes within that time.
func (l *hearer) packets(t *testing.T, within time.Duration) bool {
	t.Helper()
	if err := l.hears.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	_, err := l.hears.Read(make([]byte, 1500))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return err == nil
}

// drain forgets what has come.
func (l *hearer) drain(t *testing.T) {
	t.Helper()
	for l.packets(t, time.Millisecond) {
	}
}

func TestConfer(t *testing.T) {
	st := raise(t)
	a, b, c := st.listen("a"), st.listen("b"), st.listen("c")
	if err := a.Play(call.Prompt{Name: "hold", Language: "en", Loop: true}); err != nil {
		t.Fatal(err)
	}
	if err := a.Confer(b, c); err != nil {
		t.Fatal(err)
	}
	if a.playing.Name != "" {
		t.Errorf("still plays %q", a.playing.Name)
	}
	for _, l := range []*hearer{a, b, c} {
		if !l.packets(t, patienceOfTests) {
			t.Errorf("%s hears nothing", l.ID())
		}
	}
	b.Part()
	b.Part()
	b.drain(t)
	c.drain(t)
	if !a.packets(t, patienceOfTests) || !c.packets(t, patienceOfTests) || b.packets(t, 60*time.Millisecond) {
		t.Error("after one has left: the others do not hear each other, or it still hears them")
	}
	c.stop()
	if err := a.Join(b); err != nil {
		t.Error(err)
	}
}

// Whatever is wrong with a conference, those who hear each other go on.
func TestConferRefused(t *testing.T) {
	st := raise(t)
	a, b, over := st.listen("a"), st.listen("b"), st.listen("c")
	over.stop()
	var seven []call.Leg
	for range media.MaxParties {
		seven = append(seven, st.listen("x"))
	}
	if err := a.Confer(b, seven[0]); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		others []call.Leg
		want   error
	}{
		"ended":    {[]call.Leg{b, over}, call.ErrLegGone},
		"too many": {seven, media.ErrTooMany},
		"not ours": {[]call.Leg{b, struct{ call.Leg }{}}, nil},
	} {
		err := a.Confer(c.others...)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		b.drain(t)
		if !b.packets(t, patienceOfTests) {
			t.Errorf("%s: the others hear nothing any more", name)
		}
	}
	if err := over.Confer(a, b); !errors.Is(err, call.ErrLegGone) {
		t.Errorf("of one that has ended: %v", err)
	}
}
