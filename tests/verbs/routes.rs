//! Every route against a table of who may call it. A new route without a row fails.

use crate::house::{Answer, Ask, Credential, House, Member, PASSWORD, STRATEGIES};
use rocket::http::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Nothing: everybody gets this status.
    Open(u16),
    /// Nothing: a page, or one of these other answers.
    Page(&'static [u16]),
    /// The cookie of the appliance's own app; whoever has none is sent to the sign-in page. Forms carry a token, too.
    Account,
    /// A credential of any app.
    SignedIn,
    /// A credential of an app with `appliance_access`.
    Member,
    /// The same, of an administrator.
    Admin,
    /// The same, who proved the password in the last ten minutes.
    Recent,
}

use Access::{Account, Admin, Open, Page, Recent, SignedIn};

/// Path parameters are filled with what names nothing, so that nothing happens to whoever may call.
const TABLE: &[(&str, Access)] = &[
    // Assets and pages.
    ("GET /assets/<version>/<path..>", Open(404)),
    ("GET /favicon.ico", Open(200)),
    ("GET /admin/<_..>", Open(200)),
    ("GET /", Page(&[303])),
    ("GET /login", Page(&[200, 303])),
    ("POST /login", Page(&[403])),
    ("GET /logout", Page(&[200])),
    ("POST /logout", Page(&[303, 403])),
    ("GET /setup", Page(&[404])),
    ("POST /setup", Page(&[404])),
    ("POST /setup/code", Page(&[403])),
    ("POST /setup/restore", Page(&[404])),
    ("GET /account", Account),
    ("GET /account/ended", Account),
    ("POST /account/name", Account),
    ("POST /account/password", Account),
    ("POST /account/sessions/<session>/end", Account),
    ("POST /account/sessions/end-others", Account),
    // Everybody.
    ("GET /healthz", Open(200)),
    ("GET /readyz", Open(200)),
    ("GET /.well-known/jwks.json", Open(200)),
    ("OPTIONS /api/v1/<_path..>", Open(404)),
    ("POST /api/v1/auth/login", Open(422)),
    ("POST /api/v1/auth/register", Open(422)),
    ("POST /api/v1/auth/refresh", Open(422)),
    // Apps, by their secrets: see oauth.rs.
    ("POST /oauth2/token", Open(415)),
    ("POST /oauth2/introspect", Open(415)),
    ("POST /oauth2/revoke", Open(415)),
    // Whoever is signed in, to whatever app.
    ("GET /api/v1/auth/session", SignedIn),
    ("POST /api/v1/auth/logout", SignedIn),
    ("POST /api/v1/auth/reauthenticate", SignedIn),
    // The user.
    ("GET /api/v1/me", Access::Member),
    ("PATCH /api/v1/me", Access::Member),
    ("PUT /api/v1/me/password", Access::Member),
    ("GET /api/v1/me/sessions", Access::Member),
    ("DELETE /api/v1/me/sessions/<session>", Access::Member),
    ("POST /api/v1/me/sessions/revoke-others", Access::Member),
    // Administrators: to look, and to end sessions without delay.
    ("GET /api/v1/admin/overview", Admin),
    ("GET /api/v1/admin/users", Admin),
    ("GET /api/v1/admin/users/<user>", Admin),
    ("GET /api/v1/admin/sessions", Admin),
    ("GET /api/v1/admin/sessions/<session>", Admin),
    ("GET /api/v1/admin/apps", Admin),
    ("GET /api/v1/admin/apps/<app>", Admin),
    ("GET /api/v1/admin/blacklist", Admin),
    ("GET /api/v1/admin/keys", Admin),
    ("DELETE /api/v1/admin/sessions/<session>", Admin),
    ("POST /api/v1/admin/sessions/revoke", Admin),
    ("DELETE /api/v1/admin/users/<user>/sessions", Admin),
    ("GET /api/v1/sessions/<session>/data", Admin),
    ("PUT /api/v1/sessions/<session>/data", Admin),
    // Administrators who proved their password just now.
    ("POST /api/v1/admin/users", Recent),
    ("PATCH /api/v1/admin/users/<user>", Recent),
    ("DELETE /api/v1/admin/users/<user>", Recent),
    ("PUT /api/v1/admin/users/<user>/password", Recent),
    ("POST /api/v1/admin/users/<user>/cut-off", Recent),
    ("POST /api/v1/admin/apps", Recent),
    ("PATCH /api/v1/admin/apps/<app>", Recent),
    ("DELETE /api/v1/admin/apps/<app>", Recent),
    ("POST /api/v1/admin/apps/<app>/secrets", Recent),
    ("POST /api/v1/admin/apps/<app>/secrets/confirm", Recent),
    ("DELETE /api/v1/admin/apps/<app>/secrets/<secret>", Recent),
    ("POST /api/v1/admin/blacklist", Recent),
    ("DELETE /api/v1/admin/blacklist/<entry>", Recent),
    ("POST /api/v1/admin/keys/rotate", Recent),
    ("GET /api/v1/admin/export", Recent),
    ("POST /api/v1/admin/import", Recent),
    ("GET /api/v1/admin/backups", Recent),
    ("POST /api/v1/admin/backups", Recent),
    ("GET /api/v1/admin/backups/<name>", Recent),
    ("POST /api/v1/admin/backups/<name>/verify", Recent),
    ("DELETE /api/v1/admin/backups/<name>", Recent),
];

