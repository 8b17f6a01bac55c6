//! `/api/v1/admin/export` and `/api/v1/admin/import`: JSON lines, a line at a time in either direction.

use super::page::bad;
use super::{Answer, Verbs};
use crate::auth::check::RecentAdmin;
use crate::auth::export::Export;
use crate::auth::import::{Format, next_line};
use crate::web::reply::Reply;
use crate::web::view::{import_report, refused_line};
use crate::web::{Problem, Site, body_time};
use rocket::data::{DataStream, FromData, Outcome, ToByteUnit as _};
use rocket::futures::StreamExt as _;
use rocket::futures::stream::{self, BoxStream};
use rocket::http::{ContentType, Status};
use rocket::response::stream::ByteStream;
use rocket::response::{self, Responder};
use rocket::tokio::io::{AsyncReadExt as _, BufReader, Take};
use rocket::tokio::time::timeout;
use rocket::{Data, Request, Route, get, post, routes};
use serde_json::json;
use std::time::Duration;

/// How many refused lines an answer lists; it counts them all. The command line lists every one.
const REFUSED_LISTED_MAX: usize = 1000;

pub fn routes() -> Vec<Route> {
    routes![export, import]
}

/// Lines that are made while they are sent.
struct Download(BoxStream<'static, Vec<u8>>);

impl<'r> Responder<'r, 'r> for Download {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        let mut response = ByteStream::from(self.0).respond_to(request)?;
        response.set_header(ContentType::new("application", "x-ndjson"));
        let name = "attachment; filename=\"hallpass-export.ndjson\"";
        response.set_raw_header("Content-Disposition", name);
        Ok(response)
    }
}

#[get("/api/v1/admin/export")]
async fn export(auth: &Verbs, admin: RecentAdmin) -> Result<Download, Problem> {
    let mut export = auth.export(&admin);
    // What fails at once is still answered by a status.
    let first = export.next().await?;
    Ok(Download(stream::iter(first).chain(stream::unfold(export, next_piece)).boxed()))
}

/// Breaks off without the end line where the store fails: the status is long gone.
async fn next_piece(mut export: Export) -> Option<(Vec<u8>, Export)> {
    match export.next().await {
        Ok(piece) => piece.map(|piece| (piece, export)),
        Err(refusal) => {
            tracing::error!(?refusal, "an export broke off");
            None
        }
    }
}

/// The lines of a body, of which no more than one lies in memory.
struct Lines<'r> {
    reader: BufReader<Take<DataStream<'r>>>,
    line: Vec<u8>,
    time: Duration,
    mib_max: u32,
}

#[rocket::async_trait]
impl<'r> FromData<'r> for Lines<'r> {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        let is_lines = |kind: &ContentType| {
            let sub = kind.sub().as_str();
            (kind.top() == "application" && (sub == "x-ndjson" || sub == "jsonl"))
                || *kind == ContentType::Plain
        };
        if !request.content_type().is_some_and(is_lines) {
            let problem = Problem::of_status(Status::UnsupportedMediaType).detail(
                "Send the lines with Content-Type: application/x-ndjson, or text/plain for htpasswd.",
            );
            return Outcome::Error((problem.leave(request), ()));
        }
        let mib_max = Site::of(request).map_or(64, |site| site.config.limits.import_mb);
        let bytes_max = u64::from(mib_max) << 20;
        let told = request.headers().get_one("content-length").and_then(|text| text.parse::<u64>().ok());
        if told.is_some_and(|bytes| bytes > bytes_max) {
            return Outcome::Error((too_large(mib_max).leave(request), ()));
        }
        // One byte more tells that there is too much.
        let reader = data.open(u64::MAX.bytes()).take(bytes_max + 1);
        let (reader, line, time) = (BufReader::new(reader), Vec::new(), body_time(request));
        Outcome::Success(Self { reader, line, time, mib_max })
    }
}

impl Lines<'_> {
    async fn next(&mut self) -> Result<Option<&[u8]>, Problem> {
        let any = match timeout(self.time, next_line(&mut self.reader, &mut self.line)).await {
            Err(_) => return Err(Problem::of_status(Status::RequestTimeout)),
            Ok(Err(_)) => return Err(Problem::of_status(Status::BadRequest).detail("The body broke off.")),
            Ok(Ok(any)) => any,
        };
        if self.reader.get_ref().limit() == 0 {
            return Err(too_large(self.mib_max));
        }
        Ok(any.then_some(self.line.as_slice()))
    }
}

fn too_large(mib_max: u32) -> Problem {
    let detail =
        format!("An import has at most {mib_max} MiB (limits.import_mb). Lines before may be imported.");
    Problem::of_status(Status::PayloadTooLarge).detail(detail)
}

#[post("/api/v1/admin/import?<dry_run>&<format>", data = "<lines>")]
async fn import(
    auth: &Verbs,
    admin: RecentAdmin,
    dry_run: Option<&str>,
    format: Option<&str>,
    mut lines: Lines<'_>,
) -> Answer {
    // Spelt otherwise, it must not be taken for a real run.
    let dry_run = match dry_run {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(bad("dry_run", "One of true, false.")),
    };
    let format = match format {
        None => Format::default(),
        Some(text) => text.parse().map_err(|_| bad("format", "One of json, htpasswd."))?,
    };
    let mut import = auth.import(&admin, format, dry_run);
    let mut listed = Vec::new();
    let mut list = |refused: Vec<_>| {
        let room = REFUSED_LISTED_MAX - listed.len();
        listed.extend(refused.iter().take(room).map(refused_line));
    };
    while let Some(line) = lines.next().await? {
        list(import.take(line).await?);
    }
    let (refused, report) = import.finish().await?;
    list(refused);
    let mut answer = import_report(&report);
    answer["refused_lines"] = json!(listed);
    Ok(Reply::json(&answer))
}
