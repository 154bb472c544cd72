package ani_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"callhall/ani"
	"callhall/call"
)

// carrierBox is a carrier that keeps what it gets in the clear, and can be told to fail before or after it has it.
type carrierBox struct {
	key    string
	got    map[string][]byte
	tries  int
	before error
	after  error
}

func newBox(key string) *carrierBox { return &carrierBox{key: key, got: map[string][]byte{}} }

func (c *carrierBox) Key() string { return strings.Repeat(c.key, 64) }

func (c *carrierBox) Deliver(_ context.Context, name string, batch []byte) error {
	c.tries++
	if c.before != nil {
		return c.before
	}
	if _, there := c.got[name]; !there {
		c.got[name] = bytes.Clone(batch)
	}
	return c.after
}

// only returns the one batch that the carrier has.
func (c *carrierBox) only(t testing.TB) string {
	t.Helper()
	if len(c.got) != 1 {
		t.Fatalf("the carrier has %d batches", len(c.got))
	}
	for _, b := range c.got {
		return string(b)
	}
	return ""
}

// tariffOffice is a privacy office of two cities with a tariff, each with two carriers.
type tariffOffice struct {
	*privacyOffice
	*ani.Billing
	a, b *carrierBox // of city
	x    *carrierBox // of other
	set  map[call.CityID]ani.CityBilling
}

func newTariffOffice(t testing.TB) *tariffOffice {
	t.Helper()
	f := &tariffOffice{a: newBox("a"), b: newBox("b"), x: newBox("c")}
	f.set = map[call.CityID]ani.CityBilling{
		city:  {Tariff: "per-minute", Carriers: map[call.TrunkID]ani.Carrier{"carrier-a": f.a, "carrier-b": f.b}},
		other: {Tariff: "flat", Carriers: map[call.TrunkID]ani.Carrier{"carrier-a": f.x}},
	}
	f.privacyOffice = &privacyOffice{fixture: newFixture(t), calls: &engineCalls{of: map[call.ID]ani.Handling{}}, log: &strings.Builder{}}
	f.cfg.Calls = f.calls
	f.tariffs = map[call.CityID]bool{city: true, other: true}
	f.again(t)
	return f
}

// again is a restart of everything over the same file.
func (f *tariffOffice) again(t testing.TB) {
	t.Helper()
	f.reg = prometheus.NewRegistry()
	f.cfg.Registry = f.reg
	f.Vault = f.newVault(t)
	f.open(t)
	var err error
	if f.Billing, err = ani.NewBilling(f.Vault, ani.BillingConfig{Cities: f.set}); err != nil {
		t.Fatal(err)
	}
}

// charged is a call of two and a half minutes that is over and charged for.
func (f *tariffOffice) charged(t testing.TB, c call.CityID, trunk call.TrunkID, h ani.Headers) call.ID {
	t.Helper()
	id := f.over(t, c, h)
	if err := f.Charge(t.Context(), ani.Charge{City: c, Call: id, Trunk: trunk, Began: f.now.Add(-149500 * time.Millisecond), Ended: f.now}); err != nil {
		t.Fatal(err)
	}
	return id
}

// of returns leaves of one kind that the city has so far, and leaves them there.
func (b *book) of(c call.CityID, kind string) (all []call.Leaf) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.leaves[c] {
		if l.Kind == kind {
			all = append(all, l)
		}
	}
	return all
}

var chargeTo = ani.Headers{Asserted: present.Asserted, ChargeInfo: []string{"<sip:+12125550177@carrier.invalid>"}}

