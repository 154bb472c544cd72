#!/usr/bin/env bash
# Runs every test with the race detector, then looks for a process that a test left behind.
set -uo pipefail
cd "$(dirname "$0")/.."
export CALLHALL_TEST_RUN="$$-$RANDOM"      # every process of this run carries it in its environment
export CALLHALL_TEST_PEERS=required        # a missing peer is an error here, not a skip
export CALLHALL_TEST_VERSITYGW="$PWD/.tools/bin/versitygw"
go test -race -timeout 20m "$@" ./...
result=$?

left=()
for env in /proc/[0-9]*/environ; do
  pid=${env#/proc/}; pid=${pid%/environ}
  [ "$pid" = "$$" ] && continue
  tr '\0' '\n' 2>/dev/null <"$env" | grep -qx "CALLHALL_TEST_RUN=$CALLHALL_TEST_RUN" &&
    name=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") && [ -n "$name" ] && left+=("$pid $name")
done
if [ ${#left[@]} -gt 0 ]; then
  printf 'left behind: %s\n' "${left[@]}" >&2
  exit 1
fi
exit $result
