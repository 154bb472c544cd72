package ani

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// The tree is the one that Go's checksum database has, by the code of that.
func TestTreeIsRFC6962(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(rt, "calls")
		var leaves []treeHash
		var stored []tlog.Hash
		reader := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
			for _, i := range at {
				out = append(out, stored[i])
			}
			return out, nil
		})
		for i := range n {
			data := []byte{byte(i), byte(n)}
			leaves = append(leaves, leafHash(data))
			more, err := tlog.StoredHashes(int64(i), data, reader)
			if err != nil {
				rt.Fatal(err)
			}
			stored = append(stored, more...)
		}
		want, err := tlog.TreeHash(int64(n), reader)
		if err != nil || tlog.Hash(treeRoot(leaves)) != want {
			rt.Fatalf("the root of %d is another; %v", n, err)
		}
		i := rapid.IntRange(0, n-1).Draw(rt, "call")
		path := treePath(leaves, i)
		var proof tlog.RecordProof
		for _, h := range path {
			proof = append(proof, tlog.Hash(h))
		}
		if err := tlog.CheckRecord(proof, int64(n), want, int64(i), tlog.Hash(leaves[i])); err != nil {
			rt.Fatalf("the path of %d of %d: %v", i, n, err)
		}
		onlyThisOne(rt, leaves, i, path)
	})
}

// onlyThisOne wants the path to lead to the root from that leaf at that place, and from none other.
func onlyThisOne(rt *rapid.T, leaves []treeHash, i int, path []treeHash) {
	root := treeRoot(leaves)
	for j := -1; j <= len(leaves); j++ {
		if got, ok := pathRoot(leaves[i], j, len(leaves), path); (ok && got == root) != (j == i) {
			rt.Fatalf("the path of %d of %d leads from the place %d: %t", i, len(leaves), j, ok)
		}
	}
	for j, other := range append(leaves, leafHash([]byte("a call of no batch"))) {
		if got, ok := pathRoot(other, i, len(leaves), path); (ok && got == root) != (j == i) {
			rt.Fatalf("the path of %d of %d leads from the leaf of %d", i, len(leaves), j)
		}
	}
	for _, wrong := range [][]treeHash{append(path[:len(path):len(path)], leaves[0]), path[:max(len(path)-1, 0)]} {
		if got, ok := pathRoot(leaves[i], i, len(leaves), wrong); len(wrong) != len(path) && ok && got == root {
			rt.Fatalf("a path of %d hashes proves what one of %d does", len(wrong), len(path))
		}
	}
}