/// Who calls, by what they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    /// No credential.
    Nobody,
    /// A credential of a disabled user.
    Disabled,
    /// A refresh token in the cookie of an app with access: it says who it is, and opens nothing.
    RefreshCookie,
    /// A credential of an app without `appliance_access`, be it an administrator's.
    OtherApp,
    User,
    StaleAdmin,
    RecentAdmin,
}

/// The refusal that this caller gets, if any.
fn refusal(access: Access, rank: Rank) -> Option<(u16, &'static str)> {
    match (access, rank) {
        (Open(_) | Page(_) | Account, _) => None,
        (_, Rank::Nobody) => Some((401, "unauthenticated")),
        (_, Rank::Disabled) => Some((401, "")),
        (SignedIn, _) => None,
        (_, Rank::RefreshCookie) => Some((401, "invalid_token")),
        (_, Rank::OtherApp) => Some((403, "forbidden")),
        (Access::Member, _) => None,
        (_, Rank::User) => Some((403, "forbidden")),
        (Admin, _) => None,
        (_, Rank::StaleAdmin) => Some((403, "reauth_required")),
        (Recent, _) => None,
    }
}

fn table() -> BTreeMap<&'static str, Access> {
    TABLE.iter().copied().collect()
}

fn routes(house: &House) -> BTreeSet<String> {
    let client = house.client();
    client.rocket().routes().map(|route| format!("{} {}", route.method, route.uri.path())).collect()
}

#[rocket::async_test]
async fn every_route_has_a_row_and_every_row_a_route() {
    let house = House::new().await;
    let rows: BTreeSet<String> = table().keys().map(|route| (*route).to_owned()).collect();
    let routes = routes(&house);
    let without_row: Vec<_> = routes.difference(&rows).collect();
    let without_route: Vec<_> = rows.difference(&routes).collect();
    assert!(without_row.is_empty(), "say who may call these: {without_row:#?}");
    assert!(without_route.is_empty(), "there is no such route any more: {without_route:#?}");
}

const NOTHING: &str = "00000000-0000-0000-0000-000000000000";

/// The request for a route: parameters that name nothing, and a body that no route takes.
fn split(route: &str) -> (Method, String) {
    let (method, path) = route.split_once(' ').expect("method and path");
    let path = path.replace("<app>", "nothing").replace("<entry>", &format!("token-{NOTHING}"));
    let path: Vec<_> =
        path.split('/').map(|part| if part.starts_with('<') { NOTHING } else { part }).collect();
    (method.parse().expect("a method"), path.join("/"))
}

