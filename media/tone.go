package media

import (
	"math"
	"time"
)

// rate is how many samples a second G.711 has.
const rate = 8000

// Tone returns a clip of a sine of freq hertz. Level is its peak, from 0 to 1 of full scale.
func Tone(freq, level float64, d time.Duration) *Clip {
	samples := make([]int16, int(d.Seconds()*rate))
	for i := range samples {
		samples[i] = int16(level * math.MaxInt16 * math.Sin(2*math.Pi*freq*float64(i)/rate))
	}
	return newClip(samples)
}

// Goertzel tells how much of the power of samples (8000 a second) lies at freq hertz: 1 for a pure sine of that
// frequency, near 0 when there is none of it, and 0 for silence. The longer the samples, the narrower it hears: 20 ms
// tell 50 Hz apart.
func Goertzel(samples []int16, freq float64) float64 {
	coeff := 2 * math.Cos(2*math.Pi*freq/rate)
	var s1, s2, power float64
	for _, v := range samples {
		x := float64(v)
		s1, s2 = x+coeff*s1-s2, s1
		power += x * x
	}
	if power == 0 {
		return 0
	}
	at := s1*s1 + s2*s2 - coeff*s1*s2
	return min(1, 2*at/(power*float64(len(samples))))
}
