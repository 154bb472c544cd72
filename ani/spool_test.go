package ani

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
)

// newSpooling is a vault with a spool, which knows what its ledger has. path is the file of city a's leaves.
func newSpooling(t testing.TB) (f *insideFixture, path string, again func()) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ani.spool")
	path = filepath.Join(dir, "a.leaves")
	f = newInside(t, nil)
	again = func() {
		t.Helper()
		f.open(t, func(c *Config) { c.Cities, c.Spool, c.Written = []call.CityID{"a"}, dir, f.book.Written })
		t.Cleanup(func() { _ = f.Close() })
	}
	again()
	return f, path, again
}

func emergency(city call.CityID, id call.ID) Outgoing {
	return Outgoing{City: city, Call: id, To: PartyPSAP, Whom: "sos", By: "agent:ana"}
}

// With store and ledger away 911 has the number, and nobody else; the leaf appears when the ledger is back, once.
func TestEmergencyNeedsNeitherStoreNorLedger(t *testing.T) {
	f, path, again := newSpooling(t)
	id, none := f.arrive(t, "a", hiddenHeaders).Call, f.arrive(t, "a", noHeaders).Call
	f.book.take("a")
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.mem.broken, f.book.broken = errTestDisk, errTestDisk
	made := f.now
	shown, err := f.Egress(t.Context(), emergency("a", id))
	if err != nil || shown.Number.Reveal() != "+12125550142" || !slices.Contains(shown.Privacy, "id") {
		t.Fatalf("%+v, %v", shown, err)
	}
	if shown, err := f.Egress(t.Context(), emergency("a", none)); err != nil || shown.Number.Reveal() != "" {
		t.Errorf("without a number: %+v, %v", shown, err)
	}
	g, err := f.Release(t.Context(), Request{City: "a", Call: id, Purpose: PurposeEmergency, Recipient: RecipientPSAP, Actor: "agent:ana"})
	if err != nil || g.Value.Reveal() != "+12125550142" {
		t.Errorf("released: %+v, %v", g, err)
	}
	if shown, err := f.Egress(t.Context(), Outgoing{City: "a", Call: id, To: PartyCity, Trusted: true, Secured: true}); !errors.Is(err, errTestDisk) || shown.Number.Reveal() != "" {
		t.Errorf("another recipient: %+v, %v", shown, err)
	}
	if n := f.waiting(); n != 3 {
		t.Fatalf("%d leaves wait", n)
	}
	b, err := os.ReadFile(path)
	if err != nil || bytes.Contains(b, []byte("D25")) || bytes.Contains(b, []byte(id)) {
		t.Errorf("the spool is in the clear, %v", err)
	}
	f.urgent.Wait() // the accounting has tried, and failed
	f.now = f.now.Add(time.Hour)
	f.mem.broken = nil
	again() // after a crash
	if err := f.replay(t.Context()); !errors.Is(err, errTestDisk) || f.waiting() != 3 {
		t.Errorf("%d wait, %v", f.waiting(), err)
	}
	f.book.broken = nil
	if err := f.replay(t.Context()); err != nil || f.waiting() != 0 {
		t.Errorf("%d wait, %v", f.waiting(), err)
	}
	leaves := f.book.take("a")
	if got := rowsOf(t, leaves); !slices.Equal(got, []string{"D25 FULL", "D25 FULL", "D42 DENY"}) || !leaves[0].At.Equal(made) {
		t.Errorf("%v at %v", got, leaves[0].At)
	}
	for _, leaf := range leaves {
		if (leaf.Facts["row"] == "D25") != (len(leaf.Facts["token"]) == 32) {
			t.Errorf("token of %v", leaf.Facts)
		}
	}
	if err := f.replay(t.Context()); err != nil || len(f.book.take("a")) != 0 {
		t.Errorf("moved twice, %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// A crash after the append and before the mark: the leaf is in both, and stays in the ledger once.
func TestSpooledLeavesAreWrittenOnce(t *testing.T) {
	f, path, again := newSpooling(t)
	ids := []call.ID{f.arrive(t, "a", presentHeaders).Call, f.arrive(t, "b", presentHeaders).Call, f.arrive(t, "a", presentHeaders).Call}
	f.book.broken = errTestDisk
	for i, id := range ids {
		if _, err := f.Egress(t.Context(), emergency([]call.CityID{"a", "b", "a"}[i], id)); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.book.broken = nil
	f.book.take("a")
	f.book.take("b")
	for range 2 {
		if err := f.replay(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		again()
	}
	if a, b := len(f.book.take("a")), len(f.book.take("b")); a != 2 || b != 1 {
		t.Errorf("%d and %d leaves, want 2 and 1", a, b)
	}
}

// A ledger that hangs holds nobody up, and what it writes in the end is not written again.
func TestASlowLedgerDoesNotHoldUpAnEmergency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newSpooling(t)
		id := f.arrive(t, "a", presentHeaders).Call
		f.book.take("a")
		f.book.hold = make(chan struct{})
		asked := time.Now()
		f.mem.reads = 0
		shown, err := f.Egress(t.Context(), emergency("a", id))
		if err != nil || shown.Number.Reveal() == "" || time.Since(asked) != ledgerWait {
			t.Errorf("%+v after %v, %v", shown, time.Since(asked), err)
		}
		synctest.Wait()
		if f.mem.reads > 1 { // one is the accounting's, which nobody waits for
			t.Errorf("the store was asked %d times", f.mem.reads)
		}
		if err := f.replay(t.Context()); err != nil || f.waiting() != 1 {
			t.Errorf("moved while the first append is under way: %d wait, %v", f.waiting(), err)
		}
		close(f.book.hold)
		synctest.Wait()
		if err := f.replay(t.Context()); err != nil || f.waiting() != 0 {
			t.Errorf("%d wait, %v", f.waiting(), err)
		}
		if n := len(f.book.take("a")); n != 1 {
			t.Errorf("%d leaves", n)
		}
	})
}

// A register that hangs holds nobody up, and the subject's accounting has the hand-over in the end.
func TestASlowRegisterDoesNotHoldUpAnEmergency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newSpooling(t)
		id := f.arrive(t, "a", presentHeaders).Call
		f.mem.hold = make(chan struct{})
		asked := time.Now()
		shown, err := f.Egress(t.Context(), emergency("a", id))
		if err != nil || shown.Number.Reveal() == "" || time.Since(asked) != 0 {
			t.Errorf("%+v after %v, %v", shown, time.Since(asked), err)
		}
		close(f.mem.hold)
		synctest.Wait()
		if lines, err := f.disclosures().of(t.Context(), "a", id); err != nil || len(lines) != 1 {
			t.Errorf("%d lines in the accounting, %v", len(lines), err)
		}
	})
}

