package routing

import (
	"slices"
	"time"

	"callhall/call"
)

// board is this node's copy of one city's state, indexed for what is asked of it on each event: who can be matched
// (lineup), who stands where in line, and whose deadline comes next. It does no I/O and is guarded by its city's mutex.
type board struct {
	conf      *settings
	epoch     time.Time // deadlines count from here
	lineup    *lineup
	seats     map[call.ID]*seat
	desks     map[call.AgentID]*desk
	lines     map[call.QueueID]*line
	deadlines *ordered[deadline]
	moved     map[*line]bool // where somebody's place has changed since it was told
	rev       uint64
	// claimed is told when an agent's claim has changed.
	claimed func(was, is Claim)
}

// settings is a city's configuration by name.
type settings struct {
	City
	queues map[call.QueueID]Queue
	agents map[call.AgentID]Agent
}

// seat is a call in line.
type seat struct {
	Place
	listed  bool // in the lineup
	heldOff time.Time
	wake    deadline
}

// desk is an agent.
type desk struct {
	Row
	agent   Agent
	state   State
	onDuty  bool
	listed  bool // in the lineup
	heldOff time.Time
	wake    deadline
}

// line is one queue: everyone in it, offered or not, but those whom one agent alone may have, and how its agents are.
type line struct {
	order  *ordered[callKey]
	states map[State]int
	onDuty int
	newsAt time.Time
}

// deadline is when an agent or a call needs a look although nothing has happened to them.
type deadline struct {
	at    int64 // nanoseconds since the board's epoch; 0 is none
	agent call.AgentID
	call  call.ID
}

func (d deadline) before(o deadline) bool {
	switch {
	case d.at != o.at:
		return d.at < o.at
	case d.agent != o.agent:
		return d.agent < o.agent
	default:
		return d.call < o.call
	}
}

// newBoard returns a board on which nobody waits and nobody has signed in.
func newBoard(conf *settings, now time.Time, claimed func(was, is Claim)) *board {
	b := &board{conf: conf, epoch: now, lineup: newLineup(), seats: map[call.ID]*seat{}, desks: map[call.AgentID]*desk{},
		lines: map[call.QueueID]*line{}, moved: map[*line]bool{}, deadlines: newOrdered[deadline](), claimed: claimed}
	for _, q := range conf.Queues {
		b.lines[q.ID] = &line{order: newOrdered[callKey](), states: map[State]int{}}
	}
	for _, a := range conf.Agents {
		d := &desk{Row: Row{City: conf.ID, Agent: a.ID}, agent: a, state: StateSignedOut}
		b.desks[a.ID] = d
		for _, q := range a.Queues {
			b.lines[q].states[d.state]++
		}
		b.seeAgent(d, now)
	}
	return b
}

// mark is t as deadlines count it: from the epoch, by the clock that nobody can set where t has a reading of it. What lies
// before the epoch is due at once.
func (b *board) mark(t time.Time) int64 { return max(1, int64(t.Sub(b.epoch))) }

// load makes an empty board that of a snapshot.
func (b *board) load(s Snapshot, now time.Time) {
	for _, p := range s.Places {
		b.setPlace(p, now)
	}
	for _, r := range s.Rows {
		b.setRow(r, now)
	}
	b.rev = s.Rev
}

// apply follows one change of the store. What the board knows already, from a claim of its own, passes it by.
func (b *board) apply(c Change, now time.Time) {
	b.rev = c.Rev
	switch {
	case c.Place != nil:
		b.setPlace(*c.Place, now)
	case c.Row != nil:
		b.setRow(*c.Row, now)
	default:
		b.removePlace(c.Gone)
	}
}

// setPlace takes in a call in line, new or changed.
func (b *board) setPlace(p Place, now time.Time) {
	l := b.lines[p.Queue]
	s := b.seats[p.Call]
	if l == nil || s != nil && s.Rev >= p.Rev {
		return
	}
	if s != nil && (s.Queue != p.Queue || s.Only != p.Only || keyOf(s.Place) != keyOf(p)) {
		b.removePlace(p.Call)
		s = nil
	}
	if s == nil {
		s = &seat{}
		b.seats[p.Call] = s
		if p.Only == "" {
			l.order.add(keyOf(p))
			b.move(l, keyOf(p))
		}
	}
	if s.Agent != "" && p.Agent == "" && len(p.Excluded) == len(s.Excluded) {
		s.heldOff = now.Add(settleTime) // taken back: the call is still seeing to the end of that ringing
	}
	s.Place = p
	b.unlistCall(s)
	b.seeCall(s, now)
}

// removePlace forgets a call that has left the line.
func (b *board) removePlace(id call.ID) {
	s := b.seats[id]
	if s == nil {
		return
	}
	delete(b.seats, id)
	b.unlistCall(s)
	b.deadlines.remove(s.wake)
	if s.Only != "" {
		return
	}
	l := b.lines[s.Queue]
	b.move(l, keyOf(s.Place))
	l.order.remove(keyOf(s.Place))
}

// move notes that those behind k have moved, if there are any.
func (b *board) move(l *line, k callKey) {
	if l.order.rank(k) < l.order.size()-1 {
		b.moved[l] = true
	}
}

func (b *board) unlistCall(s *seat) {
	if s.listed {
		b.lineup.removeCall(s.Call)
		s.listed = false
	}
}

