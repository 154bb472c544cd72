package sip

import (
	"context"
	"time"

	"callhall/call"
)

// Agents is what the registrar needs to know of who may register.
type Agents interface {
	// Credentials returns the agent of that SIP user name, and whether there is one. It must not block.
	Credentials(user string) (Agent, bool)
}

// An Agent is somebody who may register a phone.
type Agent struct {
	ID       call.AgentID
	City     call.CityID
	Password Secret
}

// Presence is told who can be reached. Registered is told again at every renewal, and after Unregistered when a phone
// has come back.
type Presence interface {
	Registered(ctx context.Context, city call.CityID, agent call.AgentID, until time.Time)
	Unregistered(ctx context.Context, city call.CityID, agent call.AgentID, reason string)
}
