//! Names that are taken, refused, or look like others.

use super::*;

fn login(text: &str) -> Login {
    Login::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

#[test]
fn a_login_that_cannot_be_told_from_another_is_refused() {
    use NameError::*;
    let long = "a".repeat(65);
    for (bad, why) in [
        ("", Empty),
        (&long, TooLong),
        (&"a".repeat(1_000_000), TooLong),
        ("max@example.com", AtSign),
        ("max\u{ff20}b", AtSign),
        ("max m", Character),
        (" max", Character),
        ("max\n", Character),
        ("max\u{0}", Character),
        ("max\u{a0}m", Character),
        ("max\u{200b}", Character),
        ("max\u{200d}", Character),
        ("max\u{202e}xam", Character),
        ("max\u{2066}", Character),
        ("max\u{ad}", Character),
        ("max\u{feff}", Character),
        ("\u{301}max", Character),
        ("max🦀", Character),
        ("\u{e000}", Character),
        ("\u{430}dmin", MixedScript),
        ("pa\u{443}pal", MixedScript),
        ("\u{3b1}lpha", MixedScript),
    ] {
        assert_eq!(Login::parse(bad), Err(why), "{bad:?}");
    }
}

#[test]
fn names_of_any_one_script_are_taken() {
    let names = [
        "max",
        "Max.Muster-1_x+y",
        "müller",
        "Ёлкин",
        "γιώργος",
        "山田太郎",
        "やまだタロウ",
        "김철수",
        "محمد",
        "योगेश",
        "0",
    ];
    for name in names.into_iter().chain([&*"ß".repeat(32), &"ä".repeat(64)]) {
        assert_eq!(login(login(name).as_str()), login(name), "{name}");
    }
}

#[test]
fn one_name_however_it_is_typed_folds_to_one_key() {
    for (a, b) in [
        ("Max", "mAX"),
        ("MÜLLER", "mu\u{308}ller"),
        ("Straße", "STRASSE"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("ﬁsch", "FISCH"),
        ("\u{ff4d}\u{ff41}\u{ff58}", "max"),
    ] {
        assert_eq!(login(a).folded(), login(b).folded(), "{a} {b}");
        assert_eq!(fold_sign_in_name(&format!(" {a} ")), login(b).folded());
    }
}

#[test]
fn folding_what_is_folded_changes_nothing() {
    for c in ('\0'..=char::MAX).filter(|c| c.is_alphanumeric()) {
        for text in [c.to_string(), format!("a{c}"), format!("{c}\u{301}")] {
            let once = fold(&text);
            assert_eq!(fold(&once), once, "{c:?} U+{:x}", c as u32);
        }
    }
}

#[test]
fn a_look_alike_collides_with_the_ascii_name() {
    for (look_alike, name) in [
        ("\u{441}\u{430}\u{441}\u{43e}", "caco"),
        ("\u{440}\u{430}\u{443}\u{440}\u{430}", "paypa"),
        ("\u{421}\u{410}\u{421}\u{41e}", "caco"),
        ("\u{3bf}\u{3bf}", "oo"),
    ] {
        assert_eq!(login(look_alike).guard().as_deref(), Some(login(name).folded()), "{look_alike}");
    }
}

#[test]
fn an_innocent_name_needs_no_guard() {
    for name in ["admin", "modern", "O0l1", "müller", "øystein"] {
        let guard = login(name).guard();
        assert!(guard.as_deref().is_none_or(|guard| !guard.is_ascii()), "{name} {guard:?}");
    }
    assert_eq!(login("admin").guard(), None);
    assert_eq!(login("müller").guard(), None);
}

#[test]
fn what_is_no_address_is_refused() {
    use NameError::*;
    let label = "a".repeat(64);
    for bad in [
        "max",
        "@",
        "@example.com",
        "max@",
        "max@@example.com",
        "max@a@example.com",
        ".max@example.com",
        "max.@example.com",
        "ma..x@example.com",
        "ma x@example.com",
        "<max@example.com>",
        "max@example..com",
        "max@-example.com",
        "max@example_.com",
        "max@[127.0.0.1]",
        "max@example.com\r\nBcc: x",
        &format!("max@{label}.com"),
        &format!("{label}a@example.com"),
    ] {
        assert_eq!(Email::parse(bad), Err(NoEmail), "{bad:?}");
    }
    let domain = vec!["a".repeat(60); 5].join(".");
    assert_eq!(Email::parse(&format!("max@{domain}")), Err(TooLong));
    assert_eq!(Email::parse(""), Err(Empty));
    assert_eq!(Email::parse("m\u{430}x@example.com"), Err(MixedScript));
    assert_eq!(Email::parse("max@ex\u{430}mple.com"), Err(MixedScript));
    assert_eq!(Email::parse("max\u{202e}@example.com"), Err(Character));
}

#[test]
fn an_address_is_kept_as_written_and_found_folded() {
    for good in [
        "Max.M+tag@Example.COM",
        "o'hara@example.co.uk",
        "admin@localhost",
        "иван@пример.рф",
        "иван@example.com",
    ] {
        let email = Email::parse(good).unwrap();
        assert_eq!(email.as_str(), good);
        assert_eq!(fold_sign_in_name(good), email.folded());
        assert_eq!(Email::parse(email.folded()).unwrap().folded(), email.folded());
    }
}

#[test]
fn a_display_name_is_free_but_for_what_breaks_the_page() {
    for bad in ["a\u{202e}b", "a\u{2067}b", "a\nb", "a\u{7f}b", "a\u{85}b", "a\u{2028}b"] {
        assert_eq!(DisplayName::parse(bad), Err(NameError::Character), "{bad:?}");
    }
    assert_eq!(DisplayName::parse(&"ä".repeat(201)), Err(NameError::TooLong));
    assert_eq!(DisplayName::parse("  Dr. Ада 🦀 ").unwrap().as_str(), "Dr. Ада 🦀");
    assert_eq!(DisplayName::parse(&"ä".repeat(200)).unwrap().as_str().chars().count(), 200);
    assert_eq!(DisplayName::parse("").unwrap(), DisplayName::default());
}

#[test]
fn words_are_folded_few_and_short() {
    assert_eq!(words("Max  Müller-Straße"), ["max", "müller", "strasse"]);
    assert_eq!(words("Max.M@Example.com"), ["max", "m", "example", "com"]);
    assert_eq!(words(" -- "), [""; 0]);
    assert_eq!(words(&"a ".repeat(100)).len(), 8);
    let long = words(&"aж你".repeat(40));
    assert!(long[0].len() <= 32 && long[0].starts_with("aж你aж你"));
    assert_eq!(words("योगेश"), ["योगेश"]);
}

#[test]
fn sign_in_folds_no_more_than_a_bounded_text() {
    assert_eq!(fold_sign_in_name(&"a".repeat(1_000_000)).len(), 512);
    assert_eq!(fold_sign_in_name(&"€".repeat(1_000_000)).len(), 510);
}

#[test]
fn names_travel_as_plain_strings() {
    assert_eq!(serde_json::to_string(&login("Max")).unwrap(), "\"Max\"");
    assert_eq!(serde_json::from_str::<Login>("\"Max\"").unwrap(), login("Max"));
    assert!(serde_json::from_str::<Login>("\"m x\"").is_err());
    assert!(serde_json::from_str::<Email>("\"max\"").is_err());
}
