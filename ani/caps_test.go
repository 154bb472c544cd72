package ani_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
	"github.com/prometheus/client_golang/prometheus"
)

// two are two nodes of ours over one store.
func two(t *testing.T, p *privacyOffice) [2]*ani.Office {
	t.Helper()
	cfg := p.cfg
	cfg.Registry = nil
	p.reg = prometheus.NewRegistry()
	next := ok(ani.NewOffice(p.newVault(t), cfg))(t)
	if err := next.Load(t.Context(), city, other); err != nil {
		t.Fatal(err)
	}
	return [2]*ani.Office{p.Office, next}
}

// However many nodes there are, and whatever happens at the same moment, a cap is one: nobody is shown more, and everybody
// is shown as much.
func TestNodesShareOneCap(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{Caps: map[call.CityID]ani.Caps{city: {PerActor: 5}}})
	id := p.caller(t, present)
	p.drop(id)
	nodes := two(t, p)
	var shown, refused atomic.Int64
	var asking sync.WaitGroup
	for i := range 16 {
		asking.Go(func() {
			node := nodes[i%2]
			a, err := node.Ask(t.Context(), city, cutOff(id), ana)
			if err != nil {
				t.Error(err)
				return
			}
			switch r, err := node.Reveal(t.Context(), city, a.ID, ana); {
			case err == nil && r.Value.Reveal() != "":
				shown.Add(1)
			case errors.Is(err, ani.ErrTooMany):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if shown.Load() != 5 || refused.Load() != 11 {
		t.Errorf("%d shown and %d refused", shown.Load(), refused.Load())
	}
}

// Every whole number that a person is shown counts, whatever the paper: nobody reads a city's numbers by tickets. A threat to
// life is counted, raises the alarm and is not held up.
func TestEveryWholeNumberCounts(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{Caps: map[call.CityID]ani.Caps{city: {PerActor: 2}}})
	p.wide(t)
	id := p.caller(t, present)
	take := func(form ani.PaperForm) string {
		n := warrant(p, id)
		n.Form, n.Trunk = form, "carrier-a"
		return ok(p.VerifyPaper(t.Context(), city, ok(p.TakePaper(t.Context(), city, n, sam))(t).ID, rita))(t).ID
	}
	ticket := take(ani.PaperTicket)
	reveal := func() error {
		a := ok(p.Ask(t.Context(), city, ani.NewAsk{Call: id, Purpose: ani.PurposeTrouble, Recipient: ani.RecipientTrunk, Ref: ticket}, sam))(t)
		_, err := p.Reveal(t.Context(), city, a.ID, sam)
		return err
	}
	ok(0, errors.Join(reveal(), reveal()))(t)
	fails(t, "a third", reveal(), ani.ErrTooMany)
	p.said(t, ani.KindRelease, map[string]string{"row": "D18", "result": "DENY", "stopped": "cap"})
	p.told(t, ani.NoticeCap, "actor "+p.now.UTC().Truncate(time.Hour).Format(time.RFC3339Nano))

	a := ok(p.Ask(t.Context(), city, ani.NewAsk{Call: id, Purpose: ani.PurposeExigency, Recipient: ani.RecipientPolice, Ref: take(ani.PaperExigency)}, sam))(t)
	ok(p.Approve(t.Context(), city, a.ID, sue))(t)
	before := alarms(t, p)
	if r := ok(p.Reveal(t.Context(), city, a.ID, sam))(t); r.Value.Reveal() == "" || alarms(t, p) != before+1 {
		t.Errorf("revealed %+v with %v alarms more", r, alarms(t, p)-before)
	}
}
