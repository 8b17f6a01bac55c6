//! Names that people sign in with and are shown by. Two names that look alike must not both exist, so every name has
//! a folded form, and one with other letters than ASCII's also a guard; both are unique in one table.

use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{GeneralSecurityProfile as _, MixedScript as _, skeleton};

/// The most characters of a login, and of a display name.
pub const LOGIN_LENGTH_MAX: usize = 64;
pub const DISPLAY_NAME_LENGTH_MAX: usize = 200;
/// The most bytes of an e-mail address (RFC 5321 section 4.5.3.1.3), of its local part and of a label of its domain.
pub const EMAIL_BYTES_MAX: usize = 254;
const EMAIL_LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_LABEL_BYTES_MAX: usize = 63;
/// No more than this is looked at of what somebody types as a name.
const TYPED_BYTES_MAX: usize = 512;
/// How many words of a name are found by search, and how many bytes of each.
const WORDS_MAX: usize = 8;
const WORD_BYTES_MAX: usize = 32;

/// Why a name is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    TooLong,
    /// A login with an @ would be taken for an e-mail address.
    AtSign,
    /// Spaces, control characters, and whatever else is invisible or no letter.
    Character,
    /// Letters of several scripts, which look like others' names.
    MixedScript,
    NoEmail,
}

impl NameError {
    /// Stable, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::AtSign => "at_sign",
            Self::Character => "bad_character",
            Self::MixedScript => "mixed_script",
            Self::NoEmail => "not_an_email",
        }
    }

    /// For people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Empty => "This must not be empty.",
            Self::TooLong => "This is too long.",
            Self::AtSign => "A login name has no @.",
            Self::Character => "This has a space, a sign or an invisible character that is not allowed here.",
            Self::MixedScript => "The letters of a name must be of one script.",
            Self::NoEmail => "This is no e-mail address.",
        }
    }
}

/// Makes a name that travels and is kept as a string.
macro_rules! text_form {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).map_err(NameError::message)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
    };
}

/// A login name: 1 to 64 visible characters of one script, without @.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Login {
    text: String,
    folded: String,
}

text_form!(Login);

impl Login {
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = normalised(text)?;
        let folded = fold(&text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().count() > LOGIN_LENGTH_MAX || folded.chars().count() > LOGIN_LENGTH_MAX {
            return Err(NameError::TooLong);
        }
        if text.contains('@') {
            return Err(NameError::AtSign);
        }
        check_letters(&folded)?;
        check_letters(&text)?;
        Ok(Self { text, folded })
    }

    /// As it was entered, in NFKC.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key under which it is unique.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// What a name with other letters than ASCII's looks like, when that is something else: to be unique in the same
    /// table, so that the Cyrillic look-alike of an ASCII name collides with that name (UTS #39 section 4).
    pub fn guard(&self) -> Option<String> {
        if self.folded.is_ascii() {
            return None;
        }
        let looks_like = fold(&self.folded.nfd().flat_map(prototype).collect::<String>());
        Some(looks_like).filter(|guard| *guard != self.folded)
    }
}

/// What a character looks like. ASCII stands for itself and not, as in UTS #39, 0 for O and m for rn: that would bar
/// names which people tell apart well.
fn prototype(c: char) -> Vec<char> {
    if c.is_ascii() {
        return vec![c];
    }
    let prototype: Vec<char> = skeleton(c.encode_utf8(&mut [0; 4])).collect();
    if prototype == ['r', 'n'] { vec!['m'] } else { prototype }
}

/// An e-mail address, of at most 254 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    text: String,
    folded: String,
}

text_form!(Email);

impl Email {
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = normalised(text)?;
        let folded = fold(&text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > EMAIL_BYTES_MAX || folded.len() > EMAIL_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        check_address(&folded)?;
        check_address(&text)?;
        Ok(Self { text, folded })
    }

    /// As it was entered, in NFKC.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key under which it is unique once it is verified.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// A dot-atom, an @ and a host name (RFC 5321, RFC 6531), each part of one script.
fn check_address(text: &str) -> Result<(), NameError> {
    let (local, domain) = text.split_once('@').ok_or(NameError::NoEmail)?;
    let atoms_fit = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char));
    let labels_fit = domain.split('.').all(is_label);
    if !atoms_fit || !labels_fit || local.len() > EMAIL_LOCAL_BYTES_MAX {
        return Err(NameError::NoEmail);
    }
    check_letters(local)?;
    domain.split('.').try_for_each(check_letters)
}

fn is_atom_char(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_label(label: &str) -> bool {
    let fits = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-';
    (1..=DOMAIN_LABEL_BYTES_MAX).contains(&label.len())
        && label.chars().all(fits)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The name by which somebody is shown: at most 200 characters, possibly none; spaces around it are cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName {
    text: String,
}

text_form!(DisplayName);

impl DisplayName {
    /// # Errors
    /// When it is too long, or has control characters or such as turn the direction of the text around them.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.chars().count() > DISPLAY_NAME_LENGTH_MAX {
            return Err(NameError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || turns_or_breaks(c)) {
            return Err(NameError::Character);
        }
        Ok(Self { text: text.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Line and paragraph separators, bidirectional embeddings, overrides and isolates, and the byte order mark.
fn turns_or_breaks(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What somebody types at sign-in, as [`Login::folded`] and [`Email::folded`] have it. Never refuses: what is no name
/// is nobody's name.
pub fn fold_sign_in_name(typed: &str) -> String {
    fold(cut(typed.trim(), TYPED_BYTES_MAX))
}

/// The folded words of a name, by which search finds it: at most eight, each cut to 32 bytes.
pub fn words(name: &str) -> Vec<String> {
    fold(name)
        .split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .map(|word| cut(word, WORD_BYTES_MAX).to_owned())
        .collect()
}

/// NFKC and case folding. Folding what is folded changes nothing.
pub(in crate::model) fn fold(text: &str) -> String {
    // By way of upper case, so that ß meets ss and ς meets σ; twice, because NFKC brings new letters with a case.
    let by_case = |text: &str| {
        text.nfkc().flat_map(char::to_lowercase).flat_map(char::to_uppercase).collect::<String>()
    };
    let lower = |text: String| text.chars().flat_map(char::to_lowercase).nfkc().collect::<String>();
    lower(by_case(&lower(by_case(text))))
}

fn normalised(text: &str) -> Result<String, NameError> {
    if text.len() > TYPED_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    Ok(text.nfkc().collect())
}

/// Only visible characters, beyond ASCII only such as identifiers may have (UTS #39 section 3.1), of one script
/// (section 5.1).
fn check_letters(text: &str) -> Result<(), NameError> {
    let visible = |c: char| {
        if c.is_ascii() { c.is_ascii_graphic() } else { c.identifier_allowed() }
    };
    if !text.chars().all(visible) || text.starts_with(is_combining_mark) {
        return Err(NameError::Character);
    }
    if text.is_single_script() { Ok(()) } else { Err(NameError::MixedScript) }
}

/// The beginning of a text, of at most so many bytes.
pub(in crate::model) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
#[path = "name/tests.rs"]
mod tests;
