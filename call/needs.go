package call

import (
	"context"
	"time"
)

// Arrival is a call as the edge hands it over: everything that is known before anybody has been asked.
type Arrival struct {
	ID       ID
	City     CityID
	Trunk    TrunkID
	Entry    string // the city's own number that was dialled, as configured: "311"
	Queue    QueueID
	Language string // BCP 47, of the entry
	Caller   CallerStatus
	Verstat  Verstat
	Attest   Attestation
	Class    CallerClass
	At       time.Time
	Leg      Leg // the caller
}

// CallerClass is all that routing learns from a caller's number: classes, never digits.
type CallerClass struct {
	Area     string    // one of the city's names for areas; empty is none or not known
	Screened bool      // stands on the city's screening list
	Redial   ID        // the same caller's call that we dropped at most 30 minutes ago; empty is none
	Since    time.Time // with Redial: since when that call had waited, so that its place is kept
}

// CallerStatus is all that a call and its record know of the caller's number.
type CallerStatus string

// What may be known of a caller's number without its digits.
const (
	CallerPresent     CallerStatus = "present"
	CallerWithheld    CallerStatus = "withheld"    // the caller asked for privacy (RFC 3323, RFC 3325)
	CallerUnavailable CallerStatus = "unavailable" // the network sent none that may be trusted
	CallerInvalid     CallerStatus = "invalid"     // sent, but not a number
)

// Verstat is the carrier's word on whether the number is the caller's own (3GPP TS 24.229; RFC 8224).
type Verstat string

// The values of Verstat.
const (
	VerstatPassed Verstat = "passed"
	VerstatFailed Verstat = "failed"
	VerstatNone   Verstat = "none"
)

// Attestation is how far the first carrier vouches for the caller's number (ATIS-1000074 §5.2.3, RFC 8588 §4).
type Attestation string

// The levels of attestation.
const (
	AttestNone    Attestation = ""  // no signature that verifies
	AttestFull    Attestation = "A" // knows the customer, who may use the number
	AttestPartial Attestation = "B" // knows the customer
	AttestGateway Attestation = "C" // only carried the call in
)

// Queues is what a call needs of routing.
type Queues interface {
	// Admit tells whether the queue takes a call now, before the call is answered. Errors: ErrUnknownQueue,
	// ErrQueueFull, ErrUnavailable.
	Admit(ctx context.Context, city CityID, queue QueueID) error
	// Enqueue keeps the call's place, by since, until ctx ends: Offered, Rescinded and Placed events go to in, one
	// open offer at a time. Errors: ErrUnknownQueue, ErrQueueFull, ErrUnavailable.
	Enqueue(ctx context.Context, w Waiting, in *Inbox) error
	// Settle says what became of an offer; the place is given up on OfferAccepted and kept otherwise. Settling an
	// accepted offer again, as OfferCompleted, ends the conversation and begins the agent's wrap-up. Errors: ErrStale,
	// when the claim is no longer this call's: the offer must then not be used.
	Settle(ctx context.Context, o Offer, outcome OfferOutcome) error
}

// Waiting is a call in line.
type Waiting struct {
	City  CityID
	Call  ID
	Queue QueueID
	Since time.Time // when the wait began; a call put back keeps it, and with it its place
	// Agent is the only one who may get the call, as soon as they are free and before the queue's other calls; it then
	// takes no place from these and hears no Placed. Empty is anybody who serves the queue.
	Agent AgentID
}

// Offer is one ringing of one agent: a claim on the agent for this call, as a lease with a fencing token.
type Offer struct {
	City  CityID
	Call  ID
	Queue QueueID
	Agent AgentID
	Fence Fence         // grows with each claim on this agent; whoever acts for the agent checks it
	Ring  time.Duration // how long to ring
	Why   string        // the reason for this match, one line, no digits of a caller's number
}

// Fence orders claims on one agent: a claim with a smaller fence than one already seen is void.
type Fence struct {
	Epoch   uint64 // raised when the agent gets a new home node
	Counter uint64
}

// Less tells whether f is older than g.
func (f Fence) Less(g Fence) bool {
	return f.Epoch < g.Epoch || f.Epoch == g.Epoch && f.Counter < g.Counter
}

// OfferOutcome is what became of an offer, in TaskRouter's words.
type OfferOutcome string

// The outcomes of an offer.
const (
	OfferAccepted  OfferOutcome = "accepted"
	OfferRejected  OfferOutcome = "rejected"
	OfferTimeout   OfferOutcome = "timeout"
	OfferCanceled  OfferOutcome = "canceled"  // the caller left while it rang
	OfferRescinded OfferOutcome = "rescinded" // routing took it back, or no phone could be reached
	OfferCompleted OfferOutcome = "completed" // an accepted conversation is over: wrap-up begins
)

