//! Everything that is not exactly a token of ours is refused.

use super::*;
use crate::model::claims::{Algorithm, Claims};
use crate::model::{SessionId, Time, TokenId, UserId};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::LazyLock;

const ISSUER: &str = "https://auth.example.org";
const NOW: i64 = 1_800_000_000;

struct Mint {
    ring: KeyRing,
    kids: Vec<(Algorithm, String)>,
}

/// All three kinds in one ring: RSA takes a moment, so they are made once.
static MINT: LazyLock<Mint> = LazyLock::new(|| {
    let made = Algorithm::ALL.map(|algorithm| (algorithm, SigningKey::generate(algorithm).unwrap()));
    let kids = made.iter().map(|(algorithm, material)| (*algorithm, material.kid.clone())).collect();
    let keys =
        made.iter().map(|(algorithm, m)| (SigningKey::from_pkcs8(*algorithm, &m.pkcs8).unwrap(), true));
    Mint { ring: KeyRing::new(keys, HashSet::new()), kids }
});

fn now() -> Time {
    Time::from_seconds(NOW)
}

fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        sub: UserId::from_bytes([1; 16]),
        aud: "default".into(),
        client_id: "default".parse().unwrap(),
        iat: NOW,
        exp: NOW + 600,
        nbf: None,
        jti: TokenId::from_bytes([2; 16]),
        sid: Some(SessionId::from_bytes([3; 16])),
        ep: 1,
        auth_time: Some(NOW),
    }
}

fn verifier() -> Verifier {
    Verifier::new(ISSUER.into(), 100)
}

fn fault(token: &str) -> Option<TokenFault> {
    verifier().verify(&MINT.ring, token, now()).err()
}

fn kid(algorithm: Algorithm) -> &'static str {
    &MINT.kids.iter().find(|(known, _)| *known == algorithm).unwrap().1
}

fn good(algorithm: Algorithm) -> String {
    MINT.ring.sign(algorithm, &claims()).unwrap()
}

/// Any header and payload, signed by our own ES256 key as if we had issued it.
fn signed(header: &str, payload: &str) -> String {
    MINT.ring.sign_raw(Algorithm::ES256, header, payload)
}

fn header() -> Value {
    json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid(Algorithm::ES256) })
}

fn payload() -> Value {
    json!(claims())
}

fn with(mut value: Value, name: &str, new: Value) -> String {
    value[name] = new;
    value.to_string()
}

fn without(mut value: Value, name: &str) -> String {
    value.as_object_mut().unwrap().remove(name);
    value.to_string()
}

#[test]
fn good_tokens_of_every_algorithm_are_accepted_by_us_and_by_the_library_alone() {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(MINT.ring.jwks()).unwrap();
    assert_eq!(set.keys.len(), 3);
    for algorithm in Algorithm::ALL {
        let token = good(algorithm);
        assert_eq!(fault(&token), None);
        let jwk = set.find(kid(algorithm)).unwrap();
        let mut validation = jsonwebtoken::Validation::new(key::theirs(algorithm));
        validation.set_audience(&["default"]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_exp = false;
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        assert_eq!(jsonwebtoken::decode::<Claims>(&token, &key, &validation).unwrap().claims, claims());
    }
}

#[test]
fn the_control_token_of_the_tables_below_is_good() {
    assert_eq!(fault(&signed(&header().to_string(), &payload().to_string())), None);
}

#[test]
fn headers_other_than_ours_are_refused() {
    let jwk = MINT.ring.jwks()["keys"][0].clone();
    let table: Vec<String> = [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("NONE")),
        ("alg", json!("")),
        ("alg", json!("HS256")),
        ("alg", json!("HS512")),
        ("alg", json!("RS256")),
        ("alg", json!("EdDSA")),
        ("alg", json!("ES384")),
        ("alg", json!("es256")),
        ("alg", json!(" ES256")),
        ("alg", json!(null)),
        ("alg", json!(["ES256"])),
        ("alg", json!(1)),
        ("typ", json!("JWT")),
        ("typ", json!("jwt")),
        ("typ", json!("id_token")),
        ("typ", json!("")),
        ("typ", json!(null)),
        ("typ", json!(["at+jwt"])),
        ("typ", json!("at+jwt ")),
        ("typ", json!("logout+jwt")),
        ("kid", json!("")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!(null)),
        ("kid", json!(["a"])),
        ("kid", json!(kid(Algorithm::EdDSA))),
        ("kid", json!(kid(Algorithm::RS256))),
        ("kid", json!("\0")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!(null)),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("jwk", jwk),
        ("jku", json!("http://127.0.0.1:1/jwks")),
        ("x5u", json!("http://127.0.0.1:1/")),
        ("x5c", json!(["MII"])),
        ("x5t", json!("a")),
        ("enc", json!("A256GCM")),
        ("nonce", json!("a")),
    ]
    .into_iter()
    .map(|(name, new)| with(header(), name, new))
    .chain(["alg", "typ", "kid"].map(|name| without(header(), name)))
    .chain(["", "null", "[]", "{}", "\"a\"", "{\"alg\":\"ES256\"", "\u{feff}{}"].map(str::to_owned))
    .chain([
        header().to_string().replacen('{', "{\"alg\":\"none\",", 1),
        header().to_string().replacen('{', "{\"kid\":\"x\",", 1),
        "[".repeat(2000),
    ])
    .collect();
    for header in table {
        assert!(fault(&signed(&header, &payload().to_string())).is_some(), "{header}");
    }
}

