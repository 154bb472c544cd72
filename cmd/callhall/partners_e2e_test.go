package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
	"callhall/ledger"
	"callhall/media"
	"callhall/sip/phone"
)

// outside is whoever is beyond a trunk of ours: whatever is dialled over the trunk comes to this phone.
type outside struct {
	*phone.Phone
	engine *media.Engine
}

// openOutside opens the phone of those outside at an address of this machine, where a city's trunk has its proxy.
func openOutside(t *testing.T, host string) *outside {
	t.Helper()
	engine, err := media.Open(media.Config{Addr: netip.MustParseAddr(host), PortMin: 40000, PortMax: 49999, Loops: 1, Deaf: -1})
	must(t, err)
	p, err := phone.New(phone.Config{Listen: host + ":0", Media: engine}, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), engine.Close()); err != nil {
			t.Errorf("put those outside away: %v", err)
		}
	})
	return &outside{p, engine}
}

// answering has somebody at the phone of those outside until the end of the scene.
func (s *stage) answering(o *outside, policy phone.Policy) *desk {
	s.t.Helper()
	d := &desk{Phone: o.Phone, t: s.t, engine: o.engine, rings: make(chan *phone.Call, 16)}
	policy.Ring = func(c *phone.Call) { d.rings <- c }
	policy.MaxCalls = 4
	policy.Audio = phone.Audio{Tone: 660}
	ready := make(chan struct{})
	policy.Ready = func() { close(ready) }
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() { _ = o.Serve(ctx, policy) })
	s.away = append(s.away, func() { cancel(); serving.Wait() })
	<-ready
	return d
}

// ownNumber is what a city of these tests shows to those whom it calls.
const ownNumber = "+12125550100"

// reaches gives a city a way out to o, partners of each kind there, and a number to show them.
func (c *CityConfig) reaches(o *outside) {
	trunk := TrunkConfig{ID: call.TrunkID(c.ID + "-out"), Allow: []netip.Prefix{netip.PrefixFrom(o.Addr().Addr(), 32)}, TrustIdentity: true,
		Proxy: SIPListener{Transport: "udp", Addr: o.Addr()}, TrustOut: true}
	c.Trunks = append(c.Trunks, trunk)
	c.Numbers = append(c.Numbers, NumberConfig{Number: ownNumber, Queue: "general", Language: "en"})
	c.CallerID, c.CallbackTrunk = ownNumber, trunk.ID
	for _, p := range []PartnerConfig{
		{ID: "parks", Kind: "city", URI: "sip:desk@parks.example.gov"},
		{ID: "power", Kind: "private", URI: "tel:+12125550111"},
		{ID: "emergency", Kind: "psap", URI: sosURN},
		{ID: "voices", Kind: "interpreter", URI: "sip:voices@interpreters.example"},
	} {
		p.Name, p.Trunk = string(p.ID), trunk.ID
		c.Partners = append(c.Partners, p)
	}
}

// openTown is a node of one city with a way out, and those who are there.
func openTown(t *testing.T) (*node, *outside) {
	t.Helper()
	o := openOutside(t, "127.0.0.5")
	cfg := testConfig(t, t.TempDir())
	cfg.SIP.Silence = silence
	cfg.Cities[0].reaches(o)
	cfg.placeStores()
	return openNode(t, cfg, nil).run(), o
}

// callerSays is a caller with number +1 212 555 0142, who may want it withheld.
func callerSays(withheld bool) phone.Options {
	o := presentCaller()
	o.Withheld = withheld
	return o
}

// hearsAlso waits until that tone is among what is heard, where several speak at once.
func (l *line) hearsAlso(hertz float64) {
	l.t.Helper()
	within(l.t, soon, func() error {
		if share := l.Power(hertz)[0]; share < 0.3 {
			return fmt.Errorf("%.0f Hz has %.2f of the power heard", hertz, share)
		}
		return nil
	})
}

