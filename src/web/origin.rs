//! Whether the headers of an unsafe request by cookie speak against it. The CSRF token is checked besides, always.

use rocket::Request;

/// What the headers say about where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it: the token decides.
    Silent,
    /// `Origin` is neither ours nor one of the app's, is `null`, or came twice.
    ForeignOrigin,
    /// `Sec-Fetch-Site` tells of another site, and no allowed `Origin` explains it.
    ForeignSite,
}

/// The rule for this request; `allowed` are the app's origins.
pub fn of_request(request: &Request<'_>, own: &str, allowed: &[impl AsRef<str>]) -> Verdict {
    let origins: Vec<&str> = request.headers().get("origin").collect();
    let sites: Vec<&str> = request.headers().get("sec-fetch-site").collect();
    rule(&origins, &sites, own, allowed)
}

/// `Origin`, when present, equals our own or one of the app's exactly; `Sec-Fetch-Site`, when present, is
/// `same-origin` or `none`, or the `Origin` is one of the app's.
pub fn rule(origins: &[&str], sites: &[&str], own: &str, allowed: &[impl AsRef<str>]) -> Verdict {
    let is_allowed = |origin: &str| origin != "null" && allowed.iter().any(|known| known.as_ref() == origin);
    let of_app = match origins {
        [] => false,
        [origin] if is_allowed(origin) => true,
        [origin] if *origin == own => false,
        _ => return Verdict::ForeignOrigin,
    };
    match sites {
        [] | ["same-origin"] | ["none"] => Verdict::Silent,
        ["same-site" | "cross-site"] if of_app => Verdict::Silent,
        _ => Verdict::ForeignSite,
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{ForeignOrigin as Origin, ForeignSite as Site, Silent};
    use super::*;

    const OWN: &str = "https://auth.example";
    const APP: &str = "https://app.example";

    #[test]
    fn every_origin_with_every_site() {
        #[rustfmt::skip]
        let table: &[(&[&str], [Verdict; 6])] = &[
            // Sec-Fetch-Site:             absent   same-o.  none     same-s.  cross-s. other
            (&["null"],                    [Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&[""],                        [Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&["https://evil.example"],    [Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&["http://auth.example"],     [Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&["https://auth.example:443"],[Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&["https://auth.example/"],   [Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&["https://AUTH.example"],    [Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&["https://app.example.evil"],[Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&[OWN, OWN],                  [Origin,  Origin,  Origin,  Origin,  Origin,  Origin]),
            (&[],                          [Silent,  Silent,  Silent,  Site,    Site,    Site]),
            (&[OWN],                       [Silent,  Silent,  Silent,  Site,    Site,    Site]),
            (&[APP],                       [Silent,  Silent,  Silent,  Silent,  Silent,  Site]),
        ];
        let sites: [&[&str]; 6] =
            [&[], &["same-origin"], &["none"], &["same-site"], &["cross-site"], &["Same-Origin"]];
        for (origins, wanted) in table {
            for (sites, wanted) in sites.iter().zip(wanted) {
                assert_eq!(rule(origins, sites, OWN, &[APP]), *wanted, "{origins:?} {sites:?}");
            }
        }
    }

    #[test]
    fn an_app_without_origins_allows_only_our_own() {
        let none: [&str; 0] = [];
        assert_eq!(rule(&[APP], &["cross-site"], OWN, &none), Origin);
        assert_eq!(rule(&["null"], &[], OWN, &["null"]), Origin);
        assert_eq!(rule(&[OWN], &["same-origin", "same-origin"], OWN, &none), Site);
    }
}
