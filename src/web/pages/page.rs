//! What pages answer: HTML, or where to go next.

use crate::auth::Refusal;
use crate::web::{Context, Problem, Site, catcher};
use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{Responder, Response, Result};
use serde::Serialize;
use std::io::Cursor;

/// A page, or a redirect where `html` is empty.
pub struct Page {
    status: Status,
    html: String,
    headers: Vec<Header<'static>>,
    /// What went wrong, where the page shows it: its status and headers go along.
    problem: Option<Problem>,
}

impl Page {
    /// # Errors
    /// A template that the context does not fit.
    pub fn render(site: &Site, name: &str, context: impl Serialize) -> std::result::Result<Self, Failed> {
        let html = site.templates.render(name, context).map_err(|error| {
            tracing::error!(%error, name, "a page does not render");
            Failed::Refused(Problem::of_status(Status::InternalServerError))
        })?;
        Ok(Self { status: Status::Ok, html, headers: Vec::new(), problem: None })
    }

    /// After a form: the browser fetches the next page by GET, and a reload repeats nothing.
    pub fn see_other(location: impl Into<String>) -> Self {
        let headers = vec![Header::new("Location", location.into())];
        Self { status: Status::SeeOther, html: String::new(), headers, problem: None }
    }

    pub fn header(mut self, header: impl Into<Option<Header<'static>>>) -> Self {
        self.headers.extend(header.into());
        self
    }

    pub fn headers(mut self, headers: Vec<Header<'static>>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The page tells of a refusal.
    pub fn refused(mut self, problem: impl Into<Option<Problem>>) -> Self {
        self.problem = problem.into();
        self
    }
}

impl<'r> Responder<'r, 'static> for Page {
    fn respond_to(self, request: &'r Request<'_>) -> Result<'static> {
        let mut response = Response::build().status(self.status).finalize();
        if let Some(problem) = &self.problem {
            Context::note_refusal(request, problem.code);
            problem.headers(&mut response);
        }
        // With no-referrer, browsers send `Origin: null` along with forms, and we would refuse our own.
        response.set_raw_header("Referrer-Policy", "same-origin");
        if !self.html.is_empty() {
            response.set_header(ContentType::HTML);
            response.set_sized_body(self.html.len(), Cursor::new(self.html));
        }
        for header in self.headers {
            response.adjoin_header(header);
        }
        Ok(response)
    }
}

/// Why the page that was asked for is not the answer.
pub enum Failed {
    /// A refusal that no form can show: the error page.
    Refused(Problem),
    /// Somewhere else comes first: a sign-in.
    Elsewhere(Box<Page>),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl<'r> Responder<'r, 'static> for Failed {
    fn respond_to(self, request: &'r Request<'_>) -> Result<'static> {
        match self {
            Self::Refused(problem) => Ok(catcher::page(&problem, request)),
            Self::Elsewhere(page) => page.respond_to(request),
        }
    }
}