func TestChargedCallGoesToItsCarrierOnly(t *testing.T) {
	f := newTariffOffice(t)
	first := f.charged(t, city, "carrier-a", present)
	f.charged(t, city, "carrier-b", ani.Headers{Asserted: []string{"<sip:+12125550143@carrier.invalid>"}})
	f.charged(t, other, "carrier-a", ani.Headers{Asserted: []string{"<sip:+12125550144@carrier.invalid>"}})
	f.said(t, ani.KindRelease, map[string]string{"row": "D05", "result": "FULL", "purpose": "billing", "recipient": "ENG", "tariff": "yes", "to": "carrier-a"})
	sent := ok(f.Bill(t.Context(), city))(t)
	if len(sent) != 2 || sent[0].Carrier != "carrier-a" || sent[0].State != "delivered" || sent[0].Calls != 1 || sent[0].Tariff != "per-minute" {
		t.Fatalf("sent %+v", sent)
	}
	if len(f.x.got) != 0 {
		t.Error("another city's carrier got a batch")
	}
	text := f.a.only(t)
	for _, want := range []string{`"call":"` + string(first) + `"`, `"seconds":150`, `"number":"+12125550142"`, `"city":"springfield"`, `"carrier":"carrier-a"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the batch has no %s: %s", want, text)
		}
	}
	if strings.Contains(text, "0143") || !strings.Contains(f.b.only(t), "+12125550143") {
		t.Error("a carrier has another carrier's call")
	}
	head := ok(ani.CheckBatch(strings.NewReader(text)))(t)
	f.said(t, ani.KindBilled, map[string]string{"batch": head.Batch, "root": head.Root, "calls_count": "1", "carrier": "carrier-a", "tariff": "per-minute",
		"recipient_key": strings.Repeat("a", 64)})
	if again := ok(f.Bill(t.Context(), city))(t); len(again) != 0 {
		t.Errorf("billed twice: %+v", again)
	}
	if ok(f.Bill(t.Context(), other))(t); !strings.Contains(f.x.only(t), "+12125550144") {
		t.Error("the other city's call is not billed")
	}
}

// The number that is billed is P-Charge-Info, where the trunk is believed it; what the terms deny is charged without.
func TestWhatACarrierIsTold(t *testing.T) {
	f := newTariffOffice(t)
	id := call.NewID()
	in := incoming(city, id, chargeTo)
	in.Trust.Charge = true
	ok(f.Capture(t.Context(), in))(t)
	f.Over(city, id)
	at := ani.Charge{City: city, Call: id, Trunk: "carrier-a", Began: f.now.Add(-time.Second), Ended: f.now}
	for range 2 {
		if err := f.Charge(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.leaves(t, ani.KindRelease)); n != 2 { // its capture, and one charge
		t.Errorf("%d leaves", n)
	}
	f.charged(t, city, "carrier-a", ani.Headers{})
	f.said(t, ani.KindRelease, map[string]string{"row": "D42", "purpose": "billing"})
	ok(f.Bill(t.Context(), city))(t)
	text := f.a.only(t)
	if !strings.Contains(text, `"number":"+12125550142","billing_number":"+12125550177"`) || !strings.Contains(text, `"number":"","billing_number":""`) {
		t.Errorf("the batch is %s", text)
	}
}

func TestWhatIsNotCharged(t *testing.T) {
	f := newTariffOffice(t)
	id := f.over(t, city, present)
	f.book.take(city)
	for name, c := range map[string]ani.Charge{
		"never answered":        {City: city, Call: id, Trunk: "carrier-a", Ended: f.now},
		"ended before it began": {City: city, Call: id, Trunk: "carrier-a", Began: f.now, Ended: f.now.Add(-1)},
		"no carrier's trunk":    {City: city, Call: id, Trunk: "house", Began: f.now, Ended: f.now},
		"no tariff":             {City: "ogdenville", Call: id, Trunk: "carrier-a", Began: f.now, Ended: f.now},
	} {
		if err := f.Charge(t.Context(), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	sent := ok(f.Bill(t.Context(), city))(t)
	if l := f.book.take(city); len(l) != 0 || len(sent) != 0 || len(ok(f.Bill(t.Context(), "ogdenville"))(t)) != 0 {
		t.Errorf("leaves %v, batches %v", l, sent)
	}
}

// Without a tariff there is no such purpose, and who asks is denied (D07).
func TestNoTariffNoBilling(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.over(t, city, present)
	p.book.take(city)
	g := p.release(t, ani.Request{City: city, Call: id, Purpose: ani.PurposeBilling, Recipient: ani.RecipientEngine, Actor: "engine"})
	if !g.Denied() || g.Row.ID != "D07" {
		t.Errorf("%s by %s", g.Decision, g.Row.ID)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D07", "result": "DENY", "tariff": "no"})
	a := ok(p.Ask(t.Context(), city, ani.NewAsk{Call: id, Purpose: ani.PurposeDispute, Recipient: ani.RecipientTrunk}, dana))(t)
	if a.State != ani.AskDenied || a.Row != "D07" {
		t.Errorf("a dispute: %s by %s", a.State, a.Row)
	}
}

func TestBillingIsCheckedAtStart(t *testing.T) {
	f := newTariffOffice(t)
	good := f.set[city]
	for name, cities := range map[string]map[call.CityID]ani.CityBilling{
		"a tariff without carriers": {city: {Tariff: "flat"}, other: f.set[other]},
		"a city left out":           {city: good},
		"no tariff in the vault":    {city: good, other: f.set[other], "ogdenville": good},
		"a tariff without a name":   {city: {Carriers: good.Carriers}, other: f.set[other]},
		"a number for a name":       {city: {Tariff: "t-2125550142", Carriers: good.Carriers}, other: f.set[other]},
		"too large a batch":         {city: {Tariff: "flat", Carriers: good.Carriers, Calls: ani.MaxBatch + 1}, other: f.set[other]},
		"a time below zero":         {city: {Tariff: "flat", Carriers: good.Carriers, Every: -1}, other: f.set[other]},
	} {
		if _, err := ani.NewBilling(f.Vault, ani.BillingConfig{Cities: cities}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

var errCrash = errors.New("the process died")

// Whatever step a crash comes at, before it takes effect or after, the next run bills every call once, with one leaf.
func TestCrashAtEveryStep(t *testing.T) {
	for step := 1; ; step++ {
		done := false
		for _, durable := range []bool{false, true} {
			t.Run(fmt.Sprintf("step %d, done %t", step, durable), func(t *testing.T) { done = crashAt(t, step, durable) })
		}
		if done {
			if step < 8 {
				t.Errorf("there are only %d steps to crash at", step)
			}
			return
		}
	}
}

// crashAt dies at one step of billing three calls, and tells whether there are not that many.
func crashAt(t *testing.T, step int, durable bool) (beyond bool) {
	f := newTariffOffice(t)
	dying := &dyingStore{Store: f.store, left: step, durable: durable}
	f.cut(t, dying)
	var ids []call.ID
	for range 3 {
		ids = append(ids, f.charged(t, city, "carrier-a", present))
	}
	dying.armed = true
	_, err := f.Bill(t.Context(), city)
	if beyond = err == nil; !beyond && !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	f.again(t)
	ok(f.Bill(t.Context(), city))(t)
	text := f.a.only(t)
	head := ok(ani.CheckBatch(strings.NewReader(text)))(t)
	for _, id := range ids {
		if strings.Count(text, string(id)) != 1 {
			t.Errorf("%s stands in the batch %d times", id, strings.Count(text, string(id)))
		}
	}
	billed := f.book.of(city, ani.KindBilled)
	if len(billed) != 1 || billed[0].Facts["root"] != head.Root || billed[0].Facts["batch"] != head.Batch {
		t.Errorf("leaves %v for %+v", billed, head)
	}
	all := ok(f.Batches(t.Context(), city, "", 9))(t)
	if len(all) != 1 || all[0].State != "delivered" || all[0].Root != head.Root {
		t.Errorf("batches %+v", all)
	}
	return beyond
}

// dyingStore, ledger and carrier share one count of steps; at the last the process dies, with the step done or not.
type dyingStore struct {
	ani.Store
	left    int
	durable bool
	armed   bool
}

// step does one act, unless the process dies before or is dead.
func (d *dyingStore) step(act func() error) error {
	if !d.armed {
		return act()
	}
	d.left--
	if d.left > 0 {
		return act()
	}
	if d.left == 0 && d.durable {
		return errors.Join(errCrash, act())
	}
	return errCrash
}

func (d *dyingStore) Add(ctx context.Context, e ani.Entry) error {
	return d.step(func() error { return d.Store.Add(ctx, e) })
}

func (d *dyingStore) Replace(ctx context.Context, e ani.Entry) error {
	return d.step(func() error { return d.Store.Replace(ctx, e) })
}

type dyingLedger struct {
	*book
	with *dyingStore
}

func (l dyingLedger) Append(ctx context.Context, c call.CityID, leaf call.Leaf) error {
	return l.with.step(func() error { return l.book.Append(ctx, c, leaf) })
}

type dyingCarrier struct {
	*carrierBox
	with *dyingStore
}

func (c dyingCarrier) Deliver(ctx context.Context, name string, batch []byte) error {
	return c.with.step(func() error { return c.carrierBox.Deliver(ctx, name, batch) })
}

// cut makes vault and billing over what will die.
func (f *tariffOffice) cut(t *testing.T, d *dyingStore) {
	t.Helper()
	v := ok(ani.NewVault(d, dyingLedger{f.book, d}, ani.KeyDir(f.dir+"/keys"), ani.Config{Now: func() time.Time { return f.now }, Tariffs: f.tariffs,
		Written: f.book.written}))(t)
	set := map[call.CityID]ani.CityBilling{city: {Tariff: "per-minute", Carriers: map[call.TrunkID]ani.Carrier{"carrier-a": dyingCarrier{f.a, d}}}, other: f.set[other]}
	f.Vault, f.Billing = v, ok(ani.NewBilling(v, ani.BillingConfig{Cities: set}))(t)
}

// A carrier that cannot take its batch holds up nobody else, and gets the same batch later.
func TestCarrierAway(t *testing.T) {
	f := newTariffOffice(t)
	f.charged(t, city, "carrier-a", present)
	f.charged(t, city, "carrier-b", present)
	away := errors.New("no space left")
	f.a.before = away
	sent, err := f.Bill(t.Context(), city)
	fails(t, "a carrier that is away", err, away)
	if len(sent) != 1 || sent[0].Carrier != "carrier-b" || hasNumber(err.Error()) {
		t.Errorf("sent %+v, %v", sent, err)
	}
	id := f.book.of(city, ani.KindBilled)[0].Facts["batch"]
	f.a.before = nil
	sent = ok(f.Bill(t.Context(), city))(t)
	if len(sent) != 1 || sent[0].ID != id || len(f.book.of(city, ani.KindBilled)) != 2 {
		t.Errorf("sent %+v, want %s; leaves %v", sent, id, f.book.of(city, ani.KindBilled))
	}
}

// No leaf, no file; and what could not be charged for want of the ledger is charged when it is back.
func TestNothingIsSentWithoutItsLeaf(t *testing.T) {
	f := newTariffOffice(t)
	f.charged(t, city, "carrier-a", present)
	late := f.over(t, city, present)
	f.book.broken = errors.New("ledger away")
	_, err := f.Bill(t.Context(), city)
	fails(t, "bill without a ledger", err, f.book.broken)
	f.book.unread = errors.New("ledger not to be read")
	_, err = f.Bill(t.Context(), city)
	fails(t, "bill when nobody knows whether there is a leaf", err, f.book.unread)
	f.book.unread = nil
	if f.a.tries != 0 {
		t.Error("the carrier was sent a batch that has no leaf")
	}
	err = f.Charge(t.Context(), ani.Charge{City: city, Call: late, Trunk: "carrier-a", Began: f.now, Ended: f.now.Add(time.Second)})
	fails(t, "charge without a ledger", err, f.book.broken)
	f.book.broken = nil
	f.due(t)
	ok(f.Bill(t.Context(), city))(t)
	if len(f.a.got) != 2 || len(f.book.of(city, ani.KindBilled)) != 2 {
		t.Errorf("%d batches, leaves %v", len(f.a.got), f.book.of(city, ani.KindBilled))
	}
}

// due is one round of Run.
func (f *tariffOffice) due(t *testing.T) {
	t.Helper()
	if err := f.BillDue(t.Context()); err != nil {
		t.Error(err)
	}
}

// A batch goes out when it is full, or when its oldest charge is old enough.
func TestWhenABatchIsDue(t *testing.T) {
	f := newTariffOffice(t)
	set := f.set[city]
	set.Calls, set.Every = 2, time.Hour
	f.set[city] = set
	f.again(t)
	f.charged(t, city, "carrier-a", present)
	if f.due(t); f.a.tries != 0 {
		t.Error("sent before it was due")
	}
	f.charged(t, city, "carrier-a", present)
	f.charged(t, city, "carrier-a", present)
	if f.due(t); f.a.tries != 1 {
		t.Errorf("%d batches of a full one and a rest", f.a.tries)
	}
	f.now = f.now.Add(time.Hour)
	if f.due(t); f.a.tries != 2 {
		t.Errorf("%d batches after an hour", f.a.tries)
	}
}

// A batch's root proves exactly its calls: each of them by its proof and its line, and nothing that was changed.
func TestRootProvesExactlyItsCalls(t *testing.T) {
	f := newTariffOffice(t)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(rt, "calls")
		clear(f.a.got)
		var ids []call.ID
		for range n {
			ids = append(ids, f.charged(t, city, "carrier-a", present))
		}
		ok(f.Bill(t.Context(), city))(t)
		text := f.a.only(t)
		head := ok(ani.CheckBatch(strings.NewReader(text)))(t)
		lines := strings.Split(strings.TrimSpace(text), "\n")[1:]
		for _, id := range ids {
			p := ok(f.ProveBilled(t.Context(), city, id, rita))(t)
			for _, line := range lines {
				if err := p.Check([]byte(line)); (err == nil) != strings.Contains(line, string(id)) {
					rt.Fatalf("the proof of %s by a line: %v", id, err)
				}
			}
			if p.Root != head.Root || p.Salt != nil {
				rt.Fatalf("proof %+v of %+v", p, head)
			}
			others(rt, p, ids)
		}
		changed := []byte(text)
		i := rapid.IntRange(0, len(changed)-1).Draw(rt, "byte")
		changed[i] ^= byte(1 << rapid.IntRange(0, 6).Draw(rt, "bit"))
		again, err := ani.CheckBatch(bytes.NewReader(changed))
		if err == nil && (again.Root == head.Root && bytes.Equal(callsIn(changed), callsIn([]byte(text))) == false) {
			rt.Fatalf("a change at %d is not found", i)
		}
	})
}

// callsIn is what a batch says of its calls.
func callsIn(text []byte) (all []byte) {
	for _, line := range bytes.Split(text, []byte("\n"))[1:] {
		var l struct{ Call json.RawMessage }
		_ = json.Unmarshal(line, &l)
		all = append(all, l.Call...)
	}
	return all
}

var wholeHash = regexp.MustCompile(`"[0-9a-f]{64}"`)

// others wants nothing in a proof about another call.
func others(rt *rapid.T, p ani.BatchProof, ids []call.ID) {
	text, err := json.Marshal(p)
	if err != nil {
		rt.Fatal(err)
	}
	for _, id := range ids {
		if id != p.Call && strings.Contains(string(text), string(id)) {
			rt.Fatalf("the proof of %s names %s", p.Call, id)
		}
	}
	// A hash is random, and six of its digits may look like a part of a number; a whole one is looked for there too.
	if hasNumber(wholeHash.ReplaceAllString(string(text), "")) || strings.Contains(string(text), "2125550") {
		rt.Fatal("the proof has a number")
	}
}

// disputed is a dispute that the carrier has with these calls.
func (f *tariffOffice) disputed(t *testing.T, trunk call.TrunkID, calls ...call.ID) ani.Paper {
	t.Helper()
	paper := ok(f.TakePaper(t.Context(), city, ani.NewPaper{Form: ani.PaperDispute, Issuer: "The carrier", Reference: "D-1", ServedOn: ani.ServedOnCity,
		Calls: calls, Trunk: trunk, Until: f.now.Add(80 * 24 * time.Hour)}, dana))(t)
	return ok(f.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
}

func dispute(id call.ID, paper string) ani.NewAsk {
	return ani.NewAsk{Call: id, Purpose: ani.PurposeDispute, Recipient: ani.RecipientTrunk, To: "carrier-a", Ref: paper}
}

// A dispute releases the calls that stand in a batch of that carrier (D06), also when the vault has none of them any more.
func TestDisputeReleasesACallOfTheCarriersBatch(t *testing.T) {
	f := newTariffOffice(t)
	id := f.charged(t, city, "carrier-a", withheld)
	ok(f.Bill(t.Context(), city))(t)
	f.now = f.now.Add(30 * 24 * time.Hour)
	ok(f.Expire(t.Context()))(t)
	if _, err := f.store.Get(t.Context(), city, id); !errors.Is(err, ani.ErrNotFound) {
		t.Fatalf("the vault has it still: %v", err)
	}
	a := ok(f.Ask(t.Context(), city, dispute(id, f.disputed(t, "carrier-a", id).ID), dana))(t)
	if a.State != ani.AskGranted || a.Row != "D06" {
		t.Fatalf("%s by %s", a.State, a.Row)
	}
	if p := ok(f.ProveBilled(t.Context(), city, id, dana))(t); p.Salt != nil {
		t.Error("the salt comes before the number")
	}
	r := ok(f.Reveal(t.Context(), city, a.ID, dana))(t)
	if r.Value.Reveal() != "+12125550142" {
		t.Errorf("revealed %+v", r)
	}
	f.said(t, ani.KindRelease, map[string]string{"row": "D06", "result": "FULL", "relation": "carried", "privacy": "restricted"})
	p := ok(f.ProveBilled(t.Context(), city, id, dana))(t)
	if len(p.Salt) != 32 || !strings.Contains(f.a.only(t), `"`+p.Hash+`"`) {
		t.Errorf("proof %+v", p)
	}
	f.said(t, ani.KindBillProof, map[string]string{"entry": a.ID, "batch_ref": p.Batch, "role": "privacy"})
	for name, by := range map[string]ani.Person{"another officer": paul, "records": rita} {
		if p := ok(f.ProveBilled(t.Context(), city, id, by))(t); p.Salt != nil {
			t.Errorf("%s gets the salt", name)
		}
	}
	_, err := f.ProveBilled(t.Context(), city, id, ana)
	fails(t, "an agent's proof", err, ani.ErrNotPermitted)
	_, err = f.ProveBilled(t.Context(), other, id, dana)
	fails(t, "another city's proof", err, ani.ErrNotFound)
}

func TestDisputeNeighbours(t *testing.T) {
	for name, c := range map[string]struct {
		trunk  call.TrunkID // of the paper
		before func(*tariffOffice) call.ID
		row    string
	}{
		"another carrier's call": {"carrier-b", func(f *tariffOffice) call.ID {
			id := f.charged(t, city, "carrier-a", present)
			ok(f.Bill(t.Context(), city))(t)
			return id
		}, "D47"},
		"in no batch yet": {"carrier-a", func(f *tariffOffice) call.ID { return f.charged(t, city, "carrier-a", present) }, "D47"},
		"never charged":   {"carrier-a", func(f *tariffOffice) call.ID { return f.caller(t, present) }, "D47"},
		"in a batch that never arrived": {"carrier-a", func(f *tariffOffice) call.ID {
			f.a.before = errors.New("away")
			id := f.charged(t, city, "carrier-a", present)
			_, err := f.Bill(t.Context(), city)
			fails(t, "bill", err, f.a.before)
			return id
		}, "D47"},
		"after ninety days": {"carrier-a", func(f *tariffOffice) call.ID {
			id := f.charged(t, city, "carrier-a", present)
			ok(f.Bill(t.Context(), city))(t)
			f.now = f.now.Add(90 * 24 * time.Hour)
			return id
		}, "D42"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newTariffOffice(t)
			id := c.before(f)
			h := f.calls.of[id]
			h.Trunk = "carrier-a"
			f.calls.of[id] = h
			a := ok(f.Ask(t.Context(), city, dispute(id, f.disputed(t, c.trunk, id).ID), dana))(t)
			if a.State != ani.AskDenied || a.Row != c.row {
				t.Errorf("%s by %s, want %s", a.State, a.Row, c.row)
			}
		})
	}
}

// A paper about one call does not open another call of the same batch.
func TestDisputeIsAboutItsCallsOnly(t *testing.T) {
	f := newTariffOffice(t)
	one, two := f.charged(t, city, "carrier-a", present), f.charged(t, city, "carrier-a", present)
	ok(f.Bill(t.Context(), city))(t)
	paper := f.disputed(t, "carrier-a", one)
	if a := ok(f.Ask(t.Context(), city, dispute(two, paper.ID), dana))(t); a.State != ani.AskDenied {
		t.Errorf("the other call: %s by %s", a.State, a.Row)
	}
	if a := ok(f.Ask(t.Context(), city, dispute(one, paper.ID), dana))(t); a.State != ani.AskGranted {
		t.Errorf("the call: %s by %s", a.State, a.Row)
	}
}

// After ninety days neither charge nor batch is left, and a leaf says so.
func TestChargesAreErased(t *testing.T) {
	f := newTariffOffice(t)
	f.charged(t, city, "carrier-a", present)
	ok(f.Bill(t.Context(), city))(t)
	f.now = f.now.Add(90*24*time.Hour - 1)
	ok(f.Expire(t.Context()))(t)
	if n := len(ok(f.Batches(t.Context(), city, "", 9))(t)); n != 1 {
		t.Fatalf("%d batches before the time", n)
	}
	f.book.take(city)
	f.now = f.now.Add(1)
	ok(f.Expire(t.Context()))(t)
	erased := map[string]int{}
	for _, l := range f.leaves(t, ani.KindEntryErased) {
		erased[l.Facts["register"]]++
	}
	if erased["charge"] != 1 || erased["batch"] != 1 || len(ok(f.Batches(t.Context(), city, "", 9))(t)) != 0 {
		t.Errorf("erased %v", erased)
	}
}

// What the registers have of a charge is sealed.
func TestChargesAreSealed(t *testing.T) {
	f := newTariffOffice(t)
	f.charged(t, city, "carrier-a", present)
	ok(f.Bill(t.Context(), city))(t)
	for _, kind := range []ani.Kind{"charge", "batch"} {
		all := ok(f.store.Entries(t.Context(), city, kind, "", 9))(t)
		if len(all) != 1 || hasNumber(fmt.Sprintf("%s %+v", all[0].Sealed, all[0])) {
			t.Errorf("%s: %+v", kind, all)
		}
	}
}

// The hash of a call is what docs/billing.md says, with the salt in it.
func TestHashByHand(t *testing.T) {
	f := newTariffOffice(t)
	f.charged(t, city, "carrier-a", present)
	ok(f.Bill(t.Context(), city))(t)
	var line struct {
		Call json.RawMessage
		Salt []byte
		Hash string
	}
	if err := json.Unmarshal([]byte(strings.Split(f.a.only(t), "\n")[1]), &line); err != nil || len(line.Salt) != 32 {
		t.Fatal(len(line.Salt), err)
	}
	commitment := sha256.Sum256(slices.Concat([]byte("callhall billing v1\n"), line.Salt, line.Call))
	if want := sha256.Sum256(append([]byte{0}, commitment[:]...)); line.Hash != fmt.Sprintf("%x", want) {
		t.Errorf("the hash is %s, want %x", line.Hash, want)
	}
}

func TestCheckBatchRefuses(t *testing.T) {
	f := newTariffOffice(t)
	f.charged(t, city, "carrier-a", present)
	f.charged(t, city, "carrier-a", present)
	ok(f.Bill(t.Context(), city))(t)
	text := f.a.only(t)
	lines := strings.SplitAfter(text, "\n")
	for name, bad := range map[string]string{
		"nothing":        "",
		"no header":      lines[1] + lines[2],
		"one call less":  lines[0] + lines[1],
		"a call twice":   lines[0] + lines[1] + lines[1],
		"another order":  lines[0] + lines[2] + lines[1],
		"another number": strings.Replace(text, "5550142", "5550143", 1),
		"another hash":   strings.Replace(text, `"hash":"`, `"hash":"0`, 1),
		"another count":  strings.Replace(text, `"calls":2`, `"calls":3`, 1),
		"no JSON":        lines[0] + lines[1] + "{+1 212 555 0142",
	} {
		_, err := ani.CheckBatch(strings.NewReader(bad))
		fails(t, name, err, ani.ErrBatch)
		if hasNumber(fmt.Sprint(err)) {
			t.Errorf("%s: the error has a number: %v", name, err)
		}
	}
}
