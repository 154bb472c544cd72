package ani_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/ani"
	"callhall/ani/sqlstore"
	"callhall/call"
	"callhall/sqldb"
)

// book is a ledger in memory that can be told to fail.
type book struct {
	mu     sync.Mutex
	leaves map[call.CityID][]call.Leaf
	broken error // of Append
	unread error // of written
}

func (b *book) Append(_ context.Context, city call.CityID, leaf call.Leaf) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	if b.leaves == nil {
		b.leaves = map[call.CityID][]call.Leaf{}
	}
	b.leaves[city] = append(b.leaves[city], leaf)
	return nil
}

// written implements ani.Config.Written.
func (b *book) written(_ context.Context, city call.CityID, since time.Time, ids []string) (there []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.leaves[city] {
		for _, fact := range []string{"release", "erasure", "batch"} {
			if id := l.Facts[fact]; slices.Contains(ids, id) && !l.At.Before(since) {
				there = append(there, id)
			}
		}
	}
	return there, b.unread
}

// take returns the city's leaves since the last take.
func (b *book) take(city call.CityID) []call.Leaf {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.leaves[city]
	delete(b.leaves, city)
	return l
}

// fixture is a vault on a real file, with a clock that the test sets.
type fixture struct {
	*ani.Vault
	dir   string
	db    *sqldb.DB
	store *sqlstore.Store
	book  *book
	now   time.Time
	reg   *prometheus.Registry

	profiles map[call.CityID]ani.Profile // of the configuration
	tariffs  map[call.CityID]bool        // as profiles
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), book: &book{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), reg: prometheus.NewRegistry()}
	var err error
	if f.db, err = sqldb.Open(t.Context(), filepath.Join(f.dir, "sealed.db"), sqldb.Durable); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.db.Close(); err != nil {
			t.Error(err)
		}
	})
	if f.store, err = sqlstore.Open(t.Context(), f.db); err != nil {
		t.Fatal(err)
	}
	f.Vault = f.newVault(t)
	return f
}

