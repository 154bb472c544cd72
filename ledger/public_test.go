package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/sqlstore"
)

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// stranger follows a log by what Public serves and nothing else.
type stranger struct {
	t    testing.TB
	h    http.Handler
	key  string
	size int64
	root tlog.Hash
}

// follow fetches the newest checkpoint and proves that it continues what the stranger knew.
func (s *stranger) follow() {
	s.t.Helper()
	v, err := note.NewVerifier(s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	w := get(s.h, "/ledger/springfield/checkpoint")
	n, err := note.Open(w.Body.Bytes(), note.VerifierList(v))
	if err != nil || w.Header().Get("Cache-Control") != "no-cache" {
		s.t.Fatalf("checkpoint %q: %v", w.Body, err)
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + n.Text[strings.Index(n.Text, "\n")+1:]))
	if err != nil {
		s.t.Fatal(err)
	}
	hashes := tlog.TileHashReader(tree, s)
	if s.size > 0 && s.size < tree.N {
		p, err := tlog.ProveTree(tree.N, s.size, hashes)
		if err := errors.Join(err, tlog.CheckTree(p, tree.N, tree.Hash, s.size, s.root)); err != nil {
			s.t.Fatalf("from %d to %d leaves: %v", s.size, tree.N, err)
		}
	}
	if _, err := tlog.ProveRecord(tree.N, tree.N-1, hashes); err != nil {
		s.t.Fatal(err)
	}
	s.size, s.root = tree.N, tree.Hash
}

func (s *stranger) Height() int                     { return 8 }
func (s *stranger) SaveTiles([]tlog.Tile, [][]byte) {}
func (s *stranger) path(t tlog.Tile) string         { return strings.Replace(t.Path(), "tile/8/", "tile/", 1) }
func (s *stranger) ReadTiles(tiles []tlog.Tile) (all [][]byte, err error) {
	for _, t := range tiles {
		w := get(s.h, "/ledger/springfield/"+s.path(t))
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			return nil, errors.New(s.path(t) + ": " + w.Body.String())
		}
		all = append(all, w.Body.Bytes())
	}
	return all, nil
}

func TestStrangersFollowTheTiles(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	h := ledger.Public(l)
	if w := get(h, "/ledger/springfield/checkpoint"); w.Code != http.StatusNotFound {
		t.Errorf("a log that nobody opened: %d %s", w.Code, w.Body)
	}
	fill(t, l, city, 1)
	s := &stranger{t: t, h: h, key: key(t, l)}
	for _, n := range []int{0, 1, 252, 1, 1, 1, 254, 1, 400} { // 1, 2, 254, 255, 256, 257, 511, 512, 912
		fill(t, l, city, n)
		checkpoint(t, l, city)
		s.follow()
	}
	rotate(t, l)
	var k ledger.PublicKeys
	if err := json.Unmarshal(get(h, "/ledger/springfield/keys").Body.Bytes(), &k); err != nil || len(k.Keys) != 2 || k.Keys[0] != s.key || len(k.Rotations) != 1 {
		t.Fatalf("keys %+v, %v", k, err)
	}
	s.key = k.Keys[1]
	s.follow()
}

// deaf is a witness that stops taking checkpoints.
type deaf struct {
	ledger.WitnessDir
	mu   sync.Mutex
	away bool
}

func (d *deaf) Drop(ctx context.Context, s ledger.Signed) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return errDoubt
	}
	return d.WitnessDir.Drop(ctx, s)
}

func (d *deaf) leave(away bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
}

// TestNothingIsPublicBeforeTheWitnessHasIt asks for every width of the first tiles.
func TestNothingIsPublicBeforeTheWitnessHasIt(t *testing.T) {
	p := newPlace(t)
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	w := &deaf{WitnessDir: p.witness()}
	l, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), w, ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := ledger.Public(l)
	fill(t, l, city, 300)
	checkpoint(t, l, city)
	w.leave(true)
	fill(t, l, city, 300)
	if _, err := l.Checkpoint(t.Context(), city); !errors.Is(err, errDoubt) {
		t.Errorf("a checkpoint that the witness has not: %v", err)
	}
	if body := get(h, "/ledger/springfield/checkpoint").Body.String(); !strings.Contains(body, "\n300\n") {
		t.Errorf("published %s", body)
	}
	for path, want := range map[string]int{
		"0/000": 200, "0/000.p/255": 200, "0/001.p/44": 200, "0/001.p/45": 404, "0/001": 404, "0/002.p/1": 404,
		"1/000.p/1": 200, "1/000.p/2": 404, "1/000": 404, "2/000.p/1": 404, "7/000.p/1": 404, "8/000.p/1": 404,
	} {
		got := get(h, "/ledger/springfield/tile/"+path)
		if got.Code != want || want == 404 && strings.Contains(got.Header().Get("Cache-Control"), "public") {
			t.Errorf("tile/%s: %d, want %d", path, got.Code, want)
		}
	}
	w.leave(false)
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

