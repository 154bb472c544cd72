package ani

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"callhall/call"
)

// KindBilled is the leaf of a batch of charged calls, written before the carrier gets it.
const KindBilled = "ani.billed/1"

const registerBatches Kind = "batch"

// A batch goes through these states, and a restart takes it on from where it stands: its charges are taken, which closes
// it; its leaf is written; the carrier has it.
const (
	batchFilling   = "filling"
	batchClosed    = "closed"  // its calls and their root are settled
	batchEntered   = "entered" // in the ledger
	batchDelivered = "delivered"
	batchEmpty     = "empty" // another process had taken all of its charges
)

// Batch is a batch of charged calls as it is shown.
type Batch struct {
	ID      string       `json:"id"`
	State   string       `json:"state" enum:"filling,closed,entered,delivered,empty"`
	At      time.Time    `json:"at"`
	Carrier call.TrunkID `json:"carrier"`
	Tariff  string       `json:"tariff"`
	Calls   int          `json:"calls"`
	Root    string       `json:"root,omitempty"` // of the Merkle tree over the calls, in hexadecimal, as in the ledger
	File    string       `json:"file,omitempty"` // its name in the carrier's directory
}

type batchBody struct {
	Trunk   call.TrunkID `json:"trunk"`
	Tariff  string       `json:"tariff"`
	Charges []string     `json:"charges"` // entries, in the order of the tree
	Hashes  []treeHash   `json:"hashes"`
	Root    treeHash     `json:"root"`
}

func (v *Vault) batches() register[batchBody] { return register[batchBody]{v, registerBatches} }

// billMark finds entries by what they are, where other registers find them by a number.
func billMark(parts ...string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "callhall billing %q", parts))
	return sum[:tokenSize]
}

var pendingMark = billMark("pending")

// Bill finishes what is under way, and puts every open charge of the city into a batch and sends it. What one carrier
// cannot take does not hold up the others; it stays for the next time.
func (b *Billing) Bill(ctx context.Context, city call.CityID) ([]Batch, error) {
	return b.bill(ctx, city, false)
}

func (b *Billing) bill(ctx context.Context, city call.CityID, onlyDue bool) (sent []Batch, err error) {
	b.billing.Lock()
	defer b.billing.Unlock()
	pending, err := b.vault.batches().with(ctx, city, pendingMark)
	if err != nil {
		return nil, fmt.Errorf("bill the calls of %s: %w", city, err)
	}
	var errs []error
	for _, k := range pending {
		k, err := b.finish(ctx, k)
		sent, errs = append(sent, shownBatch(k)), append(errs, err)
	}
	carriers := b.cfg.Cities[city].Carriers
	for _, trunk := range slices.Sorted(maps.Keys(carriers)) {
		more, err := b.billCarrier(ctx, city, trunk, onlyDue)
		sent, errs = append(sent, more...), append(errs, err)
	}
	return sent, wrapUnless(errors.Join(errs...), "bill the calls of %s", city)
}

// billCarrier makes batches of the open charges of one carrier.
func (b *Billing) billCarrier(ctx context.Context, city call.CityID, trunk call.TrunkID, onlyDue bool) (sent []Batch, err error) {
	open, err := b.vault.charges().with(ctx, city, billMark("open", string(trunk)))
	if err != nil {
		return nil, err
	}
	cfg, now := b.cfg.Cities[city], b.now()
	for len(open) > 0 {
		if onlyDue && len(open) < cfg.Calls && now.Sub(open[0].At) < cfg.Every {
			return sent, nil
		}
		n := min(len(open), cfg.Calls)
		k, err := b.begin(ctx, city, trunk, open[:n])
		if err == nil {
			k, err = b.finish(ctx, k)
		}
		if err != nil {
			return sent, err
		}
		sent, open = append(sent, shownBatch(k)), open[n:]
	}
	return sent, nil
}

// begin writes down which charges a new batch is to take, so that nothing that comes between loses one or takes it twice.
func (b *Billing) begin(ctx context.Context, city call.CityID, trunk call.TrunkID, open []kept[chargeBody]) (kept[batchBody], error) {
	now := b.now()
	k := kept[batchBody]{Entry: Entry{City: city, ID: entryID("bat", city, Person{}, ""), Token: pendingMark, State: batchFilling, At: now,
		DueAt: now.Add(disputable)}, Body: batchBody{Trunk: trunk, Tariff: b.cfg.Cities[city].Tariff}}
	for _, c := range open {
		k.Body.Charges = append(k.Body.Charges, c.ID)
	}
	return b.vault.batches().add(ctx, k)
}

