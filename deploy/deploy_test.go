// Package deploy holds what an operator installs beside the binary. Its tests check it as far as a machine without
// systemd, containers or Prometheus can.
package deploy

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// binary builds the command once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "callhall-deploy")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "callhall")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/callhall")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return path, build.Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func callhall(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build callhall: %v", err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// unit is the service with the binary where this machine has it.
func unit(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callhall.service")
	write(t, path, strings.ReplaceAll(read(t, "systemd/callhall.service"), "/usr/local/bin/callhall", callhall(t)))
	return path
}

// systemd names what is skipped where there is no systemd.
func systemd(t *testing.T, what string) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CALLHALL_TEST_PEERS") == "required" {
			t.Fatalf("%s needs systemd-analyze, which make test installs", what)
		}
		t.Skipf("SKIPPED: %s needs systemd-analyze (Debian: systemd)", what)
	}
}

func TestUnitIsValid(t *testing.T) {
	systemd(t, "verifying the unit")
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit(t)).CombinedOutput()
	if err != nil || strings.Contains(string(out), "callhall.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestUnitIsTight: 0 is a service that can do nothing, 10 one that can do everything. Networking alone costs most of ours.
func TestUnitIsTight(t *testing.T) {
	systemd(t, "rating the unit's exposure")
	out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", unit(t)).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// settings are the lines NAME=VALUE of a unit; the last one of a name stands.
func settings(unit string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(unit) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			found[name] = value
		}
	}
	return found
}

func TestUnitKeepsItsWord(t *testing.T) {
	got := settings(read(t, "systemd/callhall.service"))
	for name, want := range map[string]string{
		"LimitCORE": "0", "MemorySwapMax": "0", "DynamicUser": "yes", "RestartPreventExitStatus": "78", "UMask": "0077",
		"CapabilityBoundingSet": "", "StateDirectory": "callhall",
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	var config struct {
		Drain string `yaml:"drain_timeout"`
	}
	decode(t, "callhall.yaml", &config)
	drain, err1 := time.ParseDuration(config.Drain)
	stop, err2 := time.ParseDuration(strings.ReplaceAll(got["TimeoutStopSec"], "min", "m"))
	if err1 != nil || err2 != nil || stop <= drain {
		t.Errorf("TimeoutStopSec is %s (%v), which is to be longer than drain_timeout, %s (%v)", stop, err2, drain, err1)
	}
}

func decode(t *testing.T, path string, v any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestExamplesPass: what we hand out as an example is taken by the program as it stands.
func TestExamplesPass(t *testing.T) {
	for _, test := range []struct{ file, secrets string }{{"callhall.yaml", "secrets/"}, {"compose/callhall.yaml", "/secrets/"}} {
		dir := t.TempDir()
		text := read(t, test.file)
		for _, m := range regexp.MustCompile(`_file: (\S+?)[,}\s]`).FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], test.secrets) {
				t.Errorf("%s: secret %s is not under %s", test.file, m[1], test.secrets)
			}
			write(t, filepath.Join(dir, "secrets", filepath.Base(m[1])), "secret")
		}
		config := filepath.Join(dir, "callhall.yaml")
		write(t, config, strings.ReplaceAll(text, " /secrets/", " secrets/"))
		check := exec.Command(callhall(t), "check-config", config)
		check.Env = []string{}
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", test.file, err, out)
		}
	}
}

// service is as much of a compose service as we look at.
type service struct {
	Image, NetworkMode string
	Build              struct{ Context, Dockerfile string }
	Volumes            []string
	Ports              []string
	Profiles           []string
	DependsOn          map[string]any `yaml:"depends_on"`
	Command            any
	StopGrace          string `yaml:"stop_grace_period"`
}

