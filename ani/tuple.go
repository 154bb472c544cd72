package ani

import (
	"slices"

	"callhall/call"
)

// A Tuple is everything that a decision depends on. A value that is not listed here counts as the strictest; whoever makes
// a Tuple and does not know whether the law protects the caller sets Protected.
type Tuple struct {
	Purpose   Purpose
	Recipient Recipient
	Relation  Relation
	Open      bool // the caller asked for no restriction; false where that is not known
	Held      bool // there is a number at all
	Protected bool // by law: a court's seal, a program of address confidentiality
	Consent   Consent
	Process   Process
	Profile   Profile
	Tariff    bool // the city charges for calls
	Narrowed  bool // the city has chosen to forbid this
	Verstat   call.Verstat
}

// Purpose is what a number is asked for. A purpose that is not one of these is none, whatever it says.
type Purpose string

// The purposes, in the order of the terms.
const (
	PurposeRouting         Purpose = "routing"             // which city, queue and area a call belongs to: D01
	PurposeForward         Purpose = "forward"             // carried on to another network: D02 to D04
	PurposeBilling         Purpose = "billing"             // charging by a tariff: D05, D07
	PurposeDispute         Purpose = "billing-dispute"     // a charge that is contested: D06
	PurposeLiveCall        Purpose = "completion-live"     // serving the call that is going on: D08
	PurposeDropped         Purpose = "completion-dropped"  // finishing a call that was cut off: D09 to D11
	PurposeTransfer        Purpose = "completion-transfer" // carrying the caller on to somebody else: D12 to D14
	PurposeScreening       Purpose = "screening"           // harassment, floods of calls: D15
	PurposeScreeningReview Purpose = "screening-review"    // looking after the screening lists: D16
	PurposeNetwork         Purpose = "network-performance" // D17
	PurposeTrouble         Purpose = "trouble-ticket"      // a fault that the carrier looks for: D18
	PurposeSupport         Purpose = "vendor-support"      // D19
	PurposeLookup          Purpose = "lookup"              // earlier calls of the same number, "screen pop": D20, D21
	PurposeServiceRequest  Purpose = "service-request"     // contact field of a service request: D22, D23
	PurposePublication     Purpose = "publication"         // anything that the public can read: D24
	PurposeEmergency       Purpose = "emergency"           // a hand-over to 911: D25
	PurposeExigency        Purpose = "exigency"            // threat to life, no 911 leg: D26
	PurposeLegalProcess    Purpose = "legal-process"       // subpoena, order, warrant: D27, D28
	PurposePublicRecords   Purpose = "public-records"      // D29
	PurposeSubjectRights   Purpose = "subject-rights"      // the subject's own: D30 to D32
	PurposeStatistics      Purpose = "statistics"          // D33
	PurposeQuality         Purpose = "quality-review"      // review and training: D34
	PurposeRecordQuery     Purpose = "record-query"        // finding calls by an exact number: D35
	PurposeListQuery       Purpose = "list-query"          // by prefix, wildcard or in bulk: D36
	PurposeMarketing       Purpose = "marketing"           // D37, D38
	PurposeDisclosure      Purpose = "disclosure"          // resale and any other disclosure: D38
	PurposeNotice          Purpose = "status-notice"       // by SMS or voice, opted in: D39
	PurposeAnalytics       Purpose = "analytics"           // machine learning, profiling: D43
	PurposeConference      Purpose = "conference"          // a third party on the call: D44
	PurposeIntegration     Purpose = "integration"         // CRM pop, webhook, mail, chat, trace, backup: D45
	PurposeTranscription   Purpose = "transcription"       // transcripts, speech analytics, SIPREC: D46
	PurposeRedial          Purpose = "completion-redial"   // the same caller after we dropped the call: D48
	PurposeCallback        Purpose = "completion-callback" // a callback that the caller asked for: D49
	PurposeUnlisted        Purpose = "unlisted"            // anything else: D47
)

