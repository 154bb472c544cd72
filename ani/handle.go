package ani

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// KindHandle is the leaf of a handle: given, used, done with. The release that its use is has a leaf of its own.
const KindHandle = "ani.handle/1"

const registerHandles Kind = "handle"

const (
	handleTries   = 3              // dials that one handle is good for
	handleFor     = 24 * time.Hour // where the row says nothing shorter
	handleOfLive  = 12 * time.Hour // a handle of a call that is going on waits at most so long for its end
	handleGiven   = "given"
	handleDone    = "done"
	callbackActor = "engine"
)

// HandleEntry is a handle to call somebody back with, without seeing their number.
type HandleEntry struct {
	Handle string       `json:"handle"` // hdl_ and 128 random bits
	Call   call.ID      `json:"call"`   // whose caller it calls back
	Agent  call.AgentID `json:"agent,omitempty"`
	Queue  call.QueueID `json:"queue,omitempty"`
	Row    string       `json:"row"`
	Until  time.Time    `json:"until,omitzero"` // at the latest; zero while the call goes on
	Ends   string       `json:"ends,omitempty"` // in words, while the call goes on
	Tries  int          `json:"tries"`          // that are left
}

type handleBody struct {
	Agent     call.AgentID `json:"agent"`
	Queue     call.QueueID `json:"queue"`
	Purpose   Purpose      `json:"purpose"`
	Recipient Recipient    `json:"recipient"`
	Relation  Relation     `json:"relation"` // as it was when the handle was given
	Row       string       `json:"row"`
	Used      int          `json:"used"`
	Callback  call.ID      `json:"callback"` // the latest call that was placed with it
}

// GiveHandle gives an agent the handle of a call: of one that they handle, to be used if it is cut off, or of one that was
// cut off under their hands. For a caller who withholds their number, they must have said on the call that they may be
// called back. Asking again returns the same handle. Errors: ErrNotPermitted, when the terms do not give one; then the
// denial has its leaf.
func (o *Office) GiveHandle(ctx context.Context, city call.CityID, id call.ID, by Person) (HandleEntry, error) {
	if err := permit(by, RoleAgent); err != nil {
		return HandleEntry{}, fmt.Errorf("handle of %s: %w", id, err)
	}
	relation, ended, err := o.relation(ctx, city, id, by)
	if err != nil {
		return HandleEntry{}, fmt.Errorf("handle of %s: %w", id, err)
	}
	k := kept[handleBody]{Entry: Entry{City: city, Call: id},
		Body: handleBody{Agent: by.Agent, Purpose: PurposeDropped, Recipient: RecipientAgent, Relation: relation}}
	if relation == RelationHandling {
		k.Body.Purpose = PurposeLiveCall
	}
	return o.giveHandle(ctx, k, ended, by)
}

// HandleOf shows an agent a handle that they were given and may still dial. Errors: ErrHandle, also for another's.
func (o *Office) HandleOf(ctx context.Context, city call.CityID, handle string, by Person) (HandleEntry, error) {
	k, err := o.handles.get(ctx, city, handle)
	if errors.Is(err, ErrNotFound) || err == nil && (by.Agent == "" || k.Body.Agent != by.Agent || !o.alive(k)) {
		return HandleEntry{}, fmt.Errorf("show a handle: %w", ErrHandle)
	}
	if err != nil {
		return HandleEntry{}, fmt.Errorf("show a handle: %w", err)
	}
	return shownHandle(k), nil
}

// GiveCallback gives a queue the handle of a caller who pressed the key to be called back (D49). The key is their word,
// and is entered as one. Calling it again returns the same handle.
func (o *Office) GiveCallback(ctx context.Context, city call.CityID, id call.ID, queue call.QueueID) (HandleEntry, error) {
	by := Person{Actor: callbackActor}
	word := NewVerbalConsent{Key: "callback " + string(id), Call: id, Purposes: []Purpose{PurposeCallback}, Recipients: []Recipient{RecipientEngine}}
	if _, err := o.enterVerbal(ctx, city, word, by); err != nil {
		return HandleEntry{}, fmt.Errorf("callback to %s: %w", id, err)
	}
	k := kept[handleBody]{Entry: Entry{City: city, Call: id},
		Body: handleBody{Queue: queue, Purpose: PurposeCallback, Recipient: RecipientEngine, Relation: RelationNone}}
	return o.giveHandle(ctx, k, time.Time{}, by)
}

