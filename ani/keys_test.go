package ani

import (
	"os"
	"sync"
	"testing"
)

// Many processes that ask for a city's first key at once have one key, whole, and nothing is left beside it.
func TestTheFirstKeyIsMadeOnceAndWhole(t *testing.T) {
	dir := KeyDir(t.TempDir())
	if err := os.WriteFile(dir.path("a")+".first-1", freshKey()[:20], 0o600); err != nil { // somebody was cut off
		t.Fatal(err)
	}
	var made sync.Map
	var asking sync.WaitGroup
	for range 32 {
		asking.Go(func() {
			keys, err := dir.Keys("a")
			if err != nil || len(keys) != 1 {
				t.Errorf("%d keys, %v", len(keys), err)
				return
			}
			made.Store(keys[0].ID, true)
		})
	}
	asking.Wait()
	n := 0
	made.Range(func(any, any) bool { n++; return true })
	files, err := os.ReadDir(string(dir))
	if n != 1 || len(files) != 2 || err != nil {
		t.Errorf("%d keys were handed out, and there are %d files, %v", n, len(files), err)
	}
}

// What two processes add at once is all there, or one of them hears that it was not added.
func TestNoKeyThatWasAddedIsLost(t *testing.T) {
	dir := KeyDir(t.TempDir())
	if _, err := dir.Keys("a"); err != nil {
		t.Fatal(err)
	}
	var adding sync.WaitGroup
	var mu sync.Mutex
	want := 1
	for range 8 {
		adding.Go(func() {
			for range 50 {
				if dir.Add("a") == nil {
					mu.Lock()
					want++
					mu.Unlock()
				}
			}
		})
	}
	adding.Wait()
	keys, err := dir.Keys("a")
	if err != nil || len(keys) != want || want < 2 {
		t.Errorf("%d keys, want %d, %v", len(keys), want, err)
	}
}
