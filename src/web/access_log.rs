//! One line per request.

use super::{Client, Context};
use crate::logging::{Access, AccessLog};
use rocket::fairing::{Info, Kind};
use rocket::{Request, Response};

pub(super) struct Fairing(pub AccessLog);

#[rocket::async_trait]
impl rocket::fairing::Fairing for Fairing {
    fn info(&self) -> Info {
        Info { name: "access log", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let context = Context::of(request);
        self.0.write(&Access {
            method: context.method.as_str(),
            route: request.route().map_or("", |route| route.uri.as_str()),
            // The path only: query strings may hold what no log may hold.
            path: context.path(request),
            status: response.status().code,
            latency_us: context.watch.elapsed_us(),
            request_id: context.request_id,
            address: Client::of(request).address,
        });
    }
}
