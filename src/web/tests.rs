//! The shell, seen from outside, with a few routes of the tests' own.

use super::https::Confidential;
use super::*;
use crate::clock::Clock;
use crate::model::Time;
use rocket::http::{ContentType, Header, Method, Status};
use rocket::local::blocking::{Client as Caller, LocalResponse};
use rocket::{get, post, put, routes};
use serde::Deserialize;
use serde_json::Value;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

mod files;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
}

#[post("/api/v1/echo", data = "<body>")]
fn echo(body: JsonBody<Body>) -> String {
    body.0.name
}

#[get("/api/v1/things/<id>")]
fn thing(id: &str) -> String {
    id.to_string()
}

#[put("/api/v1/things/<_>")]
fn replace() -> &'static str {
    "replaced"
}

#[post("/login")]
fn login(_proof: Confidential) -> &'static str {
    "in"
}

#[put("/login")]
fn put_login() -> &'static str {
    "put"
}

#[get("/page")]
fn page() -> rocket::response::content::RawHtml<&'static str> {
    rocket::response::content::RawHtml("<!doctype html>")
}

#[get("/api/v1/boom")]
fn boom() -> &'static str {
    panic!("a route's bug")
}

#[get("/api/v1/refused")]
fn refused() -> Problem {
    Problem::new(Status::Unauthorized, "token_expired", "The token is over").retry_after_seconds(3)
}

struct AppOrigins;

#[rocket::async_trait]
impl<'r> rocket::request::FromRequest<'r> for AppOrigins {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> rocket::request::Outcome<Self, ()> {
        cors::decide(request, ["https://app.example"]);
        rocket::request::Outcome::Success(Self)
    }
}

#[get("/api/v1/shared")]
fn shared(_origins: AppOrigins) -> Problem {
    Problem::of_status(Status::Forbidden)
}

#[rocket::options("/api/v1/shared")]
fn shared_preflight(_preflight: cors::Preflight, _origins: AppOrigins) -> cors::Preflight {
    cors::Preflight
}

fn house(config: Config) -> Caller {
    let site = Arc::new(Site::new(Arc::new(config), [0, 0, 0, 1]).unwrap());
    with_log(&site, None)
}

fn with_log(site: &Arc<Site>, log: Option<AccessLog>) -> Caller {
    let own = routes![echo, thing, replace, login, put_login, page, boom, refused, shared, shared_preflight];
    Caller::untracked(rocket(site, Ipv4Addr::LOCALHOST.into(), log).mount("/", own)).unwrap()
}

fn header<'a>(response: &'a LocalResponse<'_>, name: &str) -> &'a str {
    response.headers().get_one(name).unwrap_or("")
}

fn problem(response: LocalResponse<'_>) -> (u16, String, Value) {
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    assert_eq!(header(&response, "cache-control"), "no-store");
    let status = response.status().code;
    let body: Value = serde_json::from_str(&response.into_string().unwrap()).unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_string(), body)
}

#[test]
fn unknown_paths_are_problems_for_programs_and_pages_for_people() {
    let house = house(Config::default());
    for path in ["/api", "/api/v1/nothing", "/oauth2/nothing", "/.well-known/nothing"] {
        assert_eq!(problem(house.get(path).dispatch()).1, "not_found");
    }
    let answer = house.get("/apis").dispatch();
    assert_eq!((answer.status(), answer.content_type()), (Status::NotFound, Some(ContentType::HTML)));
    assert_eq!(header(&answer, "content-security-policy"), headers::PAGE_POLICY);
    assert!(answer.into_string().unwrap().contains("00000001-"));
}

#[test]
fn a_wrong_method_is_405_and_names_the_right_ones() {
    let house = house(Config::default());
    for method in [Method::Delete, Method::Post, Method::Options, Method::Trace, Method::Patch] {
        let answer = house.req(method, "/api/v1/things/7?x=1").dispatch();
        assert_eq!(header(&answer, "allow"), "GET, HEAD, PUT", "{method}");
        assert_eq!(problem(answer).1, "method_not_allowed");
    }
    assert_eq!(house.req(Method::Trace, "/api/v1/nothing").dispatch().status().code, 405);
    let head = house.head("/api/v1/echo").dispatch();
    assert_eq!((head.status().code, header(&head, "allow")), (405, "POST"));
    assert_eq!(house.post("/page").dispatch().status().code, 405);
    assert_eq!(house.head("/api/v1/things/7").dispatch().status(), Status::Ok);
}

