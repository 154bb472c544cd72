package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"callhall/call"
	"callhall/sip/digest"
)

// defaultExpires is how long a registration holds when the phone does not say (RFC 3261 §10.3 leaves it to us). It is
// short because a phone behind a NAT that is gone should not be rung.
const defaultExpires = 300 * time.Second

// Bounds of the registrar's own loop.
const (
	sweepEvery       = time.Second
	maxAsking        = 64              // OPTIONS under way at once
	askPatience      = 4 * time.Second // for an answer to OPTIONS: less than the transaction's 32 s, more than three resends
	presencePatience = 5 * time.Second
)

// A registrar takes REGISTER from agents' phones (RFC 3261 §10.3), keeps their contacts, asks them whether they are
// there, and tells Presence who can be reached.
type registrar struct {
	min, max time.Duration
	door     *doorkeeper
	contacts *contacts
	presence Presence
	now      func() time.Time
	log      *slog.Logger

	// ask sends OPTIONS to a phone and reports whether it answered before ctx ended. Nil: phones are not asked. It is
	// set before run.
	ask func(ctx context.Context, c contact) bool

	mu   sync.Mutex
	told map[owner]*telling // one for each agent that ever registered
}

// A telling keeps what Presence is told of one agent in order: its mu is held while Presence is told.
type telling struct {
	mu         sync.Mutex
	registered bool // Presence holds the agent to be
}

func newRegistrar(cfg Config, offers []digest.Algorithm, d Deps) *registrar {
	return &registrar{
		min: cfg.MinExpires, max: cfg.MaxExpires,
		door: newDoorkeeper(cfg.Realm, offers, d.Agents, d.Now), contacts: newContacts(), presence: d.Presence,
		now: d.Now, log: d.Log, told: map[owner]*telling{},
	}
}

// phones returns the contacts at which an agent may be rung now: those that answer.
func (r *registrar) phones(city call.CityID, agent call.AgentID) []contact {
	now := r.now()
	return slices.DeleteFunc(r.contacts.of(owner{city, agent}), func(c contact) bool {
		return !c.reachable() || !c.expires.After(now)
	})
}

// handle answers a REGISTER that has been admitted.
func (r *registrar) handle(req *sip.Request, tx sip.ServerTransaction) {
	res := sip.NewResponseFromRequest(req, 200, "OK", nil)
	if refused := r.register(req, res); refused != nil {
		res = sip.NewResponseFromRequest(req, refused.code, refused.reason, nil)
		for _, h := range refused.headers {
			res.AppendHeader(h)
		}
	}
	if err := tx.Respond(res); err != nil {
		r.log.Debug("answer to REGISTER not sent", "err", err)
	}
}

// register does what req asks and adds to res what is registered then, or says why not.
func (r *registrar) register(req *sip.Request, res *sip.Response) *refusal {
	source, err := netip.ParseAddrPort(req.Source())
	if err != nil {
		return badRequest("No Source")
	}
	source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	agent, user, refused := r.door.check(req, source.Addr())
	if refused != nil {
		return refused
	}
	if !isUser(&req.To().Address, user) { // an agent registers itself and nobody else (RFC 3261 §10.3 step 4)
		return &refusal{code: 403, reason: "Forbidden"}
	}
	who := owner{agent.City, agent.ID}
	if refused := r.apply(req, who, source); refused != nil {
		return refused
	}
	now := r.now()
	for _, c := range r.contacts.of(who) {
		res.AppendHeader(c.header(now))
	}
	return nil
}

// isUser tells whether an address of record is that user's.
func isUser(aor *sip.Uri, user string) bool {
	name, err := url.PathUnescape(aor.User)
	return err == nil && aor.Scheme == "sip" && name == user
}

// header is the contact as a 200 shows it, with the time that it has left in whole seconds.
func (c contact) header(now time.Time) *sip.ContactHeader {
	left := int(c.expires.Sub(now).Round(time.Second) / time.Second)
	return &sip.ContactHeader{Address: c.uri, Params: sip.HeaderParams{{K: "expires", V: strconv.Itoa(max(0, left))}}}
}

// apply changes the agent's contacts as req asks, all of it or nothing.
func (r *registrar) apply(req *sip.Request, who owner, source netip.AddrPort) *refusal {
	asked := req.GetHeaders("Contact")
	if len(asked) == 0 {
		return nil // only asks what is registered
	}
	callID, cseq := string(*req.CallID()), req.CSeq().SeqNo
	var err error
	if slices.ContainsFunc(asked, isWildcard) {
		if len(asked) != 1 || expiresHeader(req) != "0" {
			return badRequest("Contact * Stands Alone With Expires 0")
		}
		err = r.contacts.removeAll(who, callID, cseq)
	} else {
		fresh, refused := r.read(req, asked, source)
		if refused != nil {
			return refused
		}
		err = r.contacts.update(who, fresh, r.now())
	}
	if errors.Is(err, errOutOfOrder) {
		return badRequest("Out Of Order")
	}
	r.tell(who, "unregistered")
	return nil
}

