#!/usr/bin/env bash
# What a reader or a compiler would object to. Every check is made before the first failure ends the run.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
fail() { echo "check: $1" >&2; failed=1; }

unformatted=$(gofmt -l $(git ls-files --cached --others --exclude-standard '*.go'))
[ -z "$unformatted" ] || fail "not formatted: $unformatted"
go mod verify >/dev/null || fail "a module differs from go.sum"
go mod tidy -diff || fail "go.mod is not tidy"
go vet ./... || fail "go vet"
.tools/bin/staticcheck ./... || fail "staticcheck"

# The database of known vulnerabilities is on the network. A machine that cannot reach it says so and goes on; a
# vulnerability that is found fails the check.
report=$(.tools/bin/govulncheck ./... 2>&1)
case $? in
  0) echo "govulncheck: nothing known" ;;
  3) echo "$report"; fail "a known vulnerability is reachable" ;;
  *) echo "govulncheck: not checked, its database cannot be reached from here" ;;
esac
exit $failed
