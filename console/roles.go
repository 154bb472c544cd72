package console

import (
	"slices"
	"time"
)

// Role is what somebody does in the office of one city.
type Role string

// The roles.
const (
	RoleAgent      Role = "agent"      // takes calls
	RoleSupervisor Role = "supervisor" // runs the queues, finds calls, listens
	RolePrivacy    Role = "privacy"    // proves what was done with personal data
	RoleRecords    Role = "records"    // answers requests for records
	RoleOperator   Role = "operator"   // runs the system, and has no business with its calls
)

// Roles lists every role, in the order of the table's columns.
func Roles() []Role {
	return []Role{RoleAgent, RoleSupervisor, RolePrivacy, RoleRecords, RoleOperator}
}

// Permission is what a route asks for. A token's scope is a list of these.
type Permission string

// The permissions.
const (
	SeeSelf        Permission = "me.read"
	SeeCalls       Permission = "calls.read"
	ExportCalls    Permission = "calls.export"
	SeeRecordings  Permission = "recordings.read"
	PlayRecordings Permission = "recordings.play"
	SeeAgents      Permission = "agents.read"
	SetAgents      Permission = "agents.write"
	SeeQueues      Permission = "queues.read"
	SeeLedger      Permission = "ledger.read"
	ExportLedger   Permission = "ledger.export"
	RunLedger      Permission = "ledger.run"
	RunKeys        Permission = "keys.run"
	SeeTokens      Permission = "tokens.read"

	SeeReleases     Permission = "releases.read"
	AskReleases     Permission = "releases.ask"
	ApproveReleases Permission = "releases.approve"
	RevealNumbers   Permission = "releases.reveal"
	SearchNumbers   Permission = "numbers.search"
	SeeConsents     Permission = "consents.read"
	EnterConsents   Permission = "consents.write"
	HearConsents    Permission = "consents.spoken"
	EndConsents     Permission = "consents.withdraw"
	SeePapers       Permission = "processes.read"
	TakePapers      Permission = "processes.write"
	VerifyPapers    Permission = "processes.verify"
	ReadPapers      Permission = "processes.paper"
	SeeScreening    Permission = "screening.read"
	SetScreening    Permission = "screening.write"
	SeeProtected    Permission = "protected.read"
	SetProtected    Permission = "protected.write"
	SeePolicy       Permission = "policy.read"
	ProposePolicy   Permission = "policy.propose"
	ApprovePolicy   Permission = "policy.approve"
	SeeAccounting   Permission = "accounting.read"
	SetAccounting   Permission = "accounting.write"
	SeeNotices      Permission = "notices.read"
	SetNotices      Permission = "notices.write"
	SeeRecalls      Permission = "recalls.read"
	SetRecalls      Permission = "recalls.write"
	SeeBilling      Permission = "billing.read"
	ProveBilling    Permission = "billing.prove"
	SeePartners     Permission = "partners.read"
	TransferCalls   Permission = "calls.transfer"
	CallBack        Permission = "calls.callback"

	// public needs no token: the page at the front door and the description of the API.
	public Permission = "public"
)

// Reach is how far a permission goes.
type Reach int

// The reaches.
const (
	none Reach = iota // refused
	own               // what is the holder's own: an agent's calls of today, their own state
	city              // all of the token's city
)

// rule is one row: a route, as http.ServeMux writes it, what it asks for, and how far each role reaches in it.
type rule struct {
	route      string
	permission Permission
	reach      [5]Reach // by role, in the order of Roles
	long       bool     // streams: bounded by the reader's pace, not by RequestTimeout
	secured    bool     // has a number in the request or in the answer: only over TLS, or from this machine
}

