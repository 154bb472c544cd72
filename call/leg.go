package call

import (
	"context"
	"time"
)

// A Leg is one party of a call: a SIP dialog and its media. The sip package implements it.
//
// Its methods may be called from the call's goroutine only, except HangUp, which may come from any. What happens to
// the leg is told to the Inbox given to Attach; a leg that ended before Attach tells it at once.
type Leg interface {
	// ID names the leg within its call.
	ID() LegID
	// Attach makes in the place where this leg's events go. It is called once, before anything else.
	Attach(in *Inbox)
	// Answer accepts an incoming leg (200 OK) and opens its sound. It returns when the answer is on its way and
	// sound may flow; an ACK that never comes is a LegEnded with CauseNoAck. Errors: ErrLegGone (it
	// ended before it was up: an event says why), ErrNoMedia (no codec in common), ErrUnavailable (no port free), ctx's.
	Answer(ctx context.Context) error
	// Refuse ends an incoming leg that was not answered, with the status that the sip package keeps for this cause.
	Refuse(c Cause)
	// HangUp ends the leg, whatever state it is in (BYE, CANCEL or a refusal), and gives back its port. It may be
	// called twice. It does not wait for the far side.
	HangUp(c Cause)
	// Play plays p to this party in place of whatever it hears now, beginning at once; the zero Prompt is silence.
	// The end of a prompt that is not looped is a Played event. While joined, Play is heard in place of the other.
	Play(p Prompt) error
	// Join connects the sound of two legs, both ways, and stops what either was playing.
	Join(other Leg) error
	// Part undoes Join and Confer for this leg: it hears nobody and nobody hears it. It may be called twice. To connect
	// legs otherwise, all that were connected part first.
	Part()
	// Listen gives every packet that this party sends to t, until Listen(nil).
	Listen(t Tap)
	// Tell sends the party news of its place in line or of who answered, where its trunk is set up to take it
	// (RFC 6086); elsewhere it does nothing. It does not wait.
	Tell(news News)
	// Quality is what the leg's sound has been so far.
	Quality() Quality
}

// A Conferrer is a Leg that can be connected with more than one other.
type Conferrer interface {
	// Confer connects the sound of all these legs: everybody hears everybody else, and what they were playing stops.
	Confer(others ...Leg) error
}

// A Prompt names something to be played: a file of that name in that language. Looped prompts never end.
type Prompt struct {
	Name     string // "notice", "hold", "resume"; empty is silence
	Language string // BCP 47, "en" or "es"
	Loop     bool
}

// News is what a caller may be told while the call goes on. Zero fields are not told.
type News struct {
	Queue    QueueID
	Place    int     // place in line, from 1
	Agent    AgentID // who answered
	Recorded bool
	Call     ID
}

// A Tap hears each packet of one party as it passes. It is called on a packet loop: it must not block and must copy
// what it keeps.
type Tap interface {
	Heard(p Packet)
}

// Packet is one RTP packet as it came from a party (RFC 3550 §5.1), after its source was checked.
type Packet struct {
	At      time.Time // arrival, monotonic reading included
	Seq     uint16
	TS      uint32 // RTP timestamp, in samples at 8000 a second
	SSRC    uint32
	Type    uint8 // payload type as RFC 3551 numbers it: 0 PCMU, 8 PCMA, 13 comfort noise, 101 telephone-event
	Marker  bool
	Payload []byte // borrowed from the loop: valid during the call of Heard only
}

// Quality is what one leg's sound was like, as measured here and as the far side reported it (RFC 3550 §6.4).
type Quality struct {
	Codec        string        `json:"codec,omitempty"` // "PCMU" or "PCMA"
	Received     uint64        `json:"received"`        // RTP packets taken from the party
	Sent         uint64        `json:"sent"`            // RTP packets sent to it
	Lost         uint64        `json:"lost"`            // packets of the party that never came
	LostFar      uint64        `json:"lost_far"`        // packets of ours that its reports say never came
	Rejected     uint64        `json:"rejected"`        // packets dropped: wrong source or not RTP
	Jitter       time.Duration `json:"jitter_ns"`       // interarrival jitter, nanoseconds
	RoundTrip    time.Duration `json:"round_trip_ns"`   // from receiver reports; 0 is unknown
	MOS          float64       `json:"mos,omitempty"`   // 1 to 4.5, estimated by the E-model; 0 is unknown
	LongestQuiet time.Duration `json:"longest_quiet_ns"`
}
