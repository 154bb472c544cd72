package test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A verb of the command line. What it names stands in its words as {kind}.
type verb struct{ role, rest string }

// verbs is every verb that needs a server, with whose it is and what else it wants.
var verbs = map[string]verb{
	"records list":            {"supervisor", ""},
	"records show":            {"supervisor", "{calls}"},
	"records export":          {"supervisor", ""},
	"records audio":           {"supervisor", "{recordings} --reason complaint --output -"},
	"ani release ask":         {"supervisor", "{calls} --purpose legal-process --recipient LE"},
	"ani release approve":     {"privacy", "{ani-releases}"},
	"ani release refuse":      {"privacy", "{ani-releases}"},
	"ani release reveal":      {"supervisor", "{ani-releases}"},
	"ani release list":        {"supervisor", ""},
	"ani release show":        {"privacy", "{ani-releases}"},
	"ani consent spoken":      {"agent", "{calls} --purpose completion-dropped --recipient AGT"},
	"ani consent list":        {"privacy", ""},
	"ani consent show":        {"privacy", "{consents}"},
	"ani consent withdraw":    {"privacy", "{consents}"},
	"ani process list":        {"records", ""},
	"ani process show":        {"records", "{processes}"},
	"ani process verify":      {"privacy", "{processes}"},
	"ani process close":       {"records", "{processes}"},
	"ani process paper":       {"records", "{processes} --output -"},
	"ani screening list":      {"supervisor", ""},
	"ani screening propose":   {"supervisor", "{calls} --reason spam"},
	"ani screening confirm":   {"privacy", "{screening}"},
	"ani screening review":    {"supervisor", "{screening}"},
	"ani screening end":       {"supervisor", "{screening}"},
	"ani protected list":      {"privacy", ""},
	"ani protected lift":      {"privacy", "{protected}"},
	"ani account list":        {"privacy", ""},
	"ani account approve":     {"records", "{accounting}"},
	"ani account refuse":      {"records", "{accounting} --code 87-2-b"},
	"ani account answer":      {"records", "{accounting}"},
	"ani handle give":         {"agent", "{calls}"},
	"ani handle dial":         {"agent", "{handles}"},
	"ani transfer partners":   {"supervisor", ""},
	"ani transfer start":      {"supervisor", "{calls} --to water"},
	"ani transfer cancel":     {"supervisor", "{calls}"},
	"ani notices list":        {"privacy", ""},
	"ani holders":             {"privacy", ""},
	"ani notices acknowledge": {"privacy", "{owner-notices}"},
	"ani recalls list":        {"privacy", ""},
	"ani recalls delivered":   {"privacy", "{recalls}"},
	"ani policy show":         {"privacy", ""},
	"ani policy approve":      {"supervisor", "{policy}"},
	"ani policy refuse":       {"supervisor", "{policy}"},
	"ani billing list":        {"privacy", ""},
	"ani billing proof":       {"privacy", "{calls}"},
	"ledger list":             {"privacy", ""},
	"ledger export":           {"privacy", ""},
	"ledger checkpoint":       {"privacy", ""},
	"ledger key":              {"privacy", ""},
	"ledger proof":            {"privacy", "0"},
	"ledger consistency":      {"privacy", "--from 1"},
}

// unnamed are the verbs that name nothing of a city, work offline on a directory that its owner owns, or take a number
// from a file, which the routes behind them are asked with above.
var unnamed = []string{"serve", "call", "agent", "check-config", "version", "user add", "user token", "user list", "user revoke", "ledger verify", "ledger rotate",
	"ledger succeed", "ani keys rotate", "ani keys drop", "ani consent add", "ani process add", "ani protected add", "ani account ask", "ani search", "ani billing check", "ani policy explain", "ani policy table", "ani policy propose"}

var listedVerb = regexp.MustCompile(`(?m)^  ([a-z]+(?:-[a-z]+)*(?: [a-z]+)*)(?: \([a-z]+\))?  +[A-Z]`)

