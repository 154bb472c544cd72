package console

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/api-roles.md anew from the table")

// The page of roles says what the table says.
func TestRolesPage(t *testing.T) {
	const file = "../docs/api-roles.md"
	page := rolesPage()
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != page {
		t.Errorf("%s is not what the table says (go test ./console -run TestRolesPage -update writes it anew): %v", file, err)
	}
}

func rolesPage() string {
	var b strings.Builder
	b.WriteString("# Who may ask the API for what\n\n" +
		"Written from the table in console/roles.go by `go test ./console -run TestRolesPage -update`; do not edit it.\n\n" +
		"*city*: everything of the token's city. *own*: what is the holder's own, as an agent's calls of today. -: refused (403). A token's\n" +
		"scope is a list of permissions and narrows its role. *TLS*: only over TLS or from the server itself, since a number is in the\n" +
		"request or the answer. What the terms and the office refuse comes on top: a route that is open to a role is no promise.\n\n" +
		"| route | permission |")
	for _, r := range Roles() {
		fmt.Fprintf(&b, " %s |", r)
	}
	b.WriteString(" TLS |\n|---|---|" + strings.Repeat("---|", len(Roles())+1) + "\n")
	for _, r := range table {
		fmt.Fprintf(&b, "| `%s` | `%s` |", r.route, r.permission)
		for _, reach := range r.reach {
			fmt.Fprintf(&b, " %s |", reachWord(r, reach))
		}
		b.WriteString(map[bool]string{true: " yes |\n", false: " |\n"}[r.secured])
	}
	return b.String()
}

func reachWord(r rule, reach Reach) string {
	if r.permission == public {
		return "all"
	}
	return map[Reach]string{none: "-", own: "own", city: "city"}[reach]
}
