package phone

import (
	"encoding/json"
	"time"
)

// An Event is something that happened to a call, as its phone saw it.
type Event interface{ phoneEvent() }

// Trying says that the far side has the INVITE (100).
type Trying struct{ At time.Time }

// Ringing says that the far side rings, or is about to answer (101 to 199).
type Ringing struct {
	At     time.Time
	Status int
}

// Answered says that the call is up.
type Answered struct {
	At   time.Time
	From string // the Contact of who answered, or who calls
}

// News is what the far side told by INFO (RFC 6086, package callhall-progress). What it did not tell is zero.
type News struct {
	At       time.Time `json:"-"`
	Queue    string    `json:"queue,omitempty"`
	Place    int       `json:"place,omitempty"` // in line, from 1
	Agent    string    `json:"agent,omitempty"`
	Recorded bool      `json:"recorded,omitempty"`
	Call     string    `json:"call,omitempty"`
}

// Heard says that the first sound came: a packet that is not silence.
type Heard struct{ At time.Time }

// Held says that the far side put the call on hold, or took it back.
type Held struct {
	At   time.Time
	Held bool
}

// Digit is a key that the far side pressed.
type Digit struct {
	At  time.Time
	Key rune
}

// Ended is the last event of a call.
type Ended struct {
	At     time.Time
	By     Side
	Status int    // of the answer that ended it before it was up; 0 after a BYE
	Reason string // in the far side's words: a reason phrase, or the text of a Reason header (RFC 3326)
}

// Side says who ended a call.
type Side string

// Who may end a call.
const (
	Us     Side = "us"
	Them   Side = "them"
	Nobody Side = "nobody" // no answer, or the transport failed
)

func (Trying) phoneEvent()   {}
func (Ringing) phoneEvent()  {}
func (Answered) phoneEvent() {}
func (News) phoneEvent()     {}
func (Heard) phoneEvent()    {}
func (Held) phoneEvent()     {}
func (Digit) phoneEvent()    {}
func (Ended) phoneEvent()    {}

// progressPackage is the INFO package by which Callhall tells news to callers.
const progressPackage = "callhall-progress"

// readNews reads the body of such an INFO.
func readNews(body []byte, at time.Time) (News, error) {
	var n News
	err := json.Unmarshal(body, &n)
	n.At = at
	return n, err
}
