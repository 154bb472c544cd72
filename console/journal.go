package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"callhall/call"
	"callhall/ledger"
)

// KindToken is the kind of the leaf that says that somebody was let in, or no longer is. Its facts: act, act_id, token,
// name, role, and agent, scope and expires where there are any.
const KindToken = "console.token/1"

// ActKind is what was done with a token.
type ActKind string

// The acts.
const (
	ActGrant  ActKind = "grant"  // to somebody who had none
	ActRenew  ActKind = "renew"  // another one, to somebody who had one
	ActRevoke ActKind = "revoke" // ended before its end
)

// Act is one thing that was done with a token. The verbs that do them work without a server, so the store keeps a journal
// of acts, and the server moves it into the ledger.
type Act struct {
	ID    string // "tka_" and 128 random bits; the leaf has it, so that a second one would be known
	Kind  ActKind
	Token Token
	At    time.Time
	Place string // where in the ledger to look for it before it is written again; empty before the first try
}

func newAct(kind ActKind, t Token, at time.Time) Act {
	return Act{ID: "tka_" + strings.TrimPrefix(string(call.NewID()), "cl_"), Kind: kind, Token: t, At: at}
}

// machine is who lets people in: whoever runs the machine that the data directory is on. It knows no more of them.
const machine = "machine"

// leaf is how the act stands in the ledger. The secret is not known here.
func (a Act) leaf() call.Leaf {
	facts := map[string]string{"act": string(a.Kind), "act_id": a.ID, "token": a.Token.ID, "name": allowed(a.Token.Name), "role": string(a.Token.Role),
		"expires": a.Token.ExpiresAt.UTC().Format(time.RFC3339)}
	if a.Token.Agent != "" {
		facts["agent"] = allowed(string(a.Token.Agent))
	}
	if len(a.Token.Scope) > 0 {
		words := make([]string, len(a.Token.Scope))
		for i, p := range a.Token.Scope {
			words[i] = string(p)
		}
		facts["scope"] = strings.Join(words, " ")
	}
	return call.Leaf{Kind: KindToken, At: a.At, Actor: machine, Facts: facts}
}

// allowed is a name as a ledger takes it. Issue makes no token under another; a row that was put there by hand must not
// hold up what comes after it.
func allowed(name string) string {
	if !ledger.CanAct(name) {
		return "refused"
	}
	return name
}

// ActStore keeps the journal. What it has taken is durable when it returns. console/sqlstore implements it.
type ActStore interface {
	// WaitingActs lists the city's acts that are not marked, in the order in which they were done.
	WaitingActs(ctx context.Context, city call.CityID) ([]Act, error)
	// TryAct keeps the place in the ledger from which on the act will stand, if it does.
	TryAct(ctx context.Context, id, place string) error
	// MarkAct says that the act is in the ledger.
	MarkAct(ctx context.Context, id string) error
	// Ledgered tells whether the grant or renewal that made a token is marked.
	Ledgered(ctx context.Context, token string) (bool, error)
}

// Book is the ledger, as far as the journal needs it.
type Book interface {
	// Append returns when the leaf is durable in the city's ledger.
	Append(ctx context.Context, city call.CityID, leaf call.Leaf) error
	// Place names the end of the city's ledger as it is now.
	Place(ctx context.Context, city call.CityID) (string, error)
	// Holds tells whether a leaf of this kind whose fact name is value stands in the city's ledger at place or after it.
	Holds(ctx context.Context, city call.CityID, place, kind, name, value string) (bool, error)
}

// Journal moves acts into the ledger: in order, each once. Its methods may be called from any goroutine.
type Journal struct {
	store ActStore
	book  Book
	log   *slog.Logger
	turn  chan struct{} // holds one thing while somebody moves acts
}

// NewJournal returns the journal in store, which goes into book.
func NewJournal(store ActStore, book Book, log *slog.Logger) *Journal {
	return &Journal{store: store, book: book, log: log, turn: make(chan struct{}, 1)}
}

// ErrNotLedgered says that the grant of a token is not in the ledger, and cannot be written there now.
var ErrNotLedgered = errors.New("the grant of the token is not in the ledger")

// Settle returns when the grant of t is in its city's ledger: at once where it was before. Errors: ErrNotLedgered, or the
// store's.
func (j *Journal) Settle(ctx context.Context, t Token) error {
	there, err := j.store.Ledgered(ctx, t.ID)
	if err != nil || there {
		return err
	}
	moved := j.Move(ctx, t.City)
	if there, err = j.store.Ledgered(ctx, t.ID); err != nil || there {
		return err // what failed after it is for the next to try
	}
	return fmt.Errorf("%w: %w", ErrNotLedgered, errors.Join(moved, ctx.Err()))
}

// Move writes what waits in the city's journal into its ledger, up to the first act that cannot be written.
func (j *Journal) Move(ctx context.Context, city call.CityID) error {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	acts, err := j.store.WaitingActs(ctx, city)
	if err != nil {
		return err
	}
	for _, a := range acts {
		if err := j.enter(ctx, city, a); err != nil {
			return fmt.Errorf("write act %s on %s into the ledger of %s: %w", a.ID, a.Token.ID, city, err)
		}
	}
	return nil
}

// enter writes one act, and then that it is written. Where the process ended between the two, or the ledger could not
// tell whether it took the leaf, the ledger is asked first: it is read from the place that was kept before the first try.
func (j *Journal) enter(ctx context.Context, city call.CityID, a Act) error {
	there, err := j.tried(ctx, city, a)
	if err != nil {
		return err
	}
	if !there {
		if err := j.book.Append(ctx, city, a.leaf()); err != nil {
			return err
		}
	}
	return j.store.MarkAct(context.WithoutCancel(ctx), a.ID)
}

// tried tells whether an earlier try wrote the act. Before the first one it keeps where the ledger ends.
func (j *Journal) tried(ctx context.Context, city call.CityID, a Act) (there bool, err error) {
	if a.Place != "" {
		return j.book.Holds(ctx, city, a.Place, KindToken, "act_id", a.ID)
	}
	place, err := j.book.Place(ctx, city)
	if err != nil {
		return false, err
	}
	return false, j.store.TryAct(ctx, a.ID, place)
}

// journalEvery is how often the journal is looked at for what verbs have written into it.
const journalEvery = time.Second

// Run moves what the journals of the cities have, every second, until ctx ends. The log says when one cannot be moved, and
// when it can again, once each.
func (j *Journal) Run(ctx context.Context, cities ...call.CityID) {
	held := map[call.CityID]bool{}
	tick := time.NewTicker(journalEvery)
	defer tick.Stop()
	for {
		for _, city := range cities {
			err := j.Move(ctx, city)
			if ctx.Err() != nil {
				return
			}
			j.tell(city, err, held[city])
			held[city] = err != nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (j *Journal) tell(city call.CityID, err error, before bool) {
	switch {
	case err != nil && !before:
		j.log.Error("acts on tokens wait for the ledger; new tokens are refused until it takes them", "city", city, "err", err)
	case err == nil && before:
		j.log.Info("the ledger has all acts on tokens again", "city", city)
	}
}