// What the ledger did not take was not released: the subject's accounting has no line of it.
func TestAccountingHasNoLineWithoutALeaf(t *testing.T) {
	f := newInside(t, nil)
	id := f.arrive(t, "a", presentHeaders).Call
	f.book.broken = errTestDisk
	agent := Outgoing{City: "a", Call: id, To: PartyAgent, Whom: "ana", Secured: true, By: "engine"}
	if shown, err := f.Egress(t.Context(), agent); !errors.Is(err, errTestDisk) || shown.Mask.Reveal() != "" {
		t.Errorf("%+v, %v", shown, err)
	}
	if lines, err := f.disclosures().of(t.Context(), "a", id); err != nil || len(lines) != 0 {
		t.Errorf("%d lines in the accounting, %v", len(lines), err)
	}
	f.book.broken = nil
	if shown, err := f.Egress(t.Context(), agent); err != nil || shown.Mask.Reveal() == "" {
		t.Errorf("%+v, %v", shown, err)
	}
	if lines, err := f.disclosures().of(t.Context(), "a", id); err != nil || len(lines) != 1 {
		t.Errorf("%d lines in the accounting, %v", len(lines), err)
	}
}

// Without a disk for the spool the number goes all the same, and the leaf waits in memory.
func TestEmergencyWithoutADisk(t *testing.T) {
	f, _, _ := newSpooling(t)
	id := f.arrive(t, "a", presentHeaders).Call
	f.book.take("a")
	f.book.broken = errTestDisk
	if err := f.spool.close(); err != nil {
		t.Fatal(err)
	}
	if shown, err := f.Egress(t.Context(), emergency("a", id)); err != nil || shown.Number.Reveal() == "" || f.waiting() != 1 {
		t.Errorf("%+v, %v; %d wait", shown, err, f.waiting())
	}
	if err := f.replay(t.Context()); err == nil || f.waiting() != 1 {
		t.Errorf("%d wait, %v", f.waiting(), err)
	}
	f.book.broken = nil
	if err := f.replay(t.Context()); err != nil || f.waiting() != 0 || len(f.book.take("a")) != 1 {
		t.Errorf("%d wait, %v", f.waiting(), err)
	}
}

// Erasing goes on while the ledger takes nothing; without a spool it waits.
func TestErasingGoesOnWithoutTheLedger(t *testing.T) {
	f, _, _ := newSpooling(t)
	id := f.arrive(t, "a", presentHeaders).Call
	f.book.take("a")
	f.now = f.now.Add(KeepFor)
	f.book.broken = errTestDisk
	if n, err := f.Expire(t.Context()); n != 1 || err != nil || len(f.mem.rows) != 0 {
		t.Fatalf("erased %d, %v", n, err)
	}
	f.book.broken = nil
	if err := f.replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if leaves := f.book.take("a"); len(leaves) != 1 || leaves[0].Kind != KindErased || leaves[0].Call != id {
		t.Errorf("%+v", leaves)
	}
}
