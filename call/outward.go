package call

import "time"

// PartnerID names, in the configuration, somebody outside whom calls may be carried on to.
type PartnerID string

// A Partner is somebody outside whom calls may be carried on to.
type Partner struct {
	ID   PartnerID
	Kind PartnerKind
	Name string // as agents know it
}

// PartnerKind says who a partner is; it decides what of the caller's number goes with the call and how it is handed over.
type PartnerKind string

// The kinds of partner.
const (
	PartnerCity        PartnerKind = "city"        // another agency of the same city
	PartnerPrivate     PartnerKind = "private"     // a utility, another government, anybody else
	PartnerPSAP        PartnerKind = "psap"        // 911: the agent stays until they leave
	PartnerInterpreter PartnerKind = "interpreter" // joins the conversation; the agent stays
)

// Outward is a leg that we place towards somebody outside. Exactly one of Partner and Handle says to whom.
type Outward struct {
	City    CityID
	Call    ID        // whose leg it will be
	Partner PartnerID // somebody of the configuration
	Handle  string    // a caller, by the handle of an earlier call: the number stays inside ani
	By      string    // who asked: "agent:ana"
	Spoken  bool      // the caller has said that their number may go with them, and the agent has noted it
	Ring    time.Duration
	Near    Leg // the leg that it will be joined to: its sound is best kept near it
}
