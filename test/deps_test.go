package test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is the prefix of our own packages.
const module = "callhall/"

// arrows says, for each of our packages, which others of ours it may import besides those below its own folder's
// parent. A package that is not in the table fails the test: where it belongs is decided here.
var arrows = map[string][]string{
	"call": {},

	// The middle: never each other.
	"media":     {"call"},
	"routing":   {"call"},
	"recording": {"call"},
	"ani":       {"call"},
	"ledger":    {"call"},
	"cdr":       {"call"},
	"sqldb":     {},

	"sqldb/powertest": {}, // cuts the power below SQLite; for tests of sqldb and of the stores that it keeps

	// Adapters, named for their technology, and the contracts they pass.
	"routing/memstore":        {"call", "routing"},
	"routing/routingtest":     {"call", "routing"},
	"recording/dirstore":      {"call", "recording"},
	"recording/s3store":       {"call", "recording"},
	"recording/ringstore":     {"call", "recording"},
	"recording/sqlstore":      {"call", "recording", "sqldb"},
	"recording/recordingtest": {"call", "recording"},
	"ani/sqlstore":            {"call", "ani", "sqldb"},
	"ani/anitest":             {"call", "ani"},
	"ani/stir":                {"call"},
	"ani/agefile":             {},
	"ledger/sqlstore":         {"call", "ledger", "sqldb"},
	"ledger/s3witness":        {"call", "ledger"},
	"ledger/httpwitness":      {"call", "ledger"},
	"ledger/ledgertest":       {"call", "ledger"},
	"cdr/sqlstore":            {"call", "cdr", "sqldb"},
	"cdr/cdrtest":             {"call", "cdr"},

	// The edges.
	"sip":              {"call", "media", "routing", "recording", "ani", "sip/digest"},
	"sip/digest":       {},
	"sip/phone":        {"call", "media", "sip/digest"},
	"console":          {"call", "routing", "recording", "ani", "ledger", "cdr"},
	"console/sqlstore": {"call", "console", "sqldb"},

	// cmd builds everything; bench drives a server from outside; nothing imports either.
	"cmd/callhall": {"call", "media", "routing", "routing/memstore", "recording", "recording/dirstore",
		"recording/s3store", "recording/ringstore", "recording/sqlstore", "ani", "ani/agefile", "ani/sqlstore", "ani/stir", "ledger",
		"ledger/sqlstore", "ledger/s3witness", "ledger/httpwitness", "cdr", "cdr/sqlstore", "console", "console/sqlstore", "sip", "sip/phone", "sqldb", "bench/load"},
	"bench":      {"bench/load"},
	"bench/load": {},
	"test":       {},
	"deploy":     {},
}

// owners says which packages alone may import a library, test code aside: its types must not spread.
var owners = map[string][]string{
	"github.com/emiago/sipgo":    {"sip", "sip/phone"},
	"github.com/minio/minio-go":  {"recording/s3store", "ledger/s3witness"},
	"github.com/redis/go-redis":  {"routing/redisstore"},
	"modernc.org/":               {"sqldb", "sqldb/powertest"},
	"database/sql":               {"sqldb", "cdr/sqlstore", "ani/sqlstore", "ledger/sqlstore", "recording/sqlstore", "console/sqlstore"},
	"github.com/pion/":           {"media", "sip", "sip/phone"},
	"github.com/danielgtaylor":   {"console"},
	"github.com/alecthomas/kong": {"cmd/callhall"},
	"filippo.io/age":             {"ani/agefile"},
	"github.com/pressly/goose":   {"sqldb"},
	"golang.org/x/mod/sumdb":     {"ledger", "ledger/httpwitness"},
	"go.yaml.in/yaml":            {"cmd/callhall", "deploy"},
	"github.com/prometheus/":     nil, // any
	"golang.org/x/":              nil,
	"net/http": {"console", "ledger", "ledger/s3witness", "ledger/httpwitness", "cmd/callhall", "recording/s3store", "bench",
		"ani/stir"},
	"net/http/pprof": {"console"},
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// TestArrows: edges point to the middle, the middle to call, call to the standard library, and nothing back.
func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s has no place in the table of arrows", name)
			continue
		}
		for _, imp := range p.Imports {
			if own, ok := strings.CutPrefix(imp, module); ok {
				if !slices.Contains(allowed, own) {
					t.Errorf("%s imports %s: that arrow points the wrong way", name, own)
				}
				continue
			}
			checkLibrary(t, name, imp)
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if own, ok := strings.CutPrefix(imp, module); ok && own == "cmd/callhall" {
				t.Errorf("a test in %s imports cmd/callhall", name)
			}
		}
	}
}

// checkLibrary fails where a package imports what belongs to another, or, for call, anything but the standard library.
func checkLibrary(t *testing.T, name, imp string) {
	t.Helper()
	if name == "call" && strings.Contains(imp, ".") {
		t.Errorf("call imports %s: it has the standard library only", imp)
	}
	longest, who := "", []string(nil)
	for lib, owns := range owners {
		if (imp == lib || strings.HasPrefix(imp, strings.TrimSuffix(lib, "/")+"/")) && len(lib) > len(longest) {
			longest, who = lib, owns
		}
	}
	if longest != "" && who != nil && !slices.Contains(who, name) {
		t.Errorf("%s imports %s, which belongs to %s", name, imp, strings.Join(who, ", "))
	}
}

// TestArrowsTableIsCurrent: a row for a package that is gone is a leftover.
func TestArrowsTableIsCurrent(t *testing.T) {
	have := map[string]bool{}
	for _, p := range packages(t) {
		have[strings.TrimPrefix(p.ImportPath, module)] = true
	}
	for name := range arrows {
		if !have[name] {
			t.Errorf("the table of arrows has %s, which is not there", name)
		}
	}
}

// packages lists the module's packages with what each imports.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("read package list: %v", err)
		}
		if path.Base(p.ImportPath) != "testdata" {
			all = append(all, p)
		}
	}
}
