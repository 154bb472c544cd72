package main

import (
	"fmt"
	"time"

	"callhall/ani"
	"callhall/call"
)

// What stands here is the configuration in the words of package ani and of those it asks.

// vaultConfig is what the cities have chosen for callers' numbers.
func vaultConfig(cfg Config) ani.Config {
	c := ani.Config{Keep: map[call.CityID]time.Duration{}, Profiles: map[call.CityID]ani.Profile{},
		Narrow: map[call.CityID]ani.Narrowing{}, Areas: map[call.CityID]map[string]string{},
		Tariffs: map[call.CityID]bool{}}
	for _, city := range cfg.Cities {
		c.Cities = append(c.Cities, city.ID)
		c.Keep[city.ID] = city.ANI.Retention
		c.Areas[city.ID] = city.ANI.Areas
		c.Tariffs[city.ID] = city.Billing.Tariff != ""
		c.Narrow[city.ID] = ani.Narrowing{Purposes: city.ANI.Narrow.Purposes, Recipients: city.ANI.Narrow.Recipients}
		if p := city.ANI.Profile; p != "" {
			c.Profiles[city.ID] = ani.Profile(p)
		}
	}
	return c
}

// capsOf is what the cities have chosen for reveals.
func capsOf(cfg Config) map[call.CityID]ani.Caps {
	caps := map[call.CityID]ani.Caps{}
	for _, city := range cfg.Cities {
		caps[city.ID] = ani.Caps{PerActor: city.ANI.Caps.AgentReveals, PerCity: city.ANI.Caps.CityReveals}
	}
	return caps
}

// directory is whom the cities' calls may be carried on to. It is a call.Partners.
type directory map[call.CityID][]call.Partner

func partnersOf(cfg Config) directory {
	d := directory{}
	for _, city := range cfg.Cities {
		for _, p := range city.Partners {
			d[city.ID] = append(d[city.ID], call.Partner{ID: p.ID, Kind: call.PartnerKind(p.Kind), Name: p.Name})
		}
	}
	return d
}

func (d directory) list(city call.CityID) []call.Partner { return d[city] }

// Partner implements call.Partners.
func (d directory) Partner(city call.CityID, id call.PartnerID) (call.Partner, error) {
	for _, p := range d[city] {
		if p.ID == id {
			return p, nil
		}
	}
	return call.Partner{}, fmt.Errorf("%s of %s: %w", id, city, call.ErrUnknownPartner)
}
