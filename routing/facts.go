package routing

import (
	"cmp"
	"time"

	"callhall/call"
)

// Facts are what an agent's state is derived from. Each group has one writer at a time and is replaced as a whole.
type Facts struct {
	Duty   Duty
	Phone  Phone
	Pause  Pause
	Wrap   Wrap
	Idle   time.Time // free since; may lie ahead, at the end of wrap-up
	Missed int       // offers not answered in a row
}

// Duty is whether the agent is signed in.
type Duty struct {
	On  bool
	At  time.Time
	Why string
}

// Phone is whether a phone of the agent is registered, and with which node.
type Phone struct {
	Home  string // empty: none
	At    time.Time
	Until time.Time // the registration ends
	Why   string
}

// Pause is an agent's time off the line.
type Pause struct {
	On  bool
	At  time.Time
	By  string // byEngine, or who set it
	Why string
}

// Wrap is the time after a call. It is over at Until, or never was if that is zero.
type Wrap struct {
	From  time.Time
	Until time.Time
	Queue call.QueueID
}

// byEngine marks a pause that nobody asked for: signing in again lifts it.
const byEngine = "engine"

// Amendment replaces those groups of facts that are not nil.
type Amendment struct {
	Duty   *Duty
	Phone  *Phone
	Pause  *Pause
	Wrap   *Wrap
	Idle   *time.Time
	Missed *int
}

// Apply returns f amended.
func (f Facts) Apply(a Amendment) Facts {
	set(&f.Duty, a.Duty)
	set(&f.Phone, a.Phone)
	set(&f.Pause, a.Pause)
	set(&f.Wrap, a.Wrap)
	set(&f.Idle, a.Idle)
	set(&f.Missed, a.Missed)
	return f
}

// Empty tells whether a amends nothing.
func (a Amendment) Empty() bool { return a == Amendment{} }

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Free tells whether the facts allow an offer: signed in, registered, not paused, wrap-up over. A claim is not among
// the facts: an agent is available when free and unclaimed.
func (f Facts) Free(now time.Time) bool { return f.onDuty(now) && !now.Before(f.Wrap.Until) }

// onDuty tells whether the agent takes calls at all, now or when the present one is over.
func (f Facts) onDuty(now time.Time) bool { return f.Duty.On && f.reachable(now) && !f.Pause.On }

// reachable tells whether a phone is registered.
func (f Facts) reachable(now time.Time) bool { return f.Phone.Home != "" && now.Before(f.Phone.Until) }

// State is an agent's state in one word.
type State string

// The states of an agent. Offered and talking come from a claim, the rest from facts.
const (
	StateSignedOut   State = "signed-out"
	StateUnreachable State = "unreachable" // signed in, no phone registered
	StateReady       State = "ready"
	StateOffered     State = "offered"
	StateTalking     State = "talking"
	StateWrapUp      State = "wrap-up"
	StatePaused      State = "paused"
)

// States lists every State.
func States() []State {
	return []State{StateSignedOut, StateUnreachable, StateReady, StateOffered, StateTalking, StateWrapUp, StatePaused}
}

// AgentState is an agent's state with why, since when and until when. A zero Deadline means that the state ends only
// by somebody's act.
type AgentState struct {
	ID       call.AgentID
	State    State
	Reason   string
	Since    time.Time
	Deadline time.Time
	Call     call.ID // while offered or talking
	Queue    call.QueueID
	Queues   []call.QueueID // which the agent serves
}

// stateOf derives an agent's state. It is the one place where facts become a word.
func stateOf(r Row, now time.Time) AgentState {
	f, c := r.Facts, r.Claim
	s := AgentState{ID: r.Agent}
	switch {
	case c.Phase == PhaseTalking:
		s.State, s.Reason, s.Since, s.Deadline = StateTalking, "with a caller", c.Since, c.Until
		s.Call, s.Queue = c.Call, c.Queue
	case c.Phase == PhaseOffered:
		s.State, s.Reason, s.Since, s.Deadline = StateOffered, c.Why, c.Since, ringEnds(c)
		s.Call, s.Queue = c.Call, c.Queue
	case !f.Duty.On:
		s.State, s.Reason, s.Since = StateSignedOut, cmp.Or(f.Duty.Why, "has not signed in yet"), f.Duty.At
	case f.Phone.Home == "":
		s.State, s.Reason, s.Since = StateUnreachable, f.Phone.Why, f.Phone.At
	case !now.Before(f.Phone.Until):
		s.State, s.Reason, s.Since = StateUnreachable, "the registration ran out", f.Phone.Until
	case now.Before(f.Wrap.Until):
		s.State, s.Reason, s.Since, s.Deadline = StateWrapUp, "after a call", f.Wrap.From, f.Wrap.Until
		s.Queue = f.Wrap.Queue
	case f.Pause.On:
		s.State, s.Reason, s.Since = StatePaused, f.Pause.Why, f.Pause.At
	default:
		s.State, s.Reason, s.Since, s.Deadline = StateReady, f.Duty.Why, f.Idle, f.Phone.Until
	}
	return s
}

// ringGrace is how much longer than its ring an offer may stay unsettled before it is taken back: the call answers in
// microseconds, and the phone's last message in well under a second.
const ringGrace = 5 * time.Second

// ringEnds is when an unanswered claim is taken back.
func ringEnds(c Claim) time.Time { return c.Since.Add(c.Ring + ringGrace) }
