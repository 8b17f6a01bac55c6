//! Random verbs at the same moment, burst after burst, on one store.

use crate::dice::Dice;
use crate::home::{Home, KINDS, sign_in};
use crate::model::Model;
use crate::verbs::{Proof, Verb};
use crate::world::State;
use hallpass::auth::check::Admin;
use hallpass::auth::logout::Scope;
use hallpass::model::{AppId, SessionId, UserId};

const BURSTS: usize = 25;
const AT_ONCE_MAX: usize = 5;
const USERS: usize = 4;

/// One store's life from this seed. Threads meet as they will, so the same seed may go another way.
pub async fn run(seed: u64) {
    let mut dice = Dice::new(seed);
    let home = Home::new().await;
    let mut model = home.model();
    for n in 0..USERS {
        home.make_user(&mut model, n < 2).await;
    }
    for (kind, strategy) in KINDS {
        home.make_app(&mut model, kind, strategy).await;
    }
    let mut models = vec![model];
    for _ in 0..BURSTS {
        let mut verbs = Vec::new();
        for _ in 0..2 + dice.below(AT_ONCE_MAX - 1) {
            let verb = some_verb(&home, &mut models, &mut dice).await;
            // What a second one made could not be told from what the first did.
            if !strikes_key(&verb) || !verbs.iter().any(strikes_key) {
                verbs.push(verb);
            }
        }
        let delays: Vec<u64> = verbs.iter().map(|_| dice.below(400) as u64).collect();
        models = home.at_once(&models, verbs, Vec::new(), &delays).await;
    }
}

fn strikes_key(verb: &Verb) -> bool {
    matches!(verb, Verb::StrikeKey { .. })
}

/// What is there to be named. Where models differ, what they have in common suffices.
struct Names<'m>(&'m Model);

impl Names<'_> {
    fn user(&self, dice: &mut Dice) -> UserId {
        let all: Vec<_> = self.0.world.users.iter().collect();
        let left: Vec<_> = all.iter().filter(|user| user.state != State::Deleted).copied().collect();
        let among = if left.is_empty() || dice.chance(5) { &all } else { &left };
        among[dice.below(among.len())].id
    }

    fn app(&self, dice: &mut Dice) -> AppId {
        self.0.world.apps[dice.below(self.0.world.apps.len())].id.clone()
    }

    /// The newest most of the time.
    fn session(&self, dice: &mut Dice) -> Option<SessionId> {
        let sessions = &self.0.world.sessions;
        let back = dice.below(sessions.len().min(6)) + 1;
        sessions.len().checked_sub(back).map(|at| sessions[at].id)
    }

    async fn proof(&self, home: &Home, dice: &mut Dice) -> Option<Proof> {
        let cookies = self.0.world.cookies.iter().map(|cookie| &cookie.text);
        let bearers = cookies.chain(self.0.world.accesses.iter().map(|access| &access.text));
        let good: Vec<_> = bearers.filter(|text| self.0.opens(text)).collect();
        match dice.pick(&good) {
            Some(text) => Some(home.proof(text).await),
            None => None,
        }
    }
}

async fn some_verb(home: &Home, models: &mut [Model], dice: &mut Dice) -> Verb {
    let names = Names(&models[0]);
    let user = names.user(dice);
    let new = format!("velvet {:016x}", dice.next());
    let login = format!("wanted{}", dice.below(3));
    let (session, proof) = (names.session(dice), names.proof(home, dice).await);
    let known = names.0.world.users.iter().find(|known| known.id == user).expect("a known user");
    let current = known.password.clone();
    let tokens: Vec<_> = names.0.world.accesses.iter().map(|access| access.token).collect();
    let refreshes: Vec<_> = names.0.world.refreshes.iter().rev().take(6).map(|token| &token.text).collect();
    let kids: Vec<_> = names.0.world.keys.keys().collect();
    let app = names.app(dice);
    match (dice.below(40), session, proof) {
        (0..10, ..) | (_, None, _) | (_, _, None) => {
            sign_in(names.0, user, &app, if dice.chance(90) { &current } else { &new })
        }
        (10..16, ..) => match dice.pick(&refreshes) {
            Some(text) => Verb::Refresh { text: text.clone() },
            None => Verb::KeepHouse,
        },
        (16, _, Some(proof)) => Verb::SignOut { proof, scope: Scope::Local },
        (17..19, _, Some(proof)) => Verb::SignOut { proof, scope: Scope::Others },
        (19, _, Some(proof)) => Verb::SignOut { proof, scope: Scope::Global },
        (20..22, _, Some(proof)) => Verb::StepUp { proof, password: current },
        (22, _, Some(proof)) => Verb::ChangePassword { proof, current, new },
        (23, ..) => Verb::SetPassword { user, new },
        (24, ..) if known.state != State::Deleted => {
            let code = home.auth.mint_reset_code(&Admin::console(), &user).await.expect("a code").reveal();
            models.iter_mut().for_each(|model| _ = model.codes.insert(code.clone(), user));
            Verb::ResetPassword { code, user, new }
        }
        (25, ..) => Verb::Create { login, admin: dice.chance(30) },
        (26, ..) => Verb::Rename { user, login },
        (27..29, ..) => Verb::SetEnabled { user, on: dice.chance(60) },
        (29, ..) => Verb::SetAdmin { user, admin: dice.chance(50) },
        (30, ..) if dice.chance(30) => Verb::Delete { user },
        (30, ..) => Verb::CutOff { user },
        (31, ..) => Verb::EndAll { user },
        (32, Some(session), _) => Verb::EndSession { session },
        (33, ..) if dice.chance(50) => Verb::EndMatching { user },
        (33, Some(session), _) => Verb::StrikeSession { session },
        (34, ..) => match dice.pick(&tokens) {
            Some(token) if dice.chance(50) => Verb::StrikeToken { token },
            Some(token) => Verb::TakeBack { token },
            None => Verb::RotateKey,
        },
        (35, Some(session), _) => Verb::WriteData { session, revision: dice.below(2) as u32 },
        (36, ..) => Verb::SetApp { app, on: dice.chance(75) },
        (37, ..) if dice.chance(60) => Verb::AddSecret { app },
        (37, ..) => match names.0.secrets[&app].first() {
            Some(secret) => Verb::RemoveSecret { app, secret: *secret },
            None => Verb::AddSecret { app },
        },
        (38, ..) if dice.chance(60) => Verb::RotateKey,
        (38, ..) => Verb::StrikeKey { kid: (*dice.pick(&kids).expect("a key")).clone() },
        _ => Verb::KeepHouse,
    }
}