// Purposes lists every purpose.
func Purposes() []Purpose {
	return []Purpose{PurposeRouting, PurposeForward, PurposeBilling, PurposeDispute, PurposeLiveCall, PurposeDropped, PurposeTransfer,
		PurposeScreening, PurposeScreeningReview, PurposeNetwork, PurposeTrouble, PurposeSupport, PurposeLookup, PurposeServiceRequest,
		PurposePublication, PurposeEmergency, PurposeExigency, PurposeLegalProcess, PurposePublicRecords, PurposeSubjectRights,
		PurposeStatistics, PurposeQuality, PurposeRecordQuery, PurposeListQuery, PurposeMarketing, PurposeDisclosure, PurposeNotice,
		PurposeAnalytics, PurposeConference, PurposeIntegration, PurposeTranscription, PurposeRedial, PurposeCallback, PurposeUnlisted}
}

// Recipient is the kind of who would get the number.
type Recipient string

// The kinds of recipient.
const (
	RecipientEngine       Recipient = "ENG"        // this program only
	RecipientAgent        Recipient = "AGT"        // an agent of the city
	RecipientSupervisor   Recipient = "SUP"        // a supervisor or another officer of the city
	RecipientCity         Recipient = "CITY"       // another agency of the same city
	RecipientCRM          Recipient = "CRM"        // the city's system of service requests
	RecipientTrunk        Recipient = "TRK"        // a carrier inside our trust domain (RFC 3325)
	RecipientStranger     Recipient = "TRK-OUT"    // a carrier outside it
	RecipientPSAP         Recipient = "PSAP"       // 911
	RecipientPolice       Recipient = "LE"         // police or court
	RecipientPublic       Recipient = "PUB"        // who asks for public records
	RecipientSubject      Recipient = "SUBJ"       // the caller
	RecipientSubjectAgent Recipient = "SUBJ-AGENT" // who acts for the caller by their written word
	RecipientVendor       Recipient = "VEND"       // who runs this program, and their contractors
	RecipientPrivate      Recipient = "PRIV"       // a private third party, or another government
	RecipientGateway      Recipient = "GW"         // carries messages to callers
	RecipientOtherCity    Recipient = "XT"         // another city and whoever works for it
	RecipientUnlisted     Recipient = "unlisted"
)

// Recipients lists every kind of recipient.
func Recipients() []Recipient {
	return []Recipient{RecipientEngine, RecipientAgent, RecipientSupervisor, RecipientCity, RecipientCRM, RecipientTrunk, RecipientStranger,
		RecipientPSAP, RecipientPolice, RecipientPublic, RecipientSubject, RecipientSubjectAgent, RecipientVendor, RecipientPrivate,
		RecipientGateway, RecipientOtherCity, RecipientUnlisted}
}

// Relation is what the recipient has to do with the call, as the engine knows it and not as they say.
type Relation string

// The relations.
const (
	RelationNone     Relation = "none"
	RelationHandling Relation = "handling" // handles this call, which is going on
	RelationDropped  Relation = "dropped"  // handled this call, which was cut off at most 30 minutes ago
	RelationCarried  Relation = "carried"  // is the carrier that charged for this call
	RelationNamed    Relation = "named"    // this call stands in the ticket, paper or consent that is given
)

// Relations lists every relation.
func Relations() []Relation {
	return []Relation{RelationNone, RelationHandling, RelationDropped, RelationCarried, RelationNamed}
}

// Consent is what the caller has agreed to. To use the line is never consent.
type Consent string

// The kinds of consent, from weakest to strongest.
const (
	ConsentNone        Consent = "none"
	ConsentVerbal      Consent = "verbal"      // on the call, and logged
	ConsentAffirmative Consent = "affirmative" // after a notice
	ConsentWritten     Consent = "written"     // prior, written, by the subscriber
)

// Consents lists every kind of consent, the weakest first.
func Consents() []Consent {
	return []Consent{ConsentNone, ConsentVerbal, ConsentAffirmative, ConsentWritten}
}

