package ani

import "time"

// PolicyVersion names this table in every ledger leaf, so that a decision can be checked later against the terms that it
// was made under. It changes with every change of a row; the table that it was stays beside it (terms1.go).
const PolicyVersion = "terms-2"

const days = 24 * time.Hour

var (
	// inside comes with what stays in the engine: ledgered, bound to the call, expiring, encrypted.
	inside = []Obligation{Ledgered, Bound, Expires, Encrypted}
	// outside comes with what anybody else gets: also no reuse, and a line in the subject's accounting.
	outside = []Obligation{Ledgered, Bound, Expires, NoReuse, Accounted, Encrypted}
)

// firstRows has the rows that are tried before all others, in this order; the rest follow as the table has them, and D47 is
// last. Nothing is known to another city (D40), and where there is no number there is nothing to decide (D42). Then the
// order of precedence: (1) emergency; (2) what a law forbids; (3) legal process and the subject's rights, which no
// setting of a city reaches; (4) privacy, which stands in the rows; (5) what the city forbids, and its profile; (6) the
// rows; (7) no.
var firstRows = []string{"D40", "D42", "D25", "LAW", "D26", "D27", "D28", "D30", "D31", "D32", "CITY", "PROFILE"}

// terms is the table. A row speaks of its purposes and its recipients; of its lines the first that fits decides, and if
// none fits the next row is tried.
var terms = []Row{

	// Routing: the call finds its way.

	{ID: "D01", What: "routing, inside the engine: in memory, for the call",
		Purposes: []Purpose{PurposeRouting}, Recipients: []Recipient{RecipientEngine},
		Lines: []Line{{Decision: Full}}, Always: inside,
		Citation: "ANI terms 3.3(a); 47 CFR 64.1602(a)(1)"},

	{ID: "D02", What: "forwarding, to a carrier in our trust domain: P-Asserted-Identity",
		Purposes: []Purpose{PurposeForward}, Recipients: []Recipient{RecipientTrunk},
		Lines: []Line{{Privacy: Unrestricted, Decision: Full}}, Always: outside,
		Citation: "ANI terms 3.3(a); 47 CFR 64.1601(a); RFC 3325 section 5"},

	{ID: "D03", What: "forwarding a private call, to a carrier in our trust domain: P-Asserted-Identity with Privacy kept, From anonymous",
		Purposes: []Purpose{PurposeForward}, Recipients: []Recipient{RecipientTrunk},
		Lines: []Line{{Privacy: Restricted, Decision: Full}}, Always: outside,
		Citation: "RFC 3325 sections 7 and 8"},

	{ID: "D04", What: "forwarding, to a carrier outside our trust domain: every identity is taken out",
		Purposes: []Purpose{PurposeForward}, Recipients: []Recipient{RecipientStranger},
		Lines:    []Line{{Decision: Deny}},
		Citation: "RFC 3325 section 7", Choice: "The same where no restriction was asked for: what our agreements with carriers must settle, they settle strictly."},

	// Billing: only where a city charges.

	{ID: "D05", What: "billing, inside the engine: into the charging record only",
		Purposes: []Purpose{PurposeBilling}, Recipients: []Recipient{RecipientEngine},
		Lines: []Line{{Tariff: true, Decision: Full}}, Always: inside, Expiry: 90 * days,
		Citation: "ANI terms 3.3(a); RFC 8496", Choice: "A charging record lives as long as its charge can be disputed (D06)."},

	{ID: "D06", What: "a disputed charge, to the carrier of that call",
		Purposes: []Purpose{PurposeDispute}, Recipients: []Recipient{RecipientTrunk},
		Lines: []Line{{Tariff: true, Relation: RelationCarried, Decision: Full}}, Always: outside, Expiry: 90 * days,
		Citation: "ANI terms 3.3(a): third parties for billing and collection"},

	{ID: "D07", What: "billing in a city without a tariff, whoever asks",
		Purposes: []Purpose{PurposeBilling, PurposeDispute},
		Lines:    []Line{{NoTariff: true, Decision: Deny}},
		Citation: "NYC 311 privacy policy, principle 2: no such purpose"},

	// Completion: the call that somebody made is served to its end.

	{ID: "D08", What: "the live call, for the agent who handles it: the mask, and a handle to call back with",
		Purposes: []Purpose{PurposeLiveCall}, Recipients: []Recipient{RecipientAgent},
		Lines: []Line{{Privacy: Unrestricted, Relation: RelationHandling, Decision: Mask}}, Always: outside, Handle: true,
		Citation: "NYC 311 privacy policy 3.1; ANI terms 3.3(a)"},

	{ID: "D09", What: "a call that was cut off, for the agent who had it: the handle dials; the number only with a reason",
		Purposes: []Purpose{PurposeDropped}, Recipients: []Recipient{RecipientAgent},
		Lines: []Line{
			{Privacy: Unrestricted, Relation: RelationDropped, Process: ProcessReason, Decision: Full, Also: []Obligation{Capped, ShownBriefly}},
			{Privacy: Unrestricted, Relation: RelationDropped, Decision: Handle},
		}, Always: outside, Expiry: 30 * time.Minute, Handle: true,
		Citation: "ANI terms 3.3(a)"},

	{ID: "D10", What: "a private call that was cut off, by the caller's word: the handle dials, nothing is shown",
		Purposes: []Purpose{PurposeDropped}, Recipients: []Recipient{RecipientAgent},
		Lines:  []Line{{Privacy: Restricted, Relation: RelationDropped, Consent: ConsentVerbal, Decision: Handle}},
		Always: outside, Expiry: 24 * time.Hour, Handle: true,
		Citation: "47 CFR 64.1601(b); RFC 3325 section 8"},

	{ID: "D11", What: "a private call that was cut off, without the caller's word",
		Purposes: []Purpose{PurposeDropped}, Recipients: []Recipient{RecipientAgent},
		Lines:    []Line{{Privacy: Restricted, AtMost: ConsentNone, Decision: Deny}},
		Citation: "47 CFR 64.1601(b)"},

	{ID: "D12", What: "transfer at the caller's request, to another agency of the city: in the signalling",
		Purposes: []Purpose{PurposeTransfer}, Recipients: []Recipient{RecipientCity},
		Lines: []Line{{Privacy: Unrestricted, Decision: Full}}, Always: outside,
		Citation: "ANI terms 3.3(a); Town of Concord policy: to another agency that can help"},

	{ID: "D13", What: "transfer of a private call: carried on as anonymous",
		Purposes: []Purpose{PurposeTransfer}, Recipients: []Recipient{RecipientCity, RecipientPrivate},
		Lines:    []Line{{Privacy: Restricted, Decision: Deny}},
		Citation: "RFC 3325 section 7"},

	{ID: "D14", What: "transfer at the caller's request and by their word, to a utility or another government: in the signalling, nothing else",
		Purposes: []Purpose{PurposeTransfer}, Recipients: []Recipient{RecipientPrivate},
		Lines: []Line{{Privacy: Unrestricted, Consent: ConsentVerbal, Decision: Full}}, Always: outside,
		Citation: "ANI terms 3.3(a): completion of the call or transaction"},

	// Screening and the network: inside the engine, and tokens.

	{ID: "D15", What: "screening, inside the engine: in memory; a token is kept",
		Purposes: []Purpose{PurposeScreening}, Recipients: []Recipient{RecipientEngine},
		Lines: []Line{{Decision: Full}}, Always: inside, Expiry: 30 * days,
		Citation: "ANI terms 3.3(a)"},

	{ID: "D16", What: "looking after the screening lists: the token, and under nyc-3.3 the mask",
		Purposes: []Purpose{PurposeScreeningReview}, Recipients: []Recipient{RecipientSupervisor},
		Lines: []Line{
			{Privacy: Unrestricted, Profile: ProfileNYC, Decision: Mask},
			{Decision: Token},
		}, Always: outside, Expiry: 30 * days,
		Citation: "ANI terms 3.3(a); NYC 311 privacy policy 3.1", Choice: "The token is shown as long as D15 keeps it."},

	{ID: "D17", What: "network performance: a token under a key of one day",
		Purposes: []Purpose{PurposeNetwork}, Recipients: []Recipient{RecipientEngine, RecipientVendor},
		Lines: []Line{{Decision: Token}}, Always: outside, Expiry: 24 * time.Hour,
		Citation: "ANI terms 3.3(a); 47 CFR 64.1602(a)(3)(ii)"},

	{ID: "D18", What: "a fault that the carrier looks for: ids and times of calls; under nyc-3.3 the number too, of ten named calls at most",
		Purposes: []Purpose{PurposeTrouble}, Recipients: []Recipient{RecipientTrunk},
		Lines: []Line{
			{Privacy: Unrestricted, Relation: RelationNamed, Profile: ProfileNYC, Decision: Full},
			{Privacy: Unrestricted, Decision: Deny},
		}, Always: outside, Expiry: 7 * days,
		Citation: "ANI terms 3.3(a): ensuring network performance", Choice: "Ids and times are not the number, so the number is denied."},

	{ID: "D19", What: "support by the vendor: the token; the number only with the city's approval of this one request",
		Purposes: []Purpose{PurposeSupport}, Recipients: []Recipient{RecipientVendor},
		Lines: []Line{
			{Relation: RelationNamed, Process: ProcessApproval, Decision: Full, Also: []Obligation{TwoPersons, OwnerTold}},
			{Decision: Token, Also: []Obligation{OwnerTold}},
		}, Always: outside, PerPaper: true,
		Citation: "CivicPlus policy, customer data; Town of Concord policy, sharing"},

	// Reuse: earlier calls, service requests, anything public.

	{ID: "D20", What: "looking up earlier calls of the same number, without affirmative consent",
		Purposes: []Purpose{PurposeLookup}, Recipients: []Recipient{RecipientAgent, RecipientSupervisor},
		Lines:    []Line{{AtMost: ConsentVerbal, Decision: Deny}},
		Citation: "47 CFR 64.1602(a)(2); NYC 311 privacy policy 2.2"},

	{ID: "D21", What: "looking up earlier calls after notice and consent: under nyc-3.3 a token, which finds case numbers only",
		Purposes: []Purpose{PurposeLookup}, Recipients: []Recipient{RecipientAgent},
		Lines: []Line{
			{Privacy: Unrestricted, Relation: RelationHandling, Consent: ConsentAffirmative, Profile: ProfileNYC, Decision: Token},
			{Privacy: Unrestricted, Consent: ConsentAffirmative, Decision: Deny},
		}, Always: outside,
		Citation: "47 CFR 64.1602(a)(2)"},

	{ID: "D22", What: "contact field of a service request, by the caller's word: under nyc-3.3, as a stated number in a private field",
		Purposes: []Purpose{PurposeServiceRequest}, Recipients: []Recipient{RecipientCity, RecipientCRM},
		Lines: []Line{
			{Privacy: Unrestricted, Consent: ConsentVerbal, Profile: ProfileNYC, Decision: Full, Also: []Obligation{Recallable}},
			{Privacy: Unrestricted, Consent: ConsentVerbal, Decision: Deny},
		}, Always: outside, PerPaper: true,
		Citation: "ANI terms 3.3(a): a service directly related; Aspen policy, sharing"},

	{ID: "D23", What: "contact field of a service request, without the caller's word: left empty",
		Purposes: []Purpose{PurposeServiceRequest}, Recipients: []Recipient{RecipientCity, RecipientCRM},
		Lines:    []Line{{AtMost: ConsentNone, Decision: Deny}},
		Citation: "NYC 311 privacy policy, principle 2"},

	{ID: "D24", What: "anything that the public can read",
		Purposes: []Purpose{PurposePublication}, Recipients: []Recipient{RecipientPublic},
		Lines:    []Line{{Decision: Deny}},
		Citation: "Aspen policy, sharing: a description is public"},

	// Emergency, law and rights.

	{ID: "D25", What: "emergency on the call: to 911, at once, with data to call back",
		Purposes: []Purpose{PurposeEmergency}, Recipients: []Recipient{RecipientPSAP},
		Lines: []Line{{Decision: Full}}, Always: outside,
		Citation: "NYC 311 privacy policy 2.1(c); 47 CFR 64.1601(d); RFC 7090",
		Choice:   "Nothing holds it back, not even a ledger that is away or a link that is not encrypted."},

	{ID: "D26", What: "threat to life without a leg to 911: to the police, that call, on an exigency form that an officer of the city took in",
		Purposes: []Purpose{PurposeExigency}, Recipients: []Recipient{RecipientPolice},
		Lines:  []Line{{Relation: RelationNamed, Process: ProcessExigency, Decision: Full, Also: []Obligation{TwoPersons, OwnerTold}}},
		Always: outside, PerPaper: true,
		Citation: "NYC 311 privacy policy 2.1(c); CivicPlus policy: physical harm, vital interests"},

	{ID: "D27", What: "subpoena, order or warrant that the city verified: the calls that the paper names",
		Purposes: []Purpose{PurposeLegalProcess}, Recipients: []Recipient{RecipientPolice},
		Lines:  []Line{{Relation: RelationNamed, Process: ProcessPaper, Decision: Full, Also: []Obligation{TwoPersons, OwnerTold}}},
		Always: outside, PerPaper: true,
		Citation: "NYC 311 privacy policy 2.1(d); 47 CFR 64.1602(a)(3)(iv); CivicPlus and Town of Concord policies, subpoenas"},

	{ID: "D28", What: "police without a paper for this call, or with one that was served on the vendor: sent on to the city's owner",
		Purposes: []Purpose{PurposeLegalProcess, PurposeExigency}, Recipients: []Recipient{RecipientPolice},
		Lines:    []Line{{Decision: Deny, Also: []Obligation{OwnerTold}}},
		Citation: "NYC 311 privacy policy, principle 9; CivicPlus policy, customer data"},

	{ID: "D29", What: "request for public records: blank with the exemption's code; the number only on the custodian's written finding that none applies",
		Purposes: []Purpose{PurposePublicRecords}, Recipients: []Recipient{RecipientPublic},
		Lines: []Line{
			{Relation: RelationNamed, Process: ProcessFinding, Decision: Full, Also: []Obligation{TwoPersons, OwnerTold}},
			{Decision: Deny, Also: []Obligation{OwnerTold}},
		}, Always: outside, PerPaper: true,
		Citation: "Aspen, Concord and Helena policies; City of San Jose v. Superior Court, 74 Cal.App.4th 1008"},

	{ID: "D30", What: "the subject, verified, with the city's approval: their own number, and who had it",
		Purposes: []Purpose{PurposeSubjectRights}, Recipients: []Recipient{RecipientSubject},
		Lines:  []Line{{Relation: RelationNamed, Process: ProcessVerified, Decision: Full}},
		Always: outside, PerPaper: true,
		Citation: "CivicPlus policy, California; Helena policy, data security"},

	{ID: "D31", What: "who acts for the subject by their written word, both verified: as D30",
		Purposes: []Purpose{PurposeSubjectRights}, Recipients: []Recipient{RecipientSubjectAgent},
		Lines:  []Line{{Relation: RelationNamed, Consent: ConsentWritten, Process: ProcessBothProven, Decision: Full}},
		Always: outside, PerPaper: true,
		Citation: "CivicPlus policy, California: authorized agent"},

	{ID: "D32", What: "anybody who claims a subject's rights without proof: to call from a number proves nothing",
		Purposes: []Purpose{PurposeSubjectRights},
		Lines:    []Line{{Decision: Deny}},
		Citation: "CivicPlus policy: identity that cannot be verified"},

	// Counting, reviewing, searching.

	{ID: "D33", What: "statistics: counts of ten and more",
		Purposes: []Purpose{PurposeStatistics}, Recipients: []Recipient{RecipientPublic, RecipientCity, RecipientPrivate},
		Lines: []Line{{Decision: Aggregate}}, Always: []Obligation{Ledgered, NoReuse, Encrypted},
		Citation: "NYC 311 privacy policy, definitions; 47 CFR 64.1602(a)(3)(iii); Town of Concord policy",
		Choice:   "Counts are of no one call and no one subject: they are bound to none and stand in nobody's accounting."},

	{ID: "D34", What: "quality review and training: the call's id is enough",
		Purposes: []Purpose{PurposeQuality}, Recipients: []Recipient{RecipientSupervisor},
		Lines:    []Line{{Decision: Deny}},
		Citation: "ANI terms 3.3; NYC 311 privacy policy 3.1"},

	{ID: "D35", What: "finding calls by one exact number, with a case and a purpose: rows with the mask",
		Purposes: []Purpose{PurposeRecordQuery}, Recipients: []Recipient{RecipientSupervisor},
		Lines: []Line{{Process: ProcessCase, Decision: Mask}}, Always: outside, PerPaper: true,
		Citation: "NYC 311 privacy policy 3.1, 3.2"},

	{ID: "D36", What: "finding calls by number without a case, or by a part of a number",
		Purposes: []Purpose{PurposeRecordQuery, PurposeListQuery}, Recipients: []Recipient{RecipientSupervisor, RecipientVendor},
		Lines:    []Line{{Decision: Deny}},
		Citation: "ANI terms 3.3(b): no lists"},

	// Marketing, other disclosure, messages.

	{ID: "D37", What: "marketing list or call, without prior written consent",
		Purposes: []Purpose{PurposeMarketing},
		Lines:    []Line{{AtMost: ConsentAffirmative, Decision: Deny}},
		Citation: "ANI terms 3.3(b)"},

	{ID: "D38", What: "marketing, resale or other disclosure by prior written consent: under nyc-3.3, to whom it names, within its scope",
		Purposes: []Purpose{PurposeMarketing, PurposeDisclosure}, Recipients: []Recipient{RecipientPrivate},
		Lines: []Line{
			{Privacy: Unrestricted, Relation: RelationNamed, Consent: ConsentWritten, Profile: ProfileNYC, Decision: Full, Also: []Obligation{Recallable}},
			{Privacy: Unrestricted, Consent: ConsentWritten, Decision: Deny},
		}, Always: outside, PerPaper: true,
		Citation: "ANI terms 3.3(b), (c)"},

	{ID: "D39", What: "notice by SMS or voice to a number that opted in: to the gateway, that message",
		Purposes: []Purpose{PurposeNotice}, Recipients: []Recipient{RecipientGateway},
		Lines:  []Line{{Process: ProcessOptIn, Decision: Full, Also: []Obligation{Recallable}}},
		Always: outside, PerPaper: true,
		Citation: "NYC 311 privacy policy, principle 8; Town of Concord policy; 47 CFR 64.1200"},

	// Whatever the purpose.

	{ID: "D40", What: "another city, whatever it asks",
		Recipients: []Recipient{RecipientOtherCity},
		Lines:      []Line{{Decision: Deny}},
		Citation:   "CivicPlus policy, customer data: it stays with its city"},

	{ID: "D41", What: "where no carrier vouches for the number, what a person gets by another row is marked unverified: proof of nothing, and no call-back without asking",
		Citation: "47 CFR 64.1604; Aspen policy: no impersonation"}, // decides nothing: Ruling.Unverified

	{ID: "D42", What: "withheld or unavailable upstream: said so, and never inferred from another header",
		Lines:    []Line{{NoNumber: true, Decision: Deny}},
		Citation: "RFC 8496 section 5.2.1"},

	{ID: "D43", What: "machine learning, profiling, the vendor's own analytics",
		Purposes: []Purpose{PurposeAnalytics}, Recipients: []Recipient{RecipientVendor},
		Lines:    []Line{{Decision: Deny}},
		Citation: "ANI terms 3.3; 47 CFR 64.1602(a)(3)"},

	{ID: "D44", What: "interpreter, conference party or supervisor's leg: shows the city's own number",
		Purposes: []Purpose{PurposeConference}, Recipients: []Recipient{RecipientPrivate, RecipientSupervisor},
		Lines:    []Line{{Decision: Deny}},
		Citation: "ANI terms 3.3(c)"},

	{ID: "D45", What: "another system: pop, webhook, mail, chat, trace, dump, backup: the call's id only",
		Purposes: []Purpose{PurposeIntegration}, Recipients: []Recipient{RecipientVendor, RecipientCity, RecipientCRM},
		Lines:    []Line{{Decision: Deny}},
		Citation: "ANI terms 3.3(c); CivicPlus policy, sharing", Choice: "Of the call's id and a token, only the id."},

	{ID: "D46", What: "transcription, speech analytics, another recorder: the token; spoken numbers are taken out before",
		Purposes: []Purpose{PurposeTranscription}, Recipients: []Recipient{RecipientVendor},
		Lines: []Line{{Decision: Token}}, Always: outside,
		Citation: "ANI terms 3.3; NYC 311 privacy policy, definitions"},

	{ID: "D47", What: "a purpose that is not listed, and everything that no other row speaks of",
		Lines:    []Line{{Decision: Deny}},
		Citation: "NYC 311 privacy policy, principle 3"},

	{ID: "D48", What: "the same caller again after we dropped the call, inside the engine: the token, for that class only",
		Purposes: []Purpose{PurposeRedial}, Recipients: []Recipient{RecipientEngine},
		Lines: []Line{{Decision: Token}}, Always: inside, Expiry: 30 * time.Minute,
		Citation: "ANI terms 3.3(a): completion"},

	{ID: "D49", What: "a callback that the caller asked for, inside the engine: the handle dials, shown to nobody",
		Purposes: []Purpose{PurposeCallback}, Recipients: []Recipient{RecipientEngine},
		Lines: []Line{{Consent: ConsentVerbal, Decision: Handle}}, Always: inside, Expiry: 24 * time.Hour, Handle: true,
		Citation: "ANI terms 3.3(a): completion; CivicPlus policy: the same service for callers who withhold",
		Choice:   "The caller's key is their word; the handle lives as long as that of D10."},

	// The steps of precedence that have no number.

	{ID: "LAW", What: "a subject whom a law protects: a court's seal, a program of address confidentiality",
		Except: []Purpose{PurposeRouting, PurposeRedial, PurposeCallback},
		Lines:  []Line{{Protected: true, Decision: Deny}}, Citation: "ANI terms 3.3(b): where prohibited elsewhere by law",
		Choice: "What only the engine sees and the caller's own call needs goes on (D01, D48, D49), so that they are served like anybody."},

	{ID: "CITY", What: "what the city's own settings forbid",
		Lines:    []Line{{Narrowed: true, Decision: Deny}},
		Citation: "CivicPlus policy, customer data: the customer decides"},

	{ID: "PROFILE", What: "a third party, in a city that lets none have anything",
		Recipients: []Recipient{RecipientTrunk, RecipientStranger, RecipientPSAP, RecipientPolice, RecipientPublic, RecipientSubjectAgent,
			RecipientVendor, RecipientPrivate, RecipientGateway},
		Lines:    []Line{{Within: ProfileNoThirdParty, Decision: Deny}},
		Citation: "Helena policy, collection: to no third party except as law requires",
		Choice:   "A carrier, the vendor and a gateway are third parties; another agency of the city and its own systems are not."},
}
