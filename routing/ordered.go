package routing

import "iter"

// sortable is a key that knows which of two comes first.
type sortable[K any] interface{ before(K) bool }

// ordered is a set of keys in order, with each key's rank: a treap, a search tree kept shallow by random weights. Adding,
// removing and ranking cost O(log n). The zero value is not usable; see newOrdered.
type ordered[K sortable[K]] struct {
	root *node[K]
	seed uint64
}

type node[K any] struct {
	key         K
	weight      uint64
	size        int
	left, right *node[K]
}

func newOrdered[K sortable[K]]() *ordered[K] {
	return &ordered[K]{seed: 0x9E3779B97F4A7C15}
}

func (n *node[K]) count() int {
	if n == nil {
		return 0
	}
	return n.size
}

func (n *node[K]) resize() { n.size = n.left.count() + n.right.count() + 1 }

// size is how many keys there are.
func (o *ordered[K]) size() int { return o.root.count() }

// draw is a xorshift generator: the same operations build the same tree in every run.
func (o *ordered[K]) draw() uint64 {
	o.seed ^= o.seed << 13
	o.seed ^= o.seed >> 7
	o.seed ^= o.seed << 17
	return o.seed
}

// add puts k in. It must not be there yet.
func (o *ordered[K]) add(k K) { o.root = insert(o.root, &node[K]{key: k, weight: o.draw(), size: 1}) }

// insert goes down to where the new node is the heaviest, and splits what is below it there.
func insert[K sortable[K]](n, fresh *node[K]) *node[K] {
	if n == nil {
		return fresh
	}
	if fresh.weight > n.weight {
		fresh.left, fresh.right = split(n, fresh.key)
		fresh.resize()
		return fresh
	}
	if fresh.key.before(n.key) {
		n.left = insert(n.left, fresh)
	} else {
		n.right = insert(n.right, fresh)
	}
	n.resize()
	return n
}

// split parts a tree into the keys before k and the others.
func split[K sortable[K]](n *node[K], k K) (less, rest *node[K]) {
	if n == nil {
		return nil, nil
	}
	if n.key.before(k) {
		n.right, rest = split(n.right, k)
		n.resize()
		return n, rest
	}
	less, n.left = split(n.left, k)
	n.resize()
	return less, n
}

// remove takes k out and tells whether it was there.
func (o *ordered[K]) remove(k K) bool {
	had := o.size()
	o.root = without(o.root, k)
	return o.size() < had
}

func without[K sortable[K]](n *node[K], k K) *node[K] {
	switch {
	case n == nil:
		return nil
	case k.before(n.key):
		n.left = without(n.left, k)
	case n.key.before(k):
		n.right = without(n.right, k)
	default:
		return join(n.left, n.right)
	}
	n.resize()
	return n
}

// join puts two trees together of which all of a comes before all of b.
func join[K sortable[K]](a, b *node[K]) *node[K] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.weight > b.weight:
		a.right = join(a.right, b)
		a.resize()
		return a
	default:
		b.left = join(a, b.left)
		b.resize()
		return b
	}
}

// first is the least key.
func (o *ordered[K]) first() (k K, ok bool) {
	n := o.root
	if n == nil {
		return k, false
	}
	for n.left != nil {
		n = n.left
	}
	return n.key, true
}

// rank is how many keys stand before k.
func (o *ordered[K]) rank(k K) int {
	before := 0
	for n := o.root; n != nil; {
		if n.key.before(k) {
			before += n.left.count() + 1
			n = n.right
		} else {
			n = n.left
		}
	}
	return before
}

// all gives the keys in order. The set must not change meanwhile.
func (o *ordered[K]) all() iter.Seq[K] {
	return func(yield func(K) bool) { visit(o.root, yield) }
}

func visit[K any](n *node[K], yield func(K) bool) bool {
	return n == nil || visit(n.left, yield) && yield(n.key) && visit(n.right, yield)
}
