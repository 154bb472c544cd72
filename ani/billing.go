package ani

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"callhall/call"
)

// Billing writes a charging record of every call for which its city charges (D05) and hands them to the carriers: batch by
// batch, sealed to the carrier that brought the calls, each batch with one leaf in the ledger. A city without a tariff has
// none of this (D07). It is safe for concurrent use. One process bills a city.
type Billing struct {
	vault *Vault
	cfg   BillingConfig

	billing sync.Mutex // one at a time makes batches

	mu   sync.Mutex
	late []Charge // what neither ledger nor store could take at the time
}

// BillingConfig has what may be set. Zero values are filled in.
type BillingConfig struct {
	Cities map[call.CityID]CityBilling // those that have a tariff; the vault's Config.Tariffs names the same
	Log    *slog.Logger                // nil: the vault's
}

// CityBilling is how one city charges.
type CityBilling struct {
	Tariff   string                   // its name: lower-case letters, digits (six at most) and dashes
	Every    time.Duration            // how old a charge gets before it goes out; default BillEvery
	Calls    int                      // a batch goes out as soon as it has so many; default and at most MaxBatch
	Carriers map[call.TrunkID]Carrier // calls that came by another trunk are not charged
}

// Carrier is the way to one carrier.
type Carrier interface {
	// Deliver seals a batch so that nobody but the carrier can open it, and makes it appear under that name whole or not
	// at all; it is durable when Deliver returns. Under a name that is there nothing is changed. It keeps nothing of batch.
	Deliver(ctx context.Context, name string, batch []byte) error
	// Key is the SHA-256 of the carrier's public key, in lower-case hexadecimal.
	Key() string
}

const (
	// BillEvery is how long a charge waits for its batch, unless the configuration says otherwise.
	BillEvery = 24 * time.Hour
	// MaxBatch is the most calls that a batch can have.
	MaxBatch = 1000
)

// Charge is a call that is over, as far as it is charged for.
type Charge struct {
	City  call.CityID
	Call  call.ID
	Trunk call.TrunkID // that it came in by
	Began time.Time    // when we answered; zero for a call that was not: that costs nothing
	Ended time.Time
}

// registerCharges keeps the charging records, with the caller's number, until a charge can no longer be disputed.
const registerCharges Kind = "charge"

// The states of a charge.
const (
	chargeOpen   = "open"
	chargeBilled = "billed" // it stands in a batch, or is about to
)

// chargeBody is a charging record. Identity's other fields are not needed for a charge, and are not kept.
type chargeBody struct {
	Trunk   call.TrunkID      `json:"trunk"`
	Began   time.Time         `json:"began"`
	Seconds int64             `json:"seconds"`
	Number  bodyNumber        `json:"number"`  // none where the terms gave none
	Billing bodyNumber        `json:"billing"` // P-Charge-Info (RFC 8496), where the trunk is believed it
	Private bool              `json:"private"`
	Status  call.CallerStatus `json:"status"`
	Verstat call.Verstat      `json:"verstat"`
	Source  Source            `json:"source"`
	Release call.ReleaseID    `json:"release"` // the decision's, as in the ledger
	Salt    []byte            `json:"salt"`
	Batch   string            `json:"batch"` // empty while it is open
}

var (
	tariffName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

	errTariff = errors.New("ani: this is no tariff that can be charged by")
)

// NewBilling returns the billing of the cities over a vault. Every city that the vault charges for has its tariff here,
// and carriers to send it to.
func NewBilling(v *Vault, cfg BillingConfig) (*Billing, error) {
	if cfg.Log == nil {
		cfg.Log = v.cfg.Log
	}
	filled := map[call.CityID]CityBilling{}
	for city, c := range cfg.Cities {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("billing of %s: %w", city, err)
		}
		if !v.cfg.Tariffs[city] {
			return nil, fmt.Errorf("billing of %s: %w: the vault has none for it", city, errTariff)
		}
		filled[city] = c.filled()
	}
	for city, charges := range v.cfg.Tariffs {
		if _, ok := filled[city]; charges && !ok {
			return nil, fmt.Errorf("billing of %s: %w: no carrier is named", city, errTariff)
		}
	}
	cfg.Cities = filled
	return &Billing{vault: v, cfg: cfg}, nil
}

func (c CityBilling) check() error {
	switch {
	case CheckTariff(c.Tariff) != nil:
		return CheckTariff(c.Tariff)
	case len(c.Carriers) == 0:
		return fmt.Errorf("%w: no carrier is named", errTariff)
	case c.Every < 0 || c.Calls < 0 || c.Calls > MaxBatch:
		return fmt.Errorf("%w: a batch has at most %d calls, and no time or size below zero", errTariff, MaxBatch)
	default:
		return nil
	}
}

// CheckTariff tells what is wrong with the name of a tariff: it stands in leaves and batches.
func CheckTariff(name string) error {
	if !tariffName.MatchString(name) || !plainCase(name) {
		return fmt.Errorf("%w: its name has lower-case letters, dashes and at most six digits", errTariff)
	}
	return nil
}

func (c CityBilling) filled() CityBilling {
	if c.Every == 0 {
		c.Every = BillEvery
	}
	if c.Calls == 0 {
		c.Calls = MaxBatch
	}
	return c
}

