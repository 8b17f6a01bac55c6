//! A browser without JavaScript: it keeps cookies and sends the forms that it was served.

use crate::server::{Answer, Api};
use std::collections::BTreeMap;

pub struct Browser<'a> {
    api: &'a Api,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    pub fn new(api: &'a Api) -> Self {
        Self { api, cookies: BTreeMap::new() }
    }

    /// One that is signed in to the appliance's own pages.
    pub fn signed_in(api: &'a Api, session_token: &str) -> Self {
        let mut browser = Self::new(api);
        browser.cookies.insert("__Host-hp-hallpass".into(), session_token.into());
        browser
    }

    pub fn session_token(&self) -> Option<String> {
        self.cookies.get("__Host-hp-hallpass").cloned()
    }

    pub fn open(&mut self, page: &str) -> Option<Answer> {
        let shown = self.api.call("GET", page, &[("cookie", &self.jar())], "")?;
        self.keep(&shown);
        Some(shown)
    }

    /// Opens `page` and sends its form to `action`. `None`: no whole answer came.
    pub fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Option<Answer> {
        let shown = self.open(page)?;
        let token =
            shown.page.split_once("name=\"token\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        let Some(token) = token else { return Some(shown) };
        let fields = [&[("token", token)], fields].concat();
        let headers = [("cookie", self.jar()), ("origin", "http://localhost:8000".into())];
        let headers = [(headers[0].0, headers[0].1.as_str()), (headers[1].0, headers[1].1.as_str())];
        let answer = self.api.form(action, &headers, &fields)?;
        self.keep(&answer);
        Some(answer)
    }

    fn jar(&self) -> String {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        self.cookies.extend(answer.cookies.iter().cloned());
    }
}