func TestPublicServesNothingElse(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 300)
	checkpoint(t, l, city)
	h := ledger.Public(l)
	for _, path := range []string{"/", "/ledger/", "/ledger/springfield", "/ledger/springfield/", "/ledger/springfield/tile/entries/000",
		"/ledger/springfield/tile/data/000", "/ledger/springfield/tile/0/0", "/ledger/springfield/tile/0/x000/000", "/ledger/springfield/tile/-1/000",
		"/ledger/springfield/tile/0/000.p/0", "/ledger/springfield/tile/0/000.p/256", "/ledger/springfield/tile/8/0/000", "/ledger/springfield/export",
		"/ledger/springfield/tile/0/x999/x999/x999/x999/x999/x999/x999/999", "/ledger/springfield/1/checkpoint", "/ledger/springfield/2/checkpoint",
		"/ledger/springfield/0/checkpoint", "/ledger/../keys/checkpoint", "/ledger/shelbyville/checkpoint", "/springfield/checkpoint"} {
		if w := get(h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/ledger/springfield/checkpoint", strings.NewReader("x")))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", w.Code)
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/ledger/springfield/tile/0/000", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Length") != "8192" || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %v", w.Code, w.Header())
	}
	if files, err := os.ReadDir(filepath.Join(p.dir, "keys")); err != nil || len(files) != 1 {
		t.Errorf("asking made keys: %v, %v", files, err)
	}
	closed()
	p.tamper(t, "UPDATE ledger_heads SET size = 299")
	l, _ = p.open(t, ledger.Config{})
	h = ledger.Public(l)
	if w := get(h, "/ledger/springfield/checkpoint"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a frozen log: %d", w.Code)
	}
	succeed(t, l)
	if w := get(h, "/ledger/springfield/tile/0/000"); w.Code != http.StatusGone {
		t.Errorf("a log that was succeeded: %d", w.Code)
	}
	if w := get(h, "/ledger/springfield/2/checkpoint"); w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "callhall/ledger/springfield/2\n1\n") {
		t.Errorf("the log after it: %d %s", w.Code, w.Body)
	}
	if w := get(h, "/ledger/springfield/2/keys"); !strings.Contains(w.Body.String(), "callhall ledger succession v1") {
		t.Errorf("its keys: %s", w.Body)
	}
}

// slow is a store whose tiles wait.
type slow struct {
	ledger.Store
	waits, release chan struct{}
}

func (s slow) Tile(ctx context.Context, log ledger.LogID, level int, n int64) ([]byte, error) {
	if ctx.Value(slow{}) != nil {
		s.waits <- struct{}{}
		<-s.release
	}
	return s.Store.Tile(ctx, log, level, n)
}

func TestPublicIsBounded(t *testing.T) {
	p := newPlace(t)
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	s := slow{store, make(chan struct{}), make(chan struct{})}
	l, err := ledger.Open(t.Context(), s, ledger.KeyDir(filepath.Join(p.dir, "keys")), p.witness(), ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, city, 3)
	checkpoint(t, l, city)
	h := ledger.Public(l)
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/ledger/springfield/tile/0/000.p/3", nil)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), slow{}, true)))
			if w.Code != http.StatusOK {
				t.Errorf("%d", w.Code)
			}
		})
		<-s.waits
	}
	if w := get(h, "/ledger/springfield/checkpoint"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one too many: %d", w.Code)
	}
	close(s.release)
	wait.Wait()
	if w := get(h, "/ledger/springfield/checkpoint"); w.Code != http.StatusOK {
		t.Errorf("after that: %d", w.Code)
	}
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