// TestTransfersCarryWhatTheTermsAllow: for each kind of partner, by what the caller wants and has said, what the INVITE to
// the partner says of them; that, and nothing else of their number, is in it.
func TestTransfersCarryWhatTheTermsAllow(t *testing.T) {
	t.Parallel()
	n, beyond := openTown(t)
	const whole = "+12125550142"
	for _, test := range []struct {
		name     string
		partner  call.PartnerID
		withheld bool
		spoken   bool
		asserted string // the number that P-Asserted-Identity has
		from     string // what From has
		privacy  string
		rows     []string // by which it was decided for the agent's leg and the partner's
	}{
		{"a city's agency", "parks", false, false, whole, whole, "", []string{"D08", "D02", "D12"}},
		{"a city's agency, withheld", "parks", true, false, whole, "anonymous@anonymous.invalid", "id", []string{"D03", "D13"}},
		{"a private partner, nothing said", "power", false, false, "", "anonymous@anonymous.invalid", "", []string{"D08", "D47"}},
		{"a private partner, with the caller's word", "power", false, true, whole, whole, "", []string{"D08", "D02", "D14"}},
		{"911", "emergency", false, false, whole, whole, "", []string{"D08", "D25"}},
		{"911, withheld", "emergency", true, false, whole, "anonymous@anonymous.invalid", "id", []string{"D25"}},
		{"an interpreter", "voices", false, true, ownNumber, ownNumber, "", []string{"D08", "D44"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(n.records("aspen"))
			s := n.stage(t)
			there := s.answering(beyond, answers())
			s.agent("aspen-1", answers())
			caller := s.dialFrom("127.0.0.1", "311", callerSays(test.withheld))
			caller.served()
			caller.hears(880)
			if test.spoken {
				n.agrees(t, caller.id)
			}
			must(t, n.board.Transfer(n.ctx(), call.TransferOrder{City: "aspen", Call: caller.id, By: "agent:aspen-1", Agent: "aspen-1",
				Partner: test.partner, Spoken: test.spoken}))
			partner := there.ring()
			caller.hearsAlso(660)
			invite := partner.Invite()
			if got := partner.Header("P-Asserted-Identity"); (test.asserted == "") != (got == "") || !strings.Contains(got, test.asserted) {
				t.Errorf("asserted %q, want %q", got, test.asserted)
			}
			if got := partner.Header("From"); !strings.Contains(got, test.from) {
				t.Errorf("from %q, want %q", got, test.from)
			}
			if got := partner.Header("Privacy"); got != test.privacy {
				t.Errorf("privacy %q, want %q", got, test.privacy)
			}
			if test.asserted != whole && strings.Contains(invite, "5550142") {
				t.Errorf("the partner is told the number: %s", invite)
			}
			caller.hangUp()
			partner.over()
			n.recordsAfter("aspen", before, 1)
			rows := n.releases(t, "aspen", caller.id)
			for _, row := range test.rows {
				if !slices.Contains(rows, row) {
					t.Errorf("the ledger has decisions by %q, want %s among them", rows, row)
				}
			}
		})
	}
}

// agrees enters that a caller who talks with agent aspen-1 lets their number go with them.
func (n *node) agrees(t *testing.T, id call.ID) {
	t.Helper()
	_, err := n.office.EnterVerbalConsent(n.ctx(), "aspen", ani.NewVerbalConsent{Call: id, Purposes: []ani.Purpose{ani.PurposeTransfer},
		Recipients: []ani.Recipient{ani.RecipientPrivate}}, ani.Person{Actor: "agent:aspen-1", Role: ani.RoleAgent, Agent: "aspen-1"})
	must(t, err)
}

// leaves are a city's leaves about a call, oldest first.
func (n *node) leaves(t *testing.T, city call.CityID, id call.ID) (found []call.Leaf) {
	t.Helper()
	size, err := n.ledger.Size(n.ctx(), city)
	must(t, err)
	for from := int64(0); from < size; {
		entries, _, err := n.ledger.List(n.ctx(), city, from, 1000)
		must(t, err)
		for _, e := range entries {
			if e.Leaf.Call == id {
				found = append(found, e.Leaf)
			}
		}
		from += int64(len(entries))
	}
	return found
}

// releases are the rows by which something was decided about a call's caller.
func (n *node) releases(t *testing.T, city call.CityID, id call.ID) (rows []string) {
	t.Helper()
	for _, leaf := range n.leaves(t, city, id) {
		if leaf.Kind == ani.KindRelease {
			rows = append(rows, leaf.Facts["row"])
		}
	}
	return rows
}

