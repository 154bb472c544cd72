package load

import (
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h histogram
	if got := h.delays(); got != (Delays{}) {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 10_000 { // 0 to 10 ms, a microsecond apart
		h.add(time.Duration(i) * time.Microsecond)
	}
	want := Delays{5 * time.Millisecond, 9900 * time.Microsecond, 9990 * time.Microsecond}
	if got := h.delays(); got != want {
		t.Errorf("of a ramp: %v, not %v", got, want)
	}
	var edges histogram
	edges.add(-time.Second)
	edges.add(time.Hour)
	if edges.at(0) != 0 || edges.at(0.99) != (bins-1)*binWidth {
		t.Errorf("edges: %v and %v", edges.at(0), edges.at(0.99))
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	ds := []time.Duration{3, 1, 2, 4}
	if Percentile(nil, 0.5) != 0 || Percentile(ds, 0.5) != 3 || Percentile(ds, 1) != 4 || ds[0] != 3 {
		t.Errorf("percentiles %v %v, of %v", Percentile(ds, 0.5), Percentile(ds, 1), ds)
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	var s stream
	if s.tally() != (tally{}) {
		t.Error("nothing heard is not nothing")
	}
	for _, n := range []uint32{10, 12, 11, 15} { // 13 and 14 are missing
		s.hear(n)
	}
	if got := s.tally(); got != (tally{4, 2}) {
		t.Errorf("tally %v", got)
	}
	for range 5 {
		s.hear(15) // again and again
	}
	if got := s.tally(); got.lost != 0 {
		t.Errorf("lost %d after duplicates", got.lost)
	}
}

// TestArrival: the kernel's stamp is before our reading of the clock and after the sending; without one we have our own.
func TestArrival(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, oob := range [][]byte{nil, make([]byte, 3), make([]byte, 64)} {
		if got := arrival(oob, now); got != now {
			t.Errorf("stamp out of %v: %v", oob, got)
		}
	}
	if runtime.GOOS != "linux" {
		t.Skip("the kernel's stamp is read on Linux only")
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	defer c.Close()
	stampArrivals(c)
	before := time.Now().Round(0)
	_, err = c.WriteToUDP([]byte("x"), c.LocalAddr().(*net.UDPAddr))
	check(t, err)
	msgs := []ipv4.Message{{Buffers: [][]byte{make([]byte, 10)}, OOB: make([]byte, 64)}}
	_, err = ipv4.NewPacketConn(c).ReadBatch(msgs, 0)
	check(t, err)
	read := time.Now().Round(0)
	got := arrival(msgs[0].OOB[:msgs[0].NN], time.Time{})
	if got.Before(before) || got.After(read) {
		t.Errorf("sent %v, stamped %v, read %v", before, got, read)
	}
}
