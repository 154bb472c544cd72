package httpwitness_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/httpwitness"
	"callhall/ledger/sqlstore"
	"callhall/sqldb"
)

// server is a witness for tests: it speaks C2SP tlog-witness, knows one log and forgets all when it ends.
type server struct {
	name    string
	private ed25519.PrivateKey

	mu   sync.Mutex
	log  note.Verifier // of the log that it serves
	size int64
	root tlog.Hash
	down bool
	told chan int64 // sizes that it signed
}

func newServer() *server {
	return &server{name: "witness.example/w1", private: ed25519.NewKeyFromSeed(make([]byte, 32)), told: make(chan int64, 100)}
}

func (s *server) public() []byte { return append([]byte{4}, s.private.Public().(ed25519.PublicKey)...) }

func (s *server) id() uint32 {
	h := sha256.Sum256(append([]byte(s.name+"\n"), s.public()...))
	return binary.BigEndian.Uint32(h[:4])
}

func (s *server) key() string {
	return fmt.Sprintf("%s+%08x+%s", s.name, s.id(), base64.StdEncoding.EncodeToString(s.public()))
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	head, checkpoint, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if s.down || !found || err != nil || r.URL.Path != "/w/add-checkpoint" || r.Method != http.MethodPost {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	n, err := note.Open([]byte(checkpoint), note.VerifierList(s.log))
	if err != nil {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	parts := strings.Split(n.Text, "\n")
	size, _ := strconv.ParseInt(parts[1], 10, 64)
	root, _ := tlog.ParseHash(parts[2])
	var proof tlog.TreeProof
	for _, l := range lines[1:] {
		h, err := tlog.ParseHash(l)
		if err != nil {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	switch {
	case old != s.size || old == size && root != s.root:
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", s.size)
		return
	case old > 0 && old < size && tlog.CheckTree(proof, size, root, old, s.root) != nil, (old == 0 || old == size) && len(proof) > 0:
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.size, s.root = size, root
	at := time.Now().Unix()
	signature := ed25519.Sign(s.private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, n.Text))
	raw := append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, s.id()), uint64(at)), signature...)
	fmt.Fprintf(w, "— stranger.example %s\n— %s %s\n", base64.StdEncoding.EncodeToString(raw), s.name, base64.StdEncoding.EncodeToString(raw))
	select {
	case s.told <- size:
	default:
	}
}

func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

const city = call.CityID("springfield")

type place struct {
	dir string
	w   *httpwitness.Witness
	s   *server
}

// newPlace has a witness whose keys of the log are told by open.
func newPlace(t *testing.T) place {
	t.Helper()
	s := newServer()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	dir := t.TempDir()
	w, err := httpwitness.New(httpwitness.Config{URL: h.URL + "/w/", Key: s.key(), Dir: filepath.Join(dir, "cosigned"), Client: h.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	k, err := ledger.KeyDir(filepath.Join(dir, "keys")).Key(ledger.LogID(city), true)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(k.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	s.log = v
	return place{dir: dir, w: w, s: s}
}

// open opens the ledger with the witness as its second.
func (p place) open(t *testing.T) (*ledger.Ledger, func()) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), filepath.Join(p.dir, "sealed.db"), sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), ledger.WitnessDir(filepath.Join(p.dir, "witness")),
		ledger.Config{Cities: []call.CityID{city}, Witnesses: []ledger.Witness{p.w}, CheckpointEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	closed := sync.OnceFunc(func() {
		if err := errors.Join(l.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(closed)
	return l, closed
}

func fill(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	for range n {
		if err := l.Append(t.Context(), city, call.Leaf{Kind: "x.y/1", At: time.Unix(1e9, 0), Actor: "engine"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWitnessSignsWhatContinues(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t)
	fill(t, l, 300)
	closed()
	for _, n := range []int{0, 1, 300} {
		l, closed = p.open(t)
		fill(t, l, n)
		closed()
	}
	text, err := p.w.Cosigned(ledger.LogID(city))
	if err != nil || p.s.size != 601 || strings.Count(string(text), "\n— ") != 2 || !strings.Contains(string(text), "\n601\n") {
		t.Fatalf("signed %d leaves, kept %s, %v", p.s.size, text, err)
	}
	last, err := p.w.Last(t.Context(), ledger.LogID(city))
	if err != nil || !strings.HasPrefix(string(text), string(last)) || strings.Count(string(last), "\n— ") != 1 {
		t.Errorf("last %s, %v", last, err)
	}
}

// A witness that is away holds nothing up, and gets what it missed when it is back.
func TestWitnessThatIsAway(t *testing.T) {
	p := newPlace(t)
	p.s.set(func() { p.s.down = true })
	l, _ := p.open(t)
	fill(t, l, 5)
	if _, err := l.Checkpoint(t.Context(), city); err != nil {
		t.Error(err)
	}
	p.s.set(func() { p.s.down = false })
	for size := int64(0); size < 5; {
		select {
		case size = <-p.s.told:
		case <-time.After(30 * time.Second):
			t.Fatal("it was not told again")
		}
	}
	if f := l.Frozen(); len(f) > 0 {
		t.Error(f)
	}
}

// TestForkAgainstTheWitness restores everything on the machine from before, local checkpoints too: only the witness knows.
func TestForkAgainstTheWitness(t *testing.T) {
	for name, local := range map[string]bool{"what it signed is still kept": true, "that is gone too": false} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			l, closed := p.open(t)
			fill(t, l, 5)
			closed()
			if err := errors.Join(os.Remove(filepath.Join(p.dir, "sealed.db")), os.RemoveAll(filepath.Join(p.dir, "witness"))); err != nil {
				t.Fatal(err)
			}
			if !local {
				if err := os.RemoveAll(filepath.Join(p.dir, "cosigned")); err != nil {
					t.Fatal(err)
				}
			}
			l, closed = p.open(t)
			for !local && l.Frozen()[city] == nil { // found when it is first told
				_ = l.Append(t.Context(), city, call.Leaf{Kind: "x.y/1", At: time.Unix(1e9, 0), Actor: "engine"})
			}
			if err := l.Frozen()[city]; !errors.Is(err, ledger.ErrForked) {
				t.Errorf("frozen: %v", err)
			}
			closed()
		})
	}
}

// An answer that was lost on its way leaves the witness further than we know.
func TestAnswerThatWasLost(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t)
	fill(t, l, 5)
	closed()
	for range 2 { // told again of the same, then of more
		if err := os.RemoveAll(filepath.Join(p.dir, "cosigned")); err != nil {
			t.Fatal(err)
		}
		l, closed = p.open(t)
		if f := l.Frozen(); len(f) > 0 {
			t.Fatal(f)
		}
		if last, err := p.w.Last(t.Context(), ledger.LogID(city)); err != nil || last == nil {
			t.Errorf("its signature is not kept: %v", err)
		}
		fill(t, l, 2)
		closed()
	}
}

func TestAnswersThatAreNotTaken(t *testing.T) {
	s := newServer()
	proof := ledger.Signed{Log: "a", Size: 3, Text: []byte("callhall/ledger/a\n3\nAAAA\n\n— callhall/ledger/a AAAA\n")}
	proof.Prove = func(context.Context, int64) ([][32]byte, error) { return nil, nil }
	for name, c := range map[string]struct {
		status int
		body   string
		forked bool
	}{
		"no signature":     {200, "", false},
		"a strange one":    {200, "— " + s.name + " AAAABBBBCCCC\n", false},
		"409 without size": {409, "x", false},
		"409 further":      {409, "9\n", true},
		"409 again":        {409, "2\n", true},
		"422":              {422, "", true},
		"404":              {404, "", false},
		"another place":    {302, "", false},
	} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/")
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		w, err := httpwitness.New(httpwitness.Config{URL: h.URL, Key: s.key(), Dir: t.TempDir(), Client: h.Client().Transport})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Drop(t.Context(), proof); err == nil || errors.Is(err, ledger.ErrForked) != c.forked {
			t.Errorf("%s: %v", name, err)
		}
		h.Close()
	}
	for _, cfg := range []httpwitness.Config{{URL: "http://witness.example", Key: s.key()}, {URL: "https://witness.example", Key: "w+1+AAAA"},
		{URL: "https://witness.example", Key: strings.Replace(s.key(), "w1", "w2", 1)}} {
		if _, err := httpwitness.New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}