// cutOffCall is a call that was cut off while agent and caller talked: the caller's phone has died.
func (s *stage) cutOffCall(withheld bool) call.ID {
	s.t.Helper()
	before := len(s.records("aspen"))
	desk := s.agent("aspen-1", answers())
	caller := s.dialFrom("127.0.0.1", "311", callerSays(withheld))
	caller.served()
	agent := desk.ring()
	agent.hears(440)
	must(s.t, caller.engine.Close())
	agent.over()
	return s.recordsAfter("aspen", before, 1)[0].ID
}

// anAgent is an agent as the office knows them.
func anAgent(id call.AgentID) ani.Person {
	return ani.Person{Actor: "agent:" + string(id), Holder: string(id), Role: ani.RoleAgent, Agent: id}
}

// callBack orders that the caller of a call be called back by that agent, by a handle that they were given.
func (s *stage) callBack(of call.ID, agent call.AgentID) (call.ID, string) {
	s.t.Helper()
	handle, err := s.office.GiveHandle(s.ctx(), "aspen", of, anAgent(agent))
	must(s.t, err)
	id, err := s.board.CallBack(s.ctx(), call.CallBackOrder{City: "aspen", Of: of, Handle: handle.Handle, Agent: agent, Queue: "general",
		Language: "en", By: "agent:" + string(agent)})
	must(s.t, err)
	return id, handle.Handle
}

// TestCallBackByHandle: the caller who was cut off is dialled with the city's number as identity; neither the agent's
// phone nor the ledger nor the log has their number, and the handle dies when it has served.
func TestCallBackByHandle(t *testing.T) {
	t.Parallel()
	n, beyond := openTown(t)
	s := n.stage(t)
	of := s.cutOffCall(false)
	s.clear()
	desk := s.agent("aspen-1", answers())
	there := s.answering(beyond, answers())
	id, handle := s.callBack(of, "aspen-1")
	agent, caller := desk.ring(), there.ring()
	if target, _, _ := strings.Cut(caller.Invite(), "\r\n"); !strings.Contains(target, "+12125550142@") {
		t.Errorf("dialled %q", target)
	}
	for _, name := range []string{"From", "P-Asserted-Identity"} {
		if got := caller.Header(name); !strings.Contains(got, ownNumber) {
			t.Errorf("%s of the call back is %q, want the city's number", name, got)
		}
	}
	agent.hears(660)
	caller.hears(880)
	caller.hangUp()
	agent.over()
	r := n.recordsAfter("aspen", 1, 1)[0]
	if r.ID != id || r.Of != of || r.Direction != call.DirectionOut || r.End != call.EndCallerHungUp || r.Recording.State != call.RecordingKept {
		t.Errorf("record %s", asJSON(r))
	}
	if faults := n.said.faults(); faults != 0 {
		t.Errorf("the node logged %d errors", faults)
	}
	for where, text := range map[string]string{"the agent's phone": agent.Invite(), "the log": n.said.String(), "the record": asJSON(r),
		"the ledger": asJSON(n.leaves(t, "aspen", of)) + asJSON(n.leaves(t, "aspen", id))} {
		for _, digits := range []string{"2125550142", "5550142", "212-555"} {
			if strings.Contains(text, digits) {
				t.Errorf("%s has %s: %s", where, digits, text)
			}
		}
	}
	if _, err := n.office.HandleOf(n.ctx(), "aspen", handle, anAgent("aspen-1")); !errors.Is(err, ani.ErrHandle) {
		t.Errorf("the handle has served and lives: %v", err)
	}
}

// TestNoCallBackAgainstTheCallersWish: a caller who withholds their number, and has not said that they may be called back,
// is dialled by nobody: there is no handle, and the denial has its leaf (D11).
func TestNoCallBackAgainstTheCallersWish(t *testing.T) {
	t.Parallel()
	n, _ := openTown(t)
	of := n.stage(t).cutOffCall(true)
	if _, err := n.office.GiveHandle(n.ctx(), "aspen", of, anAgent("aspen-1")); !errors.Is(err, ani.ErrNotPermitted) {
		t.Errorf("a handle is given: %v", err)
	}
	if rows := n.releases(t, "aspen", of); !slices.Contains(rows, "D11") {
		t.Errorf("the ledger has decisions by %q, want D11 among them", rows)
	}
}

