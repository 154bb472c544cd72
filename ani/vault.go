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
	Cities   []call.CityID                     // whose keys are read, or made, at once
	Profiles map[call.CityID]Profile           // default: ProfileCard; a privacy office (NewOffice) has the last word
	Narrow   map[call.CityID]Narrowing         // what a city forbids beyond its profile
	Tariffs  map[call.CityID]bool              // cities that charge for calls
	Areas    map[call.CityID]map[string]string // area codes of the North American plan to the city's names for areas
	Keep     map[call.CityID]time.Duration     // default and at most: KeepFor
	Verifier Verifier                          // nil: signatures are not checked, and the carrier's word counts
	Signers  map[call.CityID]Signer            // who signs the calls that a city sends on; none: they go unsigned
	Spool    string                            // the directory for leaves that cannot wait for the ledger; empty: there is none
	// Written returns which of these leaves the ledger has, appended since then. A leaf's id is its fact "release",
	// "erasure" or "batch". Nil: after a crash at the wrong moment a leaf may be in the ledger twice.
	Written  func(ctx context.Context, city call.CityID, since time.Time, ids []string) ([]string, error)
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: not counted
}

// Vault keeps callers' numbers sealed under their city's key and is the only way to one. It is safe for concurrent use.
type Vault struct {
	store  Store
	ledger Ledger
	keys   Keys
	cfg    Config
	counts *counts
	desk   counsel // nil: there is no privacy office

	tokens  tokenKeys
	late    lateAccounts
	live    liveCalls
	dropped droppedCalls

	spool     *spool // of leaves; nil: there is none
	lines     *spool // of lines of accountings; as spool
	urgent    urgentAppends
	unspooled unspooledLeaves

	mu    sync.Mutex
	known map[call.CityID][]Key // keys read before: a live call needs no key file
}

// counsel is what the vault asks of the privacy office in the middle of a decision. All but heard and redeem answer from
// memory.
type counsel interface {
	// profile is the city's profile, the narrowest where that is not known.
	profile(city call.CityID) Profile
	// protects tells whether the law protects a caller; true where that is not known.
	protects(city call.CityID, n Number, now time.Time) bool
	// screens tells whether anybody stands on the city's screening list now.
	screens(city call.CityID, now time.Time) bool
	// screened tells whether one of these tokens stands on it.
	screened(city call.CityID, tokens [][]byte, now time.Time) bool
	// erased says that the numbers of these calls are about to be erased: what was released of them may be recalled.
	erased(ctx context.Context, city call.CityID, calls []call.ID) error
	// heard returns the entry of what the caller of a call has said, and not taken back, for a transfer to this recipient;
	// empty where there is none.
	heard(ctx context.Context, city call.CityID, id call.ID, to Recipient) (entry string, err error)
	// redeem says what a handle stands for: the request under which the number behind it may be dialled for the call
	// newCall. Errors: ErrHandle.
	redeem(ctx context.Context, city call.CityID, handle string, newCall call.ID, by string) (Request, error)
}

// NewVault returns a vault over store. The caller closes it after the last call, and then store and ledger.
func NewVault(store Store, ledger Ledger, keys Keys, cfg Config) (*Vault, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	v := &Vault{store: store, ledger: ledger, keys: keys, cfg: cfg, known: map[call.CityID][]Key{}}
	for city, n := range cfg.Narrow {
		if err := n.Check(); err != nil {
			return nil, fmt.Errorf("vault of %s: %w", city, err)
		}
	}
	var err error
	if v.counts, err = newCounts(cfg.Registry, v); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	for _, city := range cfg.Cities {
		if _, err := v.cityKeys(city); err != nil {
			return nil, err
		}
	}
	if cfg.Spool != "" {
		if err := v.openSpools(cfg.Spool); err != nil {
			return nil, fmt.Errorf("vault: %w", err)
		}
	}
	return v, nil
}

// openSpools opens what the last run left on the disk.
func (v *Vault) openSpools(dir string) (err error) {
	if err := readySpool(dir); err != nil {
		return err
	}
	if v.spool, err = openSpool(dir, spoolOfLeaves, v.withKeys, v.cfg.Log); err != nil {
		return err
	}
	if err := v.spool.moveOld(); err != nil {
		return errors.Join(err, v.spool.close())
	}
	if v.lines, err = openSpool(dir, spoolOfLines, v.withKeys, v.cfg.Log); err != nil {
		return errors.Join(err, v.spool.close())
	}
	return nil
}

