package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)#:\s]*)(?:#([^)\s]+))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestLinksLead: every link between our pages leads to a file that is there, and to a heading of it.
func TestLinksLead(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		found := link.FindAllStringSubmatch(read(t, page), -1)
		for _, m := range found {
			target := page
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links %s: %v", page, m[1], err)
			} else if m[2] != "" && !hasHeading(read(t, target), m[2]) {
				t.Errorf("%s links %s, which has no heading %q", page, target, m[2])
			}
		}
	}
}

// hasHeading tells whether a page has a heading whose anchor is that.
func hasHeading(page, anchor string) bool {
	for _, h := range heading.FindAllStringSubmatch(page, -1) {
		if strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}
