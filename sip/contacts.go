package sip

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// Agents is what the registrar needs to know of who may register.
type Agents interface {
	// Credentials returns the agent of that SIP user name, and whether there is one. It must not block.
	Credentials(user string) (Agent, bool)
}

// An Agent is somebody who may register a phone.
type Agent struct {
	ID       call.AgentID
	City     call.CityID
	Password Secret
}

// Presence is told who can be reached. Registered is told again at every renewal, and after Unregistered when a phone
// has come back. What is told last of an agent is what holds. It must not call the server back.
type Presence interface {
	Registered(ctx context.Context, city call.CityID, agent call.AgentID, until time.Time)
	Unregistered(ctx context.Context, city call.CityID, agent call.AgentID, reason string)
}

// maxContacts is how many phones an agent may have registered at once.
const maxContacts = 5

// Qualifying: how often a phone is asked whether it is there (OPTIONS), and how often it may keep silent.
const (
	askEvery  = 30 * time.Second
	maxMisses = 2
)

// owner names an agent of a city.
type owner struct {
	city  call.CityID
	agent call.AgentID
}

// A contact is one registered phone. What we send it goes to the address and transport that its REGISTER came from
// (its flow), whatever its URI says: that passes NATs, and nobody can make us send elsewhere.
type contact struct {
	uri       sip.Uri // as registered; the Request-URI of what we send
	source    netip.AddrPort
	transport string // "UDP" or "TCP"
	instance  string // +sip.instance (RFC 5626 §4.1), which outlives a change of address
	callID    string
	cseq      uint32
	expires   time.Time
	misses    int // OPTIONS in a row that were not answered
	askAt     time.Time
}

// key tells one contact of an agent from another (RFC 3261 §19.1.4, as far as it matters between phones).
func (c contact) key() string {
	transport := strings.ToLower(c.uri.UriParams.GetOr("transport", ""))
	return c.uri.User + "@" + strings.ToLower(c.uri.Host) + ":" + strconv.Itoa(c.uri.Port) + ";" + transport
}

func (c contact) reachable() bool { return c.misses < maxMisses }

// errOutOfOrder says that a REGISTER came after a later one of the same phone (RFC 3261 §10.3 step 7).
var errOutOfOrder = errors.New("a later REGISTER of this phone came first")

// contacts are the phones that are registered now.
type contacts struct {
	mu  sync.Mutex
	all map[owner][]contact
}

func newContacts() *contacts { return &contacts{all: map[owner][]contact{}} }

// of returns the phones of an agent, those that answer first, then by who registered last.
func (cs *contacts) of(who owner) []contact {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Clone(cs.all[who])
}

// update puts in every one of fresh, or with an error none of them. A contact whose expiry is not after now goes.
func (cs *contacts) update(who owner, fresh []contact, now time.Time) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	have := slices.Clone(cs.all[who])
	for _, c := range fresh {
		if slices.ContainsFunc(have, func(old contact) bool {
			return old.key() == c.key() && old.callID == c.callID && c.cseq <= old.cseq
		}) {
			return errOutOfOrder
		}
	}
	for _, c := range fresh {
		have = slices.DeleteFunc(have, func(old contact) bool { return replaces(c, old) })
		if c.expires.After(now) {
			have = append(have, c)
		}
	}
	cs.put(who, fewest(have))
	return nil
}

// replaces tells whether c is the same phone as old, come again: the same URI, the same instance, or the same flow
// with a new Call-ID, which is a phone that was started anew.
func replaces(c, old contact) bool {
	sameFlow := c.source == old.source && c.transport == old.transport
	return c.key() == old.key() || c.instance != "" && c.instance == old.instance || sameFlow && c.callID != old.callID
}

// fewest keeps maxContacts: first go those that do not answer, then those that will expire first.
func fewest(have []contact) []contact {
	slices.SortStableFunc(have, func(a, b contact) int {
		if a.reachable() != b.reachable() {
			if a.reachable() {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.expires.UnixNano(), a.expires.UnixNano())
	})
	return have[:min(len(have), maxContacts)]
}

func (cs *contacts) put(who owner, have []contact) {
	if len(have) == 0 {
		delete(cs.all, who)
		return
	}
	cs.all[who] = have
}

// removeAll takes out every phone of an agent, if their REGISTERs came before this one (RFC 3261 §10.3 step 6).
func (cs *contacts) removeAll(who owner, callID string, cseq uint32) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.all[who] {
		if c.callID == callID && cseq <= c.cseq {
			return errOutOfOrder
		}
	}
	delete(cs.all, who)
	return nil
}

// until is when the last of the agent's reachable phones expires; false when there is none.
func (cs *contacts) until(who owner) (last time.Time, reachable bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.all[who] {
		if c.reachable() && c.expires.After(last) {
			last, reachable = c.expires, true
		}
	}
	return last, reachable
}

// expire takes out what is past its time and returns whose it was.
func (cs *contacts) expire(now time.Time) (changed []owner) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for who, have := range cs.all {
		kept := slices.DeleteFunc(slices.Clone(have), func(c contact) bool { return !c.expires.After(now) })
		if len(kept) < len(have) {
			changed = append(changed, who)
			cs.put(who, kept)
		}
	}
	return changed
}

// due returns the phones that are to be asked now, and puts off their next time.
func (cs *contacts) due(now time.Time) map[owner][]contact {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	ask := map[owner][]contact{}
	for who, have := range cs.all {
		for i := range have {
			if !have[i].askAt.After(now) {
				have[i].askAt = now.Add(askEvery)
				ask[who] = append(ask[who], have[i])
			}
		}
	}
	return ask
}

// asked notes whether c answered, and reports whether it became reachable or unreachable by it. A phone that has
// registered anew since it was asked is left alone.
func (cs *contacts) asked(who owner, c contact, answered bool) (changed bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	have := cs.all[who]
	i := slices.IndexFunc(have, func(now contact) bool {
		return now.key() == c.key() && now.callID == c.callID && now.cseq == c.cseq
	})
	if i < 0 {
		return false
	}
	before := have[i].reachable()
	if answered {
		have[i].misses = 0
	} else {
		have[i].misses++
	}
	return have[i].reachable() != before
}