// table says who may do what. The gate asks it before every request: a route that is not here is refused to everybody,
// and so is a role that is not in Roles.
var table = []rule{
	//                                                               agent superv. privacy records operator
	{route: "GET /{$}", permission: public},
	{route: "GET /problems", permission: public},
	{route: "GET /openapi.json", permission: public},
	{route: "GET /ledger/", permission: public}, // hashes and checkpoints alone: see ledger.Public
	{route: "GET /api/v1/me", permission: SeeSelf, reach: [5]Reach{own, own, own, own, own}},
	{route: "GET /api/v1/calls", permission: SeeCalls, reach: [5]Reach{own, city, city, city, none}},
	{route: "GET /api/v1/calls/{id}", permission: SeeCalls, reach: [5]Reach{own, city, city, city, none}},
	{route: "GET /api/v1/calls/export", permission: ExportCalls, reach: [5]Reach{none, city, city, city, none}, long: true},
	{route: "GET /api/v1/recordings/{id}", permission: SeeRecordings, reach: [5]Reach{none, city, city, city, none}},
	{route: "GET /api/v1/recordings/{id}/media", permission: PlayRecordings, reach: [5]Reach{none, city, city, none, none}, long: true},
	{route: "GET /api/v1/agents", permission: SeeAgents, reach: [5]Reach{none, city, none, none, city}},
	{route: "POST /api/v1/agents/{id}/state", permission: SetAgents, reach: [5]Reach{own, city, none, none, none}},
	{route: "GET /api/v1/queues", permission: SeeQueues, reach: [5]Reach{none, city, none, none, city}},
	{route: "GET /api/v1/tokens", permission: SeeTokens, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/checkpoint", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/key", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/entries/{index}/proof", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/export", permission: ExportLedger, reach: [5]Reach{none, none, city, none, none}, long: true},
	{route: "GET /api/v1/ledger/consistency", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "POST /api/v1/ledger/keys/rotate", permission: RunLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "POST /api/v1/ledger/succeed", permission: RunLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "POST /api/v1/ani-keys/rotate", permission: RunKeys, reach: [5]Reach{none, none, city, none, none}},
	{route: "POST /api/v1/ani-keys/drop", permission: RunKeys, reach: [5]Reach{none, none, city, none, none}},
	{route: "POST /api/v1/calls/{id}/ani-releases", permission: AskReleases, reach: [5]Reach{own, city, city, city, city}},
	{route: "GET /api/v1/ani-releases", permission: SeeReleases, reach: [5]Reach{own, city, city, city, own}},
	{route: "GET /api/v1/ani-releases/{id}", permission: SeeReleases, reach: [5]Reach{own, city, city, city, own}},
	{route: "POST /api/v1/ani-releases/{id}/approve", permission: ApproveReleases, reach: [5]Reach{none, city, city, city, none}},
	{route: "POST /api/v1/ani-releases/{id}/refuse", permission: ApproveReleases, reach: [5]Reach{none, city, city, city, none}},
	{route: "POST /api/v1/ani-releases/{id}/reveal", permission: RevealNumbers, reach: [5]Reach{own, own, own, own, own}, secured: true},
	{route: "POST /api/v1/calls/search-by-number", permission: SearchNumbers, reach: [5]Reach{none, city, city, none, none}, secured: true},
	{route: "POST /api/v1/consents", permission: EnterConsents, reach: [5]Reach{none, none, city, none, none}, secured: true},
	{route: "GET /api/v1/consents", permission: SeeConsents, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/consents/{id}", permission: SeeConsents, reach: [5]Reach{none, none, city, none, none}},
	{route: "POST /api/v1/consents/{id}/withdraw", permission: EndConsents, reach: [5]Reach{own, none, city, none, none}},
	{route: "POST /api/v1/calls/{id}/spoken-consent", permission: HearConsents, reach: [5]Reach{own, none, none, none, none}},
	{route: "POST /api/v1/processes", permission: TakePapers, reach: [5]Reach{none, city, city, city, city}, long: true},
	{route: "GET /api/v1/processes", permission: SeePapers, reach: [5]Reach{none, city, city, city, none}},
	{route: "GET /api/v1/processes/{id}", permission: SeePapers, reach: [5]Reach{none, city, city, city, none}},
	{route: "POST /api/v1/processes/{id}/verify", permission: VerifyPapers, reach: [5]Reach{none, none, city, city, none}},
	{route: "POST /api/v1/processes/{id}/close", permission: TakePapers, reach: [5]Reach{none, city, city, city, none}},
	{route: "GET /api/v1/processes/{id}/paper", permission: ReadPapers, reach: [5]Reach{none, none, city, city, none}},
	{route: "POST /api/v1/screening", permission: SetScreening, reach: [5]Reach{none, city, city, none, none}},
	{route: "GET /api/v1/screening", permission: SeeScreening, reach: [5]Reach{none, city, city, none, none}},
	{route: "POST /api/v1/screening/{id}/confirm", permission: SetScreening, reach: [5]Reach{none, city, city, none, none}},
	{route: "POST /api/v1/screening/{id}/review", permission: SeeScreening, reach: [5]Reach{none, city, city, none, none}, secured: true},
	{route: "DELETE /api/v1/screening/{id}", permission: SetScreening, reach: [5]Reach{none, city, city, none, none}},
	{route: "POST /api/v1/protected", permission: SetProtected, reach: [5]Reach{none, none, city, city, none}, secured: true},
	{route: "GET /api/v1/protected", permission: SeeProtected, reach: [5]Reach{none, none, city, city, none}},
	{route: "DELETE /api/v1/protected/{id}", permission: SetProtected, reach: [5]Reach{none, none, city, city, none}},
	{route: "GET /api/v1/policy", permission: SeePolicy, reach: [5]Reach{none, city, city, city, none}},
	{route: "POST /api/v1/policy/explain", permission: SeePolicy, reach: [5]Reach{none, city, city, city, none}},
	{route: "POST /api/v1/policy/proposals", permission: ProposePolicy, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/policy/proposals", permission: SeePolicy, reach: [5]Reach{none, city, city, city, none}},
	{route: "POST /api/v1/policy/proposals/{id}/approve", permission: ApprovePolicy, reach: [5]Reach{none, city, city, none, none}},
	{route: "POST /api/v1/policy/proposals/{id}/refuse", permission: ApprovePolicy, reach: [5]Reach{none, city, city, none, none}},
	{route: "POST /api/v1/accounting", permission: SetAccounting, reach: [5]Reach{none, none, city, city, none}, secured: true},
	{route: "GET /api/v1/accounting", permission: SeeAccounting, reach: [5]Reach{none, none, city, city, none}},
	{route: "POST /api/v1/accounting/{id}/approve", permission: SetAccounting, reach: [5]Reach{none, none, city, city, none}},
	{route: "POST /api/v1/accounting/{id}/refuse", permission: SetAccounting, reach: [5]Reach{none, none, city, city, none}},
	{route: "POST /api/v1/accounting/{id}/answer", permission: SetAccounting, reach: [5]Reach{none, none, city, city, none}, secured: true},
	{route: "GET /api/v1/owner-notices", permission: SeeNotices, reach: [5]Reach{none, none, city, none, none}},
	{route: "POST /api/v1/owner-notices/{id}/acknowledge", permission: SetNotices, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/recalls", permission: SeeRecalls, reach: [5]Reach{none, none, city, city, none}},
	{route: "POST /api/v1/recalls/{id}/delivered", permission: SetRecalls, reach: [5]Reach{none, none, city, city, none}},
	{route: "GET /api/v1/billing/batches", permission: SeeBilling, reach: [5]Reach{none, city, city, city, none}},
	{route: "GET /api/v1/calls/{id}/billing-proof", permission: ProveBilling, reach: [5]Reach{none, city, city, city, none}, secured: true},
	{route: "GET /api/v1/partners", permission: SeePartners, reach: [5]Reach{city, city, none, none, none}},
	{route: "POST /api/v1/calls/{id}/transfers", permission: TransferCalls, reach: [5]Reach{own, city, none, none, none}},
	{route: "DELETE /api/v1/calls/{id}/transfers", permission: TransferCalls, reach: [5]Reach{own, city, none, none, none}},
	{route: "POST /api/v1/calls/{id}/handles", permission: CallBack, reach: [5]Reach{own, none, none, none, none}},
	{route: "POST /api/v1/handles/{id}/dial", permission: CallBack, reach: [5]Reach{own, none, none, none, none}},
}

// ruleOf finds the row of a route.
func ruleOf(route string) (rule, bool) {
	i := slices.IndexFunc(table, func(r rule) bool { return r.route == route })
	if i < 0 {
		return rule{}, false
	}
	return table[i], true
}

// reachOf is how far t goes in the route of r: no further than its role, and nowhere outside its scope.
func (r rule) reachOf(t Token) Reach {
	column := slices.Index(Roles(), t.Role)
	if column < 0 || len(t.Scope) > 0 && !slices.Contains(t.Scope, r.permission) {
		return none
	}
	return r.reach[column]
}

// permissions lists what t may ask for, each once, in the order of the table.
func permissions(t Token) []Permission {
	var may []Permission
	for _, r := range table {
		if r.reachOf(t) != none && !slices.Contains(may, r.permission) {
			may = append(may, r.permission)
		}
	}
	return may
}

// knownPermission tells whether p may stand in a scope.
func knownPermission(p Permission) bool {
	return p != public && slices.ContainsFunc(table, func(r rule) bool { return r.permission == p })
}

// startOfDay is the midnight before at, in the city's zone. Days there may have 23 or 25 hours.
func startOfDay(at time.Time, zone *time.Location) time.Time {
	y, m, d := at.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}
