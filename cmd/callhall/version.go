package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// versionCmd tells which build this is.
type versionCmd struct{}

// build is what the linker noted of this binary.
type build struct {
	Version string `json:"version"`          // of the module: a tag, or "devel"
	Commit  string `json:"commit,omitempty"` // empty when built outside a repository
	Changed bool   `json:"changed"`          // built from a tree with changes that are in no commit
	At      string `json:"commit_at,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"` // "linux/amd64"
}

// Run writes the version, as text or JSON.
func (versionCmd) Run(term *terminal) error {
	return thisBuild().write(term.Out, term.JSON)
}

// version is the version of the running binary: a tag, or "devel".
func version() string { return thisBuild().Version }

// thisBuild reads what the running binary says of itself.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return readBuild(info)
}

// readBuild finds our fields in info.
func readBuild(info *debug.BuildInfo) build {
	b := build{Version: info.Main.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		case "vcs.time":
			b.At = s.Value
		}
	}
	return b
}

// String is the build in one line: "callhall devel (a1b2c3d, go1.26.1)".
func (b build) String() string {
	commit := "no commit"
	if len(b.Commit) >= 7 {
		commit = b.Commit[:7]
	}
	if b.Changed {
		commit += " with changes"
	}
	return fmt.Sprintf("callhall %s (%s, %s)", b.Version, commit, b.Go)
}

func (b build) write(to io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(to).Encode(b)
	}
	_, err := fmt.Fprintln(to, b)
	return err
}
