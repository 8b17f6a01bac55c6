#!/usr/bin/env bash
# The release build at work for so many hours, a row of the table a minute: tests/soak.sh HOURS. Ends with 1 at a fault.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! ${1-} =~ ^[0-9]*\.?[0-9]+$ ]]; then
    echo "usage: ${0##*/} HOURS    (such as 1, or 0.05)" >&2
    exit 2
fi
cargo test --locked --release --test soak --no-run
# Not where temporary files lie: that is often memory, where a sync costs nothing.
TMPDIR=$(mktemp -d "$PWD/target/soak.XXXXXX")
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR HALLPASS_SOAK_HOURS=$1
cargo test --locked --release --quiet --test soak -- --nocapture
