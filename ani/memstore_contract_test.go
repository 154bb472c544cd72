package ani_test

import (
	"testing"

	"callhall/ani"
	"callhall/ani/anitest"
)

// The store that the tests inside use is a true one.
func TestMemStore(t *testing.T) {
	anitest.TestStore(t, func(*testing.T) ani.Store { return ani.NewMemStore() })
}
