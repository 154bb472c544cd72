package ani

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"callhall/call"
)

// capWindow is what reveals are counted in.
const capWindow = time.Hour

// Caps are the most FULL numbers that may be revealed in an hour. Zero is the default's.
type Caps struct {
	PerActor int // by one person
	PerCity  int // by everybody in the city
}

// DefaultCaps are the caps of a city that has chosen none; a city can choose lower ones only.
var DefaultCaps = Caps{PerActor: 20, PerCity: 200}

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

// caps counts reveals of the last hour, in memory; what was before this process began is read from the disclosures.
type caps struct {
	mu     sync.Mutex
	cities map[call.CityID][]revealed
}

type revealed struct {
	actor string
	at    time.Time
}

// room takes one reveal out of the caps and returns how to give it back. Errors: ErrTooMany, after the alarm.
func (o *Office) room(ctx context.Context, city call.CityID, by Person) (giveBack func(), err error) {
	taken, over, err := o.takeRoom(ctx, city, by)
	if err != nil {
		return nil, err
	}
	if over != "" {
		return nil, o.overCap(ctx, city, by, over)
	}
	return func() { o.giveRoomBack(city, taken) }, nil
}

func (o *Office) takeRoom(ctx context.Context, city call.CityID, by Person) (r revealed, over string, err error) {
	now, most := o.now(), o.capsOf(city)
	o.caps.mu.Lock()
	defer o.caps.mu.Unlock()
	if err := o.countBefore(ctx, city, now); err != nil {
		return revealed{}, "", fmt.Errorf("count the reveals of the last hour: %w", err)
	}
	recent := slices.DeleteFunc(o.caps.cities[city], func(r revealed) bool { return now.Sub(r.at) >= capWindow })
	o.caps.cities[city] = recent
	own := 0
	for _, r := range recent {
		if r.actor == by.holder() {
			own++
		}
	}
	switch {
	case own >= most.PerActor:
		return revealed{}, "actor", nil
	case len(recent) >= most.PerCity:
		return revealed{}, "city", nil
	}
	r = revealed{by.holder(), now}
	o.caps.cities[city] = append(recent, r)
	return r, "", nil
}

// countBefore fills in, once, what another process of ours has revealed; mu is held.
func (o *Office) countBefore(ctx context.Context, city call.CityID, now time.Time) error {
	if _, counted := o.caps.cities[city]; counted {
		return nil
	}
	var recent []revealed
	err := through(ctx, o.asks, city, func(k kept[askBody]) bool {
		if !k.Body.Capped.IsZero() && now.Sub(k.Body.Capped) < capWindow {
			recent = append(recent, revealed{k.Body.By.Holder, k.Body.Capped})
		}
		return now.Sub(k.At) > longestAsk
	})
	if err != nil {
		return err
	}
	if o.caps.cities == nil {
		o.caps.cities = map[call.CityID][]revealed{}
	}
	o.caps.cities[city] = recent
	return nil
}

func (o *Office) giveRoomBack(city call.CityID, r revealed) {
	o.caps.mu.Lock()
	defer o.caps.mu.Unlock()
	if i := slices.Index(o.caps.cities[city], r); i >= 0 {
		o.caps.cities[city] = slices.Delete(o.caps.cities[city], i, i+1)
	}
}

// overCap raises the alarm: a metric, an Error line, a leaf, and a notice to the owner, one for each person and hour.
func (o *Office) overCap(ctx context.Context, city call.CityID, by Person, over string) error {
	o.alarms.WithLabelValues("cap-" + over).Inc()
	o.cfg.Log.Error("a cap on revealed caller numbers was reached: ask the privacy officer of the city", "city", city, "actor", by.Actor, "cap", over)
	hour := stamp(o.now().Truncate(capWindow))
	err := o.notify(ctx, city, notice{about: NoticeCap, ref: over + " " + hour, once: by.Actor}, by)
	if err != nil {
		return fmt.Errorf("%w; %w", ErrTooMany, err)
	}
	return fmt.Errorf("%w: the cap of one %s", ErrTooMany, over)
}
