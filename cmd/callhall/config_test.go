package main

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// inScratch puts a copy of a test file into an empty directory with some secrets beside it, and works from there, so
// that messages name no path of this machine.
func inScratch(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	name := filepath.Base(file)
	write(t, name, string(text), 0o644)
	write(t, "good.secret", "correct horse\n", 0o600)
	write(t, "open.secret", "correct horse\n", 0o644)
	write(t, "empty.secret", "", 0o600)
	write(t, "blank.secret", " \n", 0o600)
	return name
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// lines is faults as an operator reads them.
func lines(faults []Fault) string {
	var b strings.Builder
	for _, f := range faults {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// TestBroken holds every broken file against the list of faults that it is known to have.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no broken files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			golden, err := filepath.Abs(strings.TrimSuffix(file, ".yaml") + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			_, faults := Load(inScratch(t, file), nil)
			got := lines(faults)
			if *update {
				write(t, golden, got, 0o644)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" || got == "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGood(t *testing.T) {
	cfg, faults := Load(inScratch(t, "testdata/good/full.yaml"), nil)
	if len(faults) > 0 {
		t.Fatalf("faults in a good file:\n%s", lines(faults))
	}
	city := cfg.Cities[0]
	equal(t, "data_dir", cfg.DataDir, "data")
	equal(t, "sip.advertise", cfg.SIP.Advertise, netip.MustParseAddr("192.0.2.10"))
	equal(t, "sip.listen[1]", cfg.SIP.Listen[1].String(), "tcp://192.0.2.10:5060")
	equal(t, "rtp.ports", cfg.RTP.Ports, PortRange{20000, 20999})
	equal(t, "rtp.deaf", cfg.RTP.Deaf, 90*time.Second)
	equal(t, "a single address", city.Trunks[0].Allow[1], netip.MustParsePrefix("203.0.113.7/32"))
	equal(t, "a number without quotes", city.Numbers[0].Number, "311")
	equal(t, "an agent without quotes", city.Agents[0].ID, "1001")
	equal(t, "wrap_up", city.Queues[0].WrapUp, 0)
	equal(t, "ani.retention", city.ANI.Retention, 7*24*time.Hour)
	equal(t, "ani.profile", city.ANI.Profile, "nyc-3.3")
	equal(t, "ani.profile by default", cfg.Cities[1].ANI.Profile, "")
	equal(t, "ani.areas", city.ANI.Areas["212"], "manhattan")
	equal(t, "ani.narrow.recipients", city.ANI.Narrow.Recipients[0], ani.RecipientUnlisted)
	equal(t, "ani.caps.agent_reveals", city.ANI.Caps.AgentReveals, 5)
	equal(t, "ani.caps by default", cfg.Cities[1].ANI.Caps, CapsConfig{ani.DefaultCaps.PerActor, ani.DefaultCaps.PerCity})
	equal(t, "trust", city.Trunks[0].believed(), ani.Trust{Identity: true, RemoteParty: true, Charge: true, Retarget: true})
	equal(t, "no trust", city.Trunks[1].believed(), ani.Trust{})
	equal(t, "proxy", city.Trunks[0].Proxy.String(), "tcp://198.51.100.7:5060")
	equal(t, "a witness's bucket by default", cfg.Ledger.Witnesses[2].S3.TLS, true)
	equal(t, "s3.region by default", city.Recording.Store.S3.Region, "us-east-1")
	equal(t, "the second city's queue", cfg.Cities[1].Queues[0].Ring, 15*time.Second)
	equal(t, "the second city's store", cfg.Cities[1].Recording.Store.Dir, Path(filepath.Join("data", "rec", "shelbyville")))
	equal(t, "billing.every", city.Billing.Every, 12*time.Hour)
	equal(t, "billing.dir by default", city.Billing.Carriers[0].Dir, Path(filepath.Join("data", "billing", "springfield", "carrier-a")))
	equal(t, "billing.dir", city.Billing.Carriers[1].Dir, "/srv/carrier-b")
	equal(t, "billing.calls by default", cfg.Cities[1].Billing.Calls, ani.MaxBatch)
	if b, err := billingOf(cfg); err != nil || len(b.Cities) != 1 || len(b.Cities["springfield"].Carriers) != 2 || b.Cities["springfield"].Calls != 500 {
		t.Errorf("billing is %+v, %v", b, err)
	}
	if !vaultConfig(cfg).Tariffs["springfield"] || vaultConfig(cfg).Tariffs["shelbyville"] {
		t.Error("the wrong cities charge for calls")
	}
	if got := city.Numbers[0].Over(city); !reflect.DeepEqual(got, []call.TrunkID{"carrier-a", "carrier-b"}) {
		t.Errorf("311 comes over %v, want both trunks", got)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestPathsStartAtTheFile: a service does not know from where it is started.
func TestPathsStartAtTheFile(t *testing.T) {
	name := inScratch(t, "testdata/good/full.yaml")
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	cfg, faults := Load(filepath.Join(dir, name), []string{"CALLHALL_DATA_DIR=elsewhere"})
	if len(faults) > 0 {
		t.Fatalf("faults:\n%s", lines(faults))
	}
	equal(t, "password_file", cfg.Cities[0].Agents[0].PasswordFile, SecretFile(filepath.Join(dir, "good.secret")))
	equal(t, "data_dir from the environment", cfg.DataDir, "elsewhere")
}

// TestOrder: a flag stands above a variable, a variable above the file, the file above the default.
func TestOrder(t *testing.T) {
	name := inScratch(t, "testdata/good/full.yaml")
	env := []string{"CALLHALL_LOG_LEVEL=debug", "CALLHALL_NODE=node-env", "CALLHALL_SIP_LISTEN=udp://192.0.2.10:5070, tcp://192.0.2.10:5071", "HOME=/x"}
	cfg, faults := Load(name, env, Setting{Key: "node", Value: "node-flag", Origin: "--node"})
	if len(faults) > 0 {
		t.Fatalf("faults:\n%s", lines(faults))
	}
	equal(t, "default", cfg.HTTP.TLS.CertFile, "")
	equal(t, "file", cfg.DrainTimeout, 4*time.Hour)
	equal(t, "variable over file", cfg.Log.Level, "debug")
	equal(t, "flag over variable", cfg.Node, "node-flag")
	equal(t, "a list", cfg.SIP.Listen[1].String(), "tcp://192.0.2.10:5071")
}

func TestBrokenOutsideTheFile(t *testing.T) {
	name := inScratch(t, "testdata/good/full.yaml")
	env := []string{"CALLHALL_LOG_LEVEL=debgu", "CALLHALL_HTTP_LISTN=127.0.0.1:1", "CALLHALL_PORT=tcp://10.0.0.1:8311",
		"CALLHALL_SERVICE_HOST=10.0.0.1", "CALLHALL_DRAIN_TIMEOUT=2d", "CALLHALL_TOKEN_FILE=x"}
	_, faults := Load(name, env, Setting{Key: "sip.listen", Value: "5060", Origin: "--sip.listen"}, Setting{Key: "cities", Value: "x", Origin: "--cities"})
	want := `CALLHALL_DRAIN_TIMEOUT: drain_timeout: 2d is out of bounds; it is 0s to 1d
CALLHALL_LOG_LEVEL: log.level: "debgu" is not supported; it is one of debug, info, warn, error (did you mean "debug"?)
--sip.listen: sip.listen: "5060" has no transport; write udp://5060 or tcp://5060
--cities: cities: unknown key
environment: CALLHALL_HTTP_LISTN: unknown variable (did you mean "CALLHALL_HTTP_LISTEN"?)
`
	gotLines, wantLines := strings.Split(lines(faults), "\n"), strings.Split(want, "\n")
	if diff := cmp.Diff(slices.Sorted(slices.Values(wantLines)), slices.Sorted(slices.Values(gotLines))); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestDevelopment(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg, faults := Load("", []string{"CALLHALL_DATA_DIR=d"})
	if len(faults) > 0 {
		t.Fatalf("faults without a file:\n%s", lines(faults))
	}
	if !cfg.Development || !cfg.HTTP.Listen.Addr().IsLoopback() || !cfg.Admin.Listen.Addr().IsLoopback() || !cfg.RTP.Listen.IsLoopback() {
		t.Errorf("development is not loopback only: %+v", cfg)
	}
	for _, l := range cfg.SIP.Listen {
		if !l.Addr.Addr().IsLoopback() {
			t.Errorf("development listens on %s", l)
		}
	}
	for range 2 { // the second time changes nothing
		if err := cfg.MakeSecrets(); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, agent := range cfg.Cities[0].Agents {
		equal(t, "password_file", agent.PasswordFile, SecretFile("d/agents/"+string(agent.ID)+".secret"))
		if err := agent.PasswordFile.Check(); err != nil {
			t.Errorf("agent %s: %v", agent.ID, err)
		}
		password, err := agent.PasswordFile.Read()
		if err != nil || len(password) < 26 || seen[password] {
			t.Errorf("agent %s has a short or shared password of %d letters, %v", agent.ID, len(password), err)
		}
		seen[password] = true
	}
}

// TestUnreadable: what cannot be opened is a fault and not a crash, and a hint is not sought for a word of a megabyte.
func TestUnreadable(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "long.yaml", strings.Repeat("k", 1<<20)+": 1\n", 0o600)
	write(t, "huge.yaml", strings.Repeat("#\n", maxConfigSize), 0o600)
	write(t, "alias.yaml", "cities: &a\n  - *a\n", 0o600)
	for _, name := range []string{"missing.yaml", ".", "long.yaml", "huge.yaml", "alias.yaml"} {
		if _, faults := Load(name, nil); len(faults) == 0 {
			t.Errorf("%s: no fault", name)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/broken/*.yaml", "testdata/good/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg := defaults()
		d := newDecoder("fuzz.yaml")
		d.decodeText(text, &cfg)
		check(d, cfg)
		if len(d.faults) == 0 && len(cfg.Cities) == 0 {
			t.Error("a configuration without a city passed")
		}
	})
}

func TestDurations(t *testing.T) {
	day := 24 * time.Hour
	for text, want := range map[string]time.Duration{"30s": 30 * time.Second, "14d": 14 * day, "1d12h": 36 * time.Hour, "0s": 0, "0d": 0, "1h30m": 90 * time.Minute} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "30", "0", "-5s", "d", "1.5d", "5 s", "-1d", "1d-2h", "99999999d", "1w", "+1d", "12h1d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
	for want, d := range map[string]time.Duration{"14d": 14 * day, "4h": 4 * time.Hour, "30m": 30 * time.Minute, "0s": 0, "1h30m": 90 * time.Minute, "45s": 45 * time.Second} {
		equal(t, "written duration", formatDuration(d), want)
	}
}

// TestDeafZero: to media, zero is its own default, so that a configured zero needs another word.
func TestDeafZero(t *testing.T) {
	for deaf, want := range map[time.Duration]time.Duration{0: -1, time.Second: time.Second} {
		equal(t, "rest", RTPConfig{Deaf: deaf}.rest(), want)
	}
}