// Charge enters the charging record of a call: decided as D05 with its leaf, then written. Where the terms give no number
// the record has none: the call is charged for all the same. A call that is not charged for is nothing, and one that was
// charged for before stays as it is. What fails is tried again by Run; a crash loses what failed.
func (b *Billing) Charge(ctx context.Context, c Charge) error {
	if _, charged := b.cfg.Cities[c.City].Carriers[c.Trunk]; !charged || c.Began.IsZero() || c.Ended.Before(c.Began) {
		return nil
	}
	if err := b.charge(ctx, c); err != nil {
		b.postpone(c)
		return fmt.Errorf("charge for %s: %w", c.Call, err)
	}
	return nil
}

func (b *Billing) charge(ctx context.Context, c Charge) error {
	charges := b.vault.charges()
	if _, err := charges.get(ctx, c.City, chargeID(c.City, c.Call)); !errors.Is(err, ErrNotFound) {
		return err
	}
	d, err := b.vault.decide(ctx, Request{City: c.City, Call: c.Call, Purpose: PurposeBilling, Recipient: RecipientEngine,
		Relation: RelationNone, Actor: "engine", To: string(c.Trunk)})
	if err := errors.Join(err, b.vault.record(ctx, d)); err != nil {
		return err
	}
	_, err = charges.add(ctx, newCharge(c, d))
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// newCharge is the record of a call after its decision.
func newCharge(c Charge, d decision) kept[chargeBody] {
	body := chargeBody{Trunk: c.Trunk, Began: c.Began.UTC(), Seconds: wholeSeconds(c.Ended.Sub(c.Began)), Private: d.who.Private,
		Status: d.who.Status, Verstat: d.who.Verstat, Source: d.who.Source, Release: d.release, Salt: newSalt()}
	if d.ruling.Decision == Full {
		body.Number, body.Billing = bodyNumber{d.who.Number}, bodyNumber{d.who.Charge}
	}
	at := d.at.UTC()
	return kept[chargeBody]{Entry: Entry{City: c.City, ID: chargeID(c.City, c.Call), Call: c.Call, Token: billMark("open", string(c.Trunk)),
		State: chargeOpen, At: at, DueAt: at.Add(disputable)}, Body: body}
}

// disputable is how long a charge can be disputed, and how long its record is kept: D05, D06.
const disputable = 90 * day

// wholeSeconds counts a second that has begun.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func (v *Vault) charges() register[chargeBody] { return register[chargeBody]{v, registerCharges} }

// chargeID is always the same for a call: it is charged for once.
func chargeID(city call.CityID, id call.ID) string { return derivedID("chg", string(city), string(id)) }

// findFor is find. A charge can be disputed when the vault has erased the number long since: then the charging record has
// it, for the carrier in whose batch it stands and for nobody else.
func (v *Vault) findFor(ctx context.Context, r Request) (held, error) {
	h, err := v.find(ctx, r.City, r.Call)
	if err != nil || !h.Number.IsZero() || r.Purpose != PurposeDispute || r.Relation != RelationCarried {
		return h, err
	}
	k, err := v.charges().get(ctx, r.City, chargeID(r.City, r.Call))
	if errors.Is(err, ErrNotFound) || err == nil && !v.cfg.Now().Before(k.DueAt) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	b := k.Body
	return held{Identity: Identity{Number: b.Number.Number, Charge: b.Billing.Number, Private: b.Private, Status: b.Status,
		Verstat: b.Verstat, Source: b.Source}}, nil
}

// maxLateCharges bounds what waits for a ledger that is away.
const maxLateCharges = 10_000

func (b *Billing) postpone(c Charge) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.late) < maxLateCharges {
		b.late = append(b.late, c)
		return
	}
	b.cfg.Log.Error("a call is not charged for: too many wait already", "call", c.Call, "city", c.City)
}

// chargeLate tries again what failed.
func (b *Billing) chargeLate(ctx context.Context) error {
	b.mu.Lock()
	late := b.late
	b.late = nil
	b.mu.Unlock()
	var errs []error
	for i, c := range late {
		if err := b.Charge(ctx, c); err != nil {
			for _, rest := range late[i+1:] { // what stops one stops them all
				b.postpone(rest)
			}
			errs = append(errs, err)
			break
		}
	}
	return errors.Join(errs...)
}

// billingTick is how often Run looks whether a batch is due.
const billingTick = time.Minute

// Run finishes what the last run left, and sends batches as they fall due, until ctx ends.
func (b *Billing) Run(ctx context.Context) {
	tick := time.NewTicker(billingTick)
	defer tick.Stop()
	for {
		if err := b.BillDue(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Log.Error("calls are not billed as they should; tried again in a minute", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// BillDue is one round of Run: it enters the charges that failed, finishes the batches that are under way, and sends those
// that are full or whose oldest charge has waited long enough.
func (b *Billing) BillDue(ctx context.Context) error {
	errs := []error{b.chargeLate(ctx)}
	for _, city := range slices.Sorted(maps.Keys(b.cfg.Cities)) {
		_, err := b.bill(ctx, city, true)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
