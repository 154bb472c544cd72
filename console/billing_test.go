package console_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
	"callhall/console"
)

// pigeonhole is a carrier.
type pigeonhole struct{ batches int }

func (p *pigeonhole) Deliver(context.Context, string, []byte) error { p.batches++; return nil }
func (p *pigeonhole) Key() string                                   { return strings.Repeat("a", 64) }

// billed is a call of demo that stands in a batch with another one.
func billed(o *office) call.ID {
	o.t.Helper()
	to := &pigeonhole{}
	b, err := ani.NewBilling(o.vault, ani.BillingConfig{Cities: map[call.CityID]ani.CityBilling{
		"demo": {Tariff: "flat", Carriers: map[call.TrunkID]ani.Carrier{"carrier-a": to}}}})
	if err != nil {
		o.t.Fatal(err)
	}
	ids := []call.ID{o.caller("demo", "ana"), o.caller("demo", "ana")}
	for _, id := range ids {
		if err := b.Charge(o.t.Context(), ani.Charge{City: "demo", Call: id, Trunk: "carrier-a", Began: o.now, Ended: o.now.Add(time.Minute)}); err != nil {
			o.t.Fatal(err)
		}
	}
	if _, err := b.Bill(o.t.Context(), "demo"); err != nil || to.batches != 1 {
		o.t.Fatal(to.batches, err)
	}
	return ids[0]
}

// A dispute over HTTP: the batch, the proof without salt, the number once, and then the proof with salt for that officer.
func TestBatchesAndProofs(t *testing.T) {
	o := newOffice(t, nil)
	id := string(billed(o))
	dana, rita := o.of("demo", console.RolePrivacy, "Dana"), o.of("demo", console.RoleRecords, "Rita")
	page := into[struct{ Data []ani.Batch }](t, o.ask(rita, "GET", "/api/v1/billing/batches", ""))
	if len(page.Data) != 1 || page.Data[0].Calls != 2 || page.Data[0].State != "delivered" || len(page.Data[0].Root) != 64 {
		t.Fatalf("batches %+v", page.Data)
	}
	proof := into[ani.BatchProof](t, o.ask(dana, "GET", "/api/v1/calls/"+id+"/billing-proof", ""))
	if err := proof.Check(nil); err != nil || proof.Batch != page.Data[0].ID || proof.Root != page.Data[0].Root || proof.Salt != nil {
		t.Errorf("proof %+v, %v", proof, err)
	}
	paper := o.field(o.post(dana, "/api/v1/processes", `{"form":"dispute","issuer":"The carrier","reference":"D-1","served_on":"city","calls":["`+id+
		`"],"trunk":"carrier-a","until":"`+o.now.Add(24*time.Hour).Format(time.RFC3339)+`"}`, http.StatusCreated), "id")
	o.post(rita, "/api/v1/processes/"+paper+"/verify", "", http.StatusOK)
	ask := o.post(dana, "/api/v1/calls/"+id+"/ani-releases", `{"purpose":"billing-dispute","recipient":"TRK","ref":"`+paper+`"}`, http.StatusCreated)
	if o.field(ask, "state") != "granted" || o.field(ask, "row") != "D06" {
		t.Fatalf("asked: %s", ask)
	}
	if n := o.field(o.post(dana, "/api/v1/ani-releases/"+o.field(ask, "id")+"/reveal", "", http.StatusOK), "number"); n != number {
		t.Errorf("revealed %q", n)
	}
	for token, salt := range map[string]int{dana: 32, rita: 0} {
		if p := into[ani.BatchProof](t, o.ask(token, "GET", "/api/v1/calls/"+id+"/billing-proof", "")); len(p.Salt) != salt {
			t.Errorf("a salt of %d bytes, want %d", len(p.Salt), salt)
		}
	}
	o.problem(o.ask(o.of("other", console.RolePrivacy, "Dana"), "GET", "/api/v1/calls/"+id+"/billing-proof", ""), http.StatusNotFound)
	if other := into[struct{ Data []ani.Batch }](t, o.ask(o.of("other", console.RolePrivacy, "Dana"), "GET", "/api/v1/billing/batches", "")); len(other.Data) != 0 {
		t.Errorf("another city sees %+v", other.Data)
	}
}
