//! Finds an order of what happened at once in which one after the other would have been answered the same.

use crate::model::{Model, SOME_KEY};
use crate::verbs::Event;
use crate::world::{State, Use};
use hallpass::auth::Auth;
use hallpass::auth::check::Admin;
use hallpass::auth::data::DataKeeper;
use hallpass::model::app::AppStanding;
use hallpass::model::key::KeyState;
use hallpass::model::user::{Role, Standing};
use std::collections::HashSet;

/// The models that explain the answers and what is seen afterwards.
///
/// # Errors
/// No order does; what is seen against each that explains the answers at least.
pub async fn explain(before: &[Model], events: &[Event], auth: &Auth) -> Result<Vec<Model>, Vec<String>> {
    let (mut found, mut tried) = (Vec::new(), HashSet::new());
    for model in before {
        search(model.clone(), events, (1 << events.len()) - 1, &mut tried, &mut found);
    }
    let (mut explained, mut faults) = (Vec::new(), Vec::new());
    for mut model in found {
        match agrees(&mut model, auth).await {
            Ok(()) => explained.push(model),
            Err(fault) => faults.push(fault),
        }
    }
    if !explained.is_empty() {
        return Ok(explained);
    }
    // Where no order explains even the answers: which of them would be others without the rest.
    for (event, model) in events.iter().flat_map(|event| before.iter().map(move |model| (event, model))) {
        let said = model.clone().decide(&event.verb, event.answer.as_ref().ok());
        faults.push(format!("{event:?}, by itself {said:?}"));
    }
    Err(faults)
}

/// Takes the events of `left` in every order that their times permit.
fn search(
    model: Model,
    events: &[Event],
    left: u64,
    tried: &mut HashSet<(u64, String)>,
    found: &mut Vec<Model>,
) {
    if !tried.insert((left, fingerprint(&model))) {
        return;
    }
    if left == 0 {
        found.push(model);
        return;
    }
    let is_left = |at: &usize| left & 1 << at != 0;
    let earliest = (0..events.len()).filter(is_left).map(|at| events[at].answered).min();
    for at in (0..events.len()).filter(is_left) {
        // Somebody was answered before this one asked.
        if earliest.is_some_and(|answered| answered < events[at].asked) {
            continue;
        }
        let mut next = model.clone();
        if next.step(&events[at]) {
            search(next, events, left & !(1 << at), tried, found);
        }
    }
}

/// All that two models may differ in.
fn fingerprint(model: &Model) -> String {
    let world = &model.world;
    let users: Vec<_> = world
        .users
        .iter()
        .map(|user| (user.id, &user.login, &user.password, user.admin, user.state))
        .collect();
    let mut sessions: Vec<_> =
        world.sessions.iter().map(|session| (session.id, session.dead.is_some(), session.revision)).collect();
    sessions.sort();
    let cookies = (0..world.cookies.len())
        .map(|at| (&world.cookies[at].text, world.cookie(at), world.cookies[at].dead_from));
    let accesses = (0..world.accesses.len()).map(|at| (&world.accesses[at].text, world.access(at)));
    let mut bearers: Vec<_> =
        cookies.map(|seen| format!("{seen:?}")).chain(accesses.map(|seen| format!("{seen:?}"))).collect();
    bearers.sort();
    let text = |at: usize| &world.refreshes[at].text;
    let refreshes = (0..world.refreshes.len()).map(|at| match world.refreshes[at].use_ {
        Use::Spent(successor, ..) => format!("{} spent for {}", text(at), text(successor)),
        other => format!("{} {other:?} {:?}", text(at), world.current(at)),
    });
    let mut refreshes: Vec<_> = refreshes.collect();
    refreshes.sort();
    let mut struck: Vec<_> = world.struck.iter().collect();
    struck.sort();
    let mut keys: Vec<_> = world.keys.iter().collect();
    keys.sort();
    let apps: Vec<_> = world.apps.iter().map(|app| app.state).collect();
    let rest = (apps, &model.secrets, &model.codes);
    format!("{users:?} {sessions:?} {bearers:?} {refreshes:?} {struck:?} {keys:?} {rest:?}")
}

/// Whether the appliance says of everything what the model says.
async fn agrees(model: &mut Model, auth: &Auth) -> Result<(), String> {
    let console = Admin::console();
    let keys = auth.list_keys(&console);
    if let Some(state) = model.world.keys.remove(SOME_KEY) {
        // Told by what is there: the one that nobody knew of.
        let unknown = keys.iter().find(|key| !model.world.keys.contains_key(&key.value.kid));
        let unknown = unknown.ok_or("no key took the place of another")?;
        model.world.keys.insert(unknown.value.kid.clone(), state);
    }
    let active = |kid: &String| model.world.keys.get(kid).is_some_and(Option::is_none);
    if let Some(key) = keys.iter().find(|key| (key.value.state == KeyState::Active) != active(&key.value.kid))
    {
        return Err(format!("key {} is {:?}", key.value.kid, key.value.state));
    }
    for user in &model.world.users {
        let said = auth.user(&user.id).ok_or("a user is gone")?;
        let state = match said.value.standing {
            Standing::Enabled => State::On,
            Standing::Disabled => State::Off,
            Standing::Deleted => State::Deleted,
        };
        let admin = said.value.role == Role::Admin;
        if (&said.value.login, admin, state) != (&user.login, user.admin, user.state) {
            return Err(format!("{} is {:?}, administrator: {admin}", said.value.login, state));
        }
        let named = auth.find_user(&console, &user.login).await.is_ok_and(|found| found.value.id == user.id);
        if named != (user.state != State::Deleted) {
            return Err(format!("{} is found: {named}", user.login));
        }
    }
    for app in &model.world.apps {
        let said = auth.app(&app.id).ok_or("an app is gone")?;
        let state = match said.value.standing {
            AppStanding::Enabled => State::On,
            AppStanding::Disabled => State::Off,
            AppStanding::Deleted => State::Deleted,
        };
        let secrets: Vec<_> = said.value.secrets.iter().map(|secret| secret.id).collect();
        if state != app.state || model.secrets.get(&app.id).is_some_and(|known| *known != secrets) {
            return Err(format!("{} is {state:?} with the secrets {secrets:?}", app.id));
        }
        for refresh in 0..model.world.refreshes.len() {
            let token = &model.world.refreshes[refresh];
            if model.world.apps[model.world.sessions[token.session].app].id == app.id {
                let fresh =
                    auth.introspect(&said.value, &token.text).await.expect("the store answers").is_some();
                let good =
                    token.use_ == Use::Fresh && model.world.current(refresh) == crate::world::Answer::Yes;
                if fresh != good {
                    return Err(format!("the refresh token {} is active: {fresh}", token.text));
                }
            }
        }
    }
    for session in &model.world.sessions {
        let data = auth.read_data(DataKeeper::Admin(&console), &session.id).await.expect("a known session");
        if data.revision != session.revision {
            return Err(format!("the data of {} has revision {}", session.id, data.revision));
        }
    }
    let cookies = model.world.cookies.iter().map(|cookie| &cookie.text);
    for text in cookies.chain(model.world.accesses.iter().map(|access| &access.text)) {
        let opens = auth.check(text, None).await.is_ok();
        if opens != model.opens(text) {
            return Err(format!("{text} opens: {opens}"));
        }
    }
    Ok(())
}
