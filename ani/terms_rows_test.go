package ani

import (
	"strings"
	"testing"

	"callhall/call"
)

// given is an ordinary request: an open, held, vouched-for number, no consent, no paper, the default profile. The changes
// make it what a case needs.
func given(p Purpose, r Recipient, changes ...func(*Tuple)) Tuple {
	x := Tuple{Purpose: p, Recipient: r, Relation: RelationNone, Open: true, Held: true, Consent: ConsentNone, Process: ProcessNone,
		Profile: ProfileCard, Verstat: call.VerstatPassed}
	return but(x, changes...)
}

func but(x Tuple, changes ...func(*Tuple)) Tuple {
	for _, change := range changes {
		change(&x)
	}
	return x
}

func star67(x *Tuple)     { x.Open = false }
func unheld(x *Tuple)     { x.Held = false }
func byLaw(x *Tuple)      { x.Protected = true }
func byCity(x *Tuple)     { x.Narrowed = true }
func tariff(x *Tuple)     { x.Tariff = true }
func unvouched(x *Tuple)  { x.Verstat = call.VerstatFailed }
func nyc(x *Tuple)        { x.Profile = ProfileNYC }
func helena(x *Tuple)     { x.Profile = ProfileNoThirdParty }
func unpapered(x *Tuple)  { x.Process = ProcessNone }
func unrelated(x *Tuple)  { x.Relation = RelationNone }
func unagreed(x *Tuple)   { x.Consent = ConsentNone }
func said(x *Tuple)       { x.Consent = ConsentVerbal }
func agreed(x *Tuple)     { x.Consent = ConsentAffirmative }
func wrote(x *Tuple)      { x.Consent = ConsentWritten }
func handling(x *Tuple)   { x.Relation = RelationHandling }
func dropped(x *Tuple)    { x.Relation = RelationDropped }
func named(x *Tuple)      { x.Relation = RelationNamed }
func carried(x *Tuple)    { x.Relation = RelationCarried }
func card(x *Tuple)       { x.Profile = ProfileCard }
func untariffed(x *Tuple) { x.Tariff = false }

func withPaper(p Process) func(*Tuple)        { return func(x *Tuple) { x.Process = p } }
func toward(r Recipient) func(*Tuple)         { return func(x *Tuple) { x.Recipient = r } }
func forPurpose(p Purpose) func(*Tuple)       { return func(x *Tuple) { x.Purpose = p } }
func outcome(t Tuple) string                  { r := Decide(t); return r.Row.ID + " " + string(r.Decision) }
func together(a, b func(*Tuple)) func(*Tuple) { return func(x *Tuple) { a(x); b(x) } }

