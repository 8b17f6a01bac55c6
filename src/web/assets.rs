//! Styles, scripts and pictures: embedded, named by a hash of them all, kept by browsers for ever.

use super::Site;
use flate2::Compression;
use flate2::write::GzEncoder;
use rocket::http::{ContentType, Status};
use rocket::response::{Responder, Response, Result};
use rocket::{Request, Route, State, get, routes};
use rust_embed::Embed;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Embed)]
#[folder = "static/"]
#[exclude = "pages/*"]
#[exclude = "lists/*"]
#[exclude = "*.d.ts"]
#[exclude = "*.md"]
#[exclude = "admin.html"]
struct Public;

#[derive(Embed)]
#[folder = "static/"]
#[include = "admin.html"]
struct Shells;

const BANNER: &str = "<aside class=\"insecure-banner\" aria-label=\"Warning\">Passwords and cookies cross the network \
    unencrypted: <code>insecure_http</code> is on.</aside>";

/// The embedded files as they are sent.
pub struct Assets {
    version: String,
    files: HashMap<Cow<'static, str>, File>,
    admin: Option<File>,
}

impl std::fmt::Debug for Assets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Assets({})", self.version)
    }
}

struct File {
    kind: ContentType,
    plain: Cow<'static, [u8]>,
    /// Where it is smaller.
    gzip: Option<Vec<u8>>,
}

impl File {
    fn new(name: &str, plain: Cow<'static, [u8]>) -> Self {
        let extension = name.rsplit('.').next().unwrap_or_default();
        let kind = ContentType::from_extension(extension).unwrap_or(ContentType::Binary);
        let gzip = zipped(&plain).filter(|zipped| zipped.len() < plain.len());
        Self { kind, plain, gzip }
    }
}

fn zipped(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

impl Assets {
    /// Reads and compresses all embedded files.
    pub fn embedded(insecure_http: bool) -> Self {
        let public = Public::iter().filter_map(|name| Public::get(&name).map(|file| (name, file.data)));
        let admin = Shells::get("admin.html").map(|file| file.data);
        Self::new(public.collect(), admin, insecure_http)
    }

    pub(super) fn new(
        mut public: Vec<(Cow<'static, str>, Cow<'static, [u8]>)>,
        admin: Option<Cow<'static, [u8]>>,
        insecure_http: bool,
    ) -> Self {
        public.sort();
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for (name, data) in &public {
            hash.update(name.as_bytes());
            hash.update(&data.len().to_be_bytes());
            hash.update(data);
        }
        let version: String = hash.finish().as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let admin = admin.map(|html| {
            let banner = if insecure_http { BANNER } else { "" };
            let html = String::from_utf8_lossy(&html);
            let html = html.replace("{{v}}", &version).replace("{{banner}}", banner);
            File::new("admin.html", Cow::Owned(html.into_bytes()))
        });
        let file = |(name, data): (Cow<'static, str>, _)| (name.clone(), File::new(&name, data));
        Self { version, files: public.into_iter().map(file).collect(), admin }
    }

    /// Changes with any of the files: `/assets/<version>/…`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// A file with how long it may be kept.
struct Sent<'a> {
    file: &'a File,
    keep: &'static str,
}

impl<'r> Responder<'r, 'r> for Sent<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> Result<'r> {
        let mut response = Response::build();
        response.header(self.file.kind.clone()).raw_header("Cache-Control", self.keep);
        let body: &[u8] = match &self.file.gzip {
            Some(gzip) => {
                response.raw_header("Vary", "Accept-Encoding");
                if accepts_gzip(request) {
                    response.raw_header("Content-Encoding", "gzip");
                    gzip
                } else {
                    &self.file.plain
                }
            }
            None => &self.file.plain,
        };
        response.sized_body(body.len(), Cursor::new(body)).ok()
    }
}

/// RFC 9110 section 12.5.3, as far as browsers go.
fn accepts_gzip(request: &Request<'_>) -> bool {
    request.headers().get("accept-encoding").flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused =
            weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q == 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[get("/assets/<version>/<path..>")]
fn asset<'r>(
    version: &str,
    path: PathBuf,
    site: &'r State<Arc<Site>>,
) -> std::result::Result<Sent<'r>, Status> {
    // A wrong version must not be answered: the browser would keep today's file under yesterday's name for ever.
    if version != site.assets.version {
        return Err(Status::NotFound);
    }
    let name = path.to_str().ok_or(Status::NotFound)?;
    let file = site.assets.files.get(name).ok_or(Status::NotFound)?;
    Ok(Sent { file, keep: "public, max-age=31536000, immutable" })
}

#[get("/favicon.ico")]
fn favicon(site: &State<Arc<Site>>) -> std::result::Result<Sent<'_>, Status> {
    let file = site.assets.files.get("favicon.svg").ok_or(Status::NotFound)?;
    Ok(Sent { file, keep: "public, max-age=86400" })
}

/// The admin pages' shell: the same for every path, without data.
#[get("/admin/<_..>")]
fn admin(site: &State<Arc<Site>>) -> std::result::Result<Sent<'_>, Status> {
    let file = site.assets.admin.as_ref().ok_or(Status::NotFound)?;
    Ok(Sent { file, keep: "no-cache" })
}

pub(super) fn routes() -> Vec<Route> {
    routes![asset, favicon, admin]
}