// file is a proof as it is kept.
func file(t testing.TB, proof any, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(proof)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProofFilesVerifyOffline(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 5)
	first, since := key(t, l), checkpoint(t, l, city)
	p, err := l.Proof(t.Context(), city, 2)
	before := file(t, p, err)
	for round := range 2 {
		fill(t, l, city, 300)
		p, err := l.Proof(t.Context(), city, 7)
		one := file(t, p, err)
		r := verify(t, one, ledger.Options{Key: first})
		if r.Proof == nil || r.Proof.Kind != "leaf" || r.Proof.Index != 7 || !r.KeyKnown || !strings.Contains(r.String(), "nothing of other leaves") {
			t.Errorf("round %d: %v", round, r)
		}
		c, err := l.Consistency(t.Context(), city, 5, 0)
		two := file(t, c, err)
		r = verify(t, two, ledger.Options{Key: first, Since: since})
		if r.Proof.Kind != "consistency" || r.Proof.From != 5 || !r.Anchored || r.Log != "springfield" {
			t.Errorf("round %d: %v", round, r)
		}
		if r := verify(t, two, ledger.Options{}); r.Anchored || r.KeyKnown {
			t.Errorf("round %d, with nothing held: %+v", round, r)
		}
		for name, text := range map[string][]byte{"leaf": one, "consistency": two} {
			for bit := round; bit < 8*len(text); bit += 29 {
				changed := bytes.Clone(text)
				changed[bit/8] ^= 1 << (bit % 8)
				if r, err := ledger.Verify(bytes.NewReader(changed), ledger.Options{Key: first}); err == nil && !sameProof(changed, text) {
					t.Fatalf("%s: bit %d in %q: %v", name, bit, around(changed, bit/8), r)
				}
			}
		}
		rotate(t, l)
	}
	verify(t, before, ledger.Options{Key: first, Since: since})
	strange, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, strange, city, 5)
	if _, err := ledger.CheckProof(before, ledger.Options{Key: key(t, strange)}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a proof under another key: %v", err)
	}
	if _, err := ledger.CheckProof(before, ledger.Options{Since: checkpoint(t, strange, city)}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a proof held against a strange checkpoint: %v", err)
	}
	for _, c := range [][2]int64{{0, 5}, {6, 5}, {1, 10_000}, {-1, 0}} {
		if _, err := l.Consistency(t.Context(), city, c[0], c[1]); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("from %d to %d: %v", c[0], c[1], err)
		}
	}
}

// sameProof tells whether two files say the same: JSON lets a name be written in capitals.
func sameProof(a, b []byte) bool {
	var x, y struct {
		ledger.Consistency
		Index int64
		Leaf  tlog.Hash
	}
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// TestConsistencyOfEverySize proves each pair of sizes around a tile.
func TestConsistencyOfEverySize(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 515)
	for _, from := range []int64{1, 2, 7, 255, 256, 257, 511, 512, 514} {
		for to := from; to < 516; to += 1 + (514-from)/4 {
			p, err := l.Consistency(t.Context(), city, from, to)
			if err != nil || p.Check() != nil {
				t.Fatalf("from %d to %d: %v, %v", from, to, err, p.Check())
			}
			p.FromRoot[0] ^= 1
			if p.Check() == nil {
				t.Fatalf("from %d to %d: another root was taken", from, to)
			}
		}
	}
}

var errOther, errOld = errors.New("comes out otherwise"), errors.New("terms of before")

func TestVerifyDecidesEveryLeafAgain(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	for i, row := range []string{"D08", "D08", "old", "D08"} {
		f := leaf(i)
		f.Facts["row"] = row
		if err := l.Append(t.Context(), city, f); err != nil {
			t.Fatal(err)
		}
	}
	other := leaf(5)
	other.Kind, other.Facts = "consent.given/1", nil
	if err := l.Append(t.Context(), city, other); err != nil {
		t.Fatal(err)
	}
	text := export(t, l, city)
	right := "D08"
	opts := ledger.Options{Unknown: errOld, Decides: []string{"ani.release/1"}, Check: func(f call.Leaf) error {
		switch f.Facts["row"] {
		case right:
			return nil
		case "old":
			return errOld
		}
		return errOther
	}}
	if r := verify(t, text, opts); r.Decided != 3 || r.Undecided != 1 || !strings.Contains(r.String(), "3 decided again alike, 1 under terms") {
		t.Errorf("%+v: %v", r, r)
	}
	right = "D09"
	if _, err := ledger.Verify(bytes.NewReader(text), opts); !errors.Is(err, ledger.ErrInvalid) || !errors.Is(err, errOther) {
		t.Errorf("a leaf that comes out otherwise: %v", err)
	}
	if r := verify(t, text, ledger.Options{}); r.Decided != 0 {
		t.Errorf("decided without being asked: %+v", r)
	}
}
