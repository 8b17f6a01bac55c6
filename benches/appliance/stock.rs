//! Fills a data directory through the library: much faster than by requests, and with secrets that we know.

use hallpass::auth::check::Admin;
use hallpass::auth::jwt::{KeyRing, SigningKey};
use hallpass::auth::keyfile;
use hallpass::auth::users::NewUser;
use hallpass::auth::vault::{Digestible, Vault};
use hallpass::clock::Clock;
use hallpass::config::Config;
use hallpass::entropy::Entropy;
use hallpass::model::app::{App, Strategy};
use hallpass::model::claims::{Algorithm, Claims};
use hallpass::model::device::DeviceKind;
use hallpass::model::network::Network;
use hallpass::model::password::Password;
use hallpass::model::refresh::{RefreshCredential, RefreshState};
use hallpass::model::session::{Credential, Session, SessionCredential};
use hallpass::model::time::{DAY_MS, HOUR_MS};
use hallpass::model::user::{Role, Roster, Standing, User};
use hallpass::model::{RefreshToken, SessionId, SessionToken, Time, TokenId, UserId};
use hallpass::start::{Sources, start};
use hallpass::store::engine::{Options, Switches};
use hallpass::store::{Batch, Store};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// The public URL of every appliance here, and so the issuer of its tokens.
pub const ISSUER: &str = "http://localhost:8000";
pub const PASSWORD: &str = "a long and lovely passphrase";
/// The server of a load generator is not its browser; it needs no more than this.
const AGENT: &str = "Bench 1 on Linux";
const SESSIONS_PER_USER: u64 = 10;
/// All sessions were opened within this time, one after the other.
const OPENED_WITHIN_MS: i64 = HOUR_MS;
const FILL_CACHE_BYTES: u64 = 2 << 30;
/// Below the most operations that a batch may have, at nine for a session and six for a user.
const SESSIONS_PER_BATCH: usize = 50;

/// The login name of one of the users who can sign in.
pub fn login(n: usize) -> String {
    format!("person{n}")
}

/// A new appliance: with the first administrator, its keys, and users who can sign in.
pub fn set_up(directory: &Path, users: usize) {
    let config = Config { data_dir: directory.join("data"), ..Config::default() };
    let runtime = rocket::tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        let auth = start(&config, Sources::system()).await.expect("an empty directory");
        let by = Admin::console();
        for n in 0..users {
            let new = NewUser {
                login: login(n),
                email: None,
                email_verified: false,
                name: String::new(),
                role: if n == 0 { Role::Admin } else { Role::User },
                groups: Vec::new(),
                password: Some(Password::new(PASSWORD.into())),
            };
            auth.create_user(&by, new).await.expect("a new user");
        }
    });
}

/// An open store, to put sessions in.
pub struct Stock {
    store: Store,
    mint: Mint,
    entropy: Entropy,
    now: Time,
}

/// Signs access tokens with the appliance's own key.
pub struct Mint {
    ring: KeyRing,
    entropy: Entropy,
    now: Time,
}

/// A user's session of either kind, with the secret that opens it.
pub struct Put {
    pub user: UserId,
    pub session: SessionId,
    pub secret: String,
}

impl Stock {
    /// Opens what [`set_up`] made. Nobody else may have it open.
    pub fn open(directory: &Path) -> Self {
        let data = directory.join("data");
        // Closing it syncs once; what a crash would lose can be made again.
        let vault = Vault::new(&keyfile::load(&data.join("key")).expect("a key file"));
        let switches = Switches { sync: false, ..Switches::default() };
        let options =
            Options { switches, cache_bytes: FILL_CACHE_BYTES, ..Options::new(&data, vault.store_keys()) };
        let store = Store::open(options, 1).expect("a store");
        let keys: Vec<_> = store.view().keys().cloned().collect();
        let signing = keys.iter().map(|row| {
            let (kid, sealed) = (&row.value.kid, &row.value.sealed);
            let pkcs8 = vault.open(kid.as_bytes(), sealed).expect("the key is sealed by this key file");
            (SigningKey::from_pkcs8(row.value.algorithm, &pkcs8).expect("a key"), true)
        });
        let ring = KeyRing::new(signing, HashSet::new());
        let (entropy, now) = (Entropy::system(), Clock::system().now());
        let mint = Mint { ring, entropy: entropy.clone(), now };
        Self { store, mint, entropy, now }
    }

    /// Closes the store, so that a server can open it.
    pub fn close(self) -> Mint {
        self.mint
    }