// seeCall lists a call in the lineup if it can be matched now, and notes when it needs a look again.
func (b *board) seeCall(s *seat, now time.Time) {
	b.deadlines.remove(s.wake)
	s.wake = deadline{}
	if s.Agent != "" {
		return
	}
	if now.Before(s.heldOff) {
		b.wakeCall(s, s.heldOff)
		return
	}
	if !s.listed {
		b.lineup.addCall(waiter{keyOf(s.Place), s.Queue, s.Only, s.Excluded})
		s.listed = true
	}
	if len(s.Excluded) > 0 {
		b.wakeCall(s, later(s.ExcludedAt.Add(forgiveSoon), now.Add(retryAfter)))
	}
}

func (b *board) wakeCall(s *seat, at time.Time) {
	s.wake = deadline{at: b.mark(at), call: s.Call}
	b.deadlines.add(s.wake)
}

// forgivable tells whether those who turned a call down may be asked again: soon when nobody else is there to ask.
func (b *board) forgivable(s *seat, now time.Time) bool {
	if s.Agent != "" || len(s.Excluded) == 0 || now.Before(s.ExcludedAt.Add(forgiveSoon)) {
		return false
	}
	if s.Only != "" {
		return true
	}
	there := 0
	for _, id := range s.Excluded {
		if d := b.desks[id]; d != nil && d.onDuty && slices.Contains(d.agent.Queues, s.Queue) {
			there++
		}
	}
	return there == b.lines[s.Queue].onDuty || !now.Before(s.ExcludedAt.Add(forgiveLate))
}

// setRow takes in what is known of an agent.
func (b *board) setRow(r Row, now time.Time) {
	d := b.desks[r.Agent]
	if d == nil || d.Rev >= r.Rev {
		return
	}
	was := d.Row
	d.Row = r
	if d.listed && was.Facts.Idle != r.Facts.Idle {
		b.unlistAgent(d)
	}
	b.seeAgent(d, now)
	if was.Claim.Fence != r.Claim.Fence {
		b.claimed(was.Claim, r.Claim)
	}
}

func (b *board) unlistAgent(d *desk) {
	if d.listed {
		b.lineup.removeAgent(d.Agent)
		d.listed = false
	}
}

// seeAgent derives an agent's state, lists them in the lineup if they are available now, and notes when they need a
// look again.
func (b *board) seeAgent(d *desk, now time.Time) {
	b.count(d, stateOf(d.Row, now).State, d.Facts.onDuty(now))
	available := d.Claim.Call == "" && d.Facts.Free(now) && !now.Before(d.heldOff)
	switch {
	case available && !d.listed:
		b.lineup.addAgent(candidate{key: idleKey{d.Facts.Idle.UnixNano(), d.Agent}, queues: d.agent.Queues})
		d.listed = true
	case !available:
		b.unlistAgent(d)
	}
	b.deadlines.remove(d.wake)
	d.wake = deadline{}
	if at := d.nextLook(now); !at.IsZero() {
		d.wake = deadline{at: b.mark(at), agent: d.Agent}
		b.deadlines.add(d.wake)
	}
}

// count keeps the sums of the agent's queues.
func (b *board) count(d *desk, state State, onDuty bool) {
	for _, q := range d.agent.Queues {
		l := b.lines[q]
		l.states[d.state]--
		l.states[state]++
		if onDuty != d.onDuty {
			l.onDuty += map[bool]int{true: 1, false: -1}[onDuty]
		}
	}
	d.state, d.onDuty = state, onDuty
}

// nextLook is when an agent's state changes, or must be changed, although nothing happens; zero is never. What is
// overdue already is looked at at once, and again until it is mended.
func (d *desk) nextLook(now time.Time) (at time.Time) {
	for _, t := range []time.Time{d.Facts.Wrap.Until, d.Facts.Phone.Until, d.heldOff} {
		if t.After(now) {
			at = earlier(at, t)
		}
	}
	if d.Claim.Call != "" {
		at = earlier(at, d.Claim.Until)
	}
	if d.Claim.Phase == PhaseOffered {
		at = earlier(at, ringEnds(d.Claim))
		if !d.onDuty {
			at = now
		}
	}
	return at
}

// due takes those whose deadline has come off the list. Each must be seen again: seeAgent, seeCall.
func (b *board) due(now time.Time) (desks []*desk, seats []*seat) {
	for {
		first, ok := b.deadlines.first()
		if !ok || first.at > b.mark(now) {
			return desks, seats
		}
		b.deadlines.remove(first)
		if first.agent != "" {
			desks = append(desks, b.desks[first.agent])
		} else {
			seats = append(seats, b.seats[first.call])
		}
	}
}

// next takes the next pair out of the lineup.
func (b *board) next(now time.Time) (pair, bool) {
	p, ok := b.lineup.next(now)
	if ok {
		b.seats[p.call].listed = false
		b.desks[p.agent].listed = false
	}
	return p, ok
}

// bidDone takes in how a claim went: the records as the store has them now. Where the store refused what still looks
// free here, the agent is left alone for a moment; something here or there is about to change.
func (b *board) bidDone(p pair, place Place, row Row, err error, now time.Time) {
	if place.Call != "" {
		b.setPlace(place, now)
	}
	if row.Rev != 0 {
		b.setRow(row, now)
	}
	if err == nil {
		return
	}
	if d := b.desks[p.agent]; d.Claim.Call == "" {
		d.heldOff = now.Add(retryAfter)
		b.seeAgent(d, now)
	}
	if s := b.seats[p.call]; s != nil {
		b.seeCall(s, now)
	}
}

// earlier is the earlier of two times, of which a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
