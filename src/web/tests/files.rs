//! Embedded files as browsers get them.

use super::*;

#[test]
fn assets_of_another_version_or_name_are_not_there() {
    let house = house(Config::default());
    let version = house.rocket().state::<Arc<Site>>().unwrap().assets.version().to_string();
    for path in [
        "/assets/000000000000/favicon.svg".to_string(),
        format!("/assets/{version}/pages/error.html"),
        format!("/assets/{version}/admin.html"),
        format!("/assets/{version}/../Cargo.toml"),
        format!("/assets/{version}/"),
    ] {
        assert_eq!(house.get(path.as_str()).dispatch().status(), Status::NotFound, "{path}");
    }
}

#[test]
fn assets_are_kept_for_ever_and_the_admin_shell_is_not() {
    let style = "a { color: red }".repeat(100);
    let public = vec![
        ("css/app.css".into(), style.clone().into_bytes().into()),
        ("favicon.svg".into(), b"<svg/>".as_slice().into()),
    ];
    let shell = b"<!doctype html>{{banner}}<script src=/assets/{{v}}/js/main.js></script>".as_slice().into();
    let mut site = Site::new(Arc::new(Config::default()), [0; 4]).unwrap();
    site.assets = Assets::new(public, Some(shell), true);
    let version = site.assets.version().to_string();
    let house = with_log(&Arc::new(site), None);

    let ask = |coding: &'static str| {
        let path = format!("/assets/{version}/css/app.css");
        house.get(path).header(Header::new("Accept-Encoding", coding)).dispatch()
    };
    for coding in ["", "br", "gzip;q=0", "gzipped"] {
        let answer = ask(coding);
        assert_eq!((header(&answer, "content-encoding"), header(&answer, "vary")), ("", "Accept-Encoding"));
        assert_eq!(answer.into_string().unwrap(), style);
    }
    let answer = ask("br, gzip;q=0.8");
    assert_eq!(header(&answer, "content-encoding"), "gzip");
    assert_eq!(header(&answer, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&answer, "content-type"), "text/css; charset=utf-8");
    assert!(answer.into_bytes().unwrap().len() < style.len());

    assert_eq!(header(&house.get("/favicon.ico").dispatch(), "content-type"), "image/svg+xml");
    for path in ["/admin", "/admin/", "/admin/users/7"] {
        let answer = house.get(path).dispatch();
        assert_eq!(header(&answer, "cache-control"), "no-cache", "{path}");
        assert_eq!(header(&answer, "content-security-policy"), headers::PAGE_POLICY);
        let html = answer.into_string().unwrap();
        assert!(html.contains(&format!("/assets/{version}/js/main.js")) && html.contains("insecure-banner"));
    }
}
