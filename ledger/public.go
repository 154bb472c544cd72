package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// publicPath is what every path that Public serves begins with.
	publicPath = "/ledger/"
	// maxPublic is how many requests Public serves at once. Any more are told to come again.
	maxPublic = 32
	// topLevel is the highest level of tiles that a tree of 2^63 leaves has.
	topLevel = 7
)

// PublicKeys is what Public serves as keys: what leads from a log's first key to the one that signs now.
type PublicKeys struct {
	Origin    string   `json:"origin"`
	Keys      []string `json:"keys"`      // verifier keys, oldest first
	Rotations []string `json:"rotations"` // the statement of each change, signed by both keys
	Succeeds  string   `json:"succeeds"`  // the statement of a log that took a frozen one's place; else empty
}

// Public serves what strangers need to follow the logs (C2SP tlog-tiles), for anybody who asks, by GET and HEAD:
//
//	/ledger/CITY/checkpoint             the newest checkpoint that is with the witness
//	/ledger/CITY/tile/LEVEL/N[.p/WIDTH] hashes that this checkpoint covers, and no others
//	/ledger/CITY/keys                   PublicKeys
//
// and the same under /ledger/CITY/n/ for a city's n-th log. It serves hashes only: bodies, salts and bundles of entries do
// not exist here. A log that was succeeded is gone (410), one that is frozen is unavailable (503). It never opens a log.
func Public(l *Ledger) http.Handler {
	p := &public{ledger: l, places: make(chan struct{}, maxPublic)}
	return http.HandlerFunc(p.serve)
}

type public struct {
	ledger *Ledger
	places chan struct{}
}

func (p *public) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	id, rest, ok := publicLog(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	c, s, status := p.ledger.public(id)
	if status != http.StatusOK {
		refuse(w, status)
		return
	}
	a, err := c.answer(r.Context(), s, rest)
	if errors.Is(err, ErrNotFound) {
		refuse(w, http.StatusNotFound)
		return
	}
	if err != nil {
		p.ledger.cfg.Log.Error("public part of the ledger not served", "log", id, "err", err)
		refuse(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", a.cache)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(a.body) // the reader has gone: nobody is left to tell
	}
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

// publicLog splits a path into the log and what is asked of it.
func publicLog(path string) (id LogID, rest string, ok bool) {
	path, ok = strings.CutPrefix(path, publicPath)
	city, rest, found := strings.Cut(path, "/")
	if !ok || !found {
		return "", "", false
	}
	name := city
	if n, after, found := strings.Cut(rest, "/"); found && n != "" && strings.Trim(n, "0123456789") == "" {
		name, rest = city+"/"+n, after
	}
	id, err := ParseLogID(name)
	return id, rest, err == nil
}

// public finds a log that is open already, and the last checkpoint that is with the witness.
func (l *Ledger) public(id LogID) (*cityLog, signedHead, int) {
	l.mu.Lock()
	c := l.logs[id.City()]
	l.mu.Unlock()
	switch {
	case c == nil || id.number() > c.id.number():
		return nil, signedHead{}, http.StatusNotFound
	case id != c.id:
		return nil, signedHead{}, http.StatusGone
	case c.why() != nil:
		return nil, signedHead{}, http.StatusServiceUnavailable
	}
	s := c.published.Load()
	if s == nil {
		return nil, signedHead{}, http.StatusNotFound
	}
	return c, *s, http.StatusOK
}

// publicAnswer is one thing that Public serves.
type publicAnswer struct {
	kind, cache string
	body        []byte
}

const (
	momentary = "no-cache"
	immutable = "public, max-age=31536000, immutable"
)

// answer finds what a path asks for, as far as the checkpoint s covers it. Errors: ErrNotFound.
func (c *cityLog) answer(ctx context.Context, s signedHead, path string) (publicAnswer, error) {
	if path == "checkpoint" {
		return publicAnswer{"text/plain; charset=utf-8", momentary, s.text}, nil
	}
	if path == "keys" {
		keys, err := c.publicKeys(ctx, s)
		return publicAnswer{"application/json", momentary, keys}, err
	}
	tile, err := tlog.ParseTilePath("tile/8/" + strings.TrimPrefix(path, "tile/"))
	if err != nil || !strings.HasPrefix(path, "tile/") || tile.L < 0 || tile.L > topLevel {
		return publicAnswer{}, ErrNotFound
	}
	hashes, err := c.publicTile(ctx, s.size, tile.L, tile.N, tile.W)
	return publicAnswer{"application/octet-stream", immutable, hashes}, err
}

// publicTile returns the first width hashes of a tile, if a tree of this size has them.
func (c *cityLog) publicTile(ctx context.Context, size int64, level int, n int64, width int) ([]byte, error) {
	if count := size >> (tileHeight * level); n > count/tileWidth || n*tileWidth+int64(width) > count {
		return nil, ErrNotFound
	}
	tile, err := c.ledger.store.Tile(ctx, c.id, level, n)
	if err == nil && len(tile) < width*tlog.HashSize {
		err = ErrDamaged
	}
	if err != nil {
		return nil, err
	}
	return tile[:width*tlog.HashSize], nil
}

func (c *cityLog) publicKeys(ctx context.Context, s signedHead) ([]byte, error) {
	marks, err := c.ledger.store.Marked(ctx, c.id)
	if err != nil {
		return nil, err
	}
	chain, before := readChain(c.id, marks)
	chain = chain[:keyAt(chain, s.size)]
	k := PublicKeys{Origin: c.id.Origin(), Keys: chainKeys(chain), Rotations: ring{chain: chain}.notes()}
	if len(chain) == 0 {
		k.Keys, k.Rotations = c.verifiers()[:1], []string{}
	}
	if before != nil {
		k.Succeeds = before.note
	}
	return json.Marshal(k)
}
