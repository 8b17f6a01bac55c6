//! What one administrator was promised about users, apps, their secrets and signing keys.

use crate::fact::Fact;
use crate::ledger::{Reach, xorshift};
use crate::server::{Answer, Api};
use serde_json::{Value, json};

/// How many of a kind there are at once, and how many things are remembered, those that are gone among them.
const ALIVE_MAX: usize = 8;
const THINGS_MAX: usize = 40;
const PASSWORD: &str = "a quiet river in autumn";
const ALGORITHM: &str = "EdDSA";
/// The app whose tokens the office's keys sign: nobody else's tokens die with a key.
const OWN_APP: &str = "office";

/// Something that the administrator made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    /// Found by the e-mail, which never changes.
    User {
        email: String,
        id: String,
    },
    App(String),
    Secret {
        app: String,
        id: String,
        text: String,
    },
    Key(String),
    /// An access token of [`OWN_APP`], and the key that signed it.
    Token {
        kid: String,
        text: String,
    },
    Backup(String),
}

/// What an administrator does. `None`: no answer came.
type Act = fn(&mut Office, &Reach<'_>) -> Option<()>;

/// How often each comes up.
const DECK: &[(Act, usize)] = &[
    (|office, reach| office.make_user(reach, false), 12),
    (|office, reach| office.make_user(reach, true), 4),
    (Office::import_user, 4),
    (Office::change_user, 14),
    (
        |office, reach| {
            office.delete(reach, "/api/v1/admin/users", |thing| matches!(thing, Thing::User { .. }))
        },
        6,
    ),
    (|office, reach| office.make_app(reach, false), 4),
    (|office, reach| office.make_app(reach, true), 4),
    (Office::change_app, 8),
    (|office, reach| office.delete(reach, "/api/v1/admin/apps", |thing| matches!(thing, Thing::App(_))), 4),
    (Office::add_secret, 4),
    (Office::remove_secret, 4),
    (Office::rotate, 2),
    (Office::retire, 3),
    // A child process checks each.
    (Office::make_backup, 1),
    (
        |office, reach| {
            office.delete(reach, "/api/v1/admin/backups", |thing| matches!(thing, Thing::Backup(_)))
        },
        1,
    ),
];

#[derive(Clone)]
pub struct Office {
    facts: Vec<(Thing, Fact)>,
    deck: Vec<Act>,
    made: usize,
    dice: u64,
    pub losses: Vec<String>,
    pub acknowledged: usize,
}

impl Office {
    pub fn new(seed: u64) -> Self {
        Self {
            facts: Vec::new(),
            deck: Vec::new(),
            made: 0,
            dice: seed | 1,
            losses: Vec::new(),
            acknowledged: 0,
        }
    }

    /// The app and the user that its own tokens are made with.
    pub fn furnish(api: &Api, boss: &str) {
        let app = json!({ "id": OWN_APP, "strategy": "jwt", "algorithm": ALGORITHM });
        assert!(api.post("/api/v1/admin/apps", Some(boss), app).unwrap().is_ok());
        let clerk = json!({ "login": "clerk", "password": PASSWORD });
        assert!(api.post("/api/v1/admin/users", Some(boss), clerk).unwrap().is_ok());
    }

    pub fn act_until_death(&mut self, reach: &Reach<'_>) {
        loop {
            if self.deck.is_empty() {
                self.deck = DECK.iter().flat_map(|(act, times)| std::iter::repeat_n(*act, *times)).collect();
            }
            let at = self.below(self.deck.len());
            if self.deck.swap_remove(at)(self, reach).is_none() {
                return;
            }
            self.acknowledged += 1;
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        xorshift(&mut self.dice, bound)
    }

    fn next_name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}{}", self.made)
    }

    /// One of those that are there and fit.
    fn some(&mut self, fits: impl Fn(&Thing, &Value) -> bool) -> Option<usize> {
        let found = self.facts.iter().enumerate();
        let found = found.filter(|(_, (thing, fact))| !fact.last().is_null() && fits(thing, fact.last()));
        let found: Vec<usize> = found.map(|(at, _)| at).collect();
        if found.is_empty() { None } else { Some(found[self.below(found.len())]) }
    }

    fn alive(&self, fits: impl Fn(&Thing) -> bool) -> usize {
        self.facts.iter().filter(|(thing, fact)| fits(thing) && !fact.last().is_null()).count()
    }

    /// A new thing, to be made by the act that follows.
    fn begin(&mut self, thing: Thing, becomes: Value) -> usize {
        let mut fact = Fact::is(Value::Null);
        fact.intend(becomes);
        self.facts.push((thing, fact));
        self.facts.len() - 1
    }

    /// An answer: those whose change it promises are settled.
    fn settle(&mut self, answer: &Answer, what: &str, facts: &[usize]) -> Option<()> {
        if answer.is_ok() {
            facts.iter().for_each(|at| self.facts[*at].1.settle());
        } else {
            self.losses.push(format!("{what}: {answer:?}"));
        }
        Some(())
    }

    fn make_user(&mut self, reach: &Reach<'_>, by_themselves: bool) -> Option<()> {
        if self.alive(|thing| matches!(thing, Thing::User { .. })) >= ALIVE_MAX {
            return Some(());
        }
        let login = self.next_name("somebody");
        let email = format!("{login}@example.org");
        let (path, caller) = match by_themselves {
            true => ("/api/v1/auth/register", None),
            false => ("/api/v1/admin/users", Some(reach.boss)),
        };
        let becomes = json!({ "login": login, "name": "", "role": "user", "groups": [], "state": "enabled" });
        let at = self.begin(Thing::User { email: email.clone(), id: String::new() }, becomes);
        let body = json!({ "login": login, "email": email, "password": PASSWORD });
        let answer = reach.api.post(path, caller, body)?;
        let made = if by_themselves { &answer.body["user"] } else { &answer.body };
        let id = made["id"].as_str().unwrap_or_default().to_owned();
        self.facts[at].0 = Thing::User { email, id };
        self.settle(&answer, "a user cannot be made", &[at])
    }

    fn import_user(&mut self, reach: &Reach<'_>) -> Option<()> {
        let login = self.next_name("imported");
        let email = format!("{login}@example.org");
        let becomes = json!({ "login": login, "name": "", "role": "user", "groups": [], "state": "enabled" });
        let at = self.begin(Thing::User { email: email.clone(), id: String::new() }, becomes);
        let header = json!({ "type": "header", "schema": 1 });
        let user = json!({ "type": "user", "login": login, "email": email, "email_verified": true });
        let lines = format!("{header}\n{user}\n");
        let bearer = format!("Bearer {}", reach.boss);
        let headers = [("content-type", "application/x-ndjson"), ("authorization", bearer.as_str())];
        let answer = reach.api.call("POST", "/api/v1/admin/import", &headers, &lines)?;
        self.settle(&answer, "a user cannot be imported", &[at])
    }

    fn change_user(&mut self, reach: &Reach<'_>) -> Option<()> {
        let found = self.some(|thing, _| matches!(thing, Thing::User { id, .. } if !id.is_empty()));
        let Some(at) = found else { return Some(()) };
        let Thing::User { id, .. } = self.facts[at].0.clone() else { return Some(()) };
        let now = self.facts[at].1.last().clone();
        let other =
            |field: &str, one: &str, two: &str| if now[field] == one { two.to_owned() } else { one.into() };
        let change = match self.below(5) {
            0 => json!({ "login": self.next_name("renamed") }),
            1 => json!({ "name": self.next_name("Name ") }),
            2 => json!({ "groups": [self.next_name("group")] }),
            3 => json!({ "role": other("role", "user", "admin") }),
            _ => json!({ "state": other("state", "enabled", "disabled") }),
        };
        self.facts[at].1.intend(merged(&now, &change));
        let answer =
            reach.api.send("PATCH", &format!("/api/v1/admin/users/{id}"), Some(reach.boss), change)?;
        self.settle(&answer, "a user cannot be changed", &[at])
    }

    pub fn make_app(&mut self, reach: &Reach<'_>, confidential: bool) -> Option<()> {
        if self.alive(|thing| matches!(thing, Thing::App(_))) >= ALIVE_MAX {
            return Some(());
        }
        let id = self.next_name("app");
        let becomes = json!({ "name": id, "state": "enabled", "secrets": usize::from(confidential) });
        let at = self.begin(Thing::App(id.clone()), becomes);
        let body = json!({ "id": id, "name": id, "strategy": "refresh", "confidential": confidential });
        let answer = reach.api.post("/api/v1/admin/apps", Some(reach.boss), body)?;
        if let Some(text) = answer.text("client_secret") {
            let secret = answer.body["secrets"][0]["id"].as_str().unwrap_or_default().to_owned();
            self.facts.push((Thing::Secret { app: id, id: secret, text }, Fact::is(true)));
        }
        self.settle(&answer, "an app cannot be made", &[at])
    }

    fn change_app(&mut self, reach: &Reach<'_>) -> Option<()> {
        // One without secrets: they stop and go on with their app.
        let found = self.some(|thing, value| matches!(thing, Thing::App(_)) && value["secrets"] == 0);
        let Some(at) = found else { return Some(()) };
        let Thing::App(id) = self.facts[at].0.clone() else { return Some(()) };
        let now = self.facts[at].1.last().clone();
        let change = match self.below(2) {
            0 => json!({ "name": self.next_name("App ") }),
            _ if now["state"] == "enabled" => json!({ "state": "disabled" }),
            _ => json!({ "state": "enabled" }),
        };
        self.facts[at].1.intend(merged(&now, &change));
        let answer =
            reach.api.send("PATCH", &format!("/api/v1/admin/apps/{id}"), Some(reach.boss), change)?;
        self.settle(&answer, "an app cannot be changed", &[at])
    }

    fn delete(&mut self, reach: &Reach<'_>, path: &str, fits: fn(&Thing) -> bool) -> Option<()> {
        let Some(at) = self.some(|thing, _| fits(thing)) else { return Some(()) };
        let id = match &self.facts[at].0 {
            Thing::User { id, .. } if !id.is_empty() => id.clone(),
            Thing::App(id) | Thing::Backup(id) => id.clone(),
            _ => return Some(()),
        };
        let mut concerned = self.secrets_of(&id);
        concerned.push(at);
        concerned.iter().for_each(|at| self.facts[*at].1.intend(Value::Null));
        let answer = reach.api.send("DELETE", &format!("{path}/{id}"), Some(reach.boss), json!({}))?;
        self.settle(&answer, "it cannot be deleted", &concerned)
    }

    fn secrets_of(&self, of: &str) -> Vec<usize> {
        let facts = self.facts.iter().enumerate();
        let own = facts.filter(|(_, (thing, _))| matches!(thing, Thing::Secret { app, .. } if app == of));
        own.map(|(at, _)| at).collect()
    }

    fn add_secret(&mut self, reach: &Reach<'_>) -> Option<()> {
        let found = self.some(|thing, value| matches!(thing, Thing::App(_)) && value["secrets"] == 1);
        let Some(at) = found else { return Some(()) };
        let Thing::App(app) = self.facts[at].0.clone() else { return Some(()) };
        let becomes = merged(self.facts[at].1.last(), &json!({ "secrets": 2 }));
        self.facts[at].1.intend(becomes);
        let path = format!("/api/v1/admin/apps/{app}/secrets");
        let answer = reach.api.post(&path, Some(reach.boss), json!({}))?;
        if let (Some(id), Some(text)) = (answer.text("id"), answer.text("client_secret")) {
            self.facts.push((Thing::Secret { app, id, text }, Fact::is(true)));
        }
        self.settle(&answer, "a secret cannot be added", &[at])
    }

    fn remove_secret(&mut self, reach: &Reach<'_>) -> Option<()> {
        let found = self.some(|thing, works| matches!(thing, Thing::Secret { .. }) && *works == true);
        let Some(at) = found else { return Some(()) };
        let Thing::Secret { app, id, .. } = self.facts[at].0.clone() else { return Some(()) };
        let own = self.facts.iter().position(|(thing, _)| *thing == Thing::App(app.clone()));
        let Some(of) = own else { return Some(()) };
        let left = self.facts[of].1.last()["secrets"].as_u64().unwrap_or_default() - 1;
        let becomes = merged(self.facts[of].1.last(), &json!({ "secrets": left }));
        self.facts[of].1.intend(becomes);
        self.facts[at].1.intend(Value::Null);
        let path = format!("/api/v1/admin/apps/{app}/secrets/{id}");
        let answer = reach.api.send("DELETE", &path, Some(reach.boss), json!({}))?;
        self.settle(&answer, "a secret cannot be removed", &[at, of])
    }

    fn make_backup(&mut self, reach: &Reach<'_>) -> Option<()> {
        let answer = reach.api.post("/api/v1/admin/backups", Some(reach.boss), json!({}))?;
        if let Some(name) = answer.text("name") {
            self.facts.push((Thing::Backup(name), Fact::is("there")));
        }
        self.settle(&answer, "no backup can be made", &[])
    }

    fn rotate(&mut self, reach: &Reach<'_>) -> Option<()> {
        let old = self.active_key(reach.api, reach.boss)?;
        old.iter().for_each(|at| self.facts[*at].1.intend("retiring"));
        let body = json!({ "algorithm": ALGORITHM });
        let answer = reach.api.post("/api/v1/admin/keys/rotate", Some(reach.boss), body)?;
        if let Some(kid) = answer.text("kid") {
            self.facts.push((Thing::Key(kid), Fact::is("active")));
        }
        self.settle(&answer, "keys cannot be rotated", &old)
    }

    /// A key is blacklisted, and what it signed dies.
    fn retire(&mut self, reach: &Reach<'_>) -> Option<()> {
        let text = reach.api.sign_in("clerk", PASSWORD, OWN_APP)?.text("access_token");
        let Some(key) = self.active_key(reach.api, reach.boss)?.pop() else { return Some(()) };
        let Thing::Key(kid) = self.facts[key].0.clone() else { return Some(()) };
        self.facts[key].1.intend("retiring");
        self.facts[key].1.intend("retired");
        self.facts.push((Thing::Token { kid: kid.clone(), text: text.unwrap_or_default() }, Fact::is(true)));
        let signed = |thing: &Thing| matches!(thing, Thing::Token { kid: by, .. } if *by == kid);
        let mut concerned: Vec<usize> =
            (0..self.facts.len()).filter(|at| signed(&self.facts[*at].0)).collect();
        concerned.iter().for_each(|at| self.facts[*at].1.intend(false));
        concerned.push(key);
        let answer = reach.api.post("/api/v1/admin/blacklist", Some(reach.boss), json!({ "kid": kid }))?;
        self.settle(&answer, "a key cannot be blacklisted", &concerned)
    }

    /// The key that signs now, as the program says; `None` without an answer.
    fn active_key(&mut self, api: &Api, boss: &str) -> Option<Vec<usize>> {
        let keys = keys(&api.get("/api/v1/admin/keys", Some(boss))?);
        let active: Vec<_> = keys.into_iter().filter(|(_, state)| state == "active").collect();
        if active.len() > 1 {
            self.losses.push(format!("two keys sign: {active:?}"));
        }
        let found = active.into_iter().map(|(kid, _)| {
            let thing = Thing::Key(kid);
            self.facts.iter().position(|(known, _)| *known == thing).unwrap_or_else(|| {
                self.facts.push((thing, Fact::is("active")));
                self.facts.len() - 1
            })
        });
        Some(found.collect())
    }

    /// Everything that could let somebody in is to be ended: secrets wait, keys retire, tokens die.
    pub fn intend_end(&mut self) {
        for (thing, fact) in self.facts.iter_mut().filter(|(_, fact)| !fact.last().is_null()) {
            match thing {
                Thing::Secret { .. } | Thing::Token { .. } => fact.intend(false),
                Thing::Key(_) => {
                    fact.intend("retiring");
                    fact.intend("retired");
                }
                Thing::User { .. } | Thing::App(_) | Thing::Backup(_) => {}
            }
        }
    }

    pub fn settle_end(&mut self) {
        self.facts.iter_mut().for_each(|(_, fact)| fact.settle());
    }

    /// The secrets that wait are found to be in good hands.
    pub fn confirm(&mut self, api: &Api, boss: &str) {
        for at in 0..self.facts.len() {
            let Thing::App(app) = self.facts[at].0.clone() else { continue };
            let mut waiting = self.secrets_of(&app);
            waiting.retain(|at| *self.facts[*at].1.last() == false);
            if waiting.is_empty() {
                continue;
            }
            waiting.iter().for_each(|at| self.facts[*at].1.intend(true));
            let path = format!("/api/v1/admin/apps/{app}/secrets/confirm");
            let answer = api.post(&path, Some(boss), json!({})).expect("an answer");
            self.settle(&answer, "secrets cannot be confirmed", &waiting);
        }
    }

    /// Holds the program to every answer that it gave before it died.
    pub fn verify(&mut self, api: &Api, boss: &str) {
        for (thing, fact) in &mut self.facts {
            let said = say(thing, api, boss);
            if let Some(lost) = fact.meet(said) {
                self.losses.push(format!("{thing:?} is {lost}"));
            }
        }
        self.active_key(api, boss).expect("an answer");
        let gone = self.facts.len().saturating_sub(THINGS_MAX);
        let mut left = gone;
        self.facts.retain(|(_, fact)| {
            let over = fact.last().is_null() || *fact.last() == false || *fact.last() == "retired";
            let forget = over && left > 0;
            left -= usize::from(forget);
            !forget
        });
    }
}