// Load reads what the last run left, the callers that it dropped, and what an emergency has no time for. Run it before the
// first call.
func (v *Vault) Load(ctx context.Context) error {
	return errors.Join(v.loadDropped(ctx), v.prepareEmergencies(ctx))
}

// Run keeps up with the other nodes, and moves leaves that had to be spooled into the ledger, until ctx ends.
func (v *Vault) Run(ctx context.Context) {
	var loops sync.WaitGroup
	moving := pauses{}
	loops.Go(func() { every(ctx, func() { v.replayDue(ctx, moving) }) })
	loops.Go(func() { every(ctx, func() { v.keepUp(ctx) }) })
	loops.Wait()
}

// every does something now, and again when housekeeping is due, until ctx ends.
func every(ctx context.Context, do func()) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		do()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// keepUp reads what other nodes may have changed.
func (v *Vault) keepUp(ctx context.Context) {
	if err := v.refreshAllKeys(); err != nil {
		v.cfg.Log.Error("vault keys not read; those that are known go on serving", "err", err)
	}
	if err := v.Load(ctx); err != nil && ctx.Err() == nil {
		v.cfg.Log.Warn("the vault's registers not read; tried again in seconds", "err", err)
	}
}

// Close waits for what is still being written and closes the spool. Call it after the last release, before the ledger is
// closed.
func (v *Vault) Close() error {
	v.urgent.Wait()
	if v.spool == nil {
		return nil
	}
	return errors.Join(v.spool.close(), v.lines.close())
}

// waiting is how many leaves are not in the ledger yet.
func (v *Vault) waiting() int {
	n := v.unspooled.len()
	if v.spool != nil {
		records, _ := v.spool.waiting()
		n += records
	}
	return n
}

// spooled is what is on the disk: records of both sorts, their bytes, and files that were set aside.
func (v *Vault) spooled() (records int, bytes, asides int64) {
	if v.spool == nil {
		return 0, 0, 0
	}
	for _, s := range []*spool{v.spool, v.lines} {
		n, size := s.waiting()
		records, bytes, asides = records+n, bytes+size, asides+s.asides.Load()
	}
	return records, bytes, asides
}

// keepFor is how long the city keeps a number.
func (v *Vault) keepFor(city call.CityID) time.Duration {
	if keep := v.cfg.Keep[city]; keep > 0 && keep < KeepFor {
		return keep
	}
	return KeepFor
}

// profile is the terms that the city has chosen.
func (v *Vault) profile(city call.CityID) Profile {
	if v.desk != nil {
		return v.desk.profile(city)
	}
	if p, ok := v.cfg.Profiles[city]; ok {
		return p
	}
	return ProfileCard
}

// counts are the vault's metrics. None has a label with more values than the terms have words.
type counts struct {
	releases *prometheus.CounterVec
	denied   prometheus.Counter
}

func newCounts(r prometheus.Registerer, v *Vault) (*counts, error) {
	c := &counts{
		releases: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callhall_ani_releases_total",
			Help: "Decisions about callers' numbers."}, []string{"purpose", "result"}),
		denied: prometheus.NewCounter(prometheus.CounterOpts{Name: "callhall_ani_denied_reads_total",
			Help: "Requests for a caller's number that got nothing."}),
	}
	if r == nil {
		return c, nil
	}
	errs := []error{r.Register(c.releases), r.Register(c.denied)}
	for _, g := range []struct {
		name, help string
		value      func() float64
	}{
		{"callhall_ani_live_calls", "Calls whose callers' numbers are kept in memory, sealed.", func() float64 { return float64(v.live.len()) }},
		{"callhall_ani_spooled_leaves", "Leaves that wait in the local spool or in memory because the ledger is away.",
			func() float64 { return float64(v.waiting()) }},
		{"callhall_ani_spool_bytes", "The size of the local spool, of leaves and of lines of accountings.",
			func() float64 { _, size, _ := v.spooled(); return float64(size) }},
		{"callhall_ani_spool_set_aside", "Files in the local spool with records that cannot be used.",
			func() float64 { _, _, asides := v.spooled(); return float64(asides) }},
	} {
		errs = append(errs, r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, g.value)))
	}
	return c, errors.Join(errs...)
}
