//go:build unix

package media

import "testing"

// BenchmarkLease is a lease and a close over real sockets, while other streams are open, without any deaf time: each
// lease gets the pair that was closed 64 leases before. cpu-ns/lease is the CPU of the whole process, the kernel's part
// and that of the carrier's goroutines included.
func BenchmarkLease(b *testing.B) {
	for name, carry := range map[string]func(*loop) (carrier, error){"best": newCarrier, "sockets": newSocketCarrier} {
		b.Run(name, func(b *testing.B) { benchLease(b, openReal(b, carry, 2)) })
	}
}

func benchLease(b *testing.B, e *Engine) {
	defer closeEngine(b, e)
	e.cfg.Deaf = -1
	var open [64]*Stream
	turn := func(i int) {
		place := &open[i%len(open)]
		near := *place // as a call's second leg is leased near its first
		if near != nil {
			near.Close()
		}
		s, err := e.Lease(near)
		if err != nil {
			b.Fatal(err)
		}
		*place = s
	}
	for i := range 2 * len(open) {
		turn(i)
	}
	before := processCPU(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		turn(i)
	}
	b.StopTimer()
	b.ReportMetric(float64(processCPU(b)-before)/float64(b.N), "cpu-ns/lease")
}