#[test]
fn a_method_field_is_refused_wherever_it_stands() {
    let house = house(Config::default());
    let body = ["_method=put", "_method=put&a=b", "a=b&_method=put", "_method=PUT", "_method=nonsense"];
    for body in body {
        let answer = house.post("/login").header(ContentType::Form).body(body).dispatch();
        assert_eq!(answer.status(), Status::BadRequest, "{body}");
        assert_eq!(answer.content_type(), Some(ContentType::HTML));
    }
    let answer = house.post("/oauth2/token").header(ContentType::Form).body("_method=get").dispatch();
    assert_eq!(problem(answer).1, "method_field");
    let answer = house.post("/login").header(ContentType::Form).body("login=_method").dispatch();
    assert_eq!(answer.status(), Status::Forbidden);
}

#[test]
fn json_bodies_are_refused_with_the_reason() {
    let house = house(Config::default());
    let send = |kind: Option<&str>, body: &str| {
        let request = house.post("/api/v1/echo").body(body);
        let kind = kind.map(|kind| Header::new("Content-Type", kind.to_string()));
        let (status, code, body) = problem(match kind {
            Some(kind) => request.header(kind).dispatch(),
            None => request.dispatch(),
        });
        (status, code, body["errors"][0]["field"].as_str().unwrap_or_default().to_string())
    };
    let fits = "{\"name\":\"a\"}";
    let refused = |status: u16, code: &str, field: &str| (status, code.to_string(), field.to_string());
    assert_eq!(send(None, fits), refused(415, "unsupported_media_type", ""));
    assert_eq!(send(Some("text/plain"), fits), refused(415, "unsupported_media_type", ""));
    assert_eq!(send(Some("application/jsonp"), fits), refused(415, "unsupported_media_type", ""));
    assert_eq!(send(Some("application/json"), &"x".repeat(70_000)), refused(413, "payload_too_large", ""));
    assert_eq!(send(Some("application/json"), "{"), refused(400, "malformed_json", ""));
    assert_eq!(send(Some("application/json"), "{}"), refused(422, "validation_failed", "name"));
    assert_eq!(send(Some("application/json"), "{\"name\":1}"), refused(422, "validation_failed", "name"));
    let answer = house
        .post("/api/v1/echo")
        .header(Header::new("Content-Type", "application/json; charset=utf-8"))
        .body(fits)
        .dispatch();
    assert_eq!(answer.into_string().unwrap(), "a");
}

#[test]
fn a_panic_is_a_500_without_its_words() {
    let house = house(Config::default());
    let (status, code, body) = problem(house.get("/api/v1/boom").dispatch());
    assert_eq!((status, code.as_str()), (500, "internal_error"));
    assert!(!body.to_string().contains("bug"));
}