// finish takes a batch from where it stands to its carrier. Every step can be done again.
func (b *Billing) finish(ctx context.Context, k kept[batchBody]) (kept[batchBody], error) {
	for _, step := range []struct {
		from string
		do   func(context.Context, *kept[batchBody]) error
		to   string
	}{{batchFilling, b.fill, batchClosed}, {batchClosed, b.enter, batchEntered}, {batchEntered, b.deliver, batchDelivered}} {
		if k.State != step.from {
			continue
		}
		next := k
		next.State = step.to
		if err := step.do(ctx, &next); err != nil {
			return k, fmt.Errorf("batch %s for %s, which is %s: %w", k.ID, k.Body.Trunk, k.State, err)
		}
		var err error
		if k, err = b.vault.batches().replace(ctx, next); err != nil {
			return k, err
		}
	}
	return k, nil
}

// fill takes the charges, and settles the tree over them.
func (b *Billing) fill(ctx context.Context, k *kept[batchBody]) error {
	taken := batchBody{Trunk: k.Body.Trunk, Tariff: k.Body.Tariff}
	for _, id := range k.Body.Charges {
		c, mine, err := b.take(ctx, k.City, id, k.ID)
		if err != nil {
			return err
		}
		if mine {
			taken.Charges, taken.Hashes = append(taken.Charges, id), append(taken.Hashes, hashCall(c))
		}
	}
	if len(taken.Charges) == 0 {
		k.State, k.Token = batchEmpty, nil
	} else {
		taken.Root = treeRoot(taken.Hashes)
	}
	k.Body = taken
	return nil
}

// take puts a charge into a batch, unless it is in one or has been erased.
func (b *Billing) take(ctx context.Context, city call.CityID, id, batch string) (c kept[chargeBody], mine bool, err error) {
	c, err = b.vault.charges().get(ctx, city, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return c, false, nil
	case err != nil || c.Body.Batch != "":
		return c, c.Body.Batch == batch, err
	}
	c.State, c.Token, c.Body.Batch = chargeBilled, nil, batch
	taken, err := b.vault.charges().replace(ctx, c)
	if errors.Is(err, ErrConflict) {
		return c, false, nil // another process was faster
	}
	return taken, err == nil, err
}

// enter writes the batch's leaf, unless a run that was cut off has written it.
func (b *Billing) enter(ctx context.Context, k *kept[batchBody]) error {
	carrier, err := b.carrier(k)
	if err != nil {
		return err
	}
	there, err := b.vault.written(ctx, k.City, k.At, []string{k.ID})
	if err != nil {
		return fmt.Errorf("look for its leaf: %w", err)
	}
	if slices.Contains(there, k.ID) {
		return nil
	}
	leaf := call.Leaf{Kind: KindBilled, At: k.At, Actor: "engine", Facts: map[string]string{"batch": k.ID, "carrier": string(k.Body.Trunk),
		"tariff": k.Body.Tariff, "root": hex.EncodeToString(k.Body.Root[:]), "calls_count": strconv.Itoa(len(k.Body.Charges)), "recipient_key": carrier.Key()}}
	return wrapUnless(b.vault.ledger.Append(ctx, k.City, leaf), "ledger")
}

// deliver gives the batch to its carrier.
func (b *Billing) deliver(ctx context.Context, k *kept[batchBody]) error {
	carrier, err := b.carrier(k)
	if err != nil {
		return err
	}
	text := batchHeader(*k)
	for _, id := range k.Body.Charges {
		c, err := b.vault.charges().get(ctx, k.City, id)
		if err != nil {
			clear(text)
			return err
		}
		text = appendCall(text, c)
	}
	defer clear(text)
	k.Token = nil
	return carrier.Deliver(ctx, batchFile(k.ID), text)
}

func (b *Billing) carrier(k *kept[batchBody]) (Carrier, error) {
	c, ok := b.cfg.Cities[k.City].Carriers[k.Body.Trunk]
	if !ok {
		return nil, fmt.Errorf("%w: the carrier is no longer configured", errTariff)
	}
	return c, nil
}

func (b *Billing) now() time.Time { return b.vault.cfg.Now().UTC() }

func batchFile(id string) string { return id + ".jsonl.age" }

func shownBatch(k kept[batchBody]) Batch {
	b := Batch{ID: k.ID, State: k.State, At: k.At, Carrier: k.Body.Trunk, Tariff: k.Body.Tariff, Calls: len(k.Body.Charges)}
	if k.State != batchFilling && k.State != batchEmpty {
		b.Root, b.File = hex.EncodeToString(k.Body.Root[:]), batchFile(k.ID)
	}
	return b
}
