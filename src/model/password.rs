//! Passwords: the type that travels, and the rules for a new one. Length and rarity count; composition does not
//! (NIST SP 800-63B-4).

use crate::model::name::{fold, words};
use serde::Deserialize;
use std::cmp::Ordering;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The fewest characters of a new password, unless the settings say otherwise.
pub const PASSWORD_LENGTH_MIN: usize = 12;
/// The most characters, and the most bytes of UTF-8: hashing megabytes is a weapon.
pub const PASSWORD_LENGTH_MAX: usize = 128;
pub const PASSWORD_BYTES_MAX: usize = 512;

/// Sorted by byte, lower-case, one a line. Source and licence: `static/lists/README.md`.
const COMMON: &str = include_str!("../../static/lists/common-passwords.txt");

/// Context words shorter than this turn up in good passwords by chance.
const CONTEXT_WORD_LENGTH_MIN: usize = 4;

/// A password as somebody typed it, neither trimmed nor folded. Wiped on drop; it has no Display, Serialize or Clone.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The one way out: to hash it, or to hold it against the rules.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Why a new password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordProblem {
    TooShort {
        length_min: usize,
    },
    TooLong,
    /// One of those that attackers try first.
    Common,
    /// Mostly the name of the account or of the product.
    MostlyContext,
    /// One character over and over, or characters in their order.
    Sequence,
}

impl PasswordProblem {
    /// Stable, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "password_too_short",
            Self::TooLong => "password_too_long",
            Self::Common => "password_common",
            Self::MostlyContext => "password_mostly_name",
            Self::Sequence => "password_sequence",
        }
    }

    /// For people.
    pub fn message(self) -> String {
        match self {
            Self::TooShort { length_min } => format!("Use at least {length_min} characters."),
            Self::TooLong => format!("Use at most {PASSWORD_LENGTH_MAX} characters."),
            Self::Common => "This password is one of those that are guessed first. Choose another.".into(),
            Self::MostlyContext => {
                "This is little more than your name or the product's. Choose another.".into()
            }
            Self::Sequence => "One character repeated, or characters in a row, are guessed first.".into(),
        }
    }
}

/// Holds a new password against the rules. `context` is what an attacker knows: product, login, e-mail, name.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(password: &Password, context: &[&str], length_min: usize) -> Result<(), PasswordProblem> {
    let text = password.expose();
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordProblem::TooLong);
    }
    match text.chars().count() {
        length if length < length_min => return Err(PasswordProblem::TooShort { length_min }),
        length if length > PASSWORD_LENGTH_MAX => return Err(PasswordProblem::TooLong),
        _ => {}
    }
    if is_sequence(text) {
        return Err(PasswordProblem::Sequence);
    }
    let folded = Password::new(fold(text));
    if is_listed(COMMON, text) || is_listed(COMMON, folded.expose()) {
        return Err(PasswordProblem::Common);
    }
    if is_mostly_context(folded.expose(), context) {
        return Err(PasswordProblem::MostlyContext);
    }
    Ok(())
}

/// The same character throughout, or each the next (or the one before), with 0 after 9 as on a keyboard.
fn is_sequence(text: &str) -> bool {
    let steps = || text.chars().zip(text.chars().skip(1));
    let follows = |a: char, b: char| (a == '9' && b == '0') || a as u32 + 1 == b as u32;
    steps().all(|(a, b)| a == b) || steps().all(|(a, b)| follows(a, b)) || steps().all(|(a, b)| follows(b, a))
}

/// Looks a whole line up in sorted lines, where they lie.
fn is_listed(lines: &str, wanted: &str) -> bool {
    let bytes = lines.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low.midpoint(high);
        let start = bytes[low..middle].iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let end = bytes[middle..high].iter().position(|byte| *byte == b'\n').map_or(high, |at| middle + at);
        match bytes[start..end].cmp(wanted.as_bytes()) {
            Ordering::Less => low = end + 1,
            Ordering::Equal => return true,
            Ordering::Greater => high = start,
        }
    }
    false
}