    /// So many live sessions, ten to a user, with their credentials and indexes as sign-ins make them.
    pub fn put_sessions(&self, strategy: Strategy, count: usize) -> Vec<Put> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let mut batch = Batch::new();
            for _ in 0..SESSIONS_PER_BATCH.min(count - all.len()) {
                let left = (count - all.len()) as i64;
                let opened_at = self.now.plus_ms(-OPENED_WITHIN_MS * left / count as i64);
                let user = match all.len() as u64 % SESSIONS_PER_USER {
                    0 => self.put_user(&mut batch, opened_at),
                    _ => all.last().map(|put: &Put| put.user).expect("a first one"),
                };
                all.push(self.put_session(&mut batch, user, strategy, opened_at));
            }
            self.store.commit_blocking(batch).expect("the store takes it");
        }
        all
    }

    fn put_user(&self, batch: &mut Batch, now: Time) -> UserId {
        let id = UserId::new(now, self.entropy.bytes());
        let user = User {
            id,
            login: format!("u{}", id.to_string().replace('-', "")),
            email: None,
            email_verified: false,
            name: "Ada Lovelace".into(),
            role: Role::User,
            groups: vec!["staff".into()],
            standing: Standing::Enabled,
            epoch: 1,
            cut: None,
            password_generation: 1,
            password_changed_at: Some(now),
            created_at: now,
        };
        let roster = Roster { live: SESSIONS_PER_USER as u32, last_sign_in_at: Some(now) };
        batch.put_user(None, &user).put_roster(None, &id, &roster);
        id
    }

    fn put_session(&self, batch: &mut Batch, user: UserId, strategy: Strategy, now: Time) -> Put {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let app = if strategy == Strategy::Session { App::APPLIANCE } else { App::DEFAULT };
        let session = Session {
            id: SessionId::new(now, self.entropy.bytes()),
            user,
            app: app.parse().expect("a built-in app"),
            strategy,
            epoch: 1,
            opened_at: now,
            ends_at: now.plus_ms(DAY_MS),
            idle_minutes: 90,
            proven_at: now,
            device: AGENT.into(),
            device_kind: DeviceKind::Tool,
            address: address.to_string(),
            network: Network::of(address),
            data: None,
            data_revision: 0,
            ended: None,
        };
        batch.open_session(&session);
        let secret = match strategy {
            Strategy::Refresh => self.put_refresh(batch, &session),
            _ => self.put_cookie(batch, &session),
        };
        Put { user, session: session.id, secret }
    }

    fn put_cookie(&self, batch: &mut Batch, session: &Session) -> String {
        let token = SessionToken::new(self.entropy.bytes());
        let credential = SessionCredential {
            session: session.id,
            epoch: session.epoch,
            proven_at: session.proven_at,
            answers_until: None,
            ends_at: session.ends_at,
        };
        batch.put_credential(&token.digest(), &Credential::Session(credential), session.ends_at);
        token.reveal()
    }

    fn put_refresh(&self, batch: &mut Batch, session: &Session) -> String {
        let token = RefreshToken::new(self.entropy.bytes());
        let credential = RefreshCredential {
            session: session.id,
            app: session.app.clone(),
            epoch: session.epoch,
            state: RefreshState::Fresh,
            parent: None,
            generation: 1,
            idle_ends_at: session.ends_at,
            ends_at: session.ends_at,
        };
        batch.put_credential(&token.digest(), &Credential::Refresh(credential), session.ends_at);
        token.reveal()
    }
}

impl Mint {
    /// A new access token of a `refresh` session, as its rotation would give it.
    pub fn access_token(&self, of: &Put) -> String {
        let claims = Claims {
            iss: ISSUER.into(),
            sub: of.user,
            aud: App::DEFAULT.into(),
            client_id: App::DEFAULT.parse().expect("a built-in app"),
            iat: self.now.seconds(),
            exp: self.now.plus_ms(DAY_MS).seconds(),
            nbf: None,
            jti: TokenId::new(self.now, self.entropy.bytes()),
            sid: Some(of.session),
            ep: 1,
            auth_time: Some(self.now.seconds()),
        };
        self.ring.sign(Algorithm::default(), &claims).expect("the first key signs so")
    }

    /// The public key that tokens are verified by, as an uncompressed point.
    pub fn public_key(&self) -> Vec<u8> {
        use base64::Engine as _;
        let jwks = self.ring.jwks();
        let coordinate = |name: &str| {
            let text = jwks["keys"][0][name].as_str().expect("an EC key");
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64url")
        };
        [vec![4], coordinate("x"), coordinate("y")].concat()
    }
}