/// What the program says of a thing.
fn say(thing: &mut Thing, api: &Api, boss: &str) -> Value {
    let get = |path: &str| api.get(path, Some(boss)).expect("an answer").body;
    let part = |whole: &Value, fields: &[&str]| -> Value {
        fields.iter().map(|field| ((*field).to_owned(), whole[field].clone())).collect()
    };
    match thing {
        Thing::User { email, id } => {
            let found = get(&format!("/api/v1/admin/users?q={email}"))["items"].clone();
            let found = found.as_array().into_iter().flatten().find(|user| user["email"] == *email);
            let Some(user) = found else { return Value::Null };
            *id = user["id"].as_str().unwrap_or_default().to_owned();
            part(user, &["login", "name", "role", "groups", "state"])
        }
        Thing::App(id) => {
            let app = get(&format!("/api/v1/admin/apps/{id}"));
            if app["id"] != *id {
                return Value::Null;
            }
            let secrets = app["secrets"].as_array().map_or(0, Vec::len);
            merged(&part(&app, &["name", "state"]), &json!({ "secrets": secrets }))
        }
        Thing::Secret { app, id, text } => {
            let secrets = get(&format!("/api/v1/admin/apps/{app}"))["secrets"].clone();
            if secrets.as_array().into_iter().flatten().all(|secret| secret["id"] != *id) {
                return Value::Null;
            }
            use base64::Engine as _;
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("{app}:{text}"));
            let headers = [("authorization", format!("Basic {basic}"))];
            let headers = [(headers[0].0, headers[0].1.as_str())];
            api.form("/oauth2/introspect", &headers, &[("token", "none")]).expect("an answer").is_ok().into()
        }
        Thing::Key(kid) => {
            let listed = keys(&api.get("/api/v1/admin/keys", Some(boss)).expect("an answer"));
            listed.into_iter().find(|(known, _)| known == kid).map_or(Value::Null, |(_, state)| state.into())
        }
        Thing::Backup(name) => {
            let listed = get("/api/v1/admin/backups")["items"].clone();
            let is_there = listed.as_array().into_iter().flatten().any(|backup| backup["name"] == *name);
            if is_there { "there".into() } else { Value::Null }
        }
        Thing::Token { text, .. } => {
            api.get("/api/v1/auth/session", Some(text)).expect("an answer").is_ok().into()
        }
    }
}

/// Signing keys of the office's algorithm, with their states.
fn keys(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = answer.body["items"].as_array().into_iter().flatten();
    let own = items.filter(|key| key["algorithm"] == ALGORITHM);
    own.map(|key| (text(&key["kid"]), text(&key["state"]))).collect()
}

fn merged(whole: &Value, change: &Value) -> Value {
    let mut whole = whole.as_object().cloned().unwrap_or_default();
    whole.extend(change.as_object().cloned().unwrap_or_default());
    Value::Object(whole)
}
