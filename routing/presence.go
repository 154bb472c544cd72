package routing

import (
	"context"
	"time"

	"callhall/call"
)

// Registered says that a phone of the agent is registered with this node until then. It may be said again with every
// refresh. Where the configuration says so, an agent who could not be reached before is signed in by it.
func (s *Service) Registered(ctx context.Context, cityID call.CityID, agent call.AgentID, until time.Time) {
	c, conf, ok := s.agent(cityID, agent)
	if !ok {
		s.cfg.Log.Warn("registration of an unknown agent", "city", cityID, "agent", agent)
		return
	}
	c.amends[agent].Lock()
	defer c.amends[agent].Unlock()
	c.amend(ctx, agent, func(r Row, now time.Time) Amendment { return c.registered(r, conf, now, until) })
}

// Unregistered says that the agent's last phone here has gone, and why. An offer that rings is taken back; a
// conversation goes on, and the agent stays claimed until it is over.
func (s *Service) Unregistered(ctx context.Context, cityID call.CityID, agent call.AgentID, reason string) {
	c, _, ok := s.agent(cityID, agent)
	if !ok {
		return
	}
	c.amends[agent].Lock()
	defer c.amends[agent].Unlock()
	c.amend(ctx, agent, func(r Row, now time.Time) Amendment {
		if r.Facts.Phone.Home != c.node {
			return Amendment{} // the phone has registered elsewhere since
		}
		return Amendment{Phone: &Phone{At: now, Why: reason}}
	})
}

// agent finds an agent of a city.
func (s *Service) agent(cityID call.CityID, agent call.AgentID) (*city, Agent, bool) {
	c := s.cities[cityID]
	if c == nil {
		return nil, Agent{}, false
	}
	conf, ok := c.conf.agents[agent]
	return c, conf, ok
}

// registered is what a registration changes.
func (c *city) registered(r Row, conf Agent, now, until time.Time) Amendment {
	phone := Phone{Home: c.node, At: r.Facts.Phone.At, Until: until}
	a := Amendment{Phone: &phone}
	if r.Facts.reachable(now) {
		return a
	}
	phone.At = now
	if r.Claim.Call == "" {
		a.Idle = &now
	}
	if !conf.SignIn {
		return a
	}
	if !r.Facts.Duty.On {
		a.Duty = &Duty{On: true, At: now, Why: "signed in by registering"}
	}
	if r.Facts.Pause.On && r.Facts.Pause.By == byEngine {
		missed := 0
		a.Pause, a.Missed = &Pause{}, &missed
	}
	return a
}

// amend reads an agent's row and changes it by what change makes of it. The registrar repeats what it says with each
// refresh, so a failure is logged and mended by the next.
func (c *city) amend(ctx context.Context, agent call.AgentID, change func(r Row, now time.Time) Amendment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	r, err := c.store.Amend(ctx, c.conf.ID, agent, Amendment{})
	if err == nil {
		if a := change(r, c.now()); !a.Empty() {
			_, err = c.store.Amend(ctx, c.conf.ID, agent, a)
		}
	}
	if err != nil {
		c.log.Error("agent's phone not noted", "agent", agent, "err", err)
	}
}