fn with_body(method: Method, path: &str, ask: Ask) -> Ask {
    match method {
        Method::Post if !path.starts_with("/api") && !path.starts_with("/oauth2") => ask.form(&[("no", "1")]),
        Method::Post | Method::Put | Method::Patch => ask.json(&json!({ "no_such_field": 1 })),
        _ => ask,
    }
}

struct Callers {
    house: House,
    disabled: Vec<Member>,
}

impl Callers {
    async fn new() -> Self {
        let house = House::with(|config| config.registration.enabled = true).await;
        let boss = house.boss().await;
        boss.make_apps().await;
        for strategy in STRATEGIES {
            let more = json!({ "appliance_access": true, "access_minutes": 30 });
            boss.make_app(&format!("in-{strategy}"), strategy, more).await;
        }
        house.make_user("ada", false).await;
        let id = house.make_user("gone", true).await;
        let mut disabled = house.anyone().sign_in_everywhere("gone").await;
        disabled.push(house.anyone().sign_in("gone", "hallpass").await);
        disabled.push(house.anyone().sign_in_by_cookie("gone", "hallpass").await);
        boss.change_user(&id, json!({ "state": "disabled" })).await.is(200);
        Self { house, disabled }
    }

    /// Everybody, signed in anew.
    async fn all(&self) -> Vec<(Rank, Option<Member>)> {
        let anyone = self.house.anyone();
        let mut all = vec![(Rank::Nobody, None)];
        all.extend(self.disabled.iter().map(|member| (Rank::Disabled, Some(member.clone()))));
        let mut signed_in = Vec::new();
        for strategy in STRATEGIES {
            for way in ["body", "cookie"] {
                let stale = anyone.login_to("boss", &format!("in-{strategy}"), way).await;
                signed_in.push((
                    strategy,
                    way,
                    Member::new(&self.house, "boss", &format!("in-{strategy}"), &stale),
                ));
            }
        }
        self.house.advance(10);
        for (strategy, way, member) in signed_in {
            if (strategy, way) == ("refresh", "cookie") {
                all.push((Rank::RefreshCookie, Some(member.clone())));
                all.push((Rank::StaleAdmin, Some(member.by_access_token())));
                continue;
            }
            // What is left of it after a step-up, besides: a cookie for thirty seconds, an access token.
            member.reauthenticate(PASSWORD).await.is(200);
            all.push((Rank::StaleAdmin, Some(member)));
        }
        for (login, rank) in [("ada", Rank::User), ("boss", Rank::RecentAdmin)] {
            for strategy in STRATEGIES {
                let app = format!("in-{strategy}");
                all.push((rank, Some(anyone.sign_in(login, &app).await)));
                if strategy != "refresh" {
                    all.push((rank, Some(anyone.sign_in_by_cookie(login, &app).await)));
                }
            }
            all.push((rank, Some(anyone.sign_in_by_cookie(login, "hallpass").await)));
            for member in anyone.sign_in_everywhere(login).await {
                all.push((Rank::OtherApp, Some(member)));
            }
            let mut refreshed = anyone.sign_in(login, "refresh").await;
            refreshed.take(&refreshed.refresh().await);
            all.push((Rank::OtherApp, Some(refreshed.by_access_token())));
        }
        all
    }
}

fn is_appliance_cookie(member: &Member) -> bool {
    matches!(&member.credential, Credential::Cookie { app, .. } if app == "hallpass")
}

fn is_refused_by_guard(answer: &Answer) -> bool {
    answer.status == 401 || (answer.status == 403 && answer.code() != "invalid_credentials")
}

