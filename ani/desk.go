package ani

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"callhall/call"
)

// desk is what the vault asks of the privacy office in the middle of a decision. It is in memory only, so that no decision
// waits for a register, and it answers the strictest for a city whose registers could not be read.
type desk struct {
	wanted map[call.CityID]Profile // by the configuration
	key    [32]byte                // of this process, for looking numbers up

	mu     sync.RWMutex
	cities map[call.CityID]*standing
}

// counselor is the office as the vault asks it.
type counselor struct{ office *Office }

func (c counselor) profile(city call.CityID) Profile { return c.office.desk.profile(city) }

func (c counselor) protects(city call.CityID, n Number, now time.Time) bool {
	return c.office.desk.protects(city, n, now)
}

func (c counselor) screens(city call.CityID, now time.Time) bool {
	return c.office.desk.screens(city, now)
}

func (c counselor) screened(city call.CityID, tokens [][]byte, now time.Time) bool {
	return c.office.desk.screened(city, tokens, now)
}

func (c counselor) heard(ctx context.Context, city call.CityID, id call.ID, to Recipient) (string, error) {
	k, found, err := c.office.consented(ctx, subject{city: city, call: id}, PurposeTransfer, to, "")
	if err != nil || !found {
		return "", err
	}
	return k.ID, nil
}

func (c counselor) redeem(ctx context.Context, city call.CityID, handle string, newCall call.ID, by string) (Request, error) {
	return c.office.redeem(ctx, city, handle, newCall, by)
}

func (c counselor) erased(ctx context.Context, city call.CityID, calls []call.ID) error {
	return c.office.recallErased(ctx, city, calls)
}

// standing is what one city's registers say.
type standing struct {
	approved  Profile            // empty: none was ever approved, which is ProfileCard
	protected map[mark]time.Time // until when
	screened  map[mark]time.Time // by token
	read      struct{ profile, protected bool }
}

type mark [16]byte

func newDesk(wanted map[call.CityID]Profile) *desk {
	d := &desk{wanted: wanted, cities: map[call.CityID]*standing{}}
	rand.Read(d.key[:])
	return d
}

// of returns a city's standing; mu is held.
func (d *desk) of(city call.CityID) *standing {
	s := d.cities[city]
	if s == nil {
		s = &standing{protected: map[mark]time.Time{}, screened: map[mark]time.Time{}}
		d.cities[city] = s
	}
	return s
}

// set changes a city's standing.
func (d *desk) set(city call.CityID, change func(*standing)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d.of(city))
}

// profile is the city's effective profile: what two people approved, or card, and no wider than the configuration says.
func (d *desk) profile(city call.CityID) Profile {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.cities[city]
	if s == nil || !s.read.profile {
		return ProfileNoThirdParty
	}
	return narrower(approvedOf(s.approved), d.wanted[city])
}

func approvedOf(p Profile) Profile {
	if p == "" {
		return ProfileCard
	}
	return listed(p, ProfileNoThirdParty, Profiles())
}

// narrower is the narrower of two profiles; an empty wanted asks for nothing.
func narrower(approved, wanted Profile) Profile {
	if wanted == "" {
		return approved
	}
	order := Profiles()
	wanted = listed(wanted, ProfileNoThirdParty, order)
	return order[min(slices.Index(order, approved), slices.Index(order, wanted))]
}

// protects tells whether the law protects a caller.
func (d *desk) protects(city call.CityID, n Number, now time.Time) bool {
	if n.IsZero() {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.cities[city]
	if s == nil || !s.read.protected {
		return true
	}
	return now.Before(s.protected[d.mark(n)])
}

// screens tells whether anybody stands on the city's screening list.
func (d *desk) screens(city call.CityID, now time.Time) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.cities[city]
	if s == nil {
		return false
	}
	for _, until := range s.screened {
		if now.Before(until) {
			return true
		}
	}
	return false
}

// screened tells whether one of the tokens that a caller has for screening stands on the city's list.
func (d *desk) screened(city call.CityID, tokens [][]byte, now time.Time) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.cities[city]
	if s == nil {
		return false
	}
	return slices.ContainsFunc(tokens, func(token []byte) bool {
		return len(token) == tokenSize && now.Before(s.screened[mark(token)])
	})
}

// mark is how a number is found in memory. It means nothing to another process.
func (d *desk) mark(n Number) (l mark) {
	mac := hmac.New(sha256.New, d.key[:])
	mac.Write([]byte(n.open()))
	copy(l[:], mac.Sum(nil))
	return l
}