func (o *Office) giveHandle(ctx context.Context, k kept[handleBody], ended time.Time, by Person) (HandleEntry, error) {
	defer o.locks.lock(registerHandles, k.City, string(k.Call))()
	before, err := o.handles.of(ctx, k.City, k.Call)
	if err != nil {
		return HandleEntry{}, fmt.Errorf("handle of %s: %w", k.Call, err)
	}
	i := slices.IndexFunc(before, func(b kept[handleBody]) bool { return o.alive(b) && b.Body.sameAs(k.Body) })
	if i >= 0 {
		return shownHandle(before[i]), nil
	}
	r, ruling, err := o.considerHandle(ctx, k, by)
	if err != nil {
		return HandleEntry{}, fmt.Errorf("handle of %s: %w", k.Call, err)
	}
	if !ruling.Row.Handle || ruling.Decision == Deny {
		_, err := o.vault.Release(ctx, r) // the denial's leaf
		return HandleEntry{}, errors.Join(fmt.Errorf("handle of %s: %w: %s", k.Call, ErrNotPermitted, ruling.Row.ID), err)
	}
	k.ID, k.State, k.At, k.DueAt, k.Body.Row = entryID("hdl", k.City, by, ""), handleGiven, o.now(), o.handleUntil(k.Body, ruling, ended), ruling.Row.ID
	if err := o.record(ctx, k.City, KindHandle, k.Call, by, handleFacts(k, handleGiven)); err != nil {
		return HandleEntry{}, fmt.Errorf("handle of %s: %w", k.Call, err)
	}
	if k, err = o.handles.add(ctx, k); err != nil {
		return HandleEntry{}, fmt.Errorf("handle of %s: %w", k.Call, err)
	}
	return shownHandle(k), nil
}

func (b handleBody) sameAs(c handleBody) bool {
	return b.Agent == c.Agent && b.Queue == c.Queue && b.Purpose == c.Purpose
}

// alive tells whether a handle may still be dialled.
func (o *Office) alive(k kept[handleBody]) bool {
	return k.State == handleGiven && k.Body.Used < handleTries && o.now().Before(k.DueAt)
}

func (o *Office) handleUntil(b handleBody, ruling Ruling, ended time.Time) time.Time {
	switch {
	case b.Purpose == PurposeLiveCall:
		return o.now().Add(handleOfLive)
	case b.Relation == RelationDropped && ruling.Row.Expiry <= droppedFor:
		return ended.Add(ruling.Row.Expiry) // counted from the end of the call
	case ruling.Row.Expiry > 0:
		return o.now().Add(min(ruling.Row.Expiry, handleFor))
	default:
		return o.now().Add(handleFor)
	}
}

// considerHandle decides whether a handle may be given or dialled, by what the caller has said until now.
func (o *Office) considerHandle(ctx context.Context, k kept[handleBody], by Person) (Request, Ruling, error) {
	b := k.Body
	r := Request{City: k.City, Call: k.Call, Purpose: b.Purpose, Recipient: b.Recipient, Relation: b.Relation,
		Actor: by.Actor, grounds: grounds{consent: ConsentNone, process: ProcessNone}}
	s, err := o.subject(ctx, k.City, k.Call)
	if err != nil {
		return r, Ruling{}, err
	}
	consent, found, err := o.consented(ctx, s, b.Purpose, b.Recipient, "")
	if err != nil {
		return r, Ruling{}, err
	}
	if found {
		r.consent, r.ref = consent.Body.Kind, consent.ID
	}
	ruling, err := o.vault.consider(ctx, r)
	return r, ruling, err
}

