package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test binary be the command: the tests that ask for exit codes start themselves again.
func TestMain(m *testing.M) {
	if os.Getenv("BE_CALLHALL") != "" {
		main()
	}
	os.Exit(m.Run())
}

// callhall runs the command as a process of its own, in the working directory, with nothing in its environment but env.
func callhall(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append([]string{"BE_CALLHALL=1"}, env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestExitCodes(t *testing.T) {
	good := inScratch(t, "testdata/good/full.yaml")
	write(t, "bad.yaml", "cities: []\n", 0o600)
	for _, test := range []struct {
		args   []string
		env    []string
		code   int
		out    string // part of standard output
		errout string // part of standard error
	}{
		{args: []string{"--help"}, out: "check-config"},
		{args: []string{"version"}, out: "callhall "},
		{args: nil, code: exitUsage, errout: "expected one of"},
		{args: []string{"verison"}, code: exitUsage, errout: "callhall --help"},
		{args: []string{"version", "--jsno"}, code: exitUsage, errout: "--jsno"},
		{args: []string{"check-config", good}, out: "ok: 2 cities, 3 trunks, 3 numbers, 2 queues, 3 agents"},
		{args: []string{"--config", good, "check-config"}, out: "ok: 2 cities"},
		{args: []string{"check-config"}, env: []string{"CALLHALL_CONFIG=" + good}, out: "ok: 2 cities"},
		{args: []string{"check-config", good}, env: []string{"CALLHALL_NODE=-"}, code: exitBadConfig, out: "CALLHALL_NODE: node:"},
		{args: []string{"check-config", good, "bad.yaml"}, code: exitBadConfig, out: "bad.yaml:1:9: cities: is missing", errout: "has a fault"},
		{args: []string{"check-config", "missing.yaml"}, code: exitBadConfig, out: "missing.yaml: cannot be read: no such file"},
		{args: []string{"check-config"}, code: exitUsage, errout: "name a file"},
		{args: []string{"records", "list"}, code: exitFailed, errout: "read the token"},
		{args: []string{"records", "list", "--end", "lost"}, code: exitUsage, errout: "no call ends as"},
		{args: []string{"records", "list", "--url", "here"}, code: exitUsage, errout: "not the address of a server"},
		{args: []string{"records", "list", "--from", "yesterday"}, code: exitUsage, errout: "not a time"},
		{args: []string{"records", "show", "311"}, code: exitUsage, errout: "not a call's id"},
	} {
		out, errout, code := callhall(t, test.env, test.args...)
		if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(errout, test.errout) {
			t.Errorf("callhall %q: exit %d, want %d\nstandard output (want %q):\n%s\nstandard error (want %q):\n%s",
				test.args, code, test.code, test.out, out, test.errout, errout)
		}
	}
}

func TestCheckConfigJSON(t *testing.T) {
	good := inScratch(t, "testdata/good/full.yaml")
	write(t, "bad.yaml", "citis: []\n", 0o600)
	type answer struct {
		OK     bool    `json:"ok"`
		Faults []Fault `json:"faults"`
	}
	for file, want := range map[string]answer{
		good: {OK: true, Faults: []Fault{}},
		"bad.yaml": {Faults: []Fault{
			{File: "bad.yaml", Line: 1, Column: 1, Path: "citis", Sentence: `unknown key (did you mean "cities"?)`},
		}},
	} {
		out, _, _ := callhall(t, nil, "check-config", "--json", file)
		var got answer
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Errorf("%s: %v in %s", file, err, out)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestBuild(t *testing.T) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "a1b2c3d4e5f6"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-01-31T08:00:00Z"},
	}}
	info.Main.Version = "v0.1.0"
	b := readBuild(info)
	if got := b.String(); !strings.HasPrefix(got, "callhall v0.1.0 (a1b2c3d with changes, go1.") {
		t.Errorf("version is %q", got)
	}
	if got := readBuild(&debug.BuildInfo{}).String(); !strings.HasPrefix(got, "callhall devel (no commit, go1.") {
		t.Errorf("version without a repository is %q", got)
	}
	var out bytes.Buffer
	if err := b.write(&out, true); err != nil || !strings.Contains(out.String(), `"commit":"a1b2c3d4e5f6","changed":true`) {
		t.Errorf("version as JSON is %s, %v", out.String(), err)
	}
}
