#!/usr/bin/env bash
# Installs Hallpass as a service, upgrades it, or takes it away. May be run any number of times.
set -euo pipefail

usage() {
    cat <<TEXT
usage: sudo ./install.sh [--binary FILE] [--prefix DIR]
       sudo ./install.sh --uninstall [--prefix DIR]

Builds Hallpass, or takes the binary given, and installs it:
  DIR/bin/hallpass              the program (DIR is /usr/local unless --prefix or PREFIX says otherwise)
  /etc/hallpass/Rocket.toml     its options; an existing file is left alone
  /etc/hallpass/environment     the store that it must find; written by a run after the set-up
  /var/lib/hallpass             its data, for the user hallpass alone
  /etc/systemd/system/hallpass.service, where systemd runs; elsewhere it says how to start it
--uninstall takes the program and the service away and keeps options and data.
With DESTDIR set everything is staged below it: no user is made and nothing is started.
TEXT
}

die() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "install.sh: $*"; }

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${PREFIX:-/usr/local} stage=${DESTDIR:-} given='' uninstall=''
while (($#)); do
    case $1 in
        --binary) given=${2:?--binary needs a file} && shift 2 ;;
        --prefix) prefix=${2:?--prefix needs a directory} && shift 2 ;;
        --uninstall) uninstall=1 && shift ;;
        --help | -h) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
[[ $prefix == /* && $prefix != *[[:space:]%]* ]] || die "the prefix must be an absolute path without spaces"

program=$prefix/bin/hallpass
config=/etc/hallpass/Rocket.toml
environment=/etc/hallpass/environment
data=/var/lib/hallpass
unit=/etc/systemd/system/hallpass.service

[[ -n $stage || $(id -u) == 0 ]] || die "run it as root, or set DESTDIR to stage the files"
has_systemd() { [[ -z $stage && -d /run/systemd/system ]] && command -v systemctl >/dev/null; }

# As the user of the service, so that no file of root's comes to lie among the data.
hallpass() {
    if [[ -n $stage ]]; then
        HALLPASS_DATA_DIR=$stage$data "$stage$program" --config "$stage$config" "$@"
    else
        (cd / && runuser -u hallpass -- "$program" --config "$config" "$@")
    fi
}

remove() {
    if has_systemd && [[ -e $unit ]]; then
        systemctl disable --now --quiet hallpass.service
    fi
    rm -f "$stage$unit" "$stage$program"
    if has_systemd; then systemctl daemon-reload; fi
    say "removed. Kept: the data in $stage$data (with the master key) and the options in $stage${config%/*}."
}

obtain_binary() {
    if [[ -n $given ]]; then
        [[ -f $given && -x $given ]] || die "$given is no program"
        echo "$given"
    else
        command -v cargo >/dev/null || die "building needs Rust (cargo); or give a binary by --binary FILE"
        (cd "$source_dir" && cargo build --release --locked >&2)
        echo "${CARGO_TARGET_DIR:-$source_dir/target}/release/hallpass"
    fi
}

make_user() {
    if [[ -n $stage ]] || id hallpass >/dev/null 2>&1; then return; fi
    useradd --system --user-group --home-dir "$data" --no-create-home --shell /usr/sbin/nologin hallpass
}

# Puts standard input at a place, whole or not at all, and remembers whether that changed anything.
changed=''
put() {
    local mode=$1 path=$stage$2 new
    mkdir -p "${path%/*}"
    new=$(mktemp "$path.XXXXXX")
    cat >"$new"
    chmod "$mode" "$new"
    if cmp -s "$new" "$path"; then
        rm "$new"
        chmod "$mode" "$path"
    else
        mv -f "$new" "$path"
        changed=1
    fi
}

give_to_service() { [[ -n $stage ]] || chown "$1:hallpass" "$2"; }

place_files() {
    put 0755 "$program" <"$binary"
    install -d -m 0750 "$stage${config%/*}"
    give_to_service root "${config%/*}"
    if [[ ! -e $stage$config ]]; then
        put 0640 "$config" < <(sed "s|^#data_dir = .*|data_dir = \"$data\"|" "$source_dir/Rocket.toml")
        give_to_service root "$config"
    fi
    install -d -m 0700 "$stage$data"
    give_to_service hallpass "$data"
}

# The hasher lowers its threads' priority: setpriority is in @system-service and must stay allowed.
unit_text() {
    cat <<UNIT
[Unit]
Description=Hallpass, sessions and tokens for your apps
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
ExecStart=$program serve --config $config
EnvironmentFile=-$environment
User=hallpass
Group=hallpass
WorkingDirectory=$data
Restart=on-failure
RestartSec=2
TimeoutStopSec=15
LimitNOFILE=65536
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths=$data
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @keyring
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
UNIT
}

start_service() {
    systemctl daemon-reload
    systemctl enable --quiet hallpass.service
    if [[ -n $changed ]]; then systemctl restart hallpass.service; else systemctl start hallpass.service; fi
    for _ in {1..60}; do
        [[ ! -S $data/control.sock ]] || return 0
        sleep 0.5
    done
    die "the service does not start: see journalctl -u hallpass"
}

# Once there is an administrator, a start without this very store is refused: a volume that is not mounted would
# otherwise look like a fresh machine, and open the set-up to whoever comes first.
demand_store() {
    local id
    id=$(hallpass store-id)
    put 0644 "$environment" < <(cat "$stage$environment" 2>/dev/null || true; echo "HALLPASS_REQUIRE_STORE=$id")
    say "set-up is done; from its next start the service demands the store $id ($stage$environment)."
}

show_way_in() {
    if [[ -n $stage && ! -d $stage$data/store ]]; then return; fi
    local answer
    if answer=$(hallpass setup-link 2>&1); then
        say "open this link within 30 minutes to make the first administrator, and run install.sh again afterwards:"
        echo "  $answer"
    elif [[ $answer == *"set-up is closed"* ]]; then
        grep -qs '^HALLPASS_REQUIRE_STORE=' "$stage$environment" || demand_store
    else
        die "$answer"
    fi
}

if [[ -n $uninstall ]]; then
    remove
    exit 0
fi
binary=$(obtain_binary)
make_user
place_files
if [[ -n $stage ]] || has_systemd; then put 0644 "$unit" < <(unit_text); fi
if has_systemd; then
    start_service
elif [[ -z $stage ]]; then
    say "there is no systemd here. Start it by hand, or from your own supervisor:"
    echo "  runuser -u hallpass -- env \$(cat $environment 2>/dev/null) $program serve --config $config"
fi
show_way_in
say "$("$stage$program" --version) is installed as $stage$program; its options are in $stage$config."