#[test]
fn claims_other_than_ours_are_refused() {
    let table: Vec<String> = [
        ("exp", json!(NOW)),
        ("exp", json!(NOW - 1)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!((NOW + 600).to_string())),
        ("exp", json!(1.8e9 + 600.5)),
        ("exp", json!(null)),
        ("exp", json!([NOW + 600])),
        ("exp", json!(u64::MAX)),
        ("nbf", json!(NOW + 1)),
        ("nbf", json!("0")),
        ("iat", json!(NOW + 61)),
        ("iat", json!("1")),
        ("iss", json!("https://evil.example")),
        ("iss", json!("")),
        ("iss", json!([ISSUER])),
        ("iss", json!(null)),
        ("iss", json!("https://auth.example.org/")),
        ("aud", json!(["default"])),
        ("aud", json!([])),
        ("aud", json!(1)),
        ("aud", json!(null)),
        ("sub", json!("")),
        ("sub", json!("admin")),
        ("sub", json!(1)),
        ("sub", json!(null)),
        ("client_id", json!("")),
        ("client_id", json!("NOT AN APP")),
        ("client_id", json!(null)),
        ("jti", json!("")),
        ("jti", json!("x")),
        ("jti", json!(null)),
        ("sid", json!("x")),
        ("sid", json!(1)),
        ("ep", json!("1")),
        ("ep", json!(-1)),
        ("ep", json!(1.5)),
        ("ep", json!(null)),
        ("ep", json!(1u64 << 32)),
        ("auth_time", json!("now")),
        ("admin", json!(true)),
        ("scope", json!("admin")),
    ]
    .into_iter()
    .map(|(name, new)| with(payload(), name, new))
    .chain(["iss", "sub", "aud", "client_id", "iat", "exp", "jti", "ep"].map(|name| without(payload(), name)))
    .chain(["", "null", "[]", "{}", "\"a\"", "1"].map(str::to_owned))
    .chain([
        payload().to_string().replacen('{', "{\"sub\":\"01010101-0101-0101-0101-010101010102\",", 1),
        payload().to_string().replacen('{', "{\"exp\":9999999999,", 1),
        format!("{} x", payload()),
        "{\"a\":".repeat(600),
    ])
    .collect();
    for payload in table {
        assert!(fault(&signed(&header().to_string(), &payload)).is_some(), "{payload}");
    }
}

#[test]
fn other_spellings_and_shapes_are_refused() {
    let token = good(Algorithm::ES256);
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, signature] = [parts[0], parts[1], parts[2]];
    let raw = BASE64URL.decode(signature).unwrap();
    let padded = URL_SAFE.encode(&raw);
    let standard = STANDARD.encode(&raw);
    // The last character of 64 bytes holds four unused bits.
    let mut loose = signature.to_owned();
    let last = loose.pop().unwrap();
    loose.push(if last == 'A' { 'B' } else { char::from(last as u8 + 1) });
    let mut table = vec![
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        head.to_owned(),
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!(".{body}.{signature}"),
        format!("{head}..{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}.a.b"),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{head} .{body}.{signature}"),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}=.{signature}"),
        format!("{head}.{body}.{padded}"),
        format!("{head}.{body}.{loose}"),
        format!("{token}A"),
        format!("{head}.{body}.{}", &signature[1..]),
        format!("{head}.{body}.{}", &signature[..84]),
        format!("{head}.{body}.{}", BASE64URL.encode([0; 64])),
        format!("{head}.{body}.{}", BASE64URL.encode([255; 64])),
        format!("{head}.{body}.{}", BASE64URL.encode(&raw[..32])),
        format!("{body}.{head}.{signature}"),
        format!("{head}.{}.{signature}", BASE64URL.encode(with(payload(), "ep", json!(2)))),
        format!("{}.{body}.{signature}", BASE64URL.encode(with(header(), "kid", json!("x")))),
        token.to_uppercase(),
        token.replace('.', ":"),
        format!("Bearer {token}"),
        "ä".repeat(100),
        "a".repeat(5000),
        format!("{}.{}.{}", "a".repeat(2000), "b".repeat(2000), "c".repeat(2000)),
    ];
    if standard != padded {
        table.push(format!("{head}.{body}.{standard}"));
    }
    for text in table {
        assert!(fault(&text).is_some(), "{text}");
    }
    for cut in 0..token.len() {
        assert!(fault(&token[..cut]).is_some() && fault(&token[cut + 1..]).is_some());
    }
}

