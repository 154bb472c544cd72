package recording_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"callhall/call"
	"callhall/recording"
)

// cpu is the processor time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFlush is one round of the flusher for so many recordings: sealing, one write, one sync.
func BenchmarkFlush(b *testing.B) {
	for _, n := range []int{100, 600} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRig(b, b.TempDir(), options{idle: true})
			var recs []call.Recording
			for range n {
				recs = append(recs, r.begin())
			}
			p, i, began := packet(callerTone, 0, 1, time.Now()), 0, time.Now()
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				for range 13 {
					p.Seq, p.TS, p.At = uint16(i), uint32(i*160), began.Add(time.Duration(i)*20*time.Millisecond)
					for _, rec := range recs {
						rec.Caller().Heard(p)
						rec.Agent().Heard(p)
					}
					i++
				}
				b.StartTimer()
				before := cpu()
				if err := r.Flush(); err != nil {
					b.Fatal(err)
				}
				used += cpu() - before
			}
			b.ReportMetric(float64(used.Microseconds())/float64(b.N)/float64(n), "cpu-µs/recording")
		})
	}
}

// BenchmarkLife is a recording of so many seconds from its start until it is stored in a directory, many at once.
func BenchmarkLife(b *testing.B) {
	for _, seconds := range []int{3, 60} {
		b.Run(fmt.Sprint(seconds), func(b *testing.B) {
			r := newRig(b, b.TempDir(), options{})
			var used time.Duration
			for b.Loop() {
				before := cpu()
				lives(b, r, 200, seconds)
				used += cpu() - before
			}
			b.ReportMetric(float64(used.Microseconds())/float64(b.N)/200, "cpu-µs/recording")
		})
	}
}

// lives begins, fills and ends n recordings and waits until they are stored.
func lives(b *testing.B, r *rig, n, seconds int) {
	p, began := packet(callerTone, 0, 1, time.Now()), time.Now()
	var recs []call.Recording
	for range n {
		recs = append(recs, r.begin())
	}
	for i := range seconds * 50 {
		p.Seq, p.TS, p.At = uint16(i), uint32(i*160), began.Add(time.Duration(i)*20*time.Millisecond)
		for _, rec := range recs {
			rec.Caller().Heard(p)
			rec.Agent().Heard(p)
		}
	}
	done := make(chan call.RecordingID, n)
	for _, rec := range recs {
		go func() { done <- r.end(rec).ID }()
	}
	for range n {
		r.await(<-done, recording.StateStored)
	}
}

// BenchmarkErase is the eraser at work on what fell due together.
func BenchmarkErase(b *testing.B) {
	const n = 500
	for b.Loop() {
		b.StopTimer()
		r := newRig(b, b.TempDir(), options{})
		done := make(chan call.RecordingSummary, n)
		for range n {
			rec := r.begin()
			go func() { done <- r.end(rec) }()
		}
		var last call.RecordingSummary
		for range n {
			last = <-done
			r.await(last.ID, recording.StateStored)
		}
		b.StartTimer()
		r.clock.set(last.DueAt.Add(time.Second))
		erased := 0
		for erased < n {
			if _, err := r.EraseDue(b.Context()); err != nil {
				b.Fatal(err)
			}
			erased = len(r.book.of("recording.erased/1"))
		}
		b.StopTimer()
		r.stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "erased/s")
}
