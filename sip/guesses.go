package sip

import (
	"net/netip"
	"sync"
	"time"
)

// How many wrong passwords are borne within guessWindow before a source must wait.
const (
	guessesPerPair   = 5  // from one source for one user: a phone with an old password
	guessesPerSource = 50 // from one source for any users
	guessesPerUser   = 50 // for one user from anywhere: from then on a new source has one guess
	guessWindow      = 10 * time.Minute
	maxGuessers      = 100_000 // remembered at once; beyond it the oldest generation is forgotten
)

// guesses counts wrong passwords. Nobody can lock an owner out: a source that gave the right password is counted by
// itself, and a source that guessed nothing yet always has one try.
type guesses struct {
	now func() time.Time

	mu       sync.Mutex
	young    tally
	old      tally
	rotateAt time.Time
	trusted  map[guesser]time.Time // when the right password last came from there
}

type guesser struct {
	src  netip.Addr
	user string
}

type tally struct {
	pairs   map[guesser]int
	sources map[netip.Addr]int
	users   map[string]int
}

func newTally() tally {
	return tally{pairs: map[guesser]int{}, sources: map[netip.Addr]int{}, users: map[string]int{}}
}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, young: newTally(), old: newTally(), trusted: map[guesser]time.Time{}}
}

// wait is how long a source has to wait before its next try for that user; 0 is not at all.
func (g *guesses) wait(src netip.Addr, user string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.rotate()
	who := guesser{src, user}
	pair := g.young.pairs[who] + g.old.pairs[who]
	allowed := guessesPerPair
	if _, trusted := g.trusted[who]; !trusted {
		if g.young.users[user]+g.old.users[user] >= guessesPerUser {
			allowed = 1
		}
		if g.young.sources[src]+g.old.sources[src] >= guessesPerSource {
			allowed = 0
		}
	}
	if pair < allowed {
		return 0
	}
	return g.rotateAt.Sub(now)
}

// wrong counts a wrong password.
func (g *guesses) wrong(src netip.Addr, user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rotate()
	g.young.pairs[guesser{src, user}]++
	g.young.sources[src]++
	g.young.users[user]++
}

// right notes that the owner is at src.
func (g *guesses) right(src netip.Addr, user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	who := guesser{src, user}
	g.trusted[who] = g.rotate()
	delete(g.young.pairs, who)
	delete(g.old.pairs, who)
}

// rotate forgets what is older than the window and returns the time. The caller holds mu.
func (g *guesses) rotate() time.Time {
	now := g.now()
	if now.Before(g.rotateAt) && len(g.young.pairs) < maxGuessers {
		return now
	}
	if now.Sub(g.rotateAt) > guessWindow { // nothing for a whole window
		g.young = newTally()
	}
	g.old, g.young = g.young, newTally()
	g.rotateAt = now.Add(guessWindow)
	for who, at := range g.trusted {
		if now.Sub(at) > 24*time.Hour {
			delete(g.trusted, who)
		}
	}
	return now
}
