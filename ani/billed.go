package ani

import (
	"context"
	"fmt"

	"callhall/call"
)

// KindBillProof is the leaf of a proof that was given out with its salt.
const KindBillProof = "ani.bill-proof/1"

// Batches lists the batches of charged calls, newest first, from below the entry after. There is no number in them.
func (o *Office) Batches(ctx context.Context, city call.CityID, after string, limit int) ([]Batch, error) {
	return paged(ctx, o.vault.batches(), city, after, limit, shownBatch)
}

// ProveBilled proves that a call stands in a batch. The salt comes with it, after a leaf, for the one person to whom the
// number was revealed for a dispute of this call. Errors: ErrNotPermitted, ErrNotFound.
func (o *Office) ProveBilled(ctx context.Context, city call.CityID, id call.ID, by Person) (BatchProof, error) {
	p, err := o.proveBilled(ctx, city, id, by)
	if err != nil {
		return BatchProof{}, fmt.Errorf("prove that %s was billed: %w", id, err)
	}
	return p, nil
}

func (o *Office) proveBilled(ctx context.Context, city call.CityID, id call.ID, by Person) (BatchProof, error) {
	if err := permit(by, RolePrivacy, RoleRecords, RoleSupervisor); err != nil {
		return BatchProof{}, err
	}
	b, c, err := o.batchOf(ctx, city, id)
	if err != nil {
		return BatchProof{}, err
	}
	p, ok := b.Body.proof(c.ID)
	if !ok || b.State != batchDelivered && b.State != batchEntered {
		return BatchProof{}, ErrNotFound
	}
	p.Batch, p.City, p.Call = b.ID, city, id
	return p, o.addSalt(ctx, &p, c, by)
}

// addSalt adds what ties the hash to the number, for who was shown the number.
func (o *Office) addSalt(ctx context.Context, p *BatchProof, c kept[chargeBody], by Person) error {
	asks, err := o.asks.of(ctx, c.City, c.Call)
	if err != nil {
		return err
	}
	for _, k := range asks {
		b := k.Body
		if k.State != string(AskRevealed) || b.Purpose != PurposeDispute || by.Actor != b.By.Actor || !o.now().Before(b.ExpiresAt) {
			continue
		}
		err := o.record(ctx, c.City, KindBillProof, c.Call, by, map[string]string{"batch_ref": p.Batch, "entry": k.ID, "release_ref": string(b.Release)})
		if err != nil {
			return err
		}
		p.Salt = c.Body.Salt
		return nil
	}
	return nil
}

// batchOf finds the batch in which a call stands. Errors: ErrNotFound.
func (o *Office) batchOf(ctx context.Context, city call.CityID, id call.ID) (b kept[batchBody], c kept[chargeBody], err error) {
	if c, err = o.vault.charges().get(ctx, city, chargeID(city, id)); err != nil {
		return b, c, err
	}
	if c.Body.Batch == "" || !o.now().Before(c.DueAt) {
		return b, c, ErrNotFound
	}
	b, err = o.vault.batches().get(ctx, city, c.Body.Batch)
	return b, c, err
}