// Phones is what a call needs to ring an agent or somebody outside. The sip package implements it.
type Phones interface {
	// Ring rings every phone of the offer's agent until one answers, ctx ends or o.Ring has passed, and returns the
	// leg of the one that answered; the others stop ringing at once. A 200 that crosses our CANCEL is acknowledged
	// and hung up. Errors: ErrNoAnswer, ErrRejected, ErrUnreachable, ErrNoMedia, ErrUnavailable (a fault of ours: the
	// agent's phone did not ring), ErrStale (the agent is another's by now), or ctx's.
	Ring(ctx context.Context, o Offer, leg LegID, show Showing) (Leg, error)
	// Dial calls somebody outside and returns their leg when they have answered. It ends with ctx or after o.Ring; an
	// answer that crosses our CANCEL is hung up. Errors: ErrNoAnswer, ErrRejected (busy too), ErrUnreachable (also where
	// the handle may not be dialled), ErrNoMedia, ErrUnavailable (a fault of ours or of the trunk), or ctx's.
	Dial(ctx context.Context, o Outward, leg LegID) (Leg, error)
}

// Showing is what an agent's phone may be told about the call. The caller's number is not part of it.
type Showing struct {
	Call     ID
	Queue    QueueID
	Language string
	Caller   CallerStatus
	Verstat  Verstat
	Near     Leg // the caller's leg: the agent's sound is best kept near it
}

// Recorder is what a call needs of recording.
type Recorder interface {
	// Start opens a recording of the call; nothing is kept before. The notice must have been heard: n says so.
	Start(ctx context.Context, city CityID, id ID, n Notice) (Recording, error)
}

// Notice is proof that the caller was told of the recording before it began.
type Notice struct {
	Prompt   string    `json:"prompt,omitempty"`
	Language string    `json:"language,omitempty"`
	SHA256   string    `json:"sha256,omitempty"` // of the sound that was played, hex
	HeardAt  time.Time `json:"heard_at,omitzero"`
}

// Recording is one recording while its call goes on.
type Recording interface {
	ID() RecordingID
	// Caller and Agent are the two sides' taps: left and right.
	Caller() Tap
	Agent() Tap
	// Pause leaves a gap until Resume.
	Pause()
	Resume()
	// Close seals the recording and says what is kept. A recording in which nothing was kept leaves nothing behind and
	// is RecordingNone. It is called once.
	Close(ctx context.Context) (RecordingSummary, error)
}

// RecordingSummary is what the call's record says of its recording.
type RecordingSummary struct {
	ID      RecordingID    `json:"id,omitempty"`
	State   RecordingState `json:"state"`
	Length  time.Duration  `json:"length_ns,omitempty"`
	EndedAt time.Time      `json:"ended_at,omitzero"` // when the last frame was kept
	DueAt   time.Time      `json:"due_at,omitzero"`   // when it will be erased: EndedAt + 1,209,600 s
	Notice  Notice         `json:"notice,omitzero"`
	Why     string         `json:"why,omitempty"` // for RecordingFailed: what went wrong, for the operator
}

// RecordingState is where a call's recording is in its life, as its record knew it when the call ended.
type RecordingState string

// The states of a recording in a record.
const (
	RecordingNone   RecordingState = "none"   // never began: no conversation, or the city does not record
	RecordingKept   RecordingState = "kept"   // sealed, playable until DueAt
	RecordingFailed RecordingState = "failed" // could not be opened or finished
)

// Records is what a call needs of cdr.
type Records interface {
	// Open writes the sealed entry from which a record is made if this node dies. It is called when the call is
	// answered, and again when an agent has joined; after Close it does nothing.
	Open(ctx context.Context, r Record) error
	// Close writes the call's one record and removes the open entry. It is called once, when the call is over.
	Close(ctx context.Context, r Record) error
}

// Terms are what a city has chosen for the calls of one queue.
type Terms struct {
	Record    bool          // record conversations, after the notice
	MaxWait   time.Duration // longest wait for an agent; 0 is without end
	MaxLength time.Duration // longest call; 0 is without end
}

// Prompts is what a call needs to know of its sounds.
type Prompts interface {
	// Notice is the notice in that language. Errors: when there is no such sound; the call is then not recorded.
	Notice(city CityID, language string) (NoticeSound, error)
}

// NoticeSound is a notice that may be played.
type NoticeSound struct {
	Prompt Prompt
	Length time.Duration
	Proof  Notice // of its having been heard, but for HeardAt
}
