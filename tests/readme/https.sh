#!/usr/bin/env bash
# The ways to HTTPS that the README and `https_required` name: a certificate of its own, and nginx in front with the
# very snippets of that answer.
set -euo pipefail
# shellcheck source=../appliance.sh
source "$(dirname "${BASH_SOURCE[0]}")/../appliance.sh"
nginx=''
trap '[[ -z $nginx ]] || kill "$nginx"; clean_up' EXIT

mkdir "$work/home" && cd "$work/home"
name=auth.example.org port=$(free_port) secure_port=$(free_port)
export HALLPASS_PORT=$port HALLPASS_LOG__LEVEL=error
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name,DNS:localhost" -keyout privkey.pem -out fullchain.pem 2>/dev/null
printf 'a long and lovely passphrase' | "$binary" user add ada --admin --password-file - >/dev/null

# Signs in to the admin pages' app by cookie; answers headers and body.
sign_in() {
    curl -si "$@" -H 'Content-Type: application/json' \
        -d '{"login": "ada", "password": "a long and lovely passphrase", "app": "hallpass"}'
}
# Prints what Python makes of the JSON at the end of an answer, there called `answer`.
read_json() { tail -n 1 | tr -d '\r' | python3 -c "import json, sys; answer = json.load(sys.stdin); print($1)"; }
is_signed_in() { grep -qi '^set-cookie: __Host-hp-hallpass=hps_.*; HttpOnly; SameSite=Lax; Secure' <<<"$1"; }

start_appliance "$binary"
plain=$(sign_in "http://127.0.0.1:$port/api/v1/auth/login" -H "Host: $name")
[[ $(read_json 'answer["code"]' <<<"$plain") == https_required ]] || fail "a cookie was given over plain http: $plain"
! grep -qi '^set-cookie' <<<"$plain" || fail "a cookie came along with the refusal"
pass "a cookie over plain http by another name than localhost is refused"
behind=$(sign_in "http://localhost:$port/api/v1/auth/login" -H 'X-Forwarded-Proto: https')
[[ $(read_json 'answer["code"]' <<<"$behind") == https_required ]] || fail "an unnamed proxy was believed: $behind"
pass "a proxy that is not named is not believed"
is_signed_in "$(sign_in "http://localhost:$port/api/v1/auth/login")" || fail "http://localhost itself gives no cookie"
pass "on the machine itself http://localhost is enough"
for text in 'Behind a proxy on this machine (Rocket.toml)' nginx; do
    read_json "next(one['text'] for one in answer['snippets'] if one['name'] == '$text')" <<<"$plain" >"$text"
done
stop_appliance

# The listening port and the certificate's place are what an operator would fill in; nginx wants a frame around it.
sed -i "s|^public_url = .*|public_url = \"https://$name:$secure_port\"|" 'Behind a proxy on this machine (Rocket.toml)'
mv 'Behind a proxy on this machine (Rocket.toml)' proxy.toml
{
    echo "daemon off; pid $work/nginx.pid; error_log $work/nginx.log; events {} http { access_log off;"
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $work/nginx-$kind;"; done
    sed "s|listen 443 ssl|listen 127.0.0.1:$secure_port ssl|; s|/etc/ssl|$PWD|" nginx
    echo '}'
} >nginx.conf
nginx -c "$PWD/nginx.conf" 2>"$work/nginx.log" &
nginx=$!
start_appliance "$binary" --config proxy.toml
through=(--cacert fullchain.pem --resolve "$name:$secure_port:127.0.0.1" --interface 127.0.0.9)
answer=$(sign_in "${through[@]}" -H 'X-Forwarded-For: 203.0.113.9' "https://$name:$secure_port/api/v1/auth/login")
is_signed_in "$answer" || fail "no cookie through nginx: $answer $(cat "$work/nginx.log")"
grep -qi '^strict-transport-security:' <<<"$answer" || fail "no HSTS behind https"
pass "nginx in front, by the snippets of the answer, gives the cookie and HSTS"
[[ $(read_json 'answer["session"]["address"]' <<<"$answer") == 127.0.0.9 ]] || fail "the address is not the caller's: $answer"
pass "the address is the caller's, and not the one that the caller made up"
stop_appliance

cat >tls.toml <<TOML
public_url = "https://localhost:$port"
[tls]
certs = "fullchain.pem"
key = "privkey.pem"
TOML
scheme=https start_appliance "$binary" --config tls.toml
answer=$(sign_in --cacert fullchain.pem "https://localhost:$port/api/v1/auth/login")
is_signed_in "$answer" || fail "no cookie over TLS: $answer"
grep -qi '^strict-transport-security:' <<<"$answer" || fail "no HSTS with TLS of its own"
pass "with a certificate of its own it serves HTTPS with HSTS"
