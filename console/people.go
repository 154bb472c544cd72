package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// meAnswer is who a token lets in.
type meAnswer struct {
	Body struct {
		Name        string       `json:"name"`
		City        call.CityID  `json:"city"`
		Role        Role         `json:"role"`
		Agent       call.AgentID `json:"agent,omitempty"`
		Permissions []Permission `json:"permissions" nullable:"false"`
		ExpiresAt   time.Time    `json:"expires_at"`
		State       *Agent       `json:"state,omitempty" doc:"The agent's own state, where the token is an agent's."`
	}
}

// agentsAnswer is a city's agents.
type agentsAnswer struct {
	Body struct {
		Data []Agent `json:"data" nullable:"false"`
	}
}

// agentAnswer is one agent.
type agentAnswer struct{ Body Agent }

// queuesAnswer is a city's queues.
type queuesAnswer struct {
	Body struct {
		Data []Queue `json:"data" nullable:"false"`
	}
}

// peopleRoutes puts the routes of agents and queues into the API.
func (c *Console) peopleRoutes(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/me", "Who this token lets in, and to what"), c.getMe)
	huma.Register(api, operation(http.MethodGet, "/agents", "The agents, as they are now"), c.listAgents)
	set := operation(http.MethodPost, "/agents/{id}/state", "Move an agent to another state")
	set.Description = "An agent may move themselves; a supervisor may move anyone and says why."
	huma.Register(api, set, c.setAgent)
	huma.Register(api, operation(http.MethodGet, "/queues", "The queues, as they are now"), c.listQueues)
}

func (c *Console) getMe(ctx context.Context, _ *struct{}) (*meAnswer, error) {
	t := visitOf(ctx).token
	out := &meAnswer{}
	out.Body.Name, out.Body.City, out.Body.Role, out.Body.Agent = t.Name, t.City, t.Role, t.Agent
	out.Body.Permissions, out.Body.ExpiresAt = permissions(t), t.ExpiresAt
	if t.Agent == "" {
		return out, nil
	}
	agents, err := c.deps.Agents.Agents(ctx, t.City)
	if err != nil {
		return nil, c.fail(ctx, "read an agent's state", err)
	}
	if i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == t.Agent }); i >= 0 {
		out.Body.State = &agents[i]
	}
	return out, nil
}

func (c *Console) listAgents(ctx context.Context, _ *struct{}) (*agentsAnswer, error) {
	agents, err := c.deps.Agents.Agents(ctx, visitOf(ctx).token.City)
	if err != nil {
		return nil, c.fail(ctx, "list agents", err)
	}
	out := &agentsAnswer{}
	out.Body.Data = append([]Agent{}, agents...)
	return out, nil
}

func (c *Console) setAgent(ctx context.Context, in *struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		State  string `json:"state" enum:"ready,paused,signed-out"`
		Reason string `json:"reason,omitempty" maxLength:"64" pattern:"^[^0-9]*$" doc:"In words. A supervisor must give one; no digits, so that no number can be in it."`
	}
}) (*agentAnswer, error) {
	v := visitOf(ctx)
	if v.reach == own && in.ID != string(v.token.Agent) {
		return nil, problem(ctx, http.StatusForbidden)
	}
	if in.Body.Reason == "" && in.ID != string(v.token.Agent) {
		return nil, invalid(ctx, "body.reason", "is needed to move somebody else")
	}
	a, err := c.deps.Agents.SetState(ctx, v.token.City, call.AgentID(in.ID),
		StateChange{State: in.Body.State, Reason: in.Body.Reason, By: v.token.Actor()})
	if err != nil {
		return nil, c.fail(ctx, "set an agent's state", err)
	}
	return &agentAnswer{Body: a}, nil
}

func (c *Console) listQueues(ctx context.Context, _ *struct{}) (*queuesAnswer, error) {
	queues, err := c.deps.Queues.Queues(ctx, visitOf(ctx).token.City)
	if err != nil {
		return nil, c.fail(ctx, "list queues", err)
	}
	out := &queuesAnswer{}
	out.Body.Data = append([]Queue{}, queues...)
	return out, nil
}