#[rocket::async_test]
async fn every_route_takes_those_callers_that_it_should_and_no_others() {
    let callers = Callers::new().await;
    let mut everybody = callers.all().await;
    for (route, access) in table() {
        let (method, path) = split(route);
        // The one that does something without being told what: of each user's callers it leaves the first, so those
        // whom it refuses come before.
        let ends_others = route.ends_with("revoke-others");
        everybody.sort_by_key(|(rank, _)| refusal(access, *rank).is_none());
        let mut first_of = BTreeSet::new();
        for (rank, member) in &everybody {
            let who = member.as_ref().map_or("nobody".into(), Member::name);
            let ask = match member {
                Some(member) => member.ask(method, &path),
                None => callers.house.anyone().ask(method, &path),
            };
            let answer = with_body(method, &path, ask).await;
            match (access, refusal(access, *rank)) {
                (Page(statuses), _) => assert!(statuses.contains(&answer.status), "{rank:?} {who}: {answer}"),
                (Account, _) => {
                    let by_cookie = member.as_ref().is_some_and(is_appliance_cookie);
                    let known = by_cookie && *rank != Rank::Disabled;
                    let wanted = if !known {
                        303
                    } else if method == Method::Get {
                        200
                    } else {
                        403
                    };
                    assert_eq!(answer.status, wanted, "{rank:?} {who}: {answer}");
                    assert!(known || answer.header("location").starts_with("/login"), "{rank:?} {who}");
                }
                (Open(status), _) => assert_eq!(answer.status, status, "{rank:?} {who}: {answer}"),
                (_, None) if ends_others && !first_of.insert(member.as_ref().map(|m| m.login.clone())) => {
                    assert_eq!(answer.status, 401, "{rank:?} {who}: {answer}");
                }
                (_, None) => assert!(!is_refused_by_guard(&answer), "{rank:?} {who}: {answer}"),
                (_, Some((status, code))) => {
                    let as_wanted = answer.status == status && (code.is_empty() || answer.code() == code);
                    assert!(as_wanted, "{rank:?} {who}: {answer}, but {status} {code} was wanted");
                }
            }
        }
        if ends_others {
            everybody = callers.all().await;
        }
    }
}

#[rocket::async_test]
async fn a_cookie_without_its_csrf_token_changes_nothing() {
    let callers = Callers::new().await;
    let house = &callers.house;
    for strategy in STRATEGIES {
        let member = house.anyone().sign_in_by_cookie("boss", &format!("in-{strategy}")).await;
        let Credential::Cookie { app, value, .. } = &member.credential else { panic!("a cookie") };
        for (route, access) in table() {
            let (method, path) = split(route);
            if matches!(access, Open(_) | Page(_) | Account) || method == Method::Get {
                continue;
            }
            let bare = house.anyone().ask(method, &path).header("Cookie", format!("__Host-hp-{app}={value}"));
            with_body(method, &path, bare).await.refused(403, "csrf_failed");
        }
        member.is_alive().await;
    }
}

#[rocket::async_test]
async fn what_is_another_users_is_not_there() {
    let callers = Callers::new().await;
    let house = &callers.house;
    let ada = house.anyone().sign_in("ada", "hallpass").await;
    let victim = house.anyone().sign_in("boss", "hallpass").await;
    let ids = [
        ("<session>", victim.session_id()),
        ("<user>", victim.user_id.as_str()),
        ("<app>", "jwt"),
        ("<secret>", NOTHING),
        ("<entry>", "user-x"),
        ("<name>", "20270115T080000000Z-manual.backup"),
    ];
    for route in table().into_keys().filter(|route| route.contains('<') && route.contains("/api/v1/")) {
        let (method, path) = route.split_once(' ').expect("method and path");
        let method: Method = method.parse().expect("a method");
        if method == Method::Options {
            continue;
        }
        let path = ids.iter().fold(path.to_owned(), |path, (name, id)| path.replace(name, id));
        let answer = with_body(method, &path, ada.ask(method, &path)).await;
        assert!([403, 404].contains(&answer.status), "{answer}");
    }
    victim.is_alive().await;
}