// TestNothingOutsideOfAnotherCity: with two cities on one node, no partner, call, handle or release of one is there for
// the other.
func TestNothingOutsideOfAnotherCity(t *testing.T) {
	t.Parallel()
	beyond := openOutside(t, "127.0.0.5")
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	cfg.SIP.Silence = silence
	cfg.Cities[0].reaches(beyond)
	birch := testCity(t, dir, "birch", "127.0.0.2/32")
	birch.Partners = []PartnerConfig{{ID: "depot", Kind: "city", Name: "Depot", URI: "sip:depot@birch.example", Trunk: "birch-trunk"}}
	birch.Trunks[0].Proxy = SIPListener{Transport: "udp", Addr: beyond.Addr()}
	cfg.Cities = append(cfg.Cities, birch)
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	s := n.stage(t)

	of := s.cutOffCall(false)
	handle, err := n.office.GiveHandle(n.ctx(), "aspen", of, anAgent("aspen-1"))
	must(t, err)
	s.clear()
	s.agent("aspen-1", answers())
	there := s.answering(beyond, answers())
	caller := s.dial("311")
	caller.served()
	order := call.TransferOrder{City: "aspen", Call: caller.id, By: "agent:aspen-1", Agent: "aspen-1", Partner: "depot"}
	for name, test := range map[string]struct {
		change func(o *call.TransferOrder)
		want   error
	}{
		"to a partner of the other city": {func(*call.TransferOrder) {}, call.ErrUnknownPartner},
		"of a call of the other city":    {func(o *call.TransferOrder) { o.City = "birch" }, call.ErrUnknownCall},
		"by an agent of the other city":  {func(o *call.TransferOrder) { o.Partner, o.Agent = "parks", "birch-1" }, call.ErrNotYours},
	} {
		o := order
		test.change(&o)
		if err := n.board.Transfer(n.ctx(), o); !errors.Is(err, test.want) {
			t.Errorf("transfer %s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := n.office.GiveHandle(n.ctx(), "birch", of, anAgent("aspen-1")); err == nil {
		t.Error("the other city gives a handle of the call")
	}
	if _, err := n.vault.Destination(n.ctx(), "birch", handle.Handle, call.NewID(), "agent:aspen-1", "carrier-1"); !errors.Is(err, ani.ErrHandle) {
		t.Errorf("the other city dials the handle: %v", err)
	}
	ask, err := n.office.Ask(n.ctx(), "birch", ani.NewAsk{Call: of, Purpose: ani.PurposeDropped, Recipient: ani.RecipientAgent, Reason: "handle-failed"},
		anAgent("birch-1"))
	if err == nil && ask.State != "denied" {
		t.Errorf("the other city's office takes a request for the call: %+v", ask)
	}
	shown, err := n.vault.Egress(n.ctx(), ani.Outgoing{City: "birch", Call: caller.id, To: ani.PartyPSAP, By: "agent:birch-1"})
	if shown.Number.Reveal() != "" || shown.Mask.Reveal() != "" {
		t.Errorf("a leg of the other city shows %q %q, %v", shown.Number.Reveal(), shown.Mask.Reveal(), err)
	}
	for _, leaf := range append(n.leaves(t, "birch", of), n.leaves(t, "birch", caller.id)...) {
		if leaf.Facts["number"] == "held" || leaf.Facts["token"] != "" {
			t.Errorf("the other city's ledger knows of the call: %s", asJSON(leaf))
		}
	}
	caller.hangUp()
	select {
	case c := <-there.rings:
		t.Errorf("somebody outside was called: %s", c.Invite())
	default:
	}
}

// errStillAway says that a leaf has not come out of the spool.
var errStillAway = errors.New("the ledger has no leaf of the hand-over")

// wantHandOver waits until the ledger has exactly one leaf of the hand-over of a call to 911.
func (n *node) wantHandOver(t *testing.T, id call.ID) {
	t.Helper()
	within(t, 2*soon, func() error {
		if !slices.Contains(n.releases(t, "aspen", id), "D25") {
			return errStillAway
		}
		return nil
	})
	if rows := slices.DeleteFunc(n.releases(t, "aspen", id), func(row string) bool { return row != "D25" }); len(rows) != 1 {
		t.Errorf("the ledger has %d leaves of the hand-over", len(rows))
	}
}

// handOver transfers a call to 911 and wants the caller's number to be there.
func (s *stage) handOver(there *desk, caller *line) {
	s.t.Helper()
	must(s.t, s.board.Transfer(s.ctx(), call.TransferOrder{City: "aspen", Call: caller.id, By: "agent:aspen-1", Agent: "aspen-1", Partner: "emergency"}))
	psap := there.ring()
	if got := psap.Header("P-Asserted-Identity"); !strings.Contains(got, "+12125550142") {
		s.t.Errorf("911 is told %q", got)
	}
	caller.hearsAlso(660)
	caller.hangUp()
	psap.over()
}

// TestEmergencyWithoutADatabase: while another process holds the database of ledger and numbers, so that nothing can be
// written, a hand-over to 911 carries the number all the same, at once, and its one leaf is in the ledger when it can be.
func TestEmergencyWithoutADatabase(t *testing.T) {
	t.Parallel()
	n, beyond := openTown(t)
	s := n.stage(t)
	s.agent("aspen-1", answers())
	there := s.answering(beyond, answers())
	caller := s.dial("311")
	caller.served()
	caller.hears(880)
	release := holdDatabase(t, n.path("sealed.db"))
	s.handOver(there, caller)
	if slices.Contains(n.releases(t, "aspen", caller.id), "D25") {
		t.Fatal("the leaf was written: the database is not away, and this test proves nothing")
	}
	release()
	n.wantHandOver(t, caller.id)
}

// TestEmergencyBeforeACrash: the database is lost for good under a running node. The hand-over carries the number, and the
// node's next run moves its leaf from the spool into the ledger.
func TestEmergencyBeforeACrash(t *testing.T) {
	t.Parallel()
	n, beyond := openTown(t)
	s := n.stage(t)
	s.agent("aspen-1", answers())
	there := s.answering(beyond, answers())
	caller := s.dial("311")
	caller.served()
	caller.hears(880)
	must(t, n.sealed.Close())
	s.handOver(there, caller)
	s.clear()
	n.stop()
	_ = n.Close() // what it could not close has been told
	again := openNode(t, n.cfg, nil).run()
	again.wantHandOver(t, caller.id)
}

// TestEmergencyWithAFrozenLedger: the ledger was found to be another than its witness knows, and takes nothing. Calls are
// served, a hand-over to 911 carries the number, and its leaf is the successor's.
func TestEmergencyWithAFrozenLedger(t *testing.T) {
	t.Parallel()
	beyond := openOutside(t, "127.0.0.5")
	cfg := testConfig(t, t.TempDir())
	cfg.Cities[0].reaches(beyond)
	cfg.placeStores()
	first := openNode(t, cfg, nil)
	for range 3 {
		must(t, first.ledger.Append(first.ctx(), "aspen", call.Leaf{Kind: "test/1", At: time.Now(), Actor: "engine"}))
	}
	must(t, first.Close())
	forget(t, first.path("sealed.db"))
	n := openNode(t, cfg, nil).run()
	if err := n.ledger.Frozen()["aspen"]; !errors.Is(err, ledger.ErrForked) && !errors.Is(err, ledger.ErrDamaged) {
		t.Fatalf("the ledger is not frozen: %v", err)
	}
	s := n.stage(t)
	s.agent("aspen-1", answers())
	there := s.answering(beyond, answers())
	caller := s.dial("311")
	caller.served()
	s.handOver(there, caller)
	log, err := n.ledger.Succeed(n.ctx(), "aspen", "operator", "restored")
	must(t, err)
	if log == "aspen" {
		t.Fatal("there is no successor")
	}
	n.wantHandOver(t, caller.id)
}
