package sip

import (
	"time"

	"callhall/call"
	"callhall/media"
)

// ear is what a leg's stream tells it (media.Handler). Its methods run on a packet loop.
type ear struct{ *leg }

// Digit tells the call of a key. One that finds no room is lost: 64 keys that nobody reads are nobody's keys.
func (e ear) Digit(key rune) {
	if in := e.in(); in != nil {
		in.TryPut(call.Digit{Leg: e.id, Key: key})
	}
}

// Played tells the call that the prompt it asked for last has been heard.
func (e ear) Played(c *media.Clip) {
	e.mu.Lock()
	in, prompt, current := e.inbox, e.playing, e.clip == c && c != nil
	if current {
		e.playing, e.clip = call.Prompt{}, nil
	}
	e.mu.Unlock()
	if current && in != nil {
		played := call.Played{Leg: e.id, Prompt: prompt}
		if !in.TryPut(played) {
			e.server.work.run(func() { in.Put(played) })
		}
	}
}

func (e ear) in() *call.Inbox {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.inbox
}

// Quiet begins the wait for a party who has said nothing for d already.
func (e ear) Quiet(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quiet = true
	e.waitForSound(e.server.cfg.SilenceLimit - d)
}

// Heard ends it.
func (e ear) Heard() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quiet = false
	if e.silence != nil {
		e.silence.Stop()
	}
}

// listenForSilence begins the wait anew for a party who was held or muted, sent nothing, and should send again. It is
// called with mu held.
func (l *leg) listenForSilence() {
	switch {
	case !l.expected() && l.silence != nil:
		l.silence.Stop()
	case l.expected() && l.quiet:
		l.waitForSound(l.server.cfg.SilenceLimit)
	}
}

// expected tells whether the party should be sending: one that holds us may send nothing.
func (l *leg) expected() bool { return l.params.Receive && !l.held }

// waitForSound is called with mu held.
func (l *leg) waitForSound(d time.Duration) {
	if l.stopped || !l.expected() {
		return
	}
	if l.silence != nil {
		l.silence.Stop()
	}
	l.silence = time.AfterFunc(max(d, 0), l.fellSilent)
}

func (l *leg) fellSilent() {
	l.mu.Lock()
	silent := l.quiet && l.expected() && !l.stopped
	l.mu.Unlock()
	if silent && l.lose(call.CauseSilent) {
		l.goodbye(call.CauseSilent)
	}
}
