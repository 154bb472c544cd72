package routing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"callhall/call"
)

// QueueState is one queue as it is now.
type QueueState struct {
	ID      call.QueueID
	Waiting int           // calls in line, those that are being offered included
	Longest time.Duration // the longest wait among them
	Agents  map[State]int // who serves the queue, by state; states of nobody are left out
}

// Agents lists a city's agents by id, as the board of this node has them. Errors: ErrUnknownCity.
func (s *Service) Agents(_ context.Context, cityID call.CityID) ([]AgentState, error) {
	c, err := s.city(cityID)
	if err != nil {
		return nil, err
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []AgentState
	for _, d := range c.board.desks {
		all = append(all, c.describe(d.Row, now))
	}
	slices.SortFunc(all, func(a, b AgentState) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all, nil
}

func (c *city) describe(r Row, now time.Time) AgentState {
	s := stateOf(r, now)
	s.Queues = slices.Clone(c.conf.agents[r.Agent].Queues)
	return s
}

// Queues lists a city's queues in the order of the configuration. Errors: ErrUnknownCity.
func (s *Service) Queues(_ context.Context, cityID call.CityID) ([]QueueState, error) {
	c, err := s.city(cityID)
	if err != nil {
		return nil, err
	}
	return c.queueStates(), nil
}

func (c *city) queueStates() []QueueState {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []QueueState
	for _, q := range c.conf.Queues {
		l := c.board.lines[q.ID]
		state := QueueState{ID: q.ID, Waiting: l.order.size(), Longest: c.longest(l, now), Agents: map[State]int{}}
		for s, n := range l.states {
			if n > 0 {
				state.Agents[s] = n
			}
		}
		all = append(all, state)
	}
	return all
}

// longest is the longest wait in a queue. It looks at all who wait: a call behind a higher priority may have waited
// longer than the first. It is asked by people and scrapes, not by events.
func (c *city) longest(l *line, now time.Time) (wait time.Duration) {
	for key := range l.order.all() {
		wait = max(wait, now.Sub(time.Unix(0, key.since)))
	}
	return wait
}

// SetState signs an agent out, makes them ready (signing in, ending a pause or wrap-up) or pauses them, and returns how
// they then are. by is who did it ("agent:ana", "supervisor:kim"), reason is theirs. An offer that rings is taken back
// unless the agent is ready; a conversation goes on, and the state is taken when it is over.
// Errors: ErrUnknownCity, ErrUnknownAgent, ErrState, call.ErrUnavailable.
func (s *Service) SetState(ctx context.Context, cityID call.CityID, agent call.AgentID, to State, by, reason string) (AgentState, error) {
	c, _, ok := s.agent(cityID, agent)
	if c == nil {
		return AgentState{}, fmt.Errorf("city %q: %w", cityID, ErrUnknownCity)
	}
	if !ok {
		return AgentState{}, fmt.Errorf("agent %q: %w", agent, ErrUnknownAgent)
	}
	now := c.now()
	a, err := amendTo(to, now, by, reason)
	if err != nil {
		return AgentState{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c.amends[agent].Lock()
	defer c.amends[agent].Unlock()
	was, err := c.store.Amend(ctx, cityID, agent, Amendment{})
	if err != nil {
		return AgentState{}, fmt.Errorf("agent %s: set state %s: %w: %w", agent, to, call.ErrUnavailable, err)
	}
	if stateOf(was, now).State == StateReady {
		a.Idle = nil // ready again: keeps the turn
	}
	row, err := c.store.Amend(ctx, cityID, agent, a)
	if err != nil {
		return AgentState{}, fmt.Errorf("agent %s: set state %s: %w: %w", agent, to, call.ErrUnavailable, err)
	}
	if now.Before(was.Facts.Wrap.Until) {
		c.wrapped(was.Facts.Wrap, now)
	}
	c.log.Info("agent's state set", "agent", agent, "state", to, "actor", by, "reason", reason)
	return c.describe(row, now), nil
}

// amendTo is what each state that can be set changes.
func amendTo(to State, now time.Time, by, reason string) (Amendment, error) {
	why := "by " + by
	if reason != "" {
		why = reason + " (by " + by + ")"
	}
	zero := 0
	switch to {
	case StateSignedOut:
		return Amendment{Duty: &Duty{At: now, Why: why}, Pause: &Pause{}, Wrap: &Wrap{}}, nil
	case StateReady:
		return Amendment{Duty: &Duty{On: true, At: now, Why: why}, Pause: &Pause{}, Wrap: &Wrap{}, Idle: &now, Missed: &zero}, nil
	case StatePaused:
		return Amendment{Pause: &Pause{On: true, At: now, By: by, Why: why}, Wrap: &Wrap{}}, nil
	default:
		return Amendment{}, fmt.Errorf("state %q: %w", to, ErrState)
	}
}