#[test]
fn refusals_carry_their_headers() {
    let house = house(Config::default());
    let answer = house.get("/api/v1/refused").dispatch();
    assert_eq!(header(&answer, "retry-after"), "3");
    assert_eq!(header(&answer, "www-authenticate"), r#"Bearer realm="hallpass", error="invalid_token""#);
    assert_eq!(problem(answer).2["retry_after_seconds"], 3);
}

#[test]
fn every_answer_has_the_security_headers() {
    let house = house(Config::default());
    for path in ["/page", "/nothing", "/api/v1/things/7", "/api/v1/nothing", "/api/v1/boom", "/favicon.ico"] {
        let answer = house.get(path).dispatch();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("server", ""),
            ("strict-transport-security", ""),
        ] {
            assert_eq!(header(&answer, name), value, "{path} {name}");
        }
        assert!(header(&answer, "content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        let keep = if path == "/favicon.ico" { "public, max-age=86400" } else { "no-store" };
        assert_eq!(header(&answer, "cache-control"), keep, "{path}");
    }
}

#[test]
fn strict_transport_comes_with_an_https_address() {
    let public_url = Some(PublicUrl::try_from("https://auth.example".to_string()).unwrap());
    let house = house(Config { public_url, ..Config::default() });
    let answer = house.get("/page").dispatch();
    assert_eq!(header(&answer, "strict-transport-security"), "max-age=63072000; includeSubDomains");
}

#[test]
fn passwords_need_https_or_this_machine() {
    let far = SocketAddr::from(([192, 0, 2, 1], 4711));
    let near = SocketAddr::from(([127, 0, 0, 1], 4711));
    let site = Arc::new(Site::new(Arc::new(Config::default()), [0; 4]).unwrap());
    let house = with_log(&site, None);
    let status = |from: SocketAddr, headers: &[(&'static str, &'static str)]| {
        let request = house.post("/login").remote(from);
        let request = headers.iter().fold(request, |r, (name, value)| r.header(Header::new(*name, *value)));
        request.dispatch().status().code
    };
    assert_eq!(status(far, &[("host", "localhost:8000")]), 403);
    assert_eq!(status(far, &[("host", "auth.example"), ("x-forwarded-proto", "https")]), 403);
    assert_eq!(status(near, &[("host", "auth.example")]), 403);
    assert_eq!(site.attention.untrusted_proxy(), None);
    assert_eq!(status(near, &[("host", "localhost"), ("x-forwarded-for", "1.1.1.1")]), 403);
    assert_eq!(site.attention.untrusted_proxy(), Some(near.ip()));
    assert_eq!(status(near, &[("host", "localhost:8000")]), 200);
    let answer = house.post("/login").remote(far).dispatch();
    let page = answer.into_string().unwrap();
    assert!(page.contains("reverse_proxy") && page.contains("[tls]"), "{page}");

    let open = self::house(Config { insecure_http: true, ..Config::default() });
    assert_eq!(open.post("/login").remote(far).dispatch().status(), Status::Ok);
}

#[test]
fn other_origins_read_only_what_they_are_granted() {
    let house = house(Config::default());
    let ask = |origins: &[&'static str]| {
        let request = house.get("/api/v1/shared");
        origins.iter().fold(request, |r, origin| r.header(Header::new("Origin", *origin))).dispatch()
    };
    for origins in [&["https://evil.example"][..], &["null"], &["https://app.example", "https://app.example"]]
    {
        let answer = ask(origins);
        assert_eq!(header(&answer, "access-control-allow-origin"), "", "{origins:?}");
        assert_eq!(header(&answer, "vary"), "Origin");
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "same-origin");
    }
    let answer = ask(&["https://app.example"]);
    assert_eq!(answer.status(), Status::Forbidden);
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://app.example");
    assert_eq!(header(&answer, "access-control-allow-credentials"), "true");
    assert_eq!(header(&answer, "cross-origin-resource-policy"), "cross-origin");

    let preflight = house
        .options("/api/v1/shared")
        .header(Header::new("Origin", "https://app.example"))
        .header(Header::new("Access-Control-Request-Method", "GET"))
        .dispatch();
    assert_eq!(preflight.status(), Status::NoContent);
    assert_eq!(header(&preflight, "access-control-allow-methods"), "GET, HEAD");
    assert_eq!(header(&preflight, "access-control-allow-origin"), "https://app.example");
}

#[test]
fn one_line_per_request_without_its_query() {
    #[derive(Clone, Default)]
    struct Kept(Arc<parking_lot::Mutex<Vec<u8>>>);
    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let log = AccessLog::start(Clock::manual(Time::from_ms(0)), true, kept.clone()).unwrap();
    let site = Arc::new(Site::new(Arc::new(Config::default()), [0, 0, 0, 1]).unwrap());
    let house = with_log(&site, Some(log.clone()));
    let (_, _, body) = problem(house.get("/api/v1/nothing?code=secret").dispatch());
    house.head("/api/v1/things/7?code=secret").dispatch();
    house.post("/login").header(ContentType::Form).body("_method=put").dispatch();
    log.flush();
    let text = String::from_utf8(kept.0.lock().clone()).unwrap();
    assert!(!text.contains("secret"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["request_id"], body["request_id"]);
    assert_eq!((&lines[0]["route"], &lines[0]["status"]), (&"".into(), &404.into()));
    assert_eq!((&lines[1]["method"], &lines[1]["route"]), (&"HEAD".into(), &"/api/v1/things/<id>".into()));
    assert_eq!((&lines[2]["path"], &lines[2]["status"]), (&"/login".into(), &400.into()));
}
