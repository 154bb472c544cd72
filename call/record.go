package call

import "time"

// Record is the one record of a call (CDR), written when it is over. It holds no digits of the caller's number.
type Record struct {
	ID       ID           `json:"id"`
	City     CityID       `json:"city"`
	Node     string       `json:"node"`
	Trunk    TrunkID      `json:"trunk"`
	Entry    string       `json:"entry"`
	Queue    QueueID      `json:"queue"`
	Language string       `json:"language"`
	Caller   CallerStatus `json:"caller"`
	Verstat  Verstat      `json:"verstat"`
	Attest   Attestation  `json:"attest,omitempty"`

	Direction Direction `json:"direction,omitempty"` // empty in records from before calls were placed: in
	Of        ID        `json:"of,omitempty"`        // the caller's call because of which we called back
	Redial    ID        `json:"redial_of,omitempty"` // the same caller's call that we cut off shortly before

	ArrivedAt   time.Time `json:"arrived_at"`
	AnsweredAt  time.Time `json:"answered_at,omitzero"`  // our 200
	ConnectedAt time.Time `json:"connected_at,omitzero"` // first agent joined
	EndedAt     time.Time `json:"ended_at,omitzero"`

	End     End     `json:"end"`
	EndedBy LegID   `json:"ended_by,omitempty"` // the leg that ended it; empty when it was us
	Q850    int     `json:"q850"`               // ITU-T Q.850 cause value
	Agent   AgentID `json:"agent,omitempty"`    // the last agent who spoke with the caller

	Partner       PartnerID `json:"partner,omitempty"`       // the last to whom the call was handed over
	TransferredAt time.Time `json:"transferred_at,omitzero"` // when they answered: the end of the recording

	Waiting time.Duration `json:"waiting_ns"` // from arrival to the agent, or to the end
	Talking time.Duration `json:"talking_ns"`
	Holding time.Duration `json:"holding_ns"` // part of Talking during which either side held
	Offers  int           `json:"offers"`

	Timeline  []Moment          `json:"timeline"`
	Quality   map[LegID]Quality `json:"quality,omitempty"`
	Recording RecordingSummary  `json:"recording"`
}

// Moment is one line of a record's timeline.
type Moment struct {
	At     time.Time `json:"at"`
	What   What      `json:"what"`
	Leg    LegID     `json:"leg,omitempty"`
	Agent  AgentID   `json:"agent,omitempty"`
	Detail string    `json:"detail,omitempty"` // in plain words, no digits of a caller's number
}

// Direction says who placed a call.
type Direction string

// The directions of a call.
const (
	DirectionIn  Direction = "in"  // a caller
	DirectionOut Direction = "out" // we, to call back
)

// What names one kind of moment.
type What string

// The moments of a call.
const (
	WhatArrived   What = "arrived"
	WhatAnswered  What = "answered"
	WhatNotice    What = "notice-heard"
	WhatQueued    What = "queued"
	WhatOffered   What = "offered"
	WhatOfferOver What = "offer-over" // Detail has the outcome
	WhatJoined    What = "joined"
	WhatRecording What = "recording"
	WhatHeld      What = "held"
	WhatResumed   What = "resumed"
	WhatKey       What = "key"
	WhatPutBack   What = "put-back" // back in line at the same place
	WhatRedial    What = "redial"   // the caller of a call that we cut off
	WhatLeft      What = "left"     // somebody other than the caller, while the call goes on
	WhatEnded     What = "ended"

	WhatTransferring   What = "transferring"    // somebody outside is called
	WhatTransferFailed What = "transfer-failed" // Detail has why
	WhatTransferred    What = "transferred"     // a partner has answered, and the call is theirs
	WhatThirdParty     What = "third-party"     // a partner has joined caller and agent
	WhatOrdered        What = "callback-ordered"
	WhatCalled         What = "called" // the caller is being called back
)

// Leaf is what one act with personal data leaves in its city's ledger: who did what, when, to which call, under which
// rule. It holds no digits of a caller's number. Kind has a version ("ani.release/1") so that a reader knows the facts.
type Leaf struct {
	Kind  string
	At    time.Time
	Call  ID                // empty where the act concerns no one call
	Actor string            // "engine", "agent:ana", "token:…"
	Facts map[string]string // names are snake_case; written in sorted order
}
