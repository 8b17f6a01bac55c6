//! The methods that a path knows, which Rocket does not tell: it answers a wrong method with 404.

use rocket::Route;
use rocket::http::Method;

/// The methods of all routes whose path matches; HEAD comes with GET. OPTIONS does not count: preflights are taken on
/// every path of the API, be there something or not.
pub(super) fn known_for<'a>(routes: impl Iterator<Item = &'a Route>, path: &str) -> Vec<Method> {
    let mut methods: Vec<Method> =
        routes.filter(|route| matches(route.uri.path(), path)).map(|route| route.method).collect();
    methods.retain(|method| *method != Method::Options);
    if methods.contains(&Method::Get) {
        methods.push(Method::Head);
    }
    methods.sort_by_key(|method| method.as_str());
    methods.dedup();
    methods
}

/// Rocket's own rule: `<name>` stands for one segment, `<name..>` for any rest.
fn matches(pattern: &str, path: &str) -> bool {
    let mut wanted = segments(pattern);
    let mut given = segments(path);
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(rest), _) if rest.starts_with('<') && rest.ends_with("..>") => return true,
            (Some(one), Some(_)) if one.starts_with('<') => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, wanted) in [
            ("/", "/a", false),
            ("/a", "/", false),
            ("/a/<id>", "/a", false),
            ("/a/<id>", "/a/b/c", false),
            ("/a/<id>/c", "/a/b/d", false),
            ("/a/<id>/c", "/a/b/c", true),
            ("/a/<rest..>", "/a", true),
            ("/a/<rest..>", "/a/b/c", true),
            ("/", "/", true),
        ] {
            assert_eq!(matches(pattern, path), wanted, "{pattern} {path}");
        }
    }
}
