//! Every two verbs that touch one guard record, at the same moment on the same subject.

use crate::dice::Dice;
use crate::home::{Home, KINDS, OLD, sign_in};
use crate::model::Model;
use crate::verbs::{Given, Proof, Verb};
use hallpass::auth::check::Admin;
use hallpass::auth::logout::Scope;
use hallpass::model::app::Strategy;
use hallpass::model::{AppId, SessionId, TokenId, UserId};

const NEW: [&str; 2] = ["quite another passphrase", "a third, lovelier passphrase"];

/// A record that several verbs expect or write, so that of two that meet one conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    Admins,
    User,
    Roster,
    Names,
    Session,
    Credential,
    Blacklist,
    Code,
    App,
    Keys,
}

use Guard::*;

/// How a verb is made against a subject. The number tells two of one duel apart.
type Make = fn(&Subject, usize) -> Verb;

/// The guards that each verb touches. Two verbs of one row meet there, too.
const TABLE: &[(&[Guard], Make)] = &[
    (&[User, Roster, App, Session], |of, _| sign_in(&of.model, of.ada, &of.app, OLD)),
    (&[User, App, Session, Credential, Keys], |of, _| Verb::Check { text: of.proof.text.clone() }),
    (&[User, App, Session, Credential], |of, _| Verb::Refresh { text: of.refresh.clone() }),
    (&[Session, Roster, Blacklist], |of, _| Verb::SignOut { proof: of.proof.clone(), scope: Scope::Local }),
    (&[User, App, Session, Credential], |of, _| Verb::SignOut {
        proof: of.proof.clone(),
        scope: Scope::Others,
    }),
    (&[User], |of, _| Verb::SignOut { proof: of.proof.clone(), scope: Scope::Global }),
    (&[User, App, Session, Credential], |of, _| Verb::StepUp {
        proof: of.proof.clone(),
        password: OLD.into(),
    }),
    (&[User, App, Session, Credential], |of, n| Verb::ChangePassword {
        proof: of.proof.clone(),
        current: OLD.into(),
        new: NEW[n].into(),
    }),
    (&[User], |of, n| Verb::SetPassword { user: of.ada, new: NEW[n].into() }),
    (&[User, Code], |of, n| Verb::ResetPassword { code: of.code.clone(), user: of.ada, new: NEW[n].into() }),
    (&[Names, Admins], |of, n| Verb::Create { login: of.login.clone(), admin: n == 0 }),
    (&[User, Names], |of, _| Verb::Rename { user: of.ada, login: of.login.clone() }),
    (&[Names], |of, _| Verb::Rename { user: of.eve, login: of.login.clone() }),
    (&[User, Admins], |of, _| Verb::SetEnabled { user: of.ada, on: true }),
    (&[User, Admins], |of, _| Verb::SetEnabled { user: of.ada, on: false }),
    (&[User, Admins], |of, _| Verb::SetAdmin { user: of.ada, admin: true }),
    (&[User, Admins], |of, _| Verb::SetAdmin { user: of.ada, admin: false }),
    (&[User, Admins], |of, _| Verb::CutOff { user: of.ada }),
    (&[User], |of, _| Verb::EndAll { user: of.ada }),
    (&[User, Admins, Names], |of, _| Verb::Delete { user: of.ada }),
    (&[Admins], |of, _| Verb::SetEnabled { user: of.eve, on: false }),
    (&[Admins], |of, _| Verb::SetAdmin { user: of.eve, admin: false }),
    (&[Admins], |of, _| Verb::CutOff { user: of.eve }),
    (&[Admins], |of, _| Verb::Delete { user: of.eve }),
    (&[Session, Roster], |of, _| Verb::EndSession { session: of.session }),
    (&[Session, Roster], |of, _| Verb::EndMatching { user: of.ada }),
    (&[Session, Roster, Blacklist], |of, _| Verb::StrikeSession { session: of.session }),
    (&[Blacklist], |of, _| Verb::StrikeToken { token: of.token }),
    (&[Blacklist], |of, _| Verb::TakeBack { token: of.token }),
    (&[Session], |of, _| Verb::WriteData { session: of.session, revision: 0 }),
    (&[App], |of, _| Verb::SetApp { app: of.app.clone(), on: false }),
    (&[App], |of, _| Verb::SetApp { app: of.app.clone(), on: true }),
    (&[App], |of, _| Verb::DeleteApp { app: of.app.clone() }),
    (&[App], |of, _| Verb::AddSecret { app: of.app.clone() }),
    (&[App], |of, _| Verb::RemoveSecret { app: of.app.clone(), secret: of.model.secrets[&of.app][0] }),
    (&[Keys], |_, _| Verb::RotateKey),
    (&[Keys], |of, _| Verb::StrikeKey { kid: of.kid.clone() }),
    (&[Keys, User, Session, Roster], |_, _| Verb::KeepHouse),
];