// TestEachRow has, for each row, a request that comes to it, and the nearest one that does not.
func TestEachRow(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []struct {
		says string
		x    Tuple
		want string
		near func(*Tuple)
		then string
	}{
		{"The engine routes by the number; an agent does not.",
			given(PurposeRouting, RecipientEngine, star67), "D01 FULL", toward(RecipientAgent), "D47 DENY"},
		{"A carrier we trust gets it; one that we do not trust gets nothing.",
			given(PurposeForward, RecipientTrunk), "D02 FULL", toward(RecipientStranger), "D04 DENY"},
		{"A carrier we trust gets a private number with its privacy; where the subject is protected, nothing.",
			given(PurposeForward, RecipientTrunk, star67), "D03 FULL", byLaw, "LAW DENY"},
		{"A carrier we do not trust gets no private number; one that we trust does.",
			given(PurposeForward, RecipientStranger, star67), "D04 DENY", toward(RecipientTrunk), "D03 FULL"},
		{"The engine rates a call where there is a tariff; where there is none it does not.",
			given(PurposeBilling, RecipientEngine, tariff, star67), "D05 FULL", untariffed, "D07 DENY"},
		{"The carrier that charged for a call gets it for a dispute; another does not.",
			given(PurposeDispute, RecipientTrunk, tariff, carried), "D06 FULL", unrelated, "D47 DENY"},
		{"Without a tariff there is no dispute either.",
			given(PurposeDispute, RecipientTrunk, carried, wrote, nyc), "D07 DENY", tariff, "D06 FULL"},
		{"The agent of the live call sees the mask; of a private call, nothing.",
			given(PurposeLiveCall, RecipientAgent, handling), "D08 MASK", star67, "D47 DENY"},
		{"The agent of a live call sees the mask; an agent of another call does not.",
			given(PurposeLiveCall, RecipientAgent, handling), "D08 MASK", unrelated, "D47 DENY"},
		{"After a call was cut off its agent may dial it; another agent may not.",
			given(PurposeDropped, RecipientAgent, dropped), "D09 HANDLE", unrelated, "D47 DENY"},
		{"With a reason the agent sees the number of a call that was cut off; without one the handle dials.",
			given(PurposeDropped, RecipientAgent, dropped, withPaper(ProcessReason)), "D09 FULL", unpapered, "D09 HANDLE"},
		{"With the caller's word a private call is dialled; without it not.",
			given(PurposeDropped, RecipientAgent, dropped, star67, said), "D10 HANDLE", unagreed, "D11 DENY"},
		{"A private call that was cut off is not called back, reason or no reason; an open one is.",
			given(PurposeDropped, RecipientAgent, dropped, star67, withPaper(ProcessReason)), "D11 DENY", func(x *Tuple) { x.Open = true }, "D09 FULL"},
		{"Another agency gets the number with the transfer; of a private call it does not.",
			given(PurposeTransfer, RecipientCity), "D12 FULL", star67, "D13 DENY"},
		{"A utility gets no private number with the transfer, consent or no consent; an open one it does.",
			given(PurposeTransfer, RecipientPrivate, star67, wrote), "D13 DENY", func(x *Tuple) { x.Open = true }, "D14 FULL"},
		{"A utility gets the number with the transfer by the caller's word; without it not.",
			given(PurposeTransfer, RecipientPrivate, said), "D14 FULL", unagreed, "D47 DENY"},
		{"A utility is a third party.",
			given(PurposeTransfer, RecipientPrivate, said), "D14 FULL", helena, "PROFILE DENY"},
		{"The engine screens; a supervisor does not.",
			given(PurposeScreening, RecipientEngine, star67), "D15 FULL", toward(RecipientSupervisor), "D47 DENY"},
		{"Under nyc-3.3 who looks after the lists sees the mask; elsewhere the token.",
			given(PurposeScreeningReview, RecipientSupervisor, nyc), "D16 MASK", card, "D16 TOKEN"},
		{"Who looks after the lists sees the token; an agent does not.",
			given(PurposeScreeningReview, RecipientSupervisor, star67), "D16 TOKEN", toward(RecipientAgent), "D47 DENY"},
		{"The vendor's telemetry has tokens; in a city without third parties it does not.",
			given(PurposeNetwork, RecipientVendor), "D17 TOKEN", helena, "PROFILE DENY"},
		{"Under nyc-3.3 a carrier gets the number of a call that the ticket names; elsewhere ids and times.",
			given(PurposeTrouble, RecipientTrunk, nyc, named), "D18 FULL", card, "D18 DENY"},
		{"The carrier gets the number of a call that the ticket names; not of another.",
			given(PurposeTrouble, RecipientTrunk, nyc, named), "D18 FULL", unrelated, "D18 DENY"},
		{"The vendor gets the number when the city approved this request; otherwise the token.",
			given(PurposeSupport, RecipientVendor, named, withPaper(ProcessApproval)), "D19 FULL", unpapered, "D19 TOKEN"},
		{"The vendor gets the token; in a city without third parties nothing.",
			given(PurposeSupport, RecipientVendor, star67), "D19 TOKEN", helena, "PROFILE DENY"},
		{"An agent does not look up earlier calls on the caller's word alone; after a notice, under nyc-3.3, they do.",
			given(PurposeLookup, RecipientAgent, handling, nyc, said), "D20 DENY", agreed, "D21 TOKEN"},
		{"After notice and consent, under nyc-3.3, the agent gets a token; elsewhere nothing.",
			given(PurposeLookup, RecipientAgent, handling, nyc, agreed), "D21 TOKEN", card, "D21 DENY"},
		{"The look-up is for the agent of the call; not for another.",
			given(PurposeLookup, RecipientAgent, handling, nyc, wrote), "D21 TOKEN", unrelated, "D21 DENY"},
		{"Under nyc-3.3 the number goes into the request by the caller's word; elsewhere the agent types what they say.",
			given(PurposeServiceRequest, RecipientCRM, nyc, said), "D22 FULL", card, "D22 DENY"},
		{"Without the caller's word the field stays empty; with it, under nyc-3.3, it does not.",
			given(PurposeServiceRequest, RecipientCity, nyc), "D23 DENY", said, "D22 FULL"},
		{"Nothing is published, whoever consents; a count is.",
			given(PurposePublication, RecipientPublic, nyc, wrote), "D24 DENY", forPurpose(PurposeStatistics), "D33 AGGREGATE"},
		{"911 gets the number of a private call of a protected subject in any city; without a number there is none to give.",
			given(PurposeEmergency, RecipientPSAP, star67, byLaw, byCity, helena, unvouched), "D25 FULL", unheld, "D42 DENY"},
		{"911 gets the number; who only says emergency does not.",
			given(PurposeEmergency, RecipientPSAP), "D25 FULL", toward(RecipientPolice), "D47 DENY"},
		{"Police get that call on an exigency form; without the form not.",
			given(PurposeExigency, RecipientPolice, star67, helena, byCity, named, withPaper(ProcessExigency)), "D26 FULL", unpapered, "D28 DENY"},
		{"A verified paper opens the calls that it names; no other.",
			given(PurposeLegalProcess, RecipientPolice, star67, helena, byCity, named, withPaper(ProcessPaper)), "D27 FULL", unrelated, "D28 DENY"},
		{"A verified paper does not open a protected subject's calls.",
			given(PurposeLegalProcess, RecipientPolice, named, withPaper(ProcessPaper)), "D27 FULL", byLaw, "LAW DENY"},
		{"A paper that was served on the vendor opens nothing; one that the city verified does.",
			given(PurposeLegalProcess, RecipientPolice, named, withPaper(ProcessMisserved)), "D28 DENY", withPaper(ProcessPaper), "D27 FULL"},
		{"A records request gets the number on the custodian's finding; otherwise a blank.",
			given(PurposePublicRecords, RecipientPublic, named, withPaper(ProcessFinding)), "D29 FULL", unpapered, "D29 DENY"},
		{"The verified subject gets their own number; one who only calls from it does not.",
			given(PurposeSubjectRights, RecipientSubject, star67, helena, byCity, named, withPaper(ProcessVerified)), "D30 FULL", unpapered, "D32 DENY"},
		{"The verified subject gets the number of their own call; not of another's.",
			given(PurposeSubjectRights, RecipientSubject, named, withPaper(ProcessVerified)), "D30 FULL", unrelated, "D32 DENY"},
		{"Who acts for the subject needs both proofs and the written word; a spoken word is not enough.",
			given(PurposeSubjectRights, RecipientSubjectAgent, helena, named, wrote, withPaper(ProcessBothProven)), "D31 FULL", said, "D32 DENY"},
		{"An agent cannot claim a subject's rights for them; the verified subject can.",
			given(PurposeSubjectRights, RecipientAgent, named, wrote, withPaper(ProcessVerified)), "D32 DENY", toward(RecipientSubject), "D30 FULL"},
		{"Counts go to other agencies; the single call does not.",
			given(PurposeStatistics, RecipientCity, star67), "D33 AGGREGATE", forPurpose(PurposeIntegration), "D45 DENY"},
		{"A review needs no number; a look at the screening lists has its token.",
			given(PurposeQuality, RecipientSupervisor, wrote, nyc), "D34 DENY", forPurpose(PurposeScreeningReview), "D16 MASK"},
		{"A search by an exact number needs a case.",
			given(PurposeRecordQuery, RecipientSupervisor, withPaper(ProcessCase)), "D35 MASK", unpapered, "D36 DENY"},
		{"A search by a part of a number is a list, case or no case; by the whole number it is a search.",
			given(PurposeListQuery, RecipientSupervisor, nyc, wrote, withPaper(ProcessCase)), "D36 DENY", forPurpose(PurposeRecordQuery), "D35 MASK"},
		{"The vendor does not search by number; a supervisor with a case does.",
			given(PurposeRecordQuery, RecipientVendor, withPaper(ProcessCase)), "D36 DENY", toward(RecipientSupervisor), "D35 MASK"},
		{"Marketing needs the written word; less is not enough.",
			given(PurposeMarketing, RecipientPrivate, nyc, named, agreed), "D37 DENY", wrote, "D38 FULL"},
		{"By written consent, under nyc-3.3, it goes to whom the consent names; not to another.",
			given(PurposeDisclosure, RecipientPrivate, nyc, named, wrote), "D38 FULL", unrelated, "D38 DENY"},
		{"By written consent it goes out under nyc-3.3 only.",
			given(PurposeMarketing, RecipientPrivate, nyc, named, wrote), "D38 FULL", card, "D38 DENY"},
		{"A notice goes to a number that opted in; to no other.",
			given(PurposeNotice, RecipientGateway, star67, withPaper(ProcessOptIn)), "D39 FULL", unpapered, "D47 DENY"},
		{"Another city gets nothing; the city's own agent sees the mask.",
			given(PurposeLiveCall, RecipientOtherCity, handling, wrote, nyc), "D40 DENY", toward(RecipientAgent), "D08 MASK"},
		{"A number that nobody vouches for is shown as any other (D41 marks it).",
			given(PurposeLiveCall, RecipientAgent, handling, unvouched), "D08 MASK", unheld, "D42 DENY"},
		{"A number that is not there is not there for the engine either.",
			given(PurposeRouting, RecipientEngine, unheld), "D42 DENY", func(x *Tuple) { x.Held = true }, "D01 FULL"},
		{"The vendor's analytics get nothing; its telemetry has tokens.",
			given(PurposeAnalytics, RecipientVendor, nyc, wrote), "D43 DENY", forPurpose(PurposeNetwork), "D17 TOKEN"},
		{"An interpreter's leg shows the city's number; a transfer by the caller's word shows theirs.",
			given(PurposeConference, RecipientPrivate, said), "D44 DENY", forPurpose(PurposeTransfer), "D14 FULL"},
		{"A webhook has the call's id; a service request by the caller's word, under nyc-3.3, has the number.",
			given(PurposeIntegration, RecipientCRM, nyc, said), "D45 DENY", forPurpose(PurposeServiceRequest), "D22 FULL"},
		{"Transcripts go with a token; in a city without third parties with nothing.",
			given(PurposeTranscription, RecipientVendor, star67), "D46 TOKEN", helena, "PROFILE DENY"},
		{"A purpose in somebody's own words is none; the listed one is.",
			given("the mayor asked", RecipientAgent, handling, wrote, nyc), "D47 DENY", forPurpose(PurposeLiveCall), "D08 MASK"},
		{"The engine knows the caller whom we dropped; an agent does not.",
			given(PurposeRedial, RecipientEngine, star67, byLaw), "D48 TOKEN", toward(RecipientAgent), "D47 DENY"},
		{"The engine dials who pressed the key, private or protected; without the key nobody.",
			given(PurposeCallback, RecipientEngine, star67, byLaw, said), "D49 HANDLE", unagreed, "D47 DENY"},
		{"What a law protects an agent does not see; the engine still routes the call.",
			given(PurposeLiveCall, RecipientAgent, handling, byLaw), "LAW DENY", together(forPurpose(PurposeRouting), toward(RecipientEngine)), "D01 FULL"},
		{"What the city forbids is denied; what it cannot forbid is not.",
			given(PurposeLiveCall, RecipientAgent, handling, byCity), "CITY DENY", together(forPurpose(PurposeEmergency), toward(RecipientPSAP)), "D25 FULL"},
		{"In a city without third parties a carrier gets nothing; another agency does.",
			given(PurposeTransfer, RecipientTrunk, helena), "PROFILE DENY", toward(RecipientCity), "D12 FULL"},
	} {
		if got := outcome(c.x); got != c.want {
			t.Errorf("%s\n%+v: %s, want %s", c.says, c.x, got, c.want)
		}
		if got := outcome(but(c.x, c.near)); got != c.then {
			t.Errorf("%s\nbut %+v: %s, want %s", c.says, but(c.x, c.near), got, c.then)
		}
		id, _, _ := strings.Cut(c.want, " ")
		seen[id] = true
	}
	for _, row := range terms {
		if row.Lines != nil && !seen[row.ID] {
			t.Errorf("no request here comes to %s", row.ID)
		}
	}
}

// D41 decides nothing: it marks what a person gets of a number that no carrier vouches for.
func TestUnverified(t *testing.T) {
	for _, c := range []struct {
		x    Tuple
		want bool
	}{
		{given(PurposeLiveCall, RecipientAgent, handling, unvouched), true},
		{given(PurposeLiveCall, RecipientAgent, handling, func(x *Tuple) { x.Verstat = "maybe" }), true},
		{given(PurposeDropped, RecipientAgent, dropped, unvouched), true}, // to dial it is a use
		{given(PurposeEmergency, RecipientPSAP, unvouched), true},
		{given(PurposeLiveCall, RecipientAgent, handling), false},
		{given(PurposeLiveCall, RecipientAgent, unvouched), false}, // denied
		{given(PurposeRouting, RecipientEngine, unvouched), false},
		{given(PurposeForward, RecipientTrunk, unvouched), false},
		{given(PurposeStatistics, RecipientPublic, unvouched), false},
	} {
		if got := Decide(c.x); got.Unverified != c.want {
			t.Errorf("%+v: %t", c.x, got.Unverified)
		}
	}
}
