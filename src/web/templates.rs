//! The server-rendered pages: embedded templates, everything put into them escaped.

use minijinja::{AutoEscape, Environment, Error};
use rust_embed::Embed;
use serde::Serialize;

#[derive(Embed)]
#[folder = "static/pages/"]
#[exclude = "*.md"]
struct Pages;

/// All pages, parsed once at start.
pub struct Templates(Environment<'static>);

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// Every page can use `v` (the assets' version) and `insecure_http` (whether the banner is due).
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn embedded(version: &str, insecure_http: bool) -> Result<Self, Error> {
        let mut environment = Environment::new();
        // Always: no file name may switch escaping off.
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_global("v", version);
        environment.add_global("insecure_http", insecure_http);
        for name in Pages::iter() {
            let page = Pages::get(&name).expect("the name comes from the list");
            let text = String::from_utf8_lossy(&page.data).into_owned();
            environment.add_template_owned(name.into_owned(), text)?;
        }
        Ok(Self(environment))
    }

    /// # Errors
    /// An unknown page, or one that the context does not fit.
    pub fn render(&self, name: &str, context: impl Serialize) -> Result<String, Error> {
        self.0.get_template(name)?.render(minijinja::value::Serde(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn everything_is_escaped() {
        let templates = Templates::embedded("v1", false).unwrap();
        let html = templates.render("error.html", context! { title => "<script>", status => 404 }).unwrap();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
        assert!(templates.render("missing.html", context! {}).is_err());
    }
}
