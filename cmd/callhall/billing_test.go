package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"callhall/ani"
	"callhall/call"
)

// chargingNode is a node whose city charges for calls of its one trunk, and the carrier's key.
func chargingNode(t *testing.T) (n *node, carrier *age.X25519Identity, dir string) {
	t.Helper()
	carrier, err := age.GenerateX25519Identity()
	must(t, err)
	cfg := testConfig(t, t.TempDir())
	city := &cfg.Cities[0]
	city.Billing = BillingConfig{Tariff: "per-minute", Every: time.Hour, Calls: 2, Carriers: []CarrierConfig{{Trunk: city.Trunks[0].ID,
		Recipient: carrier.Recipient().String()}}}
	cfg.placeStores()
	cfg.placeBatches()
	return openNode(t, cfg, nil), carrier, string(cfg.Cities[0].Billing.Carriers[0].Dir)
}

// endedCall is the record of a call that was captured and is over.
func (n *node) endedCall(t *testing.T, change func(*call.Record)) call.Record {
	t.Helper()
	r := call.Record{ID: call.NewID(), City: "aspen", Node: n.cfg.Node, Trunk: "aspen-trunk", Entry: "311", Queue: "general", Caller: call.CallerPresent,
		Verstat: call.VerstatNone, ArrivedAt: time.Now().Add(-time.Minute), End: call.EndCallerHungUp}
	r.AnsweredAt, r.EndedAt = r.ArrivedAt, r.ArrivedAt.Add(time.Minute)
	change(&r)
	_, err := n.vault.Capture(t.Context(), ani.Incoming{City: r.City, Call: r.ID, Trunk: r.Trunk, Trust: ani.Trust{Identity: true},
		Headers: ani.Headers{Asserted: []string{"<sip:+12125550142@carrier.invalid>"}}})
	must(t, err)
	n.vault.Over(r.City, r.ID)
	must(t, n.farewells.Close(t.Context(), r))
	return r
}

// TestCallsAreBilledToTheirCarrier: what callers were answered for goes sealed to the carrier; what nobody answered, what
// we called ourselves and what came by another trunk does not.
func TestCallsAreBilledToTheirCarrier(t *testing.T) {
	n, carrier, dir := chargingNode(t)
	first := n.endedCall(t, func(*call.Record) {})
	second := n.endedCall(t, func(*call.Record) {})
	n.endedCall(t, func(r *call.Record) { r.AnsweredAt = time.Time{} })
	n.endedCall(t, func(r *call.Record) { r.Direction = call.DirectionOut })
	n.endedCall(t, func(r *call.Record) { r.Trunk = "house" })
	must(t, n.billing.BillDue(t.Context())) // two are a batch
	text := openBatch(t, carrier, dir)
	head, err := ani.CheckBatch(strings.NewReader(text))
	if err != nil || head.Calls != 2 || head.City != "aspen" || head.Carrier != "aspen-trunk" || head.Tariff != "per-minute" {
		t.Fatalf("batch %+v, %v", head, err)
	}
	for _, id := range []call.ID{first.ID, second.ID} {
		if !strings.Contains(text, string(id)) || !strings.Contains(text, `"seconds":60,"number":"+12125550142"`) {
			t.Errorf("%s is not in the batch", id)
		}
	}
	size, err := n.ledger.Size(t.Context(), "aspen")
	must(t, err)
	leaves, _, err := n.ledger.List(t.Context(), "aspen", 0, int(size))
	must(t, err)
	billed := leaves[len(leaves)-1].Leaf
	if billed.Kind != ani.KindBilled || billed.Facts["root"] != head.Root || billed.Facts["batch"] != head.Batch {
		t.Errorf("the last leaf is %+v", billed)
	}
	there, err := written(t.Context(), n.ledger, "aspen", billed.At, []string{head.Batch, "bat_none"})
	if err != nil || len(there) != 1 || there[0] != head.Batch {
		t.Errorf("a restart finds %v, %v", there, err)
	}
}

// TestBillingCheck: a carrier checks what it has opened without a server, and sees no call on the terminal.
func TestBillingCheck(t *testing.T) {
	n, carrier, dir := chargingNode(t)
	n.endedCall(t, func(*call.Record) {})
	n.endedCall(t, func(*call.Record) {})
	must(t, n.billing.BillDue(t.Context()))
	text := openBatch(t, carrier, dir)
	t.Chdir(t.TempDir())
	write(t, "batch", text, 0o600)
	write(t, "changed", strings.Replace(text, `"seconds":60`, `"seconds":61`, 1), 0o600)
	out, errs, code := verb(t, "ani", "billing", "check", "batch")
	if code != 0 || !strings.Contains(out, "for aspen-trunk: 2 calls, tariff per-minute") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	wantNoDigits(t, "a batch that is right", out+errs)
	out, errs, code = verb(t, "ani", "billing", "check", "changed")
	if code == 0 || out != "" || !strings.Contains(errs, "in line 2") {
		t.Errorf("changed: exit %d: %s%s", code, out, errs)
	}
	wantNoDigits(t, "a batch that was changed", errs)
}

// openBatch opens the one file that was left for the carrier.
func openBatch(t *testing.T, carrier age.Identity, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 || !strings.HasSuffix(files[0], ".jsonl.age") {
		t.Fatalf("the carrier has %v, %v", files, err)
	}
	sealed, err := os.ReadFile(files[0])
	must(t, err)
	if bytes.Contains(sealed, []byte("5550142")) {
		t.Fatal("the file is not sealed")
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), carrier)
	must(t, err)
	text, err := io.ReadAll(r)
	must(t, err)
	return string(text)
}
