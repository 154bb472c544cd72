package console_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callhall/ani"
	"callhall/console"
)

// TestKeysOfNumbers rotates, and drops the old key when the new one is old enough; each is in the ledger, with who did it.
func TestKeysOfNumbers(t *testing.T) {
	o := newOffice(t, nil)
	dana := o.of("demo", console.RolePrivacy, "Dana")
	o.post(dana, "/api/v1/ani-keys/rotate", "", http.StatusNoContent)
	refused := o.post(dana, "/api/v1/ani-keys/drop", "", http.StatusConflict)
	if !strings.Contains(refused, "less than a minute old") {
		t.Errorf("%s", refused)
	}
	before := time.Now().Add(-time.Hour)
	files, err := filepath.Glob(filepath.Join(o.dir, "keys", "demo.*"))
	if err != nil || len(files) != 1 || os.Chtimes(files[0], before, before) != nil {
		t.Fatal(files, err)
	}
	for _, want := range []string{`"dropped":1`, `"dropped":0`} {
		if said := o.post(dana, "/api/v1/ani-keys/drop", "", http.StatusOK); !strings.Contains(said, want) {
			t.Errorf("%s, want %s", said, want)
		}
	}
	acts := ""
	for _, leaf := range o.behind.leaves {
		if leaf.Kind == ani.KindKey && strings.HasPrefix(leaf.Actor, "token:Dana/tok_") {
			acts += leaf.Facts["act"] + " "
		}
	}
	if acts != "add drop drop " { // the first drop was written down and then refused
		t.Errorf("the ledger has %q", acts)
	}
}