func isWildcard(h sip.Header) bool {
	c, ok := h.(*sip.ContactHeader)
	return ok && c.Address.Wildcard
}

func expiresHeader(req *sip.Request) string {
	if h := req.GetHeader("Expires"); h != nil {
		return strings.TrimSpace(h.Value())
	}
	return ""
}

// read makes contacts of the Contact fields of req.
func (r *registrar) read(req *sip.Request, asked []sip.Header, source netip.AddrPort) ([]contact, *refusal) {
	if len(asked) > maxContacts {
		return nil, badRequest("Too Many Contacts")
	}
	now := r.now()
	fresh := make([]contact, 0, len(asked))
	for _, h := range asked {
		field, ok := h.(*sip.ContactHeader)
		if !ok || field.Address.Scheme != "sip" || !isURI(&field.Address) || field.Address.Headers.Length() > 0 || len(field.Value()) > 1024 {
			return nil, badRequest("Malformed Contact")
		}
		lasts := r.lasts(field.Params.GetOr("expires", expiresHeader(req)))
		if lasts > 0 && lasts < r.min { // RFC 3261 §10.3 step 7
			wanted := sip.NewHeader("Min-Expires", strconv.Itoa(int(r.min/time.Second)))
			return nil, &refusal{code: 423, reason: "Interval Too Brief", headers: []sip.Header{wanted}}
		}
		fresh = append(fresh, contact{
			uri: *field.Address.Clone(), source: source, transport: req.Transport(),
			instance: field.Params.GetOr("+sip.instance", ""), callID: string(*req.CallID()), cseq: req.CSeq().SeqNo,
			expires: now.Add(lasts), askAt: now.Add(askEvery),
		})
	}
	return fresh, nil
}

// lasts is the length of a registration that asks for text seconds; what is no number means the default, and what is
// too large means as long as we allow.
func (r *registrar) lasts(text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 31)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return r.max
	case err != nil:
		return min(max(defaultExpires, r.min), r.max)
	default:
		return min(time.Duration(seconds)*time.Second, r.max)
	}
}

// tell tells Presence how the agent stands now. Only one at a time tells of an agent and reads the contacts itself, so
// what is told last is how it is. One agent does not wait for another.
func (r *registrar) tell(who owner, reason string) {
	t := r.tellingOf(who)
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), presencePatience)
	defer cancel()
	until, reachable := r.contacts.until(who)
	switch {
	case reachable:
		t.registered = true
		r.presence.Registered(ctx, who.city, who.agent, until)
	case t.registered:
		t.registered = false
		r.presence.Unregistered(ctx, who.city, who.agent, reason)
	}
}

func (r *registrar) tellingOf(who owner) *telling {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.told[who]
	if t == nil {
		t = &telling{}
		r.told[who] = t
	}
	return t
}

// run expires contacts and asks phones whether they are there, until ctx ends. Nothing of it runs when it returns.
func (r *registrar) run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	places := make(chan struct{}, maxAsking)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.sweep()
			if r.ask != nil {
				r.qualify(ctx, &asking, places)
			}
		}
	}
}

// sweep forgets what is past its time.
func (r *registrar) sweep() {
	for _, who := range r.contacts.expire(r.now()) {
		r.tell(who, "expired")
	}
	r.door.nonces.sweep()
}

// qualify asks every phone whose turn it is. When all places are taken it waits: then phones are asked less often.
func (r *registrar) qualify(ctx context.Context, asking *sync.WaitGroup, places chan struct{}) {
	for who, phones := range r.contacts.due(r.now()) {
		for _, c := range phones {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			asking.Go(func() {
				defer func() { <-places }()
				r.askOne(ctx, who, c)
			})
		}
	}
}

func (r *registrar) askOne(ctx context.Context, who owner, c contact) {
	patience, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answered := r.ask(patience, c)
	if ctx.Err() != nil {
		return // we stopped waiting, which says nothing of the phone
	}
	if r.contacts.asked(who, c, answered) {
		r.tell(who, "unreachable")
	}
}

// askWith returns a registrar's ask that sends OPTIONS (RFC 3261 §11) from the listener at which the phone registered.
func askWith(client *sipgo.Client, realm string) func(context.Context, contact) bool {
	return func(ctx context.Context, c contact) bool {
		req := sip.NewRequest(sip.OPTIONS, *c.uri.Clone())
		from := &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: "callhall", Host: realm}}
		from.Params.Add("tag", sip.GenerateTagN(16))
		req.AppendHeader(from)
		req.AppendHeader(&sip.ToHeader{Address: *c.uri.Clone()})
		req.SetTransport(c.transport)
		req.SetDestination(c.source.String())
		res, err := client.Do(ctx, req)
		return err == nil && res.StatusCode != 408 && res.StatusCode != 503
	}
}

// String names a contact in logs without what the phone wrote.
func (c contact) String() string { return fmt.Sprintf("%s %s", strings.ToLower(c.transport), c.source) }
