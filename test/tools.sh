#!/usr/bin/env bash
# Builds the Go programs that tests and checks use into .tools/bin, each at a pinned version, once per machine.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.tools/bin
mkdir -p "$bin"

# tool NAME MODULE@VERSION: builds unless this version is there already.
tool() {
  local stamp="$bin/.$1@${2##*@}"
  [ -x "$bin/$1" ] && [ -e "$stamp" ] && return
  echo "building $1 ${2##*@}"
  GOBIN=$bin GOFLAGS='' go install "$2"
  rm -f "$bin/.$1@"*
  touch "$stamp"
}

tool staticcheck honnef.co/go/tools/cmd/staticcheck@v0.8.2
tool govulncheck golang.org/x/vuln/cmd/govulncheck@v1.8.0
tool versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0
