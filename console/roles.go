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
}

// table says who may do what. The gate asks it before every request: a route that is not here is refused to everybody,
// and so is a role that is not in Roles.
var table = []rule{
	//                                                               agent superv. privacy records operator
	{route: "GET /{$}", permission: public},
	{route: "GET /problems", permission: public},
	{route: "GET /openapi.json", permission: public},
	{route: "GET /api/v1/me", permission: SeeSelf, reach: [5]Reach{own, own, own, own, own}},
	{route: "GET /api/v1/calls", permission: SeeCalls, reach: [5]Reach{own, city, city, city, none}},
	{route: "GET /api/v1/calls/{id}", permission: SeeCalls, reach: [5]Reach{own, city, city, city, none}},
	{route: "GET /api/v1/calls/export", permission: ExportCalls, reach: [5]Reach{none, city, city, city, none}, long: true},
	{route: "GET /api/v1/recordings/{id}", permission: SeeRecordings, reach: [5]Reach{none, city, city, city, none}},
	{route: "GET /api/v1/recordings/{id}/media", permission: PlayRecordings, reach: [5]Reach{none, city, city, none, none}, long: true},
	{route: "GET /api/v1/agents", permission: SeeAgents, reach: [5]Reach{none, city, none, none, city}},
	{route: "POST /api/v1/agents/{id}/state", permission: SetAgents, reach: [5]Reach{own, city, none, none, none}},
	{route: "GET /api/v1/queues", permission: SeeQueues, reach: [5]Reach{none, city, none, none, city}},
	{route: "GET /api/v1/ledger", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/checkpoint", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/key", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/entries/{index}/proof", permission: SeeLedger, reach: [5]Reach{none, none, city, none, none}},
	{route: "GET /api/v1/ledger/export", permission: ExportLedger, reach: [5]Reach{none, none, city, none, none}, long: true},
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