/// More than half of it is made of context words.
fn is_mostly_context(folded: &str, context: &[&str]) -> bool {
    let mut covered = vec![false; folded.len()];
    for text in context {
        for word in words(text).into_iter().chain([fold(text)]) {
            if word.chars().count() < CONTEXT_WORD_LENGTH_MIN {
                continue;
            }
            for (start, hit) in folded.match_indices(&word) {
                covered[start..start + hit.len()].fill(true);
            }
        }
    }
    covered.iter().filter(|byte| **byte).count() * 2 > folded.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: [&str; 4] = ["Hallpass", "max.mustermann", "max", "Max Mustermann"];

    fn verdict(text: &str) -> Result<(), PasswordProblem> {
        check(&Password::new(text.to_owned()), &CONTEXT, PASSWORD_LENGTH_MIN)
    }

    #[test]
    fn length_counts_characters_and_is_capped_in_bytes() {
        let too_short = Err(PasswordProblem::TooShort { length_min: 12 });
        assert_eq!(verdict(""), too_short);
        assert_eq!(verdict("vbkq81 zmwp"), too_short);
        assert_eq!(verdict("äöüßéèêñçøå"), too_short);
        assert_eq!(verdict(&"vb kq".repeat(26)), Err(PasswordProblem::TooLong));
        assert_eq!(verdict(&"vb kq".repeat(1_000_000)), Err(PasswordProblem::TooLong));
        assert_eq!(verdict(&"🦀b".repeat(64)), Ok(()));
        assert_eq!(verdict(&"🦀🦞🐙🐋".repeat(33)), Err(PasswordProblem::TooLong));
    }

    #[test]
    fn the_list_is_sorted_and_every_line_of_it_is_refused() {
        assert!(COMMON.lines().is_sorted_by(|a, b| a < b));
        let fitting = |text: &&str| text.len() >= PASSWORD_LENGTH_MIN;
        assert!(COMMON.lines().filter(fitting).count() >= 3000);
        assert!(COMMON.lines().filter(|text| text.len() >= 8).count() >= 10_000);
        for text in COMMON.lines() {
            assert!(is_listed(COMMON, text), "{text}");
        }
        for text in COMMON.lines().filter(fitting) {
            assert!(verdict(text).is_err(), "{text}");
            assert!(verdict(&text.to_uppercase()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_piece_of_the_list_is_not_in_the_list() {
        for wanted in ["", "\n", "a", "password1234\n", "zzzzzzzzzzzzzzzzzzzzzz", "!", "~~~~"] {
            assert!(!is_listed(COMMON, wanted), "{wanted}");
        }
        assert!(!is_listed("", ""));
        assert!(is_listed("one\n", "one") && is_listed("one\ntwo", "two"));
    }

    #[test]
    fn names_of_the_account_may_not_make_most_of_it() {
        for bad in
            ["max.mustermann", "Mustermann2026!", "hallpasshallpass", "HALLPASS-2026", "MustermannMax12"]
        {
            assert_eq!(verdict(bad), Err(PasswordProblem::MostlyContext), "{bad}");
        }
        assert_eq!(verdict("nobody at hallpass knows this one"), Ok(()));
    }

    #[test]
    fn repetition_and_order_are_refused() {
        for bad in [
            "aaaaaaaaaaaaa",
            "efghijklmnopqrs",
            "srqponmlkjihgfe",
            "56789012345678",
            "🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀",
        ] {
            assert_eq!(verdict(bad), Err(PasswordProblem::Sequence), "{bad}");
        }
    }

    #[test]
    fn anything_long_and_rare_is_taken_without_rules_of_composition() {
        for good in [
            "correct horse battery staple ink",
            "830174926615",
            "🦀 in the 🌊 at dawn",
            "  leading and trailing  ",
            "ein langes kennwort nur klein",
            "пароль который никто не знает",
        ] {
            assert_eq!(verdict(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn debug_shows_only_the_name_and_json_is_read_as_it_is() {
        let password: Password = serde_json::from_str("\"  Ab c \"").unwrap();
        assert_eq!(password.expose(), "  Ab c ");
        assert_eq!(format!("{password:?}"), "Password");
    }
}
