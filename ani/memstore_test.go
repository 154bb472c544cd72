package ani

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"callhall/call"
)

// memStore is a Store for tests from inside this package, which cannot import sqlstore. It passes anitest too.
type memStore struct {
	hold    chan struct{} // nil, or what Add waits for: a disk that hangs
	mu      sync.Mutex
	rows    map[rowKey]VaultRow
	entries map[entryKey]Entry
	broken  error // what every method then returns
	reads   int   // calls of Get, Entry and Entries…
}

type rowKey struct {
	city call.CityID
	call call.ID
}

type entryKey struct {
	city call.CityID
	kind Kind
	id   string
}

// NewMemStore is for the contract test outside.
func NewMemStore() Store { return newMemStore() }

func newMemStore() *memStore {
	return &memStore{rows: map[rowKey]VaultRow{}, entries: map[entryKey]Entry{}}
}

func (s *memStore) enter(read bool) (func(), error) {
	s.mu.Lock()
	if read {
		s.reads++
	}
	return s.mu.Unlock, s.broken
}

func (s *memStore) Put(_ context.Context, row VaultRow) error {
	leave, err := s.enter(false)
	defer leave()
	key := rowKey{row.City, row.Call}
	if _, there := s.rows[key]; err == nil && there {
		return ErrExists
	}
	if err == nil {
		s.rows[key] = row
	}
	return err
}

func (s *memStore) Get(_ context.Context, city call.CityID, id call.ID) (VaultRow, error) {
	leave, err := s.enter(true)
	defer leave()
	row, there := s.rows[rowKey{city, id}]
	if err == nil && !there {
		err = ErrNotFound
	}
	return row, err
}

func (s *memStore) Cities(_ context.Context, now time.Time) ([]call.CityID, error) {
	leave, err := s.enter(true)
	defer leave()
	cities := map[call.CityID]bool{}
	for key, row := range s.rows {
		if !row.DueAt.After(now) {
			cities[key.city] = true
		}
	}
	return slices.Sorted(maps.Keys(cities)), err
}

func (s *memStore) Due(_ context.Context, city call.CityID, now time.Time, limit int) (due []VaultRow, err error) {
	leave, err := s.enter(true)
	defer leave()
	for key, row := range s.rows {
		if key.city == city && !row.DueAt.After(now) {
			due = append(due, row)
		}
	}
	slices.SortFunc(due, func(a, b VaultRow) int { return a.DueAt.Compare(b.DueAt) })
	return due[:min(limit, len(due))], err
}

func (s *memStore) Rows(_ context.Context, city call.CityID, after call.ID, limit int) (rows []VaultRow, err error) {
	leave, err := s.enter(true)
	defer leave()
	for key, row := range s.rows {
		if key.city == city && key.call > after {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b VaultRow) int { return cmp.Compare(a.Call, b.Call) })
	return rows[:min(limit, len(rows))], err
}

func (s *memStore) EveryEntry(_ context.Context, city call.CityID, kind Kind, id string, limit int) ([]Entry, error) {
	after := func(a Entry) int { return cmp.Or(cmp.Compare(a.Kind, kind), cmp.Compare(a.ID, id)) }
	all, err := s.where(func(e Entry) bool { return e.City == city && after(e) > 0 })
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	return all[:min(limit, len(all))], err
}

func (s *memStore) Erase(_ context.Context, city call.CityID, ids []call.ID) error {
	leave, err := s.enter(false)
	defer leave()
	for _, id := range ids {
		if err == nil {
			delete(s.rows, rowKey{city, id})
		}
	}
	return err
}

func (s *memStore) Add(_ context.Context, e Entry) error {
	if s.hold != nil {
		<-s.hold
	}
	leave, err := s.enter(false)
	defer leave()
	key := entryKey{e.City, e.Kind, e.ID}
	if _, there := s.entries[key]; err == nil && there {
		return ErrExists
	}
	if err == nil {
		s.entries[key] = e
	}
	return err
}

