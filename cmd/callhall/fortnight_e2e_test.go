package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callhall/call"
	"callhall/console"
	"callhall/ledger"
	"callhall/recording"
	recordingsql "callhall/recording/sqlstore"
)

// wornClock goes with the machine's until a test sets it; then it stands.
type wornClock struct {
	mu sync.Mutex
	at time.Time
}

// Now implements recording.Clock.
func (c *wornClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return time.Now()
	}
	return c.at
}

func (c *wornClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// token is a token of that city and role.
func (n *node) token(city call.CityID, role console.Role, agent call.AgentID) string {
	n.t.Helper()
	secret, _, err := n.tokens.Issue(n.ctx(), console.Token{City: city, Name: "test", Role: role, Agent: agent, ExpiresAt: time.Now().Add(time.Hour)})
	must(n.t, err)
	return secret
}

// ask makes one request of the API.
func (n *node) ask(method, path, token, body string) (status int, answer string) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.ctx(), method, "http://"+n.http.Addr().String()+path, strings.NewReader(body))
	must(n.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	must(n.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(n.t, err)
	return resp.StatusCode, string(text)
}

// talk is one recorded conversation, of which its record is returned when its recording is in the store.
func (n *node) talk(t *testing.T, host, agent string) call.Record {
	t.Helper()
	s := n.stage(t)
	defer s.clear()
	city := call.CityID(agent[:strings.Index(agent, "-")])
	before := len(n.records(city))
	desk := s.agent(agent, answers())
	caller := s.dialFrom(host, "311", presentCaller())
	caller.served()
	caller.hears(880)
	desk.ring().hears(440)
	caller.hangUp()
	record := n.recordsAfter(city, before, 1)[0]
	within(t, soon, func() error {
		status, err := n.recordings.Status(n.ctx(), city, record.Recording.ID)
		if err == nil && status.State != recording.StateStored {
			err = errors.New("not stored yet: " + status.State.String())
		}
		return err
	})
	return record
}

// TestFortnight: a recording plays until its fourteen days are over and never again: its key and its bytes are gone, a
// copy of the bytes that is put back does not open and is erased again, the caller's number is gone, the record remains,
// and the ledger proves it.
func TestFortnight(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.placeStores()
	clock := &wornClock{}
	n := openNode(t, cfg, clock).run()
	ctx := n.ctx()
	record := n.talk(t, "127.0.0.1", "aspen-1")
	id, due := record.Recording.ID, record.Recording.DueAt
	if want := record.Recording.EndedAt.Add(14 * 24 * time.Hour); !due.Equal(want) || due.Before(time.Now().Add(13*24*time.Hour)) {
		t.Fatalf("due %v, want %v", due, want)
	}
	token := n.token("aspen", console.RoleSupervisor, "")
	play := func() int {
		status, answer := n.ask("GET", "/api/v1/recordings/"+string(id)+"/media?reason=quality-review", token, "")
		if status == http.StatusOK && (!strings.HasPrefix(answer, "RIFF") || len(answer) < 8000) {
			t.Errorf("played %d bytes", len(answer))
		}
		return status
	}
	checkpoint, err := n.ledger.Checkpoint(ctx, "aspen")
	must(t, err)
	store := string(cfg.Cities[0].Recording.Store.Dir)
	kept := copyAside(t, store)
	if len(kept) != 1 {
		t.Fatalf("the store has %d files", len(kept))
	}
	numberDue := n.vaultDue(record.ID)

	clock.set(numberDue.Add(-time.Second))
	_, err = n.vault.Expire(ctx)
	must(t, err)
	if n.vaultRows(record.ID) != 1 {
		t.Error("the caller's number is gone before its time")
	}
	clock.set(due.Add(-time.Second))
	if status := play(); status != http.StatusOK {
		t.Errorf("a second before due: %d", status)
	}
	clock.set(due)
	if status := play(); status != http.StatusGone {
		t.Errorf("at due: %d, want 410", status)
	}
	n.eraseAll(t)
	if status := play(); status != http.StatusGone {
		t.Errorf("erased: %d, want 410", status)
	}
	n.wantErased(t, id, store, due)

	restore(t, kept)
	if status := play(); status != http.StatusGone {
		t.Errorf("ciphertext that was put back: %d, want 410", status)
	}
	swept, err := n.recordings.Sweep(ctx)
	if err != nil || swept != (recording.Swept{Returned: 1}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
	wantNoFiles(t, store)

	n.eraseAll(t)
	if n.vaultRows(record.ID) != 0 {
		t.Error("the caller's number is in the vault after its time")
	}
	got, err := n.cdr.Get(ctx, "aspen", record.ID)
	must(t, err)
	if !got.Recording.DueAt.Equal(due) || got.Recording.ID != id || got.End != call.EndCallerHungUp {
		t.Errorf("record %s", asJSON(got))
	}
	n.wantProof(t, record, checkpoint)
}

// eraseAll does what the node's own loops do each second and each minute.
func (n *node) eraseAll(t *testing.T) {
	t.Helper()
	_, err := n.recordings.EraseDue(n.ctx())
	must(t, err)
	_, err = n.vault.Expire(n.ctx())
	must(t, err)
}

// wantErased looks for what must be gone, and what must be left.
func (n *node) wantErased(t *testing.T, id call.RecordingID, store string, due time.Time) {
	t.Helper()
	wantNoFiles(t, store)
	catalogue, err := recordingsql.New(n.ctx(), n.sealed)
	must(t, err)
	e, err := catalogue.Get(n.ctx(), "aspen", id)
	must(t, err)
	if e.State != recording.StateErased || len(e.Wrapped) != 0 || e.KeyDestroyedAt.IsZero() || e.Certificate == "" || !e.DueAt.Equal(due) {
		t.Errorf("catalogue has %+v", e)
	}
}

// wantProof wants the certificates in the ledger, and the ledger to verify for somebody who has only an export, and not
// to verify when a bit of it was changed.
func (n *node) wantProof(t *testing.T, record call.Record, since []byte) {
	t.Helper()
	entries, _, err := n.ledger.List(n.ctx(), "aspen", 0, 1000)
	must(t, err)
	var reasons, kinds []string
	for _, e := range entries {
		if e.Leaf.Kind == "recording.erased/1" && e.Leaf.Facts["recording"] == string(record.Recording.ID) && e.Leaf.Call == record.ID {
			reasons = append(reasons, e.Leaf.Facts["reason"])
		}
		if e.Leaf.Call == record.ID {
			kinds = append(kinds, e.Leaf.Kind)
		}
	}
	if !slices.Equal(reasons, []string{"due", "returned after erasure"}) {
		t.Errorf("certificates for %q", reasons)
	}
	for _, kind := range []string{"ani.release/1", "recording.played/1", "ani.erased/1"} {
		if !slices.Contains(kinds, kind) {
			t.Errorf("the ledger has no %s of the call, but %q", kind, kinds)
		}
	}
	var export bytes.Buffer
	must(t, n.ledger.Export(n.ctx(), "aspen", &export))
	key, err := n.ledger.Key(n.ctx(), "aspen")
	must(t, err)
	options := ledger.Options{Since: since, Key: key}
	report, err := ledger.Verify(bytes.NewReader(export.Bytes()), options)
	if err != nil || !report.Anchored || !report.KeyKnown || report.Kinds["recording.erased/1"] != 2 {
		t.Errorf("verify: %v, %+v", err, report)
	}
	forged := bytes.Replace(export.Bytes(), []byte("returned after erasure"), []byte("returned after erasurE"), 1)
	if _, err := ledger.Verify(bytes.NewReader(forged), options); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a changed export verifies: %v", err)
	}
}

// vaultDue is when the vault's row of a call is to be erased.
func (n *node) vaultDue(id call.ID) time.Time {
	n.t.Helper()
	var nanos int64
	must(n.t, n.sealed.QueryRowContext(n.ctx(), "SELECT due_at FROM ani_vault WHERE call = ?", string(id)).Scan(&nanos))
	return time.Unix(0, nanos)
}

// vaultRows counts the vault's rows of a call.
func (n *node) vaultRows(id call.ID) (rows int) {
	n.t.Helper()
	must(n.t, n.sealed.QueryRowContext(n.ctx(), "SELECT count(*) FROM ani_vault WHERE call = ?", string(id)).Scan(&rows))
	return rows
}

// copyAside reads every file below dir, as a backup or a thief would.
func copyAside(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	}))
	return files
}

// restore writes the files again.
func restore(t *testing.T, files map[string][]byte) {
	t.Helper()
	for path, content := range files {
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, content, 0o600))
	}
}

func wantNoFiles(t *testing.T, dir string) {
	t.Helper()
	for path := range copyAside(t, dir) {
		t.Errorf("%s is still there", path)
	}
}
