// Package test holds what is tested from outside: the built binary under real peers, and the arrows between packages.
// Nothing here imports the code it tests, except for its sound: tones are made and measured by this package's own few
// lines, so that a fault in media cannot hide itself.
package test
