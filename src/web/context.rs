//! What belongs to one request from its first moment: its id, its clock, how it came before anything touched it, and
//! what was found out about it on the way.

use super::{Client, Problem, Site};
use crate::clock::Stopwatch;
use crate::logging::RequestId;
use parking_lot::Mutex;
use rocket::Request;
use rocket::http::Method;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers requests: a prefix that tells this run from others, and a count.
#[derive(Debug)]
pub struct RequestIds {
    run: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new(run: [u8; 4]) -> Self {
        Self { run: u32::from_be_bytes(run), next: AtomicU64::new(1) }
    }

    fn next(&self) -> RequestId {
        RequestId { run: self.run, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

/// Made by the first who asks, which is the request fairing.
#[derive(Debug)]
pub struct Context {
    /// As problems and the access log show it.
    pub request_id: RequestId,
    /// The method that came; Rocket turns HEAD into GET on the way.
    pub(super) method: Method,
    pub(super) watch: Stopwatch,
    /// The path that came, where the request was turned to another one.
    diverted_from: Option<String>,
    pub(super) client: OnceLock<Client>,
    /// The origin that may read the answer, once that is decided.
    pub(super) shared_with: OnceLock<Option<String>>,
    /// The code of the refusal that is the answer.
    pub(super) refusal: OnceLock<&'static str>,
    /// What a guard left for the catcher.
    pub(super) problem: Mutex<Option<Problem>>,
}

impl Context {
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Context {
        Self::begin(request, None)
    }

    /// As [`Context::of`], for a request that is about to be turned away from its path.
    pub(super) fn begin<'r>(request: &'r Request<'_>, diverted_from: Option<String>) -> &'r Context {
        request.local_cache(|| Context {
            request_id: Site::of(request).map_or(RequestId::default(), |site| site.request_ids.next()),
            method: if diverted_from.is_some() { Method::Post } else { request.method() },
            watch: Stopwatch::start(),
            diverted_from,
            client: OnceLock::new(),
            shared_with: OnceLock::new(),
            refusal: OnceLock::new(),
            problem: Mutex::new(None),
        })
    }

    /// Notes that this refusal is the answer.
    pub(super) fn note_refusal(request: &Request<'_>, code: &'static str) {
        let _ = Self::of(request).refusal.set(code);
    }

    /// The path that came, without its query.
    pub(super) fn path<'a>(&'a self, request: &'a Request<'_>) -> &'a str {
        self.diverted_from.as_deref().unwrap_or_else(|| request.uri().path().as_str())
    }
}
