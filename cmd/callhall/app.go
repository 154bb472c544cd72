package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/ani"
	"callhall/call"
	"callhall/cdr"
	cdrsql "callhall/cdr/sqlstore"
	"callhall/console"
	consolesql "callhall/console/sqlstore"
	"callhall/ledger"
	"callhall/media"
	"callhall/recording"
	"callhall/recording/ringstore"
	recordingsql "callhall/recording/sqlstore"
	"callhall/routing"
	"callhall/routing/memstore"
	"callhall/sip"
	"callhall/sqldb"
)

// app is one node, wired: every part, and in which order they are closed.
type app struct {
	cfg      Config
	log      *slog.Logger
	registry *prometheus.Registry
	clock    recording.Clock

	sealed     *sqldb.DB // vault, ledger, catalogue of recordings, tokens: durable
	records    *sqldb.DB // call records
	ledger     *ledger.Ledger
	vault      *ani.Vault
	office     *ani.Office
	billing    *ani.Billing
	recordings *recording.Service
	cdr        *cdr.Service
	farewells  *farewells
	routing    *routing.Service
	media      *media.Engine
	prompts    *media.Library
	board      *call.Switchboard
	sip        *sip.Server
	tokens     *console.Tokens
	console    *console.Console
	http       net.Listener
	admin      net.Listener

	draining atomic.Bool // no new calls are taken

	drained func()                      // called by Run when the last call is over and the edges still serve; nil: nothing to do
	loops   []func(ctx context.Context) // what runs beside the edges until they have stopped
	closed  []func() error              // closes what is open, the last first
}

// openApp opens everything and serves nobody yet. clock, which may be nil, stands in for the trusted one in tests. The
// caller closes the app, whether or not it ran.
func openApp(ctx context.Context, cfg Config, log *slog.Logger, clock recording.Clock) (*app, error) {
	a := &app{cfg: cfg, log: log, registry: prometheus.NewRegistry(), clock: clock}
	for _, step := range []struct {
		what string
		open func(context.Context) error
	}{
		{"data directory", a.openData},
		{"clock", a.openClock},
		{"databases", a.openDatabases},
		{"ledger", a.openLedger},
		{"callers' numbers", a.openVault},
		{"privacy office", a.openOffice},
		{"billing", a.openBilling},
		{"recordings", a.openRecordings},
		{"call records", a.openRecords},
		{"routing", a.openRouting},
		{"sound", a.openMedia},
		{"SIP", a.openSIP},
		{"HTTP", a.openConsole},
	} {
		if err := step.open(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", step.what, err), a.Close())
		}
	}
	return a, nil
}

// onClose adds what Close must do.
func (a *app) onClose(f func() error) { a.closed = append(a.closed, f) }

// beside adds what runs beside the edges.
func (a *app) beside(f func(ctx context.Context)) { a.loops = append(a.loops, f) }

// Close closes everything that was opened, in reverse order.
func (a *app) Close() error {
	var err error
	for _, f := range slices.Backward(a.closed) {
		err = errors.Join(err, f())
	}
	a.closed = nil
	return err
}

// path is a place in the data directory.
func (a *app) path(parts ...string) string {
	return filepath.Join(append([]string{string(a.cfg.DataDir)}, parts...)...)
}

// cities lists the ids of the cities.
func (a *app) cities() []call.CityID {
	ids := make([]call.CityID, len(a.cfg.Cities))
	for i, c := range a.cfg.Cities {
		ids[i] = c.ID
	}
	return ids
}

// openData makes the data directory this process's own: two servers on one directory would write each other's files.
func (a *app) openData(context.Context) error {
	unlock, err := lockDir(string(a.cfg.DataDir))
	if err != nil {
		return err
	}
	a.onClose(unlock)
	return a.cfg.MakeSecrets()
}

func (a *app) openClock(context.Context) error {
	if a.clock != nil {
		return nil
	}
	trusted, err := recording.OpenClock(a.path("clock"))
	if err != nil {
		return err
	}
	a.clock = trusted
	a.onClose(trusted.Persist)
	a.beside(func(ctx context.Context) {
		trusted.Run(ctx, func(err error) { a.log.Error("trusted time not written down", "err", err) })
	})
	return nil
}

