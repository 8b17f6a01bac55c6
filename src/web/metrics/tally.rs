//! Requests by class and status, and refusals by code: labels of which there are few, whoever asks for what.

use crate::tally::Counter;
use crate::web::{Context, Site};
use parking_lot::Mutex;
use rocket::fairing::{Info, Kind};
use rocket::{Request, Response};
use std::collections::BTreeMap;

/// What kinds of routes there are, by how their paths begin. The last is for what has no route.
const CLASSES: [(&str, &str); 10] = [
    ("/api/v1/auth", "auth"),
    ("/api/v1/me", "me"),
    ("/api/v1/admin", "admin"),
    ("/api", "api"),
    ("/oauth2", "oauth"),
    ("/.well-known", "well_known"),
    ("/assets", "assets"),
    ("/metrics", "metrics"),
    ("/", "pages"),
    ("", "none"),
];
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted of the requests.
#[derive(Debug, Default)]
pub struct Requests {
    answers: [[Counter; STATUSES.len()]; CLASSES.len()],
    /// Codes are ours, never a caller's.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
}

/// The same at one moment.
#[derive(Debug)]
pub struct Counted {
    /// Class, status, and how many.
    pub answers: Vec<(&'static str, &'static str, u64)>,
    pub refusals: Vec<(&'static str, u64)>,
}

impl Requests {
    fn count(&self, route: Option<&str>, status: u16, refusal: Option<&'static str>) {
        let status = usize::from(status / 100).clamp(1, STATUSES.len()) - 1;
        self.answers[class_of(route)][status].count();
        if let Some(code) = refusal {
            *self.refusals.lock().entry(code).or_default() += 1;
        }
    }

    pub fn read(&self) -> Counted {
        let answers = CLASSES.iter().zip(&self.answers).flat_map(|((_, class), by_status)| {
            let counts = STATUSES.iter().zip(by_status);
            counts.map(|(status, counter)| (*class, *status, counter.read()))
        });
        Counted {
            answers: answers.collect(),
            refusals: self.refusals.lock().iter().map(|(code, count)| (*code, *count)).collect(),
        }
    }
}

fn class_of(route: Option<&str>) -> usize {
    let route = route.unwrap_or_default();
    CLASSES.iter().position(|(begins, _)| route.starts_with(begins)).unwrap_or(CLASSES.len() - 1)
}

/// Counts every answer.
pub struct Fairing;

#[rocket::async_trait]
impl rocket::fairing::Fairing for Fairing {
    fn info(&self) -> Info {
        Info { name: "metrics", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(site) = Site::of(request) else { return };
        let route = request.route().map(|route| route.uri.path());
        let refusal = Context::of(request).refusal.get().copied();
        site.requests.count(route, response.status().code, refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_class_and_what_has_no_route_too() {
        for (route, class) in [
            (Some("/api/v1/auth/login"), "auth"),
            (Some("/api/v1/me"), "me"),
            (Some("/api/v1/sessions/<id>/data"), "api"),
            (Some("/.well-known/jwks.json"), "well_known"),
            (Some("/login"), "pages"),
            (Some("/"), "pages"),
            (None, "none"),
        ] {
            assert_eq!(CLASSES[class_of(route)].1, class, "{route:?}");
        }
    }

    #[test]
    fn statuses_that_are_none_are_counted_somewhere() {
        let requests = Requests::default();
        [0, 99, 200, 599, 999].into_iter().for_each(|status| requests.count(None, status, Some("odd")));
        let counted = requests.read();
        assert_eq!(counted.answers.iter().map(|(.., count)| count).sum::<u64>(), 5);
        assert_eq!(counted.refusals, [("odd", 5)]);
    }
}
