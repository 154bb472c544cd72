package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"callhall/call"
	"callhall/console"
	"callhall/ledger"
	"callhall/media"
	"callhall/recording"
	"callhall/routing"
	"callhall/sip"
)

// What stands here fits parts that must not know each other to what the others ask for.

// routingCities is the configuration as routing wants it.
func routingCities(cfg Config) []routing.City {
	var cities []routing.City
	for _, c := range cfg.Cities {
		city := routing.City{ID: c.ID}
		for _, n := range c.Numbers {
			city.Entries = append(city.Entries, routing.Entry{Trunks: n.Over(c), Number: n.Number, Queue: n.Queue, Language: n.Language})
		}
		for _, q := range c.Queues {
			city.Queues = append(city.Queues, routing.Queue{ID: q.ID, MaxLength: q.MaxLength, Ring: q.Ring, WrapUp: q.WrapUp})
		}
		for _, ag := range c.Agents {
			city.Agents = append(city.Agents, routing.Agent{ID: ag.ID, Queues: ag.Queues, SignIn: ag.SignIn == SignInRegistration})
		}
		cities = append(cities, city)
	}
	return cities
}

// terms answers what a city has chosen for the calls of a queue.
func terms(cfg Config) func(call.CityID, call.QueueID) call.Terms {
	type key struct {
		city  call.CityID
		queue call.QueueID
	}
	all := map[key]call.Terms{}
	for _, c := range cfg.Cities {
		for _, q := range c.Queues {
			all[key{c.ID, q.ID}] = call.Terms{Record: c.Recording.Mode == RecordAlways, MaxWait: q.MaxWait, MaxLength: c.MaxCall}
		}
	}
	return func(city call.CityID, queue call.QueueID) call.Terms { return all[key{city, queue}] }
}

// credentials are the agents' passwords.
type credentials map[string]sip.Agent

// readCredentials reads every agent's password file.
func readCredentials(cfg Config) (credentials, error) {
	all := credentials{}
	for _, city := range cfg.Cities {
		for _, a := range city.Agents {
			password, err := a.PasswordFile.Read()
			if err != nil {
				return nil, fmt.Errorf("agent %s: %w", a.ID, err)
			}
			all[string(a.ID)] = sip.Agent{ID: a.ID, City: city.ID, Password: sip.Secret(password)}
		}
	}
	return all, nil
}

// Credentials implements sip.Agents.
func (c credentials) Credentials(user string) (sip.Agent, bool) {
	a, ok := c[user]
	return a, ok
}

// notices knows what a city's callers are told of recording. It is a call.Prompts.
type notices struct {
	cfg     Config
	prompts *media.Library
}

// Notice implements call.Prompts.
func (n notices) Notice(city call.CityID, language string) (call.NoticeSound, error) {
	for _, c := range n.cfg.Cities {
		if c.ID != city {
			continue
		}
		name := c.Recording.Notice
		clip, err := n.prompts.Clip(language, name)
		if err != nil {
			return call.NoticeSound{}, fmt.Errorf("notice of city %s: %w", city, err)
		}
		return call.NoticeSound{Prompt: call.Prompt{Name: name, Language: language}, Length: clip.Length(),
			Proof: call.Notice{Prompt: name, Language: language, SHA256: clip.SHA256()}}, nil
	}
	return call.NoticeSound{}, fmt.Errorf("notice: no city %s", city)
}

// playable is the recordings as the console asks for them.
type playable struct{ *recording.Service }

// Recording implements console.Recordings.
func (p playable) Recording(ctx context.Context, city call.CityID, id call.RecordingID) (console.Recording, error) {
	s, err := p.Status(ctx, city, id)
	if err != nil {
		return console.Recording{}, recordingError(err)
	}
	return console.Recording{ID: s.ID, Call: s.Call, State: s.State.String(), Length: s.Length, EndedAt: s.EndedAt, DueAt: s.DueAt,
		ErasedAt: s.ErasedAt}, nil
}

// Play implements console.Recordings.
func (p playable) Play(ctx context.Context, city call.CityID, id call.RecordingID, l console.Listener) (io.ReadSeekCloser, error) {
	sound, err := p.Service.Play(ctx, city, id, l.Actor, l.Reason)
	if err != nil {
		return nil, recordingError(err)
	}
	return sound, nil
}

// recordingError puts an error of recording into the console's words.
func recordingError(err error) error {
	for _, pair := range [][2]error{{recording.ErrNotFound, console.ErrNotFound}, {recording.ErrErased, console.ErrGone}, {recording.ErrElsewhere, console.ErrConflict}, {recording.ErrInProgress, console.ErrConflict}} {
		if errors.Is(err, pair[0]) {
			return fmt.Errorf("%w: %w", pair[1], err)
		}
	}
	return err
}

// people is the agents as the console asks for them.
type people struct{ routing *routing.Service }

// Agents implements console.Agents.
func (p people) Agents(ctx context.Context, city call.CityID) ([]console.Agent, error) {
	states, err := p.routing.Agents(ctx, city)
	if err != nil {
		return nil, routingError(err)
	}
	agents := make([]console.Agent, len(states))
	for i, s := range states {
		agents[i] = agentOf(s)
	}
	return agents, nil
}

// SetState implements console.Agents.
func (p people) SetState(ctx context.Context, city call.CityID, agent call.AgentID, change console.StateChange) (console.Agent, error) {
	s, err := p.routing.SetState(ctx, city, agent, routing.State(change.State), change.By, change.Reason)
	if err != nil {
		return console.Agent{}, routingError(err)
	}
	return agentOf(s), nil
}