func (a *app) openDatabases(ctx context.Context) (err error) {
	if a.sealed, err = sqldb.Open(ctx, a.path("sealed.db"), sqldb.Durable); err != nil {
		return err
	}
	a.onClose(a.sealed.Close)
	if a.records, err = sqldb.Open(ctx, a.path("records.db"), sqldb.Cached); err != nil {
		return err
	}
	a.onClose(a.records.Close)
	return nil
}

func (a *app) openRecordings(ctx context.Context) error {
	catalogue, err := recordingsql.New(ctx, a.sealed)
	if err != nil {
		return err
	}
	keys, err := ringstore.OpenKeyFiles(a.path("keys", "ring"))
	if err != nil {
		return err
	}
	ring, err := ringstore.Open(a.path("ring"), keys)
	if err != nil {
		return err
	}
	a.onClose(ring.Close)
	objects, err := a.openObjects(ctx)
	if err != nil {
		return err
	}
	a.recordings, err = recording.New(recording.Config{Dir: a.path("recording"), Node: a.cfg.Node, Clock: a.clock, Log: a.log,
		Registry: a.registry}, objects, catalogue, ring, a.ledger)
	if err != nil {
		return err
	}
	a.onClose(a.recordings.Close)
	a.beside(a.recordings.Run)
	return a.warnOfForeignPlaces(ctx)
}

// warnOfForeignPlaces tells of recordings that lie where no city's store is: they cannot be played, and their bytes can
// only be erased from there.
func (a *app) warnOfForeignPlaces(ctx context.Context) error {
	places, err := a.recordings.ForeignPlaces(ctx)
	if err != nil {
		return fmt.Errorf("look for recordings in former stores: %w", err)
	}
	for place, n := range places {
		a.log.Error("recordings lie in a store that no city has: configure it again until they are due", "place", place, "recordings", n)
	}
	return nil
}

// openRecords opens the call records and finishes what an earlier run of this node left: its recordings first, so that
// the records of its calls can say what was kept.
func (a *app) openRecords(ctx context.Context) error {
	store, err := cdrsql.New(ctx, a.records)
	if err != nil {
		return err
	}
	key, err := keyFile(a.path("keys", "records.key"))
	if err != nil {
		return err
	}
	a.cdr, err = cdr.New(store, cdr.Config{Node: a.cfg.Node, Key: key, QueuePath: a.path("records.queue"), Log: a.log, Registry: a.registry})
	if err != nil {
		return err
	}
	a.onClose(a.cdr.Shut)
	a.beside(a.cdr.Run)
	a.farewells = &farewells{Records: a.cdr, vault: a.vault, office: a.office, billing: a.billing, log: a.log, reached: map[call.ID]string{}}
	return a.closeLost(ctx)
}

// closeLost writes the records of calls that a crash cut off.
func (a *app) closeLost(ctx context.Context) error {
	recovered, err := a.recordings.Recover(ctx)
	if err != nil {
		return fmt.Errorf("finish recordings of the last run: %w", err)
	}
	kept := make(map[call.ID]call.RecordingSummary, len(recovered))
	for _, r := range recovered {
		kept[r.Call] = r.Summary
	}
	lost, err := a.cdr.CloseLost(ctx, a.cfg.Node,
		func(r call.Record) time.Time { return kept[r.ID].EndedAt },
		func(ctx context.Context, r call.Record) (call.RecordingSummary, error) {
			if sum, ok := kept[r.ID]; ok {
				return sum, nil
			}
			sum, ok, err := a.recordings.OfCall(ctx, r.City, r.ID) // sealed, and the record was not written any more
			if !ok {
				sum = call.RecordingSummary{State: call.RecordingNone}
			}
			return sum, err
		})
	if err != nil {
		return fmt.Errorf("close the calls of the last run: %w", err)
	}
	a.farewells.cutOff(ctx, lost...)
	a.farewells.charge(ctx, lost...)
	if len(lost) > 0 {
		a.log.Warn("calls of the last run ended with it", "calls", len(lost), "recordings", len(recovered))
	}
	return nil
}

