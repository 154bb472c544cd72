package media

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestCloseIsHeard: close is called while the carrier is at work on a batch in which the timer is due as well. The wake
// that close makes is then drained with the timer, and must not be needed.
func TestCloseIsHeard(t *testing.T) {
	l := &loop{epoch: time.Now()}
	made, err := newEpollCarrier(l)
	if err != nil {
		t.Fatal(err)
	}
	l.carrier = made
	where, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := where.LocalAddr().(*net.UDPAddr).AddrPort()
	where.Close()
	s, err := made.bind(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port()))
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	send := func() {
		if _, err := far.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
	}

	heard, goOn := make(chan struct{}), make(chan struct{})
	if err := s.renew(made); err != nil {
		t.Fatal(err)
	}
	s.listen(func(time.Time, netip.AddrPort, []byte) { heard <- struct{}{}; <-goOn })
	defer s.close()
	send()
	<-heard // the carrier is in the middle of a batch
	send()
	made.wake(0)
	waitMillis() // the next batch has the second packet and the timer
	goOn <- struct{}{}
	<-heard
	closed := make(chan error, 1)
	go func() { closed <- made.close() }()
	waitMillis() // close has set its mark and its timer, and waits
	goOn <- struct{}{}
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the carrier did not hear close")
	}
}

// waitMillis lets what was just begun elsewhere happen: the kernel's timer, the other goroutine's next line.
func waitMillis() { <-time.After(20 * time.Millisecond) }