// redeem takes one of a handle's tries, and returns the request under which the engine may dial it: see Vault.Destination.
// A handle of another city or agent, one whose window is over, and one that is used up is ErrHandle.
func (o *Office) redeem(ctx context.Context, city call.CityID, handle string, newCall call.ID, by string) (Request, error) {
	k, err := o.takeTry(ctx, city, handle, newCall, by)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return Request{}, fmt.Errorf("%w: %w", ErrHandle, err)
	}
	if err != nil {
		return Request{}, err
	}
	r, ruling, err := o.considerHandle(ctx, k, Person{Actor: by})
	if err == nil && ruling.Decision != Handle {
		r.halt = StopReuse // what it was given for has gone; the denial has its leaf
	}
	return r, err
}

// takeTry counts a dial before it is made.
func (o *Office) takeTry(ctx context.Context, city call.CityID, handle string, newCall call.ID, by string) (kept[handleBody], error) {
	return change(ctx, o, o.handles, city, handle, KindHandle, Person{Actor: by}, func(k *kept[handleBody]) (map[string]string, error) {
		if k.Body.Agent != "" && by != "agent:"+string(k.Body.Agent) || !o.alive(*k) {
			return nil, fmt.Errorf("%w: it is not theirs, or over", ErrHandle)
		}
		if k.Body.Purpose == PurposeLiveCall {
			if err := o.turnDropped(ctx, k); err != nil {
				return nil, err
			}
		}
		k.Body.Used++
		k.Body.Callback = newCall
		f := handleFacts(*k, "dialled")
		f["callback"] = string(newCall)
		return f, nil
	})
}

// handleFailed tells whether an agent has dialled the handle of a call and has not reached the caller: a call back that
// is still going on has not failed.
func (o *Office) handleFailed(ctx context.Context, city call.CityID, id call.ID, agent call.AgentID) (bool, error) {
	given, err := o.handles.of(ctx, city, id)
	if err != nil {
		return false, fmt.Errorf("handles of %s: %w", id, err)
	}
	failed := false
	for _, k := range given {
		if k.Body.Agent != agent || k.Body.Used == 0 {
			continue
		}
		if k.State == handleDone {
			return false, nil
		}
		h, err := o.cfg.Calls.Handling(ctx, city, k.Body.Callback)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, fmt.Errorf("the call back %s: %w", k.Body.Callback, err)
		}
		if h.Live {
			return false, nil
		}
		failed = true
	}
	return failed, nil
}

// turnDropped makes the handle of a call that was going on one of the call that was cut off, if it was.
func (o *Office) turnDropped(ctx context.Context, k *kept[handleBody]) error {
	relation, ended, err := o.relation(ctx, k.City, k.Call, Person{Role: RoleAgent, Agent: k.Body.Agent})
	if err != nil {
		return err
	}
	if relation != RelationDropped {
		return fmt.Errorf("%w: the call was not cut off", ErrHandle)
	}
	k.Body.Purpose, k.Body.Relation = PurposeDropped, RelationDropped
	k.DueAt = earlier(k.DueAt, ended.Add(droppedFor))
	return nil
}

// HandleDone ends a handle: the caller was reached. Errors: ErrNotFound.
func (o *Office) HandleDone(ctx context.Context, city call.CityID, handle string) error {
	_, err := change(ctx, o, o.handles, city, handle, KindHandle, Person{Actor: callbackActor}, func(k *kept[handleBody]) (map[string]string, error) {
		if k.State == handleDone {
			return nil, nil
		}
		k.State = handleDone
		return handleFacts(*k, handleDone), nil
	})
	return err
}

func handleFacts(k kept[handleBody], act string) map[string]string {
	return map[string]string{"entry": k.ID, "act": act, "purpose": string(k.Body.Purpose), "row": k.Body.Row, "agent": string(k.Body.Agent),
		"queue": string(k.Body.Queue), "until": stamp(k.DueAt), "tries_count": fmt.Sprint(k.Body.Used)}
}

func shownHandle(k kept[handleBody]) HandleEntry {
	h := HandleEntry{Handle: k.ID, Call: k.Call, Agent: k.Body.Agent, Queue: k.Body.Queue, Row: k.Body.Row, Until: k.DueAt,
		Tries: handleTries - k.Body.Used}
	if k.Body.Purpose == PurposeLiveCall {
		h.Until, h.Ends = time.Time{}, "with the call, and 30 minutes after where it is cut off"
	}
	return h
}