func (s *memStore) Replace(_ context.Context, e Entry) error {
	leave, err := s.enter(false)
	defer leave()
	key := entryKey{e.City, e.Kind, e.ID}
	if err == nil && s.entries[key].Version != e.Version-1 {
		return ErrConflict
	}
	if err == nil {
		s.entries[key] = e
	}
	return err
}

func (s *memStore) Entry(_ context.Context, city call.CityID, kind Kind, id string) (Entry, error) {
	leave, err := s.enter(true)
	defer leave()
	e, there := s.entries[entryKey{city, kind, id}]
	if err == nil && !there {
		err = ErrNotFound
	}
	return e, err
}

// where returns what fits, oldest first.
func (s *memStore) where(fits func(Entry) bool) (all []Entry, err error) {
	leave, err := s.enter(true)
	defer leave()
	for _, e := range s.entries {
		if fits(e) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return all, err
}

func (s *memStore) Entries(ctx context.Context, city call.CityID, kind Kind, before string, limit int) ([]Entry, error) {
	all, err := s.where(func(e Entry) bool { return e.City == city && e.Kind == kind })
	slices.Reverse(all)
	if before != "" && err == nil {
		i := slices.IndexFunc(all, func(e Entry) bool { return e.ID == before })
		if i < 0 {
			return nil, ErrNotFound
		}
		all = all[i+1:]
	}
	return all[:min(limit, len(all))], err
}

func (s *memStore) EntriesOf(_ context.Context, city call.CityID, kind Kind, id call.ID) ([]Entry, error) {
	return s.where(func(e Entry) bool { return id != "" && e.City == city && e.Kind == kind && e.Call == id })
}

func (s *memStore) EntriesWith(_ context.Context, city call.CityID, kind Kind, tokens [][]byte) ([]Entry, error) {
	return s.where(func(e Entry) bool {
		return len(e.Token) > 0 && e.City == city && e.Kind == kind &&
			slices.ContainsFunc(tokens, func(t []byte) bool { return bytes.Equal(t, e.Token) })
	})
}

func (s *memStore) RegisterCities(_ context.Context, now time.Time) ([]call.CityID, error) {
	due, err := s.where(func(e Entry) bool { return !e.DueAt.After(now) })
	cities := map[call.CityID]bool{}
	for _, e := range due {
		cities[e.City] = true
	}
	return slices.Sorted(maps.Keys(cities)), err
}

func (s *memStore) EntriesDue(_ context.Context, city call.CityID, now time.Time, limit int) ([]Entry, error) {
	due, err := s.where(func(e Entry) bool { return e.City == city && !e.DueAt.After(now) })
	slices.SortFunc(due, func(a, b Entry) int { return a.DueAt.Compare(b.DueAt) })
	return due[:min(limit, len(due))], err
}

func (s *memStore) EraseEntries(_ context.Context, city call.CityID, kind Kind, ids []string) error {
	leave, err := s.enter(false)
	defer leave()
	for _, id := range ids {
		if err == nil {
			delete(s.entries, entryKey{city, kind, id})
		}
	}
	return err
}

// memLedger keeps leaves in memory and can be told to fail.
type memLedger struct {
	mu     sync.Mutex
	leaves map[call.CityID][]call.Leaf
	broken error
	hold   chan struct{} // while it is open every Append waits, and is then written
}

// Written implements Config.Written.
func (l *memLedger) Written(_ context.Context, city call.CityID, since time.Time, ids []string) (there []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, leaf := range l.leaves[city] {
		if id := leafID(leaf); slices.Contains(ids, id) && !leaf.At.Before(since) {
			there = append(there, id)
		}
	}
	return there, l.broken
}

func (l *memLedger) Append(_ context.Context, city call.CityID, leaf call.Leaf) error {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if l.leaves == nil {
		l.leaves = map[call.CityID][]call.Leaf{}
	}
	l.leaves[city] = append(l.leaves[city], leaf)
	return nil
}

// take returns the city's leaves since the last take.
func (l *memLedger) take(city call.CityID) []call.Leaf {
	l.mu.Lock()
	defer l.mu.Unlock()
	leaves := l.leaves[city]
	delete(l.leaves, city)
	return leaves
}

// insideFixture is a vault in memory, with a clock that the test sets.
type insideFixture struct {
	*Vault
	mem  *memStore
	book *memLedger
	keys KeyDir
	now  time.Time
}

func newInside(t testing.TB, set func(*Config)) *insideFixture {
	t.Helper()
	f := &insideFixture{mem: newMemStore(), book: &memLedger{}, keys: KeyDir(t.TempDir()), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	f.open(t, set)
	return f
}

// open makes the vault, again if it is called again: as after a restart.
func (f *insideFixture) open(t testing.TB, set func(*Config)) {
	t.Helper()
	cfg := Config{Now: func() time.Time { return f.now }}
	if set != nil {
		set(&cfg)
	}
	var err error
	if f.Vault, err = NewVault(f.mem, f.book, f.keys, cfg); err != nil {
		t.Fatal(err)
	}
}

var errTestDisk = errors.New("disk full")

// stubDesk is a privacy office in memory.
type stubDesk struct {
	terms     Profile
	protected string // digits
	list      map[string]time.Time
	handles   map[string]Request
	said      string // the entry of what every caller has said
}

func (d *stubDesk) profile(call.CityID) Profile {
	if d.terms == "" {
		return ProfileCard
	}
	return d.terms
}

func (d *stubDesk) protects(_ call.CityID, n Number, _ time.Time) bool {
	return d.protected != "" && n.open() == d.protected
}

func (d *stubDesk) screens(city call.CityID, _ time.Time) bool { return city == "a" && len(d.list) > 0 }

func (d *stubDesk) screened(_ call.CityID, tokens [][]byte, now time.Time) bool {
	return slices.ContainsFunc(tokens, func(token []byte) bool { return now.Before(d.list[string(token)]) })
}

func (d *stubDesk) erased(context.Context, call.CityID, []call.ID) error { return nil }

func (d *stubDesk) heard(context.Context, call.CityID, call.ID, Recipient) (string, error) {
	return d.said, nil
}

func (d *stubDesk) redeem(_ context.Context, city call.CityID, handle string, _ call.ID, _ string) (Request, error) {
	r, ok := d.handles[handle]
	if !ok || r.City != city {
		return Request{}, ErrHandle
	}
	return r, nil
}

// present and hidden are callers as a trusted trunk sends them.
var (
	presentHeaders = Headers{Asserted: []string{`"Ana Gray" <sip:+12125550142@carrier.invalid>`}}
	hiddenHeaders  = Headers{Asserted: presentHeaders.Asserted, Privacy: []string{"id;critical"}}
	noHeaders      = Headers{From: []string{"<sip:unavailable@unknown.invalid>"}}
)

func (f *insideFixture) incoming(city call.CityID, h Headers) Incoming {
	return Incoming{City: city, Call: call.NewID(), Headers: h, Trust: Trust{Identity: true}}
}

// arrive captures a call and leaves it going on.
func (f *insideFixture) arrive(t testing.TB, city call.CityID, h Headers) Caller {
	t.Helper()
	c, err := f.Capture(t.Context(), f.incoming(city, h))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rows names each leaf by its row and result, and checks it as a stranger would.
func rowsOf(t testing.TB, leaves []call.Leaf) (rows []string) {
	t.Helper()
	for _, l := range leaves {
		if err := CheckLeaf(l); err != nil {
			t.Errorf("leaf %v: %v", l.Facts, err)
		}
		rows = append(rows, l.Facts["row"]+" "+l.Facts["result"])
	}
	slices.Sort(rows)
	return rows
}