#[test]
fn signatures_by_other_keys_are_refused() {
    let set = MINT.ring.jwks();
    for algorithm in Algorithm::ALL {
        // A foreign key that borrows our kid.
        let foreign = SigningKey::generate(algorithm).unwrap();
        let ring = KeyRing::new(
            [(SigningKey::from_pkcs8(algorithm, &foreign.pkcs8).unwrap(), true)],
            HashSet::new(),
        );
        let header = json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": kid(algorithm) });
        let token = ring.sign_raw(algorithm, &header.to_string(), &payload().to_string());
        assert_eq!(fault(&token), Some(TokenFault::BadSignature), "{algorithm}");
        assert_eq!(fault(&ring.sign(algorithm, &claims()).unwrap()), Some(TokenFault::UnknownKey));
        // Our public key as an HMAC secret, in every form that one might have it in.
        let jwk = set["keys"].as_array().unwrap().iter().find(|jwk| jwk["kid"] == kid(algorithm)).unwrap();
        let point = ["x", "y", "n", "e"].map(|name| jwk[name].as_str().unwrap_or_default());
        let secrets = [jwk.to_string(), set.to_string(), point.concat(), point[0].to_owned(), String::new()];
        for secret in
            secrets.iter().map(String::as_bytes).chain([BASE64URL.decode(point[0]).unwrap().as_slice()])
        {
            let header = Header {
                typ: Some("at+jwt".into()),
                kid: Some(kid(algorithm).into()),
                ..Header::new(jsonwebtoken::Algorithm::HS256)
            };
            let token = encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
            assert_eq!(fault(&token), Some(TokenFault::WrongAlgorithm));
        }
    }
}

#[test]
fn what_was_seen_before_is_still_judged_by_time_and_key() {
    let verifier = verifier();
    let token = good(Algorithm::EdDSA);
    assert!(verifier.verify(&MINT.ring, &token, now()).is_ok());
    let later = Time::from_seconds(NOW + 600);
    assert_eq!(verifier.verify(&MINT.ring, &token, later).err(), Some(TokenFault::Expired));
    let early = Time::from_seconds(NOW - 61);
    assert_eq!(verifier.verify(&MINT.ring, &token, early).err(), Some(TokenFault::NotYetValid));
    assert_eq!(verifier.verify(&KeyRing::default(), &token, now()).err(), Some(TokenFault::UnknownKey));
    let kid = MINT.kids.iter().find(|(algorithm, _)| *algorithm == Algorithm::EdDSA).unwrap().1.clone();
    let retired = KeyRing::new([], HashSet::from([kid]));
    assert_eq!(verifier.verify(&retired, &token, now()).err(), Some(TokenFault::RetiredKey));
}

#[test]
fn a_kid_is_the_thumbprint_of_its_key() {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(MINT.ring.jwks()).unwrap();
    for jwk in &set.keys {
        let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
        assert_eq!(jwk.common.key_id.as_ref(), Some(&thumbprint));
    }
    let published = MINT.ring.jwks().to_string();
    // Nothing private is published (RFC 7518 section 6).
    assert!(["\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"k\""].iter().all(|name| !published.contains(name)));
    let rsa = set.find(kid(Algorithm::RS256)).unwrap();
    let jsonwebtoken::jwk::AlgorithmParameters::RSA(rsa) = &rsa.algorithm else { panic!("no RSA key") };
    assert_eq!(BASE64URL.decode(&rsa.n).unwrap().len() * 8, 3072);
}
