package ani

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
)

// KeepFor is how long the vault keeps a number, counted from its capture, unless the configuration says less.
const KeepFor = 14 * 24 * time.Hour

// The kinds of leaf that the vault writes.
const (
	KindRelease = "ani.release/1" // a decision, whatever it was
	KindErased  = "ani.erased/1"  // a row came to its due time; written before the row goes

	KindEntryErased = "ani.entry-erased/1" // an entry of a register came to its due time; written before it goes
)

// Config has what may be set. Zero values are filled in.
type Config struct {
	Cities   []call.CityID                 // whose keys are read, or made, at once
	Profiles map[call.CityID]Profile       // default: ProfileCard
	Keep     map[call.CityID]time.Duration // default and at most: KeepFor
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: not counted
}

// Vault keeps callers' numbers sealed under their city's key and is the only way to one. It is safe for concurrent use.
type Vault struct {
	store    Store
	ledger   Ledger
	keys     Keys
	cfg      Config
	releases *prometheus.CounterVec
	denied   prometheus.Counter

	tokens tokenKeys

	mu    sync.Mutex
	known map[call.CityID][]Key // keys read before: a live call needs no key file
}

// NewVault returns a vault over store. The caller closes store and ledger after the last call.
func NewVault(store Store, ledger Ledger, keys Keys, cfg Config) (*Vault, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	v := &Vault{store: store, ledger: ledger, keys: keys, cfg: cfg, known: map[call.CityID][]Key{},
		releases: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callhall_ani_releases_total",
			Help: "Decisions about callers' numbers."}, []string{"purpose", "result"}),
		denied: prometheus.NewCounter(prometheus.CounterOpts{Name: "callhall_ani_denied_reads_total",
			Help: "Requests for a caller's number that got nothing."}),
	}
	if cfg.Registry != nil {
		if err := errors.Join(cfg.Registry.Register(v.releases), cfg.Registry.Register(v.denied)); err != nil {
			return nil, fmt.Errorf("vault: %w", err)
		}
	}
	for _, city := range cfg.Cities {
		if _, err := v.cityKeys(city); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// cityKeys returns the city's keys, the newest last.
func (v *Vault) cityKeys(city call.CityID) ([]Key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if keys, ok := v.known[city]; ok {
		return keys, nil
	}
	keys, err := v.keys.Keys(city)
	if err != nil {
		return nil, err
	}
	v.known[city] = keys
	return keys, nil
}

// newestKey is the key that the city seals with.
func (v *Vault) newestKey(city call.CityID) (Key, error) {
	keys, err := v.cityKeys(city)
	if err != nil {
		return Key{}, err
	}
	return keys[len(keys)-1], nil
}

// Capture reads the caller's identity, seals it into the vault, and writes the decision under which the engine routes
// the call. Row and leaf join one group commit and both are durable when it returns; until then nothing that depends on
// the number may leave the engine. A withheld number is kept too, and shown to nobody but by a row that says so.
// With an error the Caller is still right; only the number is then not to be had later.
func (v *Vault) Capture(ctx context.Context, city call.CityID, id call.ID, h Headers, trusted bool) (Caller, error) {
	who := ParseIdentity(h, Trust{Identity: trusted})
	caller := Caller{Call: id, Status: who.Status, Verstat: who.Verstat}
	now := v.cfg.Now().UTC()
	row := VaultRow{City: city, Call: id, Private: who.Private, Status: who.Status, Verstat: who.Verstat, Source: who.Source,
		CapturedAt: now, DueAt: now.Add(v.keepFor(city))}
	key, err := v.newestKey(city)
	if err != nil {
		return caller, fmt.Errorf("capture the identity of %s: %w", id, err)
	}
	sealRow(key, &row, who.Number)

	r := Request{City: city, Call: id, Purpose: PurposeRouting, Recipient: RecipientEngine, Actor: "engine", Relation: RelationHandling}
	t := v.tuple(r, row, !who.Number.IsZero())
	var put error
	var writing sync.WaitGroup
	writing.Go(func() { put = v.store.Put(ctx, row) })
	err = v.record(ctx, r, t, Decide(t), call.NewReleaseID(), row)
	writing.Wait()
	if err := errors.Join(put, err); err != nil {
		return caller, fmt.Errorf("capture the identity of %s: %w", id, err)
	}
	return caller, nil
}

// keepFor is how long the city keeps a number.
func (v *Vault) keepFor(city call.CityID) time.Duration {
	if keep := v.cfg.Keep[city]; keep > 0 && keep < KeepFor {
		return keep
	}
	return KeepFor
}