// everyVerb reads the verbs from the program's own help, so that none can be forgotten.
func (c *isolated) everyVerb(group string) (all []string) {
	c.t.Helper()
	help, err := c.run(c.t.Context(), append(strings.Fields(group), "--help")...)
	must(c.t, err)
	_, list, ok := strings.Cut(help, "Commands:")
	if !ok {
		return []string{group}
	}
	for _, m := range listedVerb.FindAllStringSubmatch(list, -1) {
		if _, known := verbs[m[1]]; known || slices.Contains(unnamed, m[1]) {
			all = append(all, m[1])
		} else {
			all = append(all, c.everyVerb(m[1])...)
		}
	}
	return all
}

// wantStrangeVerbs does the same by every verb of the command line.
func (c *isolated) wantStrangeVerbs(naming bool, other *isolated, foreign []string) {
	c.t.Helper()
	listed := c.everyVerb("")
	if len(listed) < 50 {
		c.t.Errorf("only %d verbs are listed: %v", len(listed), listed)
	}
	var running sync.WaitGroup
	defer running.Wait()
	atOnce := make(chan struct{}, 4)
	for _, name := range listed {
		v, known := verbs[name]
		if !known && !slices.Contains(unnamed, name) {
			c.t.Errorf("say in verbs what callhall %s takes", name)
		}
		if !known || named.MatchString(v.rest) != naming {
			continue
		}
		atOnce <- struct{}{}
		running.Go(func() {
			defer func() { <-atOnce }()
			c.wantStrangeVerb(name, v, other, foreign)
		})
	}
}

func (c *isolated) wantStrangeVerb(name string, v verb, other *isolated, foreign []string) {
	kind := named.FindStringSubmatch(v.rest)
	if kind == nil {
		c.wantHidden(name, c.verb(name, v, ""), foreign, "")
		return
	}
	id := other.idOf(kind[1])
	theirs, none := c.verb(name, v, id), c.verb(name, v, nobodys(id))
	c.wantHidden(name, theirs, foreign, id)
	if theirs != none {
		c.t.Errorf("callhall %s says %q of another city's, and %q of nothing", name, theirs, none)
	}
}

var named = regexp.MustCompile(`\{([a-z-]+)\}`)

// idOf is one of the city's things; where it has none of the kind, an id of the right form.
func (c *isolated) idOf(kind string) string {
	if ids := c.things[kind]; len(ids) > 0 {
		return ids[len(ids)-1]
	}
	return map[string]string{"owner-notices": "ntc_", "recalls": "rcl_"}[kind] + strings.Repeat("b", 26)
}

func (c *isolated) wantHidden(name, answer string, foreign []string, but string) {
	c.t.Helper()
	for _, w := range foreign {
		if w != but && strings.Contains(answer, w) {
			c.t.Errorf("%s shows %s: %s", name, w, tail(answer))
		}
	}
}

// verb runs one about id and returns all that it said, without what differs between any two.
func (c *isolated) verb(name string, v verb, id string) string {
	c.t.Helper()
	file := filepath.Join(c.dir, "token-"+strings.ReplaceAll(name, " ", "-"))
	must(c.t, os.WriteFile(file, []byte(c.token(v.role)+"\n"), 0o600))
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	args := slices.Concat([]string{"--config", "callhall.yaml", "--json"}, strings.Fields(name), strings.Fields(placeholder.ReplaceAllString(v.rest, id)), []string{"--url", c.http, "--token-file", file})
	out, err := c.run(ctx, args...)
	if err != nil {
		out += err.Error()
	}
	if regexp.MustCompile("unknown flag|unexpected argument|missing flags|expected ").MatchString(out) {
		c.t.Errorf("the test does not know how callhall %s is called: %s", name, out)
	}
	if id == "" {
		return out
	}
	return variable.ReplaceAllString(strings.ReplaceAll(out, id, "ID"), "-")
}
