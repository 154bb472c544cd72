package ledger

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8 // of C2SP tlog-tiles
	tileWidth  = 1 << tileHeight
	tileBytes  = tileWidth * tlog.HashSize
)

// edge is the right-hand edge of a tree: of each level of tiles the last one, as far as it is filled. It is all that is
// needed to add leaves.
type edge struct {
	size  int64
	tails [][]byte // by level; shorter than a full tile
	full  []Tile   // filled since the last settle
	moved int      // levels below this one have changed since the last settle
}

// settle says that what has changed so far is written.
func (e *edge) settle() { e.full, e.moved = nil, 0 }

// add puts one leaf's hash at the end.
func (e *edge) add(h tlog.Hash) {
	for level := 0; ; level++ {
		if level == len(e.tails) {
			e.tails = append(e.tails, nil)
		}
		e.moved = max(e.moved, level+1)
		e.tails[level] = append(e.tails[level], h[:]...)
		if len(e.tails[level]) < tileBytes {
			break
		}
		e.full = append(e.full, Tile{Level: level, N: e.size >> (tileHeight * (level + 1)), Hashes: e.tails[level]})
		h = tileRoot(e.tails[level])
		e.tails[level] = nil
	}
	e.size++
}

// changed lists the tiles to be written since the last settle. They share the edge's bytes, which are only added to.
func (e *edge) changed() []Tile {
	tiles := e.full
	for level := range e.moved {
		if t := e.tails[level]; len(t) > 0 {
			tiles = append(tiles, Tile{Level: level, N: e.size >> (tileHeight * (level + 1)), Hashes: t})
		}
	}
	return tiles
}

// tileRoot is the hash of the tree over the hashes of a full tile.
func tileRoot(data []byte) tlog.Hash {
	hashes := make([]tlog.Hash, tileWidth)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	for n := tileWidth; n > 1; n /= 2 {
		for i := range n / 2 {
			hashes[i] = tlog.NodeHash(hashes[2*i], hashes[2*i+1])
		}
	}
	return hashes[0]
}

// hashReader finds stored hashes in tiles, reading each tile once per call. Errors: ErrDamaged, and those of tile.
func hashReader(tile func(level int, n int64) ([]byte, error)) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		type at struct {
			level int
			n     int64
		}
		read := map[at][]byte{}
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			t := tlog.TileForIndex(tileHeight, x)
			data, ok := read[at{t.L, t.N}]
			if !ok {
				var err error
				if data, err = tile(t.L, t.N); errors.Is(err, ErrNotFound) {
					return nil, fmt.Errorf("%w: tile %d/%d is missing", ErrDamaged, t.L, t.N)
				} else if err != nil {
					return nil, err
				}
				read[at{t.L, t.N}] = data
			}
			var err error
			if hashes[i], err = tlog.HashFromTile(t, data, x); err != nil {
				return nil, fmt.Errorf("%w: tile %d/%d: %w", ErrDamaged, t.L, t.N, err)
			}
		}
		return hashes, nil
	})
}

// frontier computes the root of a growing tree and keeps only the roots of its full subtrees, largest first.
type frontier struct {
	size  int64
	roots []tlog.Hash
}

func (f *frontier) add(h tlog.Hash) {
	f.size++
	for range bits.TrailingZeros64(uint64(f.size)) {
		last := len(f.roots) - 1
		h = tlog.NodeHash(f.roots[last], h)
		f.roots = f.roots[:last]
	}
	f.roots = append(f.roots, h)
}

// root is the hash of the tree so far (RFC 6962 §2.1).
func (f *frontier) root() tlog.Hash {
	if f.size == 0 {
		h, _ := tlog.TreeHash(0, nil) // reads nothing and cannot fail
		return h
	}
	h := f.roots[len(f.roots)-1]
	for i := len(f.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(f.roots[i], h)
	}
	return h
}
