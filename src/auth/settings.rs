//! What the verbs need of the configuration, as plain values.

use crate::auth::backup::BackupSettings;
use crate::model::app::{App, AppStanding, Lifetimes, ReplayMatch, Strategy};
use crate::model::claims::Algorithm;
use crate::model::{AppId, Time};

/// What the verbs need of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `iss` of all tokens: the public URL's origin.
    pub issuer: String,
    pub registration: bool,
    pub step_up_minutes: u32,
    pub password_length_min: usize,
    pub ended_sessions_days: u32,
    /// How far the machine's clock may go back and still be followed.
    pub clock_backwards_max_ms: i64,
    pub backup: BackupSettings,
    /// Lifetimes that new apps begin with, by strategy.
    pub session: Lifetimes,
    pub jwt: Lifetimes,
    pub tracked: Lifetimes,
    pub refresh: Lifetimes,
}

impl Settings {
    /// An app with the defaults of its strategy.
    pub fn new_app(&self, id: AppId, strategy: Strategy, now: Time) -> App {
        App {
            name: id.to_string(),
            strategy,
            confidential: false,
            audience: id.to_string(),
            algorithm: Algorithm::default(),
            lifetimes: match strategy {
                Strategy::Session => self.session,
                Strategy::Jwt => self.jwt,
                Strategy::Tracked => self.tracked,
                Strategy::Refresh => self.refresh,
            },
            origins: Vec::new(),
            replay_match: ReplayMatch::default(),
            appliance_access: false,
            standing: AppStanding::Enabled,
            built_in: false,
            secrets: Vec::new(),
            created_at: now,
            id,
        }
    }

    /// The two apps that are there from the start.
    pub fn built_in_apps(&self, now: Time) -> [App; 2] {
        let built_in = |id: &str, name: &str, strategy| App {
            name: name.into(),
            appliance_access: true,
            built_in: true,
            ..self.new_app(id.parse().expect("our own ids are ids"), strategy, now)
        };
        [
            built_in(App::APPLIANCE, "Hallpass", Strategy::Session),
            built_in(App::DEFAULT, "Default", Strategy::Refresh),
        ]
    }
}
