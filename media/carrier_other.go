//go:build !linux

package media

// newCarrier is the best carrier of this system.
func newCarrier(l *loop) (carrier, error) { return newSocketCarrier(l) }