func agentOf(s routing.AgentState) console.Agent {
	return console.Agent{ID: s.ID, Queues: s.Queues, State: string(s.State), Reason: s.Reason, Since: s.Since, Deadline: s.Deadline, Call: s.Call}
}

// routingError puts an error of routing into the console's words.
func routingError(err error) error {
	switch {
	case errors.Is(err, routing.ErrUnknownAgent), errors.Is(err, routing.ErrUnknownCity):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case errors.Is(err, routing.ErrState):
		return fmt.Errorf("%w: %w", console.ErrConflict, err)
	default:
		return err
	}
}

// queueLines is the queues as the console asks for them.
type queueLines struct {
	routing *routing.Service
	cfg     Config
}

// Queues implements console.Queues.
func (l queueLines) Queues(ctx context.Context, city call.CityID) ([]console.Queue, error) {
	states, err := l.routing.Queues(ctx, city)
	if err != nil {
		return nil, routingError(err)
	}
	queues := make([]console.Queue, 0, len(states))
	for _, s := range states {
		q := console.Queue{ID: s.ID, Waiting: s.Waiting, Ready: s.Agents[routing.StateReady], Talking: s.Agents[routing.StateTalking],
			MaxLength: l.maxLength(city, s.ID)}
		if s.Waiting > 0 {
			q.OldestSince = time.Now().Add(-s.Longest)
		}
		for state, n := range s.Agents {
			if state != routing.StateSignedOut {
				q.SignedIn += n
			}
		}
		queues = append(queues, q)
	}
	return queues, nil
}

func (l queueLines) maxLength(city call.CityID, queue call.QueueID) int {
	for _, c := range l.cfg.Cities {
		for _, q := range c.Queues {
			if c.ID == city && q.ID == queue {
				return q.MaxLength
			}
		}
	}
	return 0
}

// leaves is the ledger as the console asks for it.
type leaves struct{ ledger *ledger.Ledger }

// List implements console.Ledger: newest first, the cursor being the index below which a page begins.
func (l leaves) List(ctx context.Context, city call.CityID, cursor string, limit int) (console.LedgerPage, error) {
	below, err := l.ledger.Size(ctx, city)
	if err != nil {
		return console.LedgerPage{}, err
	}
	if cursor != "" {
		asked, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || asked < 0 || asked > below {
			return console.LedgerPage{}, console.ErrCursor
		}
		below = asked
	}
	from := max(0, below-int64(limit))
	entries, _, err := l.ledger.List(ctx, city, from, int(below-from))
	if err != nil {
		return console.LedgerPage{}, err
	}
	page := console.LedgerPage{Entries: make([]console.LedgerEntry, 0, len(entries))}
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		page.Entries = append(page.Entries, console.LedgerEntry{Index: e.Index, Erased: e.Erased, Kind: e.Leaf.Kind, At: e.Leaf.At,
			Call: e.Leaf.Call, Actor: e.Leaf.Actor, Facts: e.Leaf.Facts})
	}
	if from > 0 {
		page.Next = strconv.FormatInt(from, 10)
	}
	return page, nil
}

// Checkpoint implements console.Ledger.
func (l leaves) Checkpoint(ctx context.Context, city call.CityID) ([]byte, error) {
	text, err := l.ledger.Checkpoint(ctx, city)
	return text, ledgerError(err)
}

// Key implements console.Ledger.
func (l leaves) Key(ctx context.Context, city call.CityID) (string, error) {
	return l.ledger.Key(ctx, city)
}

// Proof implements console.Ledger.
func (l leaves) Proof(ctx context.Context, city call.CityID, index int64) ([]byte, error) {
	proof, err := l.ledger.Proof(ctx, city, index)
	if err != nil {
		return nil, ledgerError(err)
	}
	return json.Marshal(proof)
}

// Export implements console.Ledger.
func (l leaves) Export(ctx context.Context, city call.CityID, w io.Writer) error {
	return ledgerError(l.ledger.Export(ctx, city, w))
}

// Consistency implements console.Ledger.
func (l leaves) Consistency(ctx context.Context, city call.CityID, from, to int64) ([]byte, error) {
	proof, err := l.ledger.Consistency(ctx, city, from, to)
	if err != nil {
		return nil, ledgerError(err)
	}
	return json.Marshal(proof)
}

// Rotate implements console.Ledger.
func (l leaves) Rotate(ctx context.Context, city call.CityID, actor string) (string, error) {
	key, err := l.ledger.Rotate(ctx, city, actor)
	return key, ledgerError(err)
}

// Succeed implements console.Ledger.
func (l leaves) Succeed(ctx context.Context, city call.CityID, actor, reason string) (string, error) {
	log, err := l.ledger.Succeed(ctx, city, actor, reason)
	return string(log), ledgerError(err)
}

// ledgerError puts an error of the ledger into the console's words.
func ledgerError(err error) error {
	for _, pair := range [][2]error{{ledger.ErrNotFound, console.ErrNotFound}, {ledger.ErrNotFrozen, console.ErrConflict}, {ledger.ErrRefused, console.ErrRefused},
		{ledger.ErrForked, console.ErrFrozen}, {ledger.ErrDamaged, console.ErrFrozen}} {
		if errors.Is(err, pair[0]) {
			return fmt.Errorf("%w: %w", pair[1], err)
		}
	}
	return err
}

// zones says what a day is in each city.
func zones(cfg Config) map[call.CityID]*time.Location {
	all := map[call.CityID]*time.Location{}
	for _, c := range cfg.Cities {
		all[c.ID] = c.TimeZone.Location()
	}
	return all
}
