package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"callhall/ani"
	"callhall/ani/agefile"
	"callhall/call"
)

// BillingConfig says how a city charges for calls (docs/billing.md). Without a tariff it does not, and there is no purpose
// of billing for which anybody could have a number.
type BillingConfig struct {
	Tariff   string          `yaml:"tariff"` // its name
	Every    time.Duration   `yaml:"every"`  // how old a charge gets before it goes out
	Calls    int             `yaml:"calls"`  // a batch goes out as soon as it has so many
	Carriers []CarrierConfig `yaml:"carriers"`
}

// CarrierConfig is to whom the calls of one trunk are charged, and where their batches are left.
type CarrierConfig struct {
	Trunk     call.TrunkID `yaml:"trunk"`
	Recipient string       `yaml:"recipient"` // the carrier's public key of age: age1…
	Dir       Path         `yaml:"dir"`       // empty means DATA_DIR/billing/CITY/TRUNK
}

// placeBatches names the directory of each carrier whose entry names none.
func (c *Config) placeBatches() {
	for i := range c.Cities {
		for j := range c.Cities[i].Billing.Carriers {
			carrier := &c.Cities[i].Billing.Carriers[j]
			if carrier.Dir == "" {
				carrier.Dir = Path(filepath.Join(string(c.DataDir), "billing", string(c.Cities[i].ID), string(carrier.Trunk)))
			}
		}
	}
}

// billing checks how the city charges.
func (c checker) billing(path string, city CityConfig) {
	at, b := path+".billing", city.Billing
	if b.Tariff == "" {
		if len(b.Carriers) > 0 {
			c.fault(at+".tariff", "is missing; without a tariff there is nothing to bill to a carrier")
		}
		return
	}
	if err := ani.CheckTariff(b.Tariff); err != nil {
		c.fault(at+".tariff", "%q is no name of a tariff; write lower-case letters, dashes and at most six digits", b.Tariff)
	}
	if len(b.Carriers) == 0 {
		c.fault(at+".carriers", "is missing; a tariff without carriers charges nobody")
	}
	c.between(at+".every", b.Every, time.Minute, 30*24*time.Hour)
	if b.Calls < 1 || b.Calls > ani.MaxBatch {
		c.fault(at+".calls", "%d is out of bounds; it is 1 to %d", b.Calls, ani.MaxBatch)
	}
	seen := map[string]string{}
	for i, carrier := range b.Carriers {
		to := fmt.Sprintf("%s.carriers[%d]", at, i)
		c.known(to+".trunk", path+".trunks", string(carrier.Trunk), asWords(city.TrunkIDs()))
		c.once(seen, to+".trunk", string(carrier.Trunk), "a carrier")
		c.recipient(to+".recipient", carrier.Recipient)
	}
}

// recipient refuses what is no public key, without a word of what it is: it may be a secret.
func (c checker) recipient(path, key string) {
	if key == "" {
		c.fault(path, "is missing; it is the carrier's public key, age1…, for which the batches are sealed")
	} else if err := agefile.Check(key); err != nil {
		c.fault(path, "%s", strings.TrimPrefix(err.Error(), "agefile: "))
	}
}

// batchPlaces refuses one directory for two carriers: whoever fetches from it would see what is another's.
func (c checker) batchPlaces(cities []CityConfig) {
	keys := map[Path]string{}
	for i, city := range cities {
		for j, carrier := range city.Billing.Carriers {
			if carrier.Recipient == "" {
				continue
			}
			dir := Path(filepath.Clean(string(carrier.Dir)))
			if key, used := keys[dir]; used && key != carrier.Recipient {
				c.fault(fmt.Sprintf("cities[%d].billing.carriers[%d].dir", i, j), "%q is another carrier's; each has a directory of its own", string(carrier.Dir))
			}
			keys[dir] = carrier.Recipient
		}
	}
}

// billingOf is the configuration as ani wants it.
func billingOf(cfg Config) (ani.BillingConfig, error) {
	out := ani.BillingConfig{Cities: map[call.CityID]ani.CityBilling{}}
	for _, c := range cfg.Cities {
		if c.Billing.Tariff == "" {
			continue
		}
		b := ani.CityBilling{Tariff: c.Billing.Tariff, Every: c.Billing.Every, Calls: c.Billing.Calls, Carriers: map[call.TrunkID]ani.Carrier{}}
		for _, carrier := range c.Billing.Carriers {
			way, err := agefile.New(carrier.Recipient, string(carrier.Dir))
			if err != nil {
				return ani.BillingConfig{}, fmt.Errorf("billing of %s: carrier of %s: %w", c.ID, carrier.Trunk, err)
			}
			b.Carriers[carrier.Trunk] = way
		}
		out.Cities[c.ID] = b
	}
	return out, nil
}

// openBilling opens the charging of the cities that have a tariff.
func (a *app) openBilling(context.Context) error {
	cfg, err := billingOf(a.cfg)
	if err != nil {
		return err
	}
	if a.billing, err = ani.NewBilling(a.vault, cfg); err != nil {
		return err
	}
	if len(cfg.Cities) > 0 {
		a.beside(a.billing.Run)
	}
	return nil
}