func TestCompose(t *testing.T) {
	var compose struct {
		Services map[string]service
		Volumes  map[string]any
	}
	decode(t, "compose.yaml", &compose)
	for _, name := range []string{"callhall", "redis", "postgres", "s3"} {
		if _, ok := compose.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	for name, s := range compose.Services {
		if !strings.Contains(s.Image, ":") && s.Build.Context == "" {
			t.Errorf("%s: image %q has no version", name, s.Image)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to other machines", name, port)
			}
		}
		for other := range s.DependsOn {
			if _, ok := compose.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, named := compose.Volumes[source]; named {
				continue
			}
			if _, err := os.Stat(source); err != nil {
				t.Errorf("%s: volume %s: %v", name, source, err)
			}
		}
	}
	build := compose.Services["callhall"].Build
	if _, err := os.Stat(filepath.Join(build.Context, build.Dockerfile)); err != nil {
		t.Errorf("callhall is built from %v", err)
	}
	if compose.Services["callhall"].StopGrace != "3h10m" {
		t.Errorf("stop_grace_period is %q", compose.Services["callhall"].StopGrace)
	}
}

// TestContainer: every file that the build copies is there, and what comes out is not root's.
func TestContainer(t *testing.T) {
	text := read(t, "Containerfile")
	for _, want := range []string{"FROM scratch", "USER 65532:65532", "CGO_ENABLED=0", `ENTRYPOINT ["/callhall"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("the Containerfile has no %q", want)
		}
	}
	module := read(t, "../go.mod")
	version := regexp.MustCompile(`golang:(\d+\.\d+)`).FindStringSubmatch(text)
	if version == nil || !strings.Contains(module, "\ngo "+version[1]+".") {
		t.Errorf("the Containerfile builds with %q, go.mod wants another Go", version)
	}
}

// metric finds our metrics in rules, panels and code.
var metric = regexp.MustCompile(`\bcallhall_[a-z_]+[a-z]\b`)

// TestMetricsExist: no rule or panel waits for a metric that the program does not have.
func TestMetricsExist(t *testing.T) {
	known := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range metric.FindAllString(string(text), -1) {
			known[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"prometheus/alerts.yaml", "grafana/callhall.json"} {
		names := metric.FindAllString(read(t, file), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if base := strings.TrimSuffix(name, "_bucket"); !known[base] && !known[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

func TestAlerts(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decode(t, "prometheus/alerts.yaml", &rules)
	manual := read(t, "../docs/operations.md")
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			if r.Expr == "" || r.For == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("alert %s lacks an expression, a time, a severity, a summary or what to do", r.Alert)
			}
			if !strings.Contains(manual, r.Alert) {
				t.Errorf("docs/operations.md does not say what to do about %s", r.Alert)
			}
		}
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Log("SKIPPED: promtool check rules needs promtool (Debian: prometheus)")
		return
	}
	if out, err := exec.Command("promtool", "check", "rules", "prometheus/alerts.yaml").CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}

func TestDashboard(t *testing.T) {
	var board struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y int }
			Targets []struct{ Expr string }
		}
	}
	d := json.NewDecoder(bytes.NewReader([]byte(read(t, "grafana/callhall.json"))))
	if err := d.Decode(&board); err != nil || len(board.Panels) == 0 {
		t.Fatalf("the dashboard has %d panels, %v", len(board.Panels), err)
	}
	ids, places := map[int]bool{}, map[struct{ X, Y int }]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || places[p.GridPos] || len(p.Targets) == 0 {
			t.Errorf("panel %q shares its id or place, or shows nothing", p.Title)
		}
		ids[p.ID], places[p.GridPos] = true, true
	}
}

// TestDependenciesAreExplained: docs/dependencies.md has each direct requirement of go.mod, in its version, and no other.
func TestDependenciesAreExplained(t *testing.T) {
	first, _, _ := strings.Cut(read(t, "../go.mod"), "\n)")
	want := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`).FindAllStringSubmatch(first, -1) {
		want[m[1]] = m[2]
	}
	got := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\| (v\\S+) \\|").FindAllStringSubmatch(read(t, "../docs/dependencies.md"), -1) {
		got[m[1]] = m[2]
	}
	if len(want) == 0 || !maps.Equal(want, got) {
		t.Errorf("go.mod requires\n%v\ndocs/dependencies.md explains\n%v", want, got)
	}
}
