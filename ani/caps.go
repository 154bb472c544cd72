package ani

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"callhall/call"
)

// capWindow is what is counted together.
const capWindow = time.Hour

// Caps are the most FULL numbers that persons may be shown in an hour. Zero is the default's.
type Caps struct {
	PerActor int // to one person
	PerCity  int // to everybody in the city
}

// DefaultCaps are the caps of a city that has chosen none; a city can choose lower ones only.
var DefaultCaps = Caps{PerActor: 20, PerCity: 200}

// searchCaps are the most searches by number in an hour, whatever comes of them.
var searchCaps = Caps{PerActor: 60, PerCity: 300}

func (c Caps) narrows() error {
	if c.PerActor < 0 || c.PerActor > DefaultCaps.PerActor || c.PerCity < 0 || c.PerCity > DefaultCaps.PerCity {
		return fmt.Errorf("its caps on reveals must be at most %d an hour for one person and %d for the city", DefaultCaps.PerActor, DefaultCaps.PerCity)
	}
	return nil
}

func (o *Office) capsOf(city call.CityID) Caps {
	c := o.cfg.Caps[city]
	if c.PerActor == 0 {
		c.PerActor = DefaultCaps.PerActor
	}
	if c.PerCity == 0 {
		c.PerCity = DefaultCaps.PerCity
	}
	return c
}

// registerCounts has, for each city and thing that is counted, who did it in the last hour. It stands in the store, so that
// all nodes count as one.
const registerCounts Kind = "count"

// counted is a thing that has caps.
type counted string

const (
	countReveals  counted = "reveals"
	countSearches counted = "searches"
)

type countBody struct {
	Acts []signature `json:"acts"` // oldest first; no more than the city's cap
}

// room takes one act out of the caps and returns how to give it back. Errors: ErrTooMany, after the alarm.
func (o *Office) room(ctx context.Context, city call.CityID, what counted, most Caps, by Person) (giveBack func() error, err error) {
	act, over := o.sign(by), ""
	err = o.count(ctx, city, what, func(recent []signature) []signature {
		if over = most.reached(recent, by); over != "" {
			return recent
		}
		return append(recent, act)
	})
	if err != nil {
		return nil, fmt.Errorf("count the %s of the last hour: %w", what, err)
	}
	if over != "" {
		return nil, o.overCap(ctx, city, what, over, by)
	}
	return func() error { return o.giveRoomBack(context.WithoutCancel(ctx), city, what, act) }, nil
}

// reached says which cap has no room left for a person, if any.
func (c Caps) reached(recent []signature, by Person) string {
	own := 0
	for _, s := range recent {
		if by.is(s) {
			own++
		}
	}
	switch {
	case own >= c.PerActor:
		return "actor"
	case len(recent) >= c.PerCity:
		return "city"
	default:
		return ""
	}
}

func (o *Office) giveRoomBack(ctx context.Context, city call.CityID, what counted, act signature) error {
	return o.count(ctx, city, what, func(recent []signature) []signature {
		same := func(s signature) bool { return s.Actor == act.Actor && s.At.Equal(act.At) }
		if i := slices.IndexFunc(recent, same); i >= 0 {
			return slices.Delete(recent, i, i+1)
		}
		return recent
	})
}

// countTries is how often a count is begun again because another node has counted meanwhile.
const countTries = 100

// count alters what was counted in the last hour. Acts of one process wait for each other by a lock of the city's; those of
// two nodes find out by the entry's version.
func (o *Office) count(ctx context.Context, city call.CityID, what counted, alter func(recent []signature) []signature) error {
	defer o.locks.lock(registerCounts, city, string(what))()
	var err error
	for range countTries {
		if err = o.countOnce(ctx, city, what, alter); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return err
		}
	}
	return err
}

func (o *Office) countOnce(ctx context.Context, city call.CityID, what counted, alter func([]signature) []signature) error {
	now := o.now()
	k, err := o.counts.get(ctx, city, derivedID("cnt", string(city), string(what)))
	begun := !errors.Is(err, ErrNotFound)
	if begun && err != nil {
		return err
	}
	if !begun {
		k = kept[countBody]{Entry: Entry{City: city, ID: derivedID("cnt", string(city), string(what)), State: string(what), At: now}}
	}
	recent := slices.DeleteFunc(k.Body.Acts, func(s signature) bool { return now.Sub(s.At) >= capWindow })
	before := len(recent)
	k.Body.Acts, k.DueAt = alter(recent), now.Add(24*capWindow)
	switch {
	case len(k.Body.Acts) == before:
		return nil
	case begun:
		_, err = o.counts.replace(ctx, k)
	default:
		_, err = o.counts.add(ctx, k)
	}
	return err
}

// overCap raises the alarm: a metric, an Error line, a leaf, and a notice to the owner, one for each person and hour.
func (o *Office) overCap(ctx context.Context, city call.CityID, what counted, over string, by Person) error {
	alarm := map[counted]string{countReveals: "cap-", countSearches: "search-cap-"}[what] + over
	o.alarms.WithLabelValues(alarm).Inc()
	o.cfg.Log.Error("a cap on what persons may see of caller numbers was reached: ask the privacy officer of the city",
		"city", city, "actor", by.Actor, "cap", alarm)
	hour := stamp(o.now().Truncate(capWindow))
	err := o.notify(ctx, city, notice{about: NoticeCap, ref: strings.TrimPrefix(alarm, "cap-") + " " + hour, once: by.Actor}, by)
	if err != nil {
		return fmt.Errorf("%w; %w", ErrTooMany, err)
	}
	return fmt.Errorf("%w: the cap of one %s on %s", ErrTooMany, over, what)
}
