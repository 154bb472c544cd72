package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"callhall/ani"
	"callhall/call"
)

// farewells keeps records and, when it has one, does what the call's end means for its caller's number: whoever was cut
// off by us is remembered for half an hour, so that they find their place again (D48), and a handle that has served dies. Where the city
// has a tariff the call is charged for (D05).
type farewells struct {
	call.Records
	vault   *ani.Vault
	office  *ani.Office
	billing *ani.Billing
	log     *slog.Logger

	mu      sync.Mutex
	reached map[call.ID]string // handles by which callers were reached, of calls that go on
}

// Close implements call.Records.
func (f *farewells) Close(ctx context.Context, r call.Record) error {
	f.charge(ctx, r) // before: a crash in between leaves the call open, and the next start charges for it
	err := f.Records.Close(ctx, r)
	f.cutOff(ctx, r)
	f.served(ctx, r)
	return err
}

// ourFault are the ends that are our doing alone.
var ourFault = []call.End{call.EndShutdown, call.EndNodeLost, call.EndFailed}

// rememberFor bounds how long the vault is waited for, for all the calls of one farewell: records and a start do not wait
// for a ledger that is away.
const rememberFor = 10 * time.Second

// cutOff has the vault remember the callers whom we cut off.
func (f *farewells) cutOff(ctx context.Context, records ...call.Record) {
	ctx, cancel := context.WithTimeout(ctx, rememberFor)
	defer cancel()
	for _, r := range records {
		if r.Direction == call.DirectionOut || !slices.Contains(ourFault, r.End) {
			continue
		}
		if err := f.vault.Dropped(ctx, r.City, r.ID, r.ArrivedAt); err != nil {
			f.log.Error("a caller who was cut off is not remembered: they wait anew when they call again", "call", r.ID, "err", err)
		}
	}
}

// chargeFor bounds how long a record waits for the charges; what fails is tried again beside the calls.
const chargeFor = 2 * time.Second

// charge charges for calls that people made, from our answer to the end.
func (f *farewells) charge(ctx context.Context, records ...call.Record) {
	ctx, cancel := context.WithTimeout(ctx, chargeFor)
	defer cancel()
	for _, r := range records {
		if r.Direction == call.DirectionOut {
			continue
		}
		c := ani.Charge{City: r.City, Call: r.ID, Trunk: r.Trunk, Began: r.AnsweredAt, Ended: r.EndedAt}
		if err := f.billing.Charge(ctx, c); err != nil {
			f.log.Error("a call is not charged for yet; tried again in a minute", "call", r.ID, "err", err)
		}
	}
}

// reachedBy notes that the caller of a call back has answered.
func (f *farewells) reachedBy(id call.ID, handle string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached[id] = handle
}

// served lets go of the handle of a call back in which caller and agent have spoken.
func (f *farewells) served(ctx context.Context, r call.Record) {
	f.mu.Lock()
	handle, reached := f.reached[r.ID]
	delete(f.reached, r.ID)
	f.mu.Unlock()
	if !reached || r.ConnectedAt.IsZero() {
		return
	}
	if err := f.office.HandleDone(ctx, r.City, handle); err != nil {
		f.log.Error("a handle that has served lives on until its time is up", "call", r.ID, "err", err)
	}
}

// dialling is the phones, and notes which callers were reached.
type dialling struct {
	call.Phones
	farewells *farewells
}

// Dial implements call.Phones.
func (d dialling) Dial(ctx context.Context, o call.Outward, leg call.LegID) (call.Leg, error) {
	answered, err := d.Phones.Dial(ctx, o, leg)
	if err == nil && o.Handle != "" {
		d.farewells.reachedBy(o.Call, o.Handle)
	}
	return answered, err
}

// screening sends screened callers to the queue that their city has for them. It is a sip.Switchboard.
type screening struct {
	board *call.Switchboard
	cfg   Config
}

// Take implements sip.Switchboard.
func (s screening) Take(ctx context.Context, a call.Arrival) call.End {
	if a.Class.Screened {
		a.Queue = s.queueFor(a)
	}
	return s.board.Take(ctx, a)
}

// queueFor is the city's queue for screened callers, or the one they called where there is none.
func (s screening) queueFor(a call.Arrival) call.QueueID {
	for _, c := range s.cfg.Cities {
		if c.ID == a.City && c.ANI.ScreeningQueue != "" {
			return c.ANI.ScreeningQueue
		}
	}
	return a.Queue
}

// openBoard is the switchboard as the API may use it: a node that drains begins no call of its own.
type openBoard struct {
	*call.Switchboard
	draining *atomic.Bool
}

// CallBack refuses on a node that drains. Errors: call.ErrUnavailable, and those of the switchboard.
func (b openBoard) CallBack(ctx context.Context, o call.CallBackOrder) (call.ID, error) {
	if b.draining.Load() {
		return "", call.ErrUnavailable
	}
	return b.Switchboard.CallBack(ctx, o)
}
