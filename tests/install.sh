#!/usr/bin/env bash
# install.sh, staged below a throw-away directory: refusals, files and modes, the same result twice, upgrade, removal.
set -euo pipefail
# shellcheck source=appliance.sh
source "$(dirname "${BASH_SOURCE[0]}")/appliance.sh"

port=$(free_port)
export DESTDIR=$work/stage HALLPASS_PORT=$port
install() { "$root/install.sh" --binary "$binary" --prefix /opt/hallpass "$@"; }
# Every directory and file but what the appliance itself writes; a file that was replaced shows by its time.
snapshot() {
    (cd "$DESTDIR" && find . -path './var/lib/hallpass/*' -prune -o -type d -printf '%p %m\n' -o -printf '%p %m %T@\n')
}
mode_is() {
    local found
    found=$(stat -c %a "$DESTDIR$2")
    [[ $found == "$1" ]] || fail "$2 has mode $found, not $1"
}

! "$root/install.sh" --binary "$work/none" 2>/dev/null || fail "a binary that is not there was taken"
! "$root/install.sh" --prefix relative --binary "$binary" 2>/dev/null || fail "a relative prefix was taken"
! "$root/install.sh" --surprise 2>/dev/null || fail "an unknown option was taken"
[[ ! -e $DESTDIR ]] || fail "a refused run left files"
pass "what it cannot do is refused before anything is touched"

install >/dev/null
mode_is 755 /opt/hallpass/bin/hallpass
mode_is 750 /etc/hallpass
mode_is 640 /etc/hallpass/Rocket.toml
mode_is 700 /var/lib/hallpass
mode_is 644 /etc/systemd/system/hallpass.service
cmp -s "$binary" "$DESTDIR/opt/hallpass/bin/hallpass" || fail "it is another program"
grep -qx 'data_dir = "/var/lib/hallpass"' "$DESTDIR/etc/hallpass/Rocket.toml" || fail "data_dir is not set"
grep -q '^ExecStart=/opt/hallpass/bin/hallpass serve' "$DESTDIR/etc/systemd/system/hallpass.service" || fail "ExecStart"
pass "program, options, data directory and unit lie where they belong, with their modes"

unit=$DESTDIR/etc/systemd/system/hallpass.service
if command -v systemd-analyze >/dev/null; then
    # The program lies below the stage only.
    said=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -v 'is not executable: No such file' || true)
    [[ -z $said ]] || fail "the unit: $said"
    systemd-analyze security --offline=yes --threshold=20 "$unit" >"$work/exposure" || fail "the unit is open: $(tail -1 "$work/exposure")"
    pass "systemd understands the unit, and finds it well closed"
elif [[ -n ${CI:-} ]]; then
    fail "systemd-analyze is missing, so the unit was not looked at"
else
    echo "SKIPPED: systemd-analyze is missing, so the unit was not looked at" >&2
fi

sed -i 's/^#idle_minutes = 90/idle_minutes = 30/' "$DESTDIR/etc/hallpass/Rocket.toml"
before=$(snapshot)
install >/dev/null
[[ $(snapshot) == "$before" ]] || fail "a second run changed something: $(diff <(echo "$before") <(snapshot))"
pass "a second run changes nothing, and leaves the operator's options alone"

serve=(env HALLPASS_DATA_DIR="$DESTDIR/var/lib/hallpass" "$DESTDIR/opt/hallpass/bin/hallpass" --config
    "$DESTDIR/etc/hallpass/Rocket.toml")
start_appliance "${serve[@]}"
said=$(install)
[[ $said == *"http://localhost:$port/setup?code="* ]] || fail "no set-up link: $said"
[[ ! -e $DESTDIR/etc/hallpass/environment ]] || fail "the store is demanded before the set-up is done"
pass "while nobody is set up a run prints a link for it"

echo 'a long and lovely passphrase' | "${serve[@]}" user add ada --admin --password-file - >/dev/null
id=$("${serve[@]}" store-id)
install >/dev/null
grep -qx "HALLPASS_REQUIRE_STORE=$id" "$DESTDIR/etc/hallpass/environment" || fail "the store is not demanded"
before=$(snapshot)
install >/dev/null
[[ $(snapshot) == "$before" ]] || fail "a further run changed something"
pass "once set-up is done a run demands this very store from then on"

stop_appliance
mv "$DESTDIR/var/lib/hallpass" "$work/unmounted"
(umask 077 && mkdir "$DESTDIR/var/lib/hallpass")
if env "$(cat "$DESTDIR/etc/hallpass/environment")" timeout 20 "${serve[@]}" >/dev/null 2>"$work/refusal"; then
    fail "it started without its store"
fi
grep -q require_store "$work/refusal" || fail "the refusal does not say why: $(cat "$work/refusal")"
rm -rf "$DESTDIR/var/lib/hallpass"
mv "$work/unmounted" "$DESTDIR/var/lib/hallpass"
pass "with the volume gone the service does not start, let alone open the set-up again"

said=$(install --uninstall)
[[ ! -e $DESTDIR/opt/hallpass/bin/hallpass && ! -e $unit ]] || fail "the program or its unit is still there"
[[ -d $DESTDIR/var/lib/hallpass/store && -f $DESTDIR/var/lib/hallpass/key ]] || fail "the data are gone"
[[ -f $DESTDIR/etc/hallpass/Rocket.toml && $said == *"$DESTDIR/var/lib/hallpass"* ]] || fail "it does not say what it kept"
install --uninstall >/dev/null
install >/dev/null
grep -q 'idle_minutes = 30' "$DESTDIR/etc/hallpass/Rocket.toml" || fail "the options did not survive"
pass "removal keeps data and options, says where, and may be done twice"
