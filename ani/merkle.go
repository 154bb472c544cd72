package ani

import "crypto/sha256"

// The tree over the calls of a batch is that of RFC 6962 section 2.1, as the ledger's is.

type treeHash = [sha256.Size]byte

// leafHash is the hash of a leaf with this data.
func leafHash(data []byte) treeHash { return sha256.Sum256(append([]byte{0}, data...)) }

func nodeHash(left, right treeHash) treeHash {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// treeRoot is the root over leaf hashes; there is at least one.
func treeRoot(leaves []treeHash) treeHash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	return nodeHash(treeRoot(leaves[:k]), treeRoot(leaves[k:]))
}

// treePath is the audit path of the leaf i (section 2.1.1), from the leaf up.
func treePath(leaves []treeHash, i int) []treeHash {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(treePath(leaves[:k], i), treeRoot(leaves[k:]))
	}
	return append(treePath(leaves[k:], i-k), treeRoot(leaves[:k]))
}

// pathRoot is the root that an audit path leads to from the leaf i of size. A path that is too long or too short leads
// nowhere.
func pathRoot(leaf treeHash, i, size int, path []treeHash) (root treeHash, ok bool) {
	switch {
	case i < 0 || i >= size || size > 1 && len(path) == 0 || size == 1 && len(path) > 0:
		return treeHash{}, false
	case size == 1:
		return leaf, true
	}
	k, last := split(size), len(path)-1
	if i < k {
		left, ok := pathRoot(leaf, i, k, path[:last])
		return nodeHash(left, path[last]), ok
	}
	right, ok := pathRoot(leaf, i-k, size-k, path[:last])
	return nodeHash(path[last], right), ok
}

// split is the largest power of two that is smaller than n, which is 2 or more.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}