// Process is the paper or the act of an officer that stands behind a request, after it was checked.
type Process string

// The kinds of process.
const (
	ProcessNone       Process = "none"
	ProcessReason     Process = "reason"        // a reason code was given
	ProcessCase       Process = "case"          // a case and a purpose that D35 takes
	ProcessApproval   Process = "approval"      // the city's approval, bound to this one request
	ProcessExigency   Process = "exigency"      // an exigency form, taken in by the city's officer
	ProcessPaper      Process = "paper"         // subpoena, order or warrant, verified by the city
	ProcessMisserved  Process = "misserved"     // served on the vendor, or informal
	ProcessFinding    Process = "finding"       // the custodian's written finding that no exemption applies
	ProcessVerified   Process = "verified"      // the subject was verified, and the city approved
	ProcessBothProven Process = "both-verified" // subject and agent were verified
	ProcessOptIn      Process = "opt-in"        // opted in for this number
)

// Processes lists every kind of process.
func Processes() []Process {
	return []Process{ProcessNone, ProcessReason, ProcessCase, ProcessApproval, ProcessExigency, ProcessPaper, ProcessMisserved,
		ProcessFinding, ProcessVerified, ProcessBothProven, ProcessOptIn}
}

// Profile is a city's choice of terms, by name.
type Profile string

// The profiles, from narrowest to widest.
const (
	ProfileNoThirdParty Profile = "no-third-party" // card without third parties, but for D25 to D28 and the subject's rights
	ProfileCard         Profile = "card"           // routing, billing, completion: the default
	ProfileNYC          Profile = "nyc-3.3"        // adds screening, network performance, directly related service
)

// Profiles lists every profile, the narrowest first.
func Profiles() []Profile { return []Profile{ProfileNoThirdParty, ProfileCard, ProfileNYC} }

// Decision is what may leave.
type Decision string

// The decisions, from narrowest to widest.
const (
	Deny      Decision = "DENY"
	Aggregate Decision = "AGGREGATE" // counts of ten and more, nothing of one caller
	Token     Decision = "TOKEN"     // a keyed hash, unlinkable between purposes
	Handle    Decision = "HANDLE"    // the engine dials; nothing is shown
	Mask      Decision = "MASK"      // area code and last two digits
	Full      Decision = "FULL"
)

// Decisions lists every decision, the narrowest first.
func Decisions() []Decision { return []Decision{Deny, Aggregate, Token, Handle, Mask, Full} }

// Obligation is a duty that comes with a release.
type Obligation string

// The obligations.
const (
	Ledgered     Obligation = "O1"  // in the ledger before the value is returned
	Bound        Obligation = "O2"  // usable for one call or transaction
	Expires      Obligation = "O3"  // after the row's time
	NoReuse      Obligation = "O4"  // no reuse and no onward disclosure; said to the recipient
	Capped       Obligation = "O5"  // counted against a cap, with an alarm
	TwoPersons   Obligation = "O6"  // another person approves
	OwnerTold    Obligation = "O7"  // the city's owner is told the same day
	Accounted    Obligation = "O8"  // in the subject's accounting of twelve months
	Encrypted    Obligation = "O9"  // carried encrypted and authenticated
	Recallable   Obligation = "O10" // recalled when consent is withdrawn or the number is erased
	ShownBriefly Obligation = "O11" // shown, not copied; the reveal closes itself
)

// Obligations lists every obligation.
func Obligations() []Obligation {
	return []Obligation{Ledgered, Bound, Expires, NoReuse, Capped, TwoPersons, OwnerTold, Accounted, Encrypted, Recallable, ShownBriefly}
}

// listed returns v if it is one of known, and otherwise fallback. What a stranger wrote goes no further.
func listed[T ~string](v, fallback T, known []T) T {
	if slices.Contains(known, v) {
		return v
	}
	return fallback
}
