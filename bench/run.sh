#!/usr/bin/env bash
# Measures on this machine, which should have nothing else to do: builds, makes every measurement one after the other, each
# against a server started for it alone, prints the tables and writes bench/results.csv. About nine minutes.
# Arguments go to bench: bench/run.sh -only rate -window 5. What the figures are: docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
${GO:-go} build -trimpath -o "$work/bench" ./bench
[ -x ./callhall ] || { echo "bench: ./callhall is not built; make build" >&2; exit 1; }

read -r load _ </proc/loadavg
if awk -v l="$load" 'BEGIN { exit !(l > 0.5) }'; then
  echo "note: this machine is busy (load $load); the figures will be worse than on a quiet one" >&2
fi
status=0
"$work/bench" -binary ./callhall "$@" || status=$?
echo
echo "figures in bench/results.csv; to put them into the document: go run ./bench table -into docs/performance.md"
exit $status
