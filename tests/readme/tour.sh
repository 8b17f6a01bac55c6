#!/usr/bin/env bash
# Runs the tour of README.md, and after it that of examples/README.md, against a fresh appliance: their blocks as they
# stand, in their order, in one shell.
set -euo pipefail
# shellcheck source=../appliance.sh
source "$(dirname "${BASH_SOURCE[0]}")/../appliance.sh"

port=$(free_port)
mkdir "$work/bin" "$work/home"
ln -s "$binary" "$work/bin/hallpass"
cd "$work/home"
export PATH="$work/bin:$PATH" HALLPASS_PORT=$port

{
    echo 'set -euo pipefail'
    awk '
        /^<!-- tour -->$/ { marked = 1; next }
        marked && /^```sh$/ { block = 1; marked = 0; blocks++; next }
        block && /^```$/ { block = 0; print "echo \"ok     block " blocks "\" >&2"; next }
        block { print }
        END { if (blocks < 6) { print "there are only " blocks + 0 " tour blocks" > "/dev/stderr"; exit 1 } }
    ' "$root/README.md" "$root/examples/README.md"
} >"$work/tour"
sed -i "s/localhost:8000/localhost:$port/g" "$work/tour"

start_appliance hallpass
if ! bash "$work/tour" >"$work/replies"; then
    cat "$work/replies" >&2
    fail "the block after the last ok does not run as it stands"
fi
pass "the tour runs as it stands"
