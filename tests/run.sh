#!/usr/bin/env bash
# Installs what the tests need (on Debian; elsewhere it says what is missing) and passes them all.
# shellcheck disable=SC2317 # stages are called by name
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A check that cannot run fails: this script is the one that brings everything along.
export CI=true
# How much is tried here; `cargo test` alone tries a handful of each. Any may be set from outside, without bound.
declare -A tried=(
    [CRASH_ROUNDS]=200 [POWER_IMAGES]=100 [FAULT_POINTS]=200 [DAMAGE_IMAGES]=108 [HISTORY_ROUNDS]=40 [DUELS]=3
    [TRANSFER_USERS]=20000 [BACKUP_KILLS]=60 [BACKUP_RECORDS]=100000
)
for name in "${!tried[@]}"; do
    variable=HALLPASS_$name
    tried[$name]=${!variable:-${tried[$name]}}
done
PYTHON=$PWD/target/python/bin/python
NODE_MAJOR=20
# Every appliance that a test starts would read them, and refuse what it does not know.
unset CARGO_TARGET_DIR "${!HALLPASS_@}"

summary=() failed=0
# Runs a stage to its end, whatever became of those before. In a subshell of its own, as `set -e` does not hold in an `if`.
stage() {
    local name=$1 start=$SECONDS status=0 verdict
    shift
    printf '\n== %s\n' "$name"
    set +e
    (set -e && "$@")
    status=$?
    set -e
    if ((status == 0)); then verdict='ok    '; else verdict='FAILED' failed=$((failed + 1)); fi
    summary+=("$(printf '%s %4d s  %s' "$verdict" $((SECONDS - start)) "$name")")
    printf -- '-- %s\n' "${summary[-1]}"
}

conclude() {
    printf '\n== Summary, after %d s\n' "$SECONDS"
    printf '%s\n' "${summary[@]}"
    if ((failed)); then echo "$failed of ${#summary[@]} stages failed" && exit 1; fi
    echo "all ${#summary[@]} stages passed"
    exit 0
}

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }
# Mirrors and locks have their moments.
patiently() {
    for pause in 3 10 30; do
        "$@" && return
        sleep "$pause"
    done
    "$@"
}
apt() { patiently as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }

install_packages() {
    local wanted=() program package
    while read -r program package; do
        command -v "$program" >/dev/null || wanted+=("$package")
    done <<'LIST'
cc gcc
curl curl
chromium chromium
fc-list fontconfig
nginx nginx-light
node nodejs
npm npm
openssl openssl
python3 python3
shellcheck shellcheck
systemd-analyze systemd
LIST
    python3 -c 'import ensurepip' 2>/dev/null || wanted+=(python3-venv)
    [[ $(fc-list 2>/dev/null) == *Noto*Emoji* ]] || wanted+=(fonts-liberation fonts-noto-color-emoji)
    ((${#wanted[@]})) || return 0
    command -v apt-get >/dev/null || { echo "missing, and there is no apt-get: ${wanted[*]}" >&2 && return 1; }
    apt update
    apt install -y --no-install-recommends "${wanted[@]}"
}

# Debian 12 has an older Node than jose and jwks-rsa want.
install_node() {
    local major
    major=$(node -p 'process.versions.node.split(".")[0]')
    ((major >= NODE_MAJOR)) || patiently npm install --silent --no-save --prefix target/node node@22
}

install_libraries() {
    local directory
    for directory in tests/ui tests/verifiers; do
        [[ -f $directory/package.json ]] || continue
        (cd "$directory" && patiently npm ci --silent --no-audit --no-fund)
    done
    [[ -x $PYTHON ]] || python3 -m venv target/python
    patiently "$PYTHON" -m pip install -q --disable-pip-version-check -r tests/verifiers/requirements.txt
}

rust_tests() {
    for name in "${!tried[@]}"; do export "HALLPASS_$name=${tried[$name]}"; done
    # Both also build target/debug/hallpass, which the stages after this one run.
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --no-fail-fast
        cargo test --locked --doc -q
    else
        cargo test --locked --no-fail-fast
    fi
}

# Its own build in the cheapest way: it runs once, for seconds.
dependencies() {
    cargo deny --version 2>/dev/null ||
        CARGO_PROFILE_DEV_DEBUG=false cargo install cargo-deny --debug --locked --quiet --root target/cargo-deny
    cargo fetch --locked --quiet
    cargo deny --offline check --hide-inclusion-graph bans licenses sources
}

verifiers() { HALLPASS_TEST_PYTHON=$PYTHON node tests/verifiers/run.mjs; }

shell_scripts() { shellcheck -x -P SCRIPTDIR install.sh .ci/run tests/*.sh tests/readme/*.sh tests/fixtures/*.sh; }

export PATH="$PWD/target/cargo-deny/bin:$PWD/target/node/node_modules/.bin:$PATH"
stage 'Packages of the system' install_packages
((failed == 0)) || conclude
stage "Node $NODE_MAJOR or newer" install_node
stage 'Libraries from npm and pip' install_libraries
stage 'Format' cargo fmt --all --check
stage 'Clippy' cargo clippy --locked --all-targets -- -D warnings
stage 'Dependencies' dependencies
stage 'Shell scripts' shell_scripts
stage 'Rust: unit, scenario, race, crash and page tests' rust_tests
stage 'Verifiers of our tokens' verifiers
stage 'The tour of the README' tests/readme/tour.sh
stage 'HTTPS and proxies' tests/readme/https.sh
stage 'install.sh' tests/install.sh
conclude