/// What two verbs fight over: two users, the only administrators, and what one of them holds.
struct Subject {
    model: Model,
    ada: UserId,
    eve: UserId,
    app: AppId,
    proof: Proof,
    session: SessionId,
    refresh: String,
    token: TokenId,
    code: String,
    login: String,
    kid: String,
}

/// Each pair so often; `only` one guard's, for whoever looks for a fault.
pub async fn fight(seed: u64, times: u64) -> usize {
    let (mut dice, mut fought) = (Dice::new(seed), 0);
    let home = Home::new().await;
    for (nth, (of, one)) in TABLE.iter().copied().enumerate() {
        for (by, other) in TABLE[nth..].iter().copied() {
            if !of.iter().any(|guard| by.contains(guard)) {
                continue;
            }
            for _ in 0..times {
                let subject = prepare(&home, &mut dice).await;
                let verbs = vec![one(&subject, 0), other(&subject, 1)];
                let delays = [dice.below(300) as u64, dice.below(300) as u64];
                settle(&home, subject, verbs, &delays).await;
                fought += 1;
            }
        }
    }
    fought
}

async fn prepare(home: &Home, dice: &mut Dice) -> Subject {
    let mut model = home.model();
    let ada = home.make_user(&mut model, true).await;
    let eve = home.make_user(&mut model, true).await;
    // They are the only ones.
    retire_others(home, &[ada, eve]).await;
    let (kind, strategy) = dice.pick(&KINDS).expect("there are some");
    let app = home.make_app(&mut model, kind, strategy).await;
    let verb = sign_in(&model, ada, &app, OLD);
    let given = home.alone(&mut model, verb).await;
    let bearer = |given: &Given| {
        let Given::Credentials(issued) = given else { panic!("credentials") };
        let token = issued.session_token.as_ref().map(|token| token.reveal());
        token.unwrap_or_else(|| issued.access_token.as_ref().expect("one of both").token.clone())
    };
    let proof = home.proof(&bearer(&given)).await;
    // What the strategy does not have comes from another sign-in.
    let other = home.make_app(&mut model, crate::world::Kind::Refresh, Strategy::Refresh).await;
    let verb = sign_in(&model, ada, &other, OLD);
    let at_other = home.alone(&mut model, verb).await;
    let (Given::Credentials(own), Given::Credentials(others)) = (&given, &at_other) else {
        panic!("credentials")
    };
    let session = own.session.as_ref().or(others.session.as_ref()).expect("a session").id;
    let refresh =
        own.refresh_token.as_ref().or(others.refresh_token.as_ref()).expect("a refresh token").reveal();
    let token = own.access_token.as_ref().or(others.access_token.as_ref()).expect("an access token").id;
    let kid = model.world.accesses[0].key.clone();
    if dice.chance(50) {
        home.alone(&mut model, Verb::StrikeToken { token: others.access_token.as_ref().expect("one").id })
            .await;
    }
    let code = home.auth.mint_reset_code(&Admin::console(), &ada).await.expect("a code").reveal();
    model.codes.insert(code.clone(), ada);
    let login = home.name("wanted");
    Subject { model, ada, eve, app, proof, session, refresh, token, code, login, kid }
}

async fn retire_others(home: &Home, keep: &[UserId]) {
    let filter = hallpass::store::user::UserFilter::default();
    let users = home.auth.list_users(&Admin::console(), &filter, None, 500).await.expect("users");
    for user in users.items.iter().filter(|user| !keep.contains(&user.value.id)) {
        home.auth.delete_user(&Admin::console(), &user.value.id).await.expect("not the last administrator");
    }
}

/// Both at once, then which of the passwords opens the door.
async fn settle(home: &Home, subject: Subject, verbs: Vec<Verb>, delays: &[u64]) {
    let (ada, app) = (subject.ada, subject.app.clone());
    let models = home.at_once(&[subject.model], verbs, Vec::new(), delays).await;
    let probes = [OLD, NEW[0], NEW[1]].map(|password| sign_in(&models[0], ada, &app, password));
    home.at_once(&models, vec![Verb::KeepHouse], probes.into(), &[0]).await;
}
