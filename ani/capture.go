package ani

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"callhall/call"
)

// Incoming is a call as it comes in.
type Incoming struct {
	City    call.CityID
	Call    call.ID
	Trunk   call.TrunkID
	Headers Headers
	Trust   Trust    // what of the headers this trunk is believed
	Dialled []string // the number dialled, in every form in which a signature may name it
}

// Caller is all that leaves Capture: what a call, routing and a record may know.
type Caller struct {
	Call    call.ID
	Status  call.CallerStatus
	Verstat call.Verstat
	Attest  call.Attestation
	Class   call.CallerClass
}

// Capture reads the caller's identity, keeps it in memory for the call, seals it into the vault, and writes the decisions
// under which the engine routes by it. Row and leaves join one group commit and all are durable when it returns; until
// then nothing that depends on the number may leave the engine, and no class decides where the call goes. A withheld
// number is kept too, and shown to nobody but by a row that says so.
//
// With an error the Caller is still right, but without a class: whoever calls is served. The number is then only to be had
// while the call goes on, which is enough for an emergency. A ledger or a store that stalls is an error after two seconds:
// row and leaves are then still tried beside the call, for half a minute. Call Over when the call has ended, after an error
// too.
func (v *Vault) Capture(ctx context.Context, in Incoming) (Caller, error) {
	h := held{Identity: ParseIdentity(in.Headers, in.Trust), trust: in.Trust.within()}
	v.live.begin(in.City, in.Call, h, v.verify(ctx, in, &h))
	if h.Extra > 0 {
		v.cfg.Log.Info("more asserted identities than there may be; the first of each kind counts", "call", in.Call, "trunk", in.Trunk, "extra", h.Extra)
	}
	caller := Caller{Call: in.Call, Status: h.Status, Verstat: h.Verstat, Attest: h.Attest}
	class, err := v.keepWithin(ctx, in, h)
	if err != nil {
		return caller, fmt.Errorf("capture the identity of %s: %w", in.Call, err)
	}
	caller.Class = class
	return caller, nil
}

// captureWait is how long a call waits for ledger and store before it goes on without a class.
const captureWait = 2 * time.Second

var errStalled = errors.New("ani: ledger or store do not answer; the call goes on, and they are tried beside it")

// keepWithin is keep for a caller who waits no longer than captureWait. What is not done by then goes on without them, and
// Close waits for it.
func (v *Vault) keepWithin(ctx context.Context, in Incoming, h held) (call.CallerClass, error) {
	type outcome struct {
		class call.CallerClass
		err   error
	}
	in.Headers = Headers{} // they are wiped when Capture has returned
	done, gone := make(chan outcome), make(chan struct{})
	defer close(gone)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), urgentTries)
	v.urgent.Go(func() {
		defer cancel()
		class, err := v.keep(late, in, h)
		select {
		case done <- outcome{class, err}:
		case <-gone:
			v.lateKept(in.Call, err)
		}
	})
	patience := time.NewTimer(captureWait)
	defer patience.Stop()
	select {
	case o := <-done:
		return o.class, o.err
	case <-patience.C:
		return call.CallerClass{}, errStalled
	case <-ctx.Done():
		return call.CallerClass{}, ctx.Err()
	}
}

// lateKept says what became of a capture that nobody waited for.
func (v *Vault) lateKept(id call.ID, err error) {
	if err != nil {
		v.cfg.Log.Error("caller's number not kept, beside the call neither", "call", id, "err", err)
		return
	}
	v.cfg.Log.Info("caller's number kept, later than the call could wait", "call", id)
}

// keep writes the row and the leaves side by side, so that they share a commit.
func (v *Vault) keep(ctx context.Context, in Incoming, h held) (call.CallerClass, error) {
	row, err := v.row(in, h)
	if err != nil {
		return call.CallerClass{}, err
	}
	found := v.classify(ctx, in, h)
	errs := make([]error, 3, 3+len(found.decisions))
	var writing sync.WaitGroup
	writing.Go(func() { errs[0] = v.store.Put(ctx, row) })
	if found.redial != nil {
		writing.Go(func() { errs[1] = v.takeUp(ctx, &found) })
	}
	errs[2] = v.recordAll(ctx, found.decisions)
	writing.Wait()
	for i := range found.decisions {
		errs = append(errs, found.decisions[i].err())
	}
	return found.class, errors.Join(errs...)
}

// row is what the store keeps of a caller.
func (v *Vault) row(in Incoming, h held) (VaultRow, error) {
	now := v.cfg.Now().UTC()
	row := VaultRow{City: in.City, Call: in.Call, Private: h.Private, Status: h.Status, Verstat: h.Verstat,
		CapturedAt: now, DueAt: now.Add(v.keepFor(in.City))}
	key, err := v.newestKey(in.City)
	if err != nil {
		return VaultRow{}, err
	}
	sealRow(key, &row, h)
	return row, nil
}
