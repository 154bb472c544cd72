#!/usr/bin/env bash
# Installs what the end-to-end tests call and answer with, where it is missing: SIPp and baresip, systemd's checker
# for the unit file, and gdb, whose gcore must get nothing. Needs root, or sudo, only when something is missing.
set -euo pipefail
missing=()
command -v gcc >/dev/null || missing+=(gcc libc6-dev) # the race detector
command -v sipp >/dev/null || missing+=(sip-tester)
command -v baresip >/dev/null || missing+=(baresip)
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v gcore >/dev/null || missing+=(gdb)
command -v setpriv >/dev/null || missing+=(util-linux)
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
