package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"callhall/ani"
	anisql "callhall/ani/sqlstore"
	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/httpwitness"
	"callhall/ledger/s3witness"
	ledgersql "callhall/ledger/sqlstore"
)

// What stands here opens the ledger, the vault of callers' numbers and the privacy offices.

func (a *app) openLedger(ctx context.Context) error {
	store, err := ledgersql.Open(ctx, a.sealed)
	if err != nil {
		return err
	}
	witnesses, err := a.witnesses()
	if err != nil {
		return err
	}
	a.ledger, err = ledger.Open(ctx, store, ledger.KeyDir(a.path("keys")), ledger.WitnessDir(a.path("checkpoints")), ledger.Config{
		Cities: a.cities(), Witnesses: witnesses, Log: a.log, Registry: a.registry})
	if err != nil {
		return err
	}
	a.onClose(a.ledger.Close)
	return nil
}

// witnesses are the other places for checkpoints. None of them has been spoken to yet.
func (a *app) witnesses() (all []ledger.Witness, err error) {
	for _, w := range a.cfg.Ledger.Witnesses {
		one, err := a.witness(w)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (a *app) witness(w WitnessConfig) (ledger.Witness, error) {
	switch {
	case w.Dir != "":
		return ledger.WitnessDir(w.Dir), nil
	case w.URL != "":
		return httpwitness.New(httpwitness.Config{URL: w.URL, Key: w.Key, Dir: a.path("cosigned", digest(w.URL))})
	}
	bucket, err := s3witness.New(s3witness.Config{Endpoint: w.S3.url(), Bucket: w.S3.Bucket, Region: w.S3.Region,
		AccessKeyFile: string(w.S3.AccessKeyFile), SecretKeyFile: string(w.S3.SecretKeyFile)})
	if err != nil {
		return nil, err
	}
	a.onClose(func() error { bucket.Close(); return nil })
	return bucket, nil
}

// digest is a name for a file that belongs to text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (a *app) openVault(ctx context.Context) error {
	store, err := anisql.Open(ctx, a.sealed)
	if err != nil {
		return err
	}
	cfg := vaultConfig(a.cfg)
	if cfg.Verifier, err = a.openVerifier(); err != nil {
		return err
	}
	if cfg.Signers, err = signersOf(a.cfg); err != nil {
		return err
	}
	cfg.Now, cfg.Log, cfg.Registry, cfg.Spool = a.clock.Now, a.log, a.registry, a.path("ani.spool")
	cfg.Written = func(ctx context.Context, city call.CityID, since time.Time, ids []string) ([]string, error) {
		return written(ctx, a.ledger, city, since, ids)
	}
	a.vault, err = ani.NewVault(store, a.ledger, ani.KeyDir(a.path("keys")), cfg)
	if err != nil {
		return err
	}
	a.onClose(a.vault.Close)
	if err := a.vault.Load(ctx); err != nil {
		return err
	}
	a.beside(a.vault.Run)
	a.beside(a.expireNumbers)
	return nil
}

// expireEvery is how often numbers that have come to their due time are erased.
const expireEvery = time.Minute

// expireNumbers erases callers' numbers as they fall due.
func (a *app) expireNumbers(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		if _, err := a.vault.Expire(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("callers' numbers not erased when due; tried again in a minute", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// openOffice opens the privacy offices of the cities. A city whose registers cannot be read is no reason to take no calls:
// until they can be, it is decided for by the strictest.
func (a *app) openOffice(ctx context.Context) (err error) {
	a.office, err = ani.NewOffice(a.vault, ani.OfficeConfig{Calls: handlings{a}, Caps: capsOf(a.cfg), Log: a.log, Registry: a.registry})
	if err != nil {
		return err
	}
	if err := a.office.Load(ctx, a.cities()...); err != nil {
		a.log.Error("a city's registers about callers' numbers cannot be read; it is decided for by the strictest", "err", err)
	}
	a.beside(func(ctx context.Context) { a.office.Run(ctx, a.cities()...) })
	return nil
}
