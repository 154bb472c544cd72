package ani

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
)

// stalled captures a caller of an area that has a name while set holds up what it holds up, and lets it go afterwards.
func stalled(t *testing.T, set func(f *insideFixture, hold chan struct{})) {
	synctest.Test(t, func(t *testing.T) {
		f := newInside(t, func(c *Config) { c.Areas = map[call.CityID]map[string]string{"a": {"212": "manhattan"}} })
		hold, began := make(chan struct{}), time.Now()
		set(f, hold)
		in := f.incoming("a", presentHeaders)
		c, err := f.Capture(t.Context(), in)
		if !errors.Is(err, errStalled) || time.Since(began) != captureWait {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if c.Call != in.Call || c.Status != call.CallerPresent || c.Class != (call.CallerClass{}) {
			t.Errorf("%+v", c)
		}
		if shown, err := f.find(t.Context(), "a", in.Call); err != nil || shown.Number.open() == "" {
			t.Errorf("the call's own number is not to be had: %v", err)
		}
		close(hold)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		leaves := f.book.take("a")
		if len(f.mem.rows) != 1 || len(leaves) != 1 || leaves[0].Facts["row"] != "D01" {
			t.Errorf("%d rows, %d leaves after the vault was closed", len(f.mem.rows), len(leaves))
		}
	})
}

// A ledger or a store that hangs does not keep a caller from the switchboard, and what it takes in the end is kept.
func TestACallGoesOnWhenTheLedgerStalls(t *testing.T) {
	stalled(t, func(f *insideFixture, hold chan struct{}) { f.book.hold = hold })
}

func TestACallGoesOnWhenTheStoreStalls(t *testing.T) {
	stalled(t, func(f *insideFixture, hold chan struct{}) { f.mem.hold = hold })
}

// A capture that was given up on is at its end half a minute later, whatever the ledger does.
func TestAStalledCaptureComesToAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInside(t, nil)
		f.ledger = waitingLedger{}
		began := time.Now()
		if _, err := f.Capture(t.Context(), f.incoming("a", presentHeaders)); !errors.Is(err, errStalled) {
			t.Error(err)
		}
		if err := f.Close(); err != nil || time.Since(began) != urgentTries {
			t.Errorf("closed after %v, %v", time.Since(began), err)
		}
	})
}

// waitingLedger takes nothing, and says so when the time to wait is over.
type waitingLedger struct{}

func (waitingLedger) Append(ctx context.Context, _ call.CityID, _ call.Leaf) error {
	<-ctx.Done()
	return ctx.Err()
}