func (f *fixture) newVault(t testing.TB) *ani.Vault {
	t.Helper()
	v, err := ani.NewVault(f.store, f.book, ani.KeyDir(filepath.Join(f.dir, "keys")),
		ani.Config{Now: func() time.Time { return f.now }, Registry: f.reg, Profiles: f.profiles, Tariffs: f.tariffs,
			Written: f.book.written})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const city, other = call.CityID("springfield"), call.CityID("shelbyville")

var present = ani.Headers{Asserted: []string{`"Ana Gray" <sip:+12125550142@carrier.invalid>`}}

// incoming is a call by a trunk of our trust domain.
func incoming(c call.CityID, id call.ID, h ani.Headers) ani.Incoming {
	return ani.Incoming{City: c, Call: id, Headers: h, Trust: ani.Trust{Identity: true}}
}

// over is a call that was captured and has ended.
func (f *fixture) over(t testing.TB, c call.CityID, h ani.Headers) call.ID {
	t.Helper()
	id := f.capture(t, c, h)
	f.Over(c, id)
	return id
}

func (f *fixture) capture(t testing.TB, c call.CityID, h ani.Headers) call.ID {
	t.Helper()
	id := call.NewID()
	if _, err := f.Capture(t.Context(), incoming(c, id, h)); err != nil {
		t.Fatal(err)
	}
	return id
}

// live is what an agent who handles the call asks.
func live(c call.CityID, id call.ID) ani.Request {
	return ani.Request{City: c, Call: id, Purpose: ani.PurposeLiveCall, Recipient: ani.RecipientAgent, Relation: ani.RelationHandling, Actor: "agent:ana"}
}

func engine(c call.CityID, id call.ID) ani.Request {
	return ani.Request{City: c, Call: id, Purpose: ani.PurposeRouting, Recipient: ani.RecipientEngine, Actor: "engine"}
}

func (f *fixture) release(t *testing.T, r ani.Request) ani.Grant {
	t.Helper()
	g, err := f.Release(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestCaptureWritesRowAndLeaf(t *testing.T) {
	f := newFixture(t)
	id := call.NewID()
	withheld := present
	withheld.Privacy = []string{"id"}
	who, err := f.Capture(t.Context(), incoming(city, id, withheld))
	if err != nil || who.Call != id || who.Status != call.CallerWithheld {
		t.Fatalf("caller %+v, %v", who, err)
	}
	leaves := f.book.take(city)
	if len(leaves) != 1 || leaves[0].Kind != ani.KindRelease || leaves[0].Call != id || leaves[0].Actor != "engine" {
		t.Fatalf("leaves %+v", leaves)
	}
	for name, want := range map[string]string{"row": "D01", "result": "FULL", "privacy": "restricted", "number": "held", "purpose": "routing",
		"recipient": "ENG", "policy": ani.PolicyVersion, "status": "withheld", "obligations": "O1,O2,O3,O9"} {
		if got := leaves[0].Facts[name]; got != want {
			t.Errorf("fact %s is %q, want %q", name, got, want)
		}
	}
	row, err := f.store.Get(t.Context(), city, id)
	if err != nil || !row.Private || !row.DueAt.Equal(f.now.Add(14*24*time.Hour)) {
		t.Errorf("row %+v, %v", row, err)
	}
	if _, err := f.Capture(t.Context(), incoming(city, id, present)); !errors.Is(err, ani.ErrExists) {
		t.Errorf("captured twice: %v", err)
	}
}

func TestReleaseGivesWhatTheTermsSayAndOneLeafEach(t *testing.T) {
	f := newFixture(t)
	open := f.capture(t, city, present)
	withheld := f.capture(t, city, ani.Headers{Asserted: present.Asserted, Privacy: []string{"user"}})
	none := f.capture(t, city, ani.Headers{})
	f.book.take(city)
	free, stranger := live(city, open), live(city, open)
	free.Purpose, stranger.Recipient = "call +1 212 555 0142 back", "me, 2125550142"
	for name, c := range map[string]struct {
		r     ani.Request
		row   string
		shown string
	}{
		"agent":           {live(city, open), "D08", "+1 212 ***-**42"},
		"agent, withheld": {live(city, withheld), "D47", ""},
		"agent, none":     {live(city, none), "D42", ""},
		"engine":          {engine(city, withheld), "D01", "+12125550142"},
		"free text":       {free, "D47", ""},
		"stranger":        {stranger, "D47", ""},
		"unknown call":    {live(city, call.NewID()), "D42", ""},
	} {
		g := f.release(t, c.r)
		if got := g.Value.Reveal(); got != c.shown || g.Row.ID != c.row || g.Denied() != (c.shown == "") {
			t.Errorf("%s: %s %s %q, want %s %q", name, g.Decision, g.Row.ID, got, c.row, c.shown)
		}
		leaves := f.book.take(city)
		if len(leaves) != 1 || leaves[0].Facts["release"] != string(g.Release) || leaves[0].Facts["result"] != string(g.Decision) {
			t.Errorf("%s: leaves %+v", name, leaves)
		}
		if text := fmt.Sprint(leaves); strings.Contains(text, "5550142") || strings.Contains(text, "555 0142") {
			t.Errorf("%s: a leaf has the number: %s", name, text)
		}
	}
}

func TestReleaseWithoutLedgerIsDenied(t *testing.T) {
	f := newFixture(t)
	id := f.capture(t, city, present)
	f.book.broken = errors.New("disk full")
	g, err := f.Release(t.Context(), engine(city, id))
	if !errors.Is(err, f.book.broken) || !g.Denied() || g.Value.Reveal() != "" {
		t.Errorf("grant %+v, %v", g, err)
	}
	if _, err := f.Capture(t.Context(), incoming(city, call.NewID(), present)); !errors.Is(err, f.book.broken) {
		t.Errorf("captured without a ledger: %v", err)
	}
	if n := counted(t, f.reg, "callhall_ani_denied_reads_total"); n != 2 {
		t.Errorf("%v denied, want 2", n)
	}
}

// counted is the value of a counter without labels.
func counted(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.GetName() == name {
			return m.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestReleaseRefusesACaseThatMayBeANumber(t *testing.T) {
	f := newFixture(t)
	id := f.capture(t, city, present)
	f.book.take(city)
	r := engine(city, id)
	r.Case = "ref 212-555-0142"
	if g, err := f.Release(t.Context(), r); !errors.Is(err, ani.ErrCase) || !g.Denied() || g.Value.Reveal() != "" {
		t.Errorf("grant %+v, %v", g, err)
	}
	if l := f.book.take(city); len(l) != 1 || l[0].Facts["case"] != "refused" || l[0].Facts["result"] != "DENY" {
		t.Errorf("leaves %+v", l)
	}
	r.Case = "SR-0042"
	if g := f.release(t, r); g.Denied() || f.book.take(city)[0].Facts["case"] != "SR-0042" {
		t.Errorf("grant %+v", g)
	}
}

func TestCitiesAreApart(t *testing.T) {
	f := newFixture(t)
	id := f.capture(t, city, present)
	f.book.take(city)
	if g := f.release(t, engine(other, id)); !g.Denied() {
		t.Error("another city got the number")
	}
	if len(f.book.take(city)) != 0 || len(f.book.take(other)) != 1 {
		t.Error("the refusal is not in the asking city's ledger alone")
	}
	// A row moved to another city does not open there.
	row, err := f.store.Get(t.Context(), city, id)
	if err != nil {
		t.Fatal(err)
	}
	row.City = other
	if err := f.store.Put(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if g, err := f.Release(t.Context(), engine(other, id)); !errors.Is(err, ani.ErrDamaged) || !g.Denied() {
		t.Errorf("moved row: %+v, %v", g, err)
	}
}

func TestChangedRowDoesNotOpen(t *testing.T) {
	f := newFixture(t)
	for _, set := range []string{"private = 0", "status = 'present'", "verstat = 'passed'", "source = 'from'", "due_at = due_at + 1",
		"captured_at = captured_at + 1", "sealed = substr(sealed, 1, length(sealed) - 1)", "sealed = x''", "sealed = x'09' || substr(sealed, 2)"} {
		id := f.over(t, city, ani.Headers{Asserted: present.Asserted, Privacy: []string{"id"}})
		err := f.db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE ani_vault SET "+set+" WHERE call = ?", string(id))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if g, err := f.Release(t.Context(), live(city, id)); !errors.Is(err, ani.ErrDamaged) || !g.Denied() {
			t.Errorf("%s: %+v, %v", set, g, err)
		}
	}
}

func TestExpireErasesAtDueTime(t *testing.T) {
	f := newFixture(t)
	var ids []call.ID
	for range 70 { // more than Expire takes at a time
		ids = append(ids, f.over(t, city, present))
	}
	f.now = f.now.Add(time.Hour)
	young := f.capture(t, other, present)
	f.book.take(city)
	f.now = f.now.Add(ani.KeepFor - time.Hour - 1)
	if n, err := f.Expire(t.Context()); n != 0 || err != nil {
		t.Fatalf("a nanosecond early %d were erased, %v", n, err)
	}
	f.now = f.now.Add(1)
	if g := f.release(t, engine(city, ids[0])); !g.Denied() {
		t.Error("released at its due time, before the eraser came")
	}
	f.book.take(city)
	f.book.broken = errors.New("disk full")
	if n, err := f.Expire(t.Context()); n != 0 || !errors.Is(err, f.book.broken) {
		t.Fatalf("erased %d without a leaf, %v", n, err)
	}
	f.book.broken = nil
	if n, err := f.Expire(t.Context()); n != 70 || err != nil {
		t.Fatalf("erased %d, %v", n, err)
	}
	leaves := f.book.take(city)
	if len(leaves) != 70 || slices.ContainsFunc(leaves, func(l call.Leaf) bool { return l.Kind != ani.KindErased }) {
		t.Errorf("%d leaves", len(leaves))
	}
	if _, err := f.store.Get(t.Context(), city, ids[0]); !errors.Is(err, ani.ErrNotFound) {
		t.Errorf("the row is still there: %v", err)
	}
	if g := f.release(t, engine(other, young)); g.Denied() {
		t.Error("a younger row went too")
	}
}

func TestKeysAreMadeOnceAndKeptPrivate(t *testing.T) {
	dir := ani.KeyDir(filepath.Join(t.TempDir(), "keys"))
	first, err := dir.Keys(city)
	if err != nil || len(first) != 1 {
		t.Fatalf("%v, %v", first, err)
	}
	again, err := dir.Keys(city)
	if err != nil || again[0].ID != first[0].ID {
		t.Errorf("a second key was made: %v", err)
	}
	path := filepath.Join(string(dir), string(city)+".vault-key")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, bad := range []string{"", "x\n", "00000001 c2hvcnQ=\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := dir.Keys(city); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
	if _, err := dir.Keys("../x"); err == nil {
		t.Error("a path was taken for a city")
	}
}

func TestNewerKeySealsAndOlderOpens(t *testing.T) {
	f := newFixture(t)
	old := f.capture(t, city, present)
	path := filepath.Join(f.dir, "keys", string(city)+".vault-key")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Repeat("ab", 4) + " " + strings.Repeat("A", 43) + "=\n"
	if err := os.WriteFile(path, append(first, second...), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Vault, err = ani.NewVault(f.store, f.book, ani.KeyDir(filepath.Dir(path)), ani.Config{Now: func() time.Time { return f.now }, Cities: []call.CityID{city}})
	if err != nil {
		t.Fatal(err)
	}
	fresh := f.capture(t, city, present)
	for _, id := range []call.ID{old, fresh} {
		if g := f.release(t, engine(city, id)); g.Denied() {
			t.Errorf("%s does not open", id)
		}
	}
	row, err := f.store.Get(t.Context(), city, fresh)
	if err != nil || !bytes.Equal(row.Sealed[1:5], []byte{0xab, 0xab, 0xab, 0xab}) {
		t.Errorf("sealed under %x, %v", row.Sealed[1:5], err)
	}
}

// TestNothingPlainAtRest looks for a number in every byte that was written.
func TestNothingPlainAtRest(t *testing.T) {
	f := newFixture(t)
	for range 20 {
		f.release(t, live(city, f.capture(t, city, present)))
	}
	f.nothingPlain(t)
}

func (f *fixture) nothingPlain(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range []string{"12125550142", "2125550142", "5550142", "2410555212", "212-555-0142", "212 555 0142", "Ana Gray"} {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("%s has %q", filepath.Base(path), s)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each city has its own time for which numbers are kept, and none a longer one than KeepFor.
func TestEachCityKeepsForItsOwnTime(t *testing.T) {
	f := newFixture(t)
	brief, long := call.CityID("brief"), call.CityID("long")
	var err error
	f.Vault, err = ani.NewVault(f.store, f.book, ani.KeyDir(filepath.Join(f.dir, "keys")), ani.Config{
		Keep: map[call.CityID]time.Duration{brief: time.Hour, long: ani.KeepFor + time.Hour, other: -1}, Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	for c, want := range map[call.CityID]time.Duration{brief: time.Hour, long: ani.KeepFor, other: ani.KeepFor, city: ani.KeepFor} {
		row, err := f.store.Get(t.Context(), c, f.capture(t, c, present))
		if err != nil || row.DueAt.Sub(f.now) != want {
			t.Errorf("%s keeps for %v, want %v; %v", c, row.DueAt.Sub(f.now), want, err)
		}
	}
}

// A key that every user of the machine can read seals nothing.
func TestAnOpenKeyFileIsRefused(t *testing.T) {
	keys := ani.KeyDir(t.TempDir())
	if _, err := keys.Keys(city); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(string(keys), string(city)+".vault-key")
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Keys(city); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}
