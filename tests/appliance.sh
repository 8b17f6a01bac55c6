# For the tests in shell: a fresh appliance on a free port, its data in a directory that goes with the test.
# The test that reads this file sets port, and uses root, binary and work.
# shellcheck shell=bash disable=SC2034,SC2154

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=$(realpath "${HALLPASS_BIN:-$root/target/debug/hallpass}")
work=$(mktemp -d)
unset "${!HALLPASS_@}"
server=''

clean_up() {
    if [[ -n $server ]]; then stop_appliance; fi
    rm -rf "$work"
}
trap clean_up EXIT

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts the program given, with its options, and waits until it answers on $port.
start_appliance() {
    "$@" >"$work/appliance.log" 2>&1 &
    server=$!
    for _ in {1..300}; do
        if curl -skf -o /dev/null "${scheme:-http}://localhost:$port/readyz"; then return; fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/appliance.log" >&2
    fail "the appliance did not start"
}

stop_appliance() {
    kill "$server" 2>/dev/null || true
    wait "$server" || true
    server=''
}

passed=0
pass() { passed=$((passed + 1)) && echo "ok     $*"; }
fail() { echo "FAILED $*" >&2 && exit 1; }