func (a *app) openRouting(context.Context) (err error) {
	a.routing, err = routing.New(routingCities(a.cfg), memstore.New(time.Now), routing.Config{Node: a.cfg.Node, Log: a.log, Registry: a.registry})
	if err != nil {
		return err
	}
	a.beside(a.routing.Run)
	return nil
}

func (a *app) openMedia(context.Context) (err error) {
	if a.prompts, err = media.OpenLibrary(string(a.cfg.Prompts)); err != nil {
		return err
	}
	a.media, err = media.Open(media.Config{Addr: a.cfg.RTP.Listen, PortMin: a.cfg.RTP.Ports.Min, PortMax: a.cfg.RTP.Ports.Max,
		Deaf: a.cfg.RTP.rest(), SilenceLimit: a.cfg.SIP.Silence, Log: a.log, Registry: a.registry})
	if err != nil {
		return err
	}
	a.onClose(a.media.Close)
	return nil
}

func (a *app) openSIP(context.Context) error {
	a.board = &call.Switchboard{Node: a.cfg.Node, Queues: a.routing, Recorder: a.recordings, Records: a.farewells,
		Prompts: notices{a.cfg, a.prompts}, Partners: partnersOf(a.cfg), Terms: terms(a.cfg), Log: a.log}
	agents, err := readCredentials(a.cfg)
	if err != nil {
		return err
	}
	deps := sip.Deps{Log: a.log, Registry: a.registry, Media: a.media, Prompts: a.prompts, Entries: newEntries(a.cfg, a.routing),
		Identities: a.vault, Egress: a.vault, Switchboard: screening{a.board, a.cfg}, Agents: agents, Presence: a.routing}
	if a.sip, err = listenSIP(a.cfg, deps); err != nil {
		return err
	}
	a.board.Phones = dialling{a.sip, a.farewells}
	return nil
}

func (a *app) openConsole(ctx context.Context) error {
	store, err := consolesql.New(ctx, a.sealed)
	if err != nil {
		return err
	}
	a.tokens = console.NewTokens(store, nil)
	journal := console.NewJournal(store, leaves{a.ledger}, a.log)
	a.beside(func(ctx context.Context) { journal.Run(ctx, a.cities()...) })
	a.console, err = console.New(console.Config{Version: version(), Zones: zones(a.cfg), Profiles: a.cfg.Admin.Listen.Addr().IsLoopback(), Log: a.log, Registry: a.registry}, console.Deps{
		Calls: a.cdr, Recordings: playable{a.recordings}, Agents: people{a.routing}, Queues: queueLines{a.routing, a.cfg},
		Ledger: leaves{a.ledger}, Tiles: ledger.Public(a.ledger), Office: a.office, Numbers: a.vault, Board: openBoard{a.board, &a.draining},
		Partners: partnersOf(a.cfg).list, Tokens: a.tokens, Journal: journal, Checks: a.checks()})
	if err != nil {
		return err
	}
	if a.http, err = listenHTTP(a.cfg); err != nil {
		return err
	}
	a.onClose(closeListener(a.http))
	if a.admin, err = listenAdmin(a.cfg); err != nil {
		return err
	}
	a.onClose(closeListener(a.admin))
	return a.writeTokens(ctx)
}

// checks are what /readyz asks.
func (a *app) checks() []console.Check {
	return []console.Check{
		{Name: "draining", Check: func(context.Context) error {
			if a.draining.Load() {
				return errors.New("no new calls are taken")
			}
			return nil
		}},
		{Name: "records", Check: a.records.PingContext},
		{Name: "sealed", Check: a.sealed.PingContext},
		{Name: "ledger", Check: func(context.Context) error {
			for city, err := range a.ledger.Frozen() {
				return fmt.Errorf("city %s: %w", city, err)
			}
			return nil
		}},
		{Name: "sound", Check: func(context.Context) error {
			if a.media.PortsFree() == 0 {
				return errors.New("no port is free for another call")
			}
			return nil
		}},
	}
}
