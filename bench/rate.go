package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"callhall/bench/load"
)

// refinements is how many rates are tried between the last that was held and the first that was not.
const refinements = 2

// rateSearch finds how many calls a second are held: without sound, each is queued, offered, answered, recorded and over
// after a second.
func (b *bench) rateSearch(ctx context.Context, dir string) error {
	best, failed, err := b.climb(ctx, dir)
	if err != nil {
		return err
	}
	for range refinements {
		if failed == 0 || failed-best < 20 {
			break
		}
		middle := (best + failed) / 2 / 10 * 10
		held, err := b.rate(ctx, b.callhall(), dir, middle)
		if err != nil {
			return err
		}
		if held {
			best = middle
		} else {
			failed = middle
		}
	}
	return b.report.add(row{"highest rate", "callhall", best, []value{number("first rate not held", "/s", float64(failed))}})
}

// climb tries the rates in turn up to the first that is not held. failed is 0 where all were.
func (b *bench) climb(ctx context.Context, dir string) (best, failed int, err error) {
	for _, rate := range b.rates {
		held, err := b.rate(ctx, b.callhall(), dir, rate)
		if err != nil {
			return 0, 0, fmt.Errorf("%d calls a second: %w", rate, err)
		}
		if !held {
			return best, rate, nil
		}
		best = rate
	}
	return best, 0, nil
}

// Hold of a call in the search, and how long the last ones may take to end.
const (
	rateHold  = time.Second
	rateGrace = 20 * time.Second
)

// rate offers calls at a rate and tells whether they were held.
func (b *bench) rate(ctx context.Context, who subject, dir string, rate int) (held bool, err error) {
	cfg := load.Config{Calls: rate * b.seconds, Rate: float64(rate), Hold: rateHold}
	s, g, end, err := b.open(ctx, who, filepath.Join(dir, "rate"), cfg, 2*rate+50)
	if err != nil {
		return false, err
	}
	defer func() {
		if eerr := end(); held {
			err = errors.Join(err, eerr)
		} else if eerr != nil {
			fmt.Fprintln(os.Stderr, "after too many calls:", eerr)
		}
	}()
	before, err := usageOf(s)
	if err != nil {
		return false, err
	}
	if err := g.Place(ctx); err != nil {
		return false, err
	}
	placing := time.Since(before.at)
	over, cancel := context.WithTimeout(ctx, rateGrace)
	defer cancel()
	overErr := g.WaitOver(over)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	stored, err := s.allStored(over, cfg.Calls)
	if err != nil {
		return false, err
	}
	after, err := usageOf(s)
	if err != nil {
		return false, err
	}
	r := g.Result()
	held = overErr == nil && holds(r, rate, placing)
	return held, b.report.add(row{"call rate", s.name, rate, rateValues(r, after.since(before), held, stored)})
}

// holds: fewer than one call or BYE in a thousand failed, the rate was offered, and p99 of post-dial delay is below a
// second.
func holds(r load.Result, rate int, placing time.Duration) bool {
	few := float64(r.Placed) / 1000
	offered := float64(r.Placed) / placing.Seconds()
	return float64(r.Placed-r.Connected) < few && float64(r.NoBye+r.NoACK) < max(few, 1) && offered >= 0.98*float64(rate) &&
		load.Percentile(r.PostDial, 0.99) < time.Second
}

func rateValues(r load.Result, u usage, held bool, stored []value) []value {
	values := []value{text("held", map[bool]string{true: "yes", false: "no"}[held]),
		number("failed", "%", 100*float64(r.Placed-r.Connected)/float64(r.Placed)),
		number("CPU", "ms/call", millis(u.server)/float64(r.Placed)), number("cores", "", u.cores(u.server))}
	values = append(values, spread("post-dial", r.PostDial)...)
	values = append(values, spread("answer", r.Answer)...)
	values = append(values, spread("agent joined", r.Joined)...)
	values = append(values, number("sent again", "", float64(r.Resent)))
	values = append(values, stored...)
	return append(values, number("generator cores", "", u.cores(u.self)), number("other cores", "", u.cores(u.others())))
}
