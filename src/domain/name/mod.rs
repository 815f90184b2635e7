//! The name that a payment is made out to.
//!
//! - **Input**: the payee's names as the registry writes them, in two columns, and what the provider does with Arabic script.
//! - **Output**: the creditor's name: Latin letters of the banks' character set, or, where the provider takes it, Arabic script.
//! - **Guarantee**: at most [`NAME_LEN_MAX`] characters; a name holds a letter. What holds none (a dash, digits, vowel marks,
//!   emoji) or says of itself that it is no name is none, and the order of such a payee is held.
//! - **Limit**: a transliteration for matching by eye, not one that can be undone.

mod arabic;
mod fold;
mod tifinagh;

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::domain::listed::listed;

pub use fold::fold_into;

/// Creditor names are cut to this: 70 characters is what banks take.
pub const NAME_LEN_MAX: usize = 70;

/// What stands for a name where there is none (the ISO 20022 usage for a missing party detail).
pub const NOT_PROVIDED: &str = "NOTPROVIDED";

/// What exports write where they have no name, folded and in capitals.
const NO_NAMES: [&str; 10] =
    ["NOTPROVIDED", "N/A", "NULL", "NONE", "NEANT", "INCONNU", "INCONNUE", "X", "XX", "XXX"];

listed! {
    /// What a provider does with a name in Arabic script, where the registry gives no other.
    ArabicNames {
        /// Takes it as it is.
        Accepted = "accepted",
        /// Is sent it in Latin letters.
        Romanised = "romanised",
        /// Can use neither: the order is held.
        Held = "held",
    }
}

/// Writes the creditor's name into `out`: true where there is one. Where there is none, what stands for it is written.
///
/// A name in Latin letters goes before one in Arabic script, in whichever column either stands.
pub fn creditor_name(latin: &str, arabic: &str, arabic_names: ArabicNames, out: &mut String) -> bool {
    let scripted = |text: &&&str| !text.is_ascii() && text.chars().any(arabic::is_letter);
    let texts = [latin, arabic];
    let found = texts.iter().filter(|text| !scripted(text)).any(|text| written(text, false, out))
        || (arabic_names != ArabicNames::Held
            && texts
                .iter()
                .filter(scripted)
                .any(|text| written(text, arabic_names == ArabicNames::Accepted, out)));
    if !found {
        NOT_PROVIDED.clone_into(out);
    }
    found
}

/// Writes a text as a name, in its own script or in Latin letters: whether it is one.
fn written(text: &str, as_it_is: bool, out: &mut String) -> bool {
    if as_it_is {
        fold::clean_into(text, NAME_LEN_MAX, out);
    } else {
        fold_into(text, NAME_LEN_MAX, out);
    }
    out.chars().any(char::is_alphabetic) && !NO_NAMES.iter().any(|none| out.eq_ignore_ascii_case(none))
}

/// What a character is to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A letter or a decimal digit.
    Sign,
    /// A mark on a letter.
    Mark,
    /// Invisible: directions, joiners, the stroke that lengthens an Arabic word.
    Nothing,
    /// An apostrophe or a dash, in ASCII.
    Joint(char),
    /// All else: white space, symbols, emoji.
    Gap,
}

const TATWEEL: char = '\u{0640}';

fn kind(c: char) -> Kind {
    match c {
        // Most of what is read, and known without the tables of Unicode.
        'A'..='Z' | 'a'..='z' | '0'..='9' => return Kind::Sign,
        '-' => return Kind::Joint('-'),
        '\0'..='\x7F' => return Kind::Gap,
        TATWEEL => return Kind::Nothing,
        '\u{2018}' | '\u{2019}' | '\u{02BC}' | '\u{00B4}' | '\u{02BF}' | '\u{02BE}' => {
            return Kind::Joint('\'');
        }
        '\u{060C}' => return Kind::Joint(','),
        _ => {}
    }
    match (c.general_category(), c.general_category_group()) {
        (GeneralCategory::Format, _) => Kind::Nothing,
        (GeneralCategory::DashPunctuation, _) => Kind::Joint('-'),
        (GeneralCategory::DecimalNumber, _) | (_, GeneralCategoryGroup::Letter) => Kind::Sign,
        (_, GeneralCategoryGroup::Mark) => Kind::Mark,
        _ => Kind::Gap,
    }
}

/// The text less what is part of no name, in one form: ligatures and letters of presentation forms (`ﻻ`) are taken apart,
/// marks put on their letters.
fn normal(text: &str) -> impl Iterator<Item = char> + '_ {
    let kept = text.chars().filter_map(|c| match kind(c) {
        _ if c.is_ascii() => Some(c),
        Kind::Sign | Kind::Mark => Some(c),
        Kind::Joint(ascii) => Some(ascii),
        Kind::Gap => Some(' '),
        Kind::Nothing => None,
    });
    // Taking apart may bring forth what is part of no name once more.
    kept.nfkc().filter(|c| c.is_ascii() || kind(*c) != Kind::Nothing)
}

#[cfg(test)]
mod tests {
    use super::ArabicNames::{Accepted, Held, Romanised};
    use super::*;

    fn check(latin: &str, arabic: &str, expected: [&str; 3]) {
        for (how, expected) in [Romanised, Accepted, Held].into_iter().zip(expected) {
            let mut out = String::from("left over");
            let found = creditor_name(latin, arabic, how, &mut out);
            let shown = if found { out.as_str() } else { "" };
            assert_eq!(shown, expected, "{latin} | {arabic} | {how}");
            assert_eq!(found, out != NOT_PROVIDED);
        }
    }

    fn same(latin: &str, arabic: &str, expected: &str) {
        check(latin, arabic, [expected; 3]);
    }

    #[test]
    fn a_latin_name_goes_first_in_whichever_column() {
        same("Fatima El Exemple", "فاطمة", "Fatima El Exemple");
        same("", "Fatima", "Fatima");
        same("-", "Fatima", "Fatima");
        same("فاطمة", "Fatima", "Fatima");
        same("Ａｉｃｈａ", "", "Aicha");
        same("Ольга", "", "Ol'ga");
    }

    #[test]
    fn arabic_script_goes_as_the_provider_takes_it() {
        check("", "محمد العلوي", ["Mohamed El Alaoui", "محمد العلوي", ""]);
        check("محمد", "", ["Mohamed", "محمد", ""]);
        check("-", "مُحَمَّد", ["Mohamed", "محمد", ""]);
        check("👪", "\u{202B}فاطمـــة\u{202C} 👩", ["Fatima", "فاطمة", ""]);
        check(".", "\u{FEFB}\u{FEF2}", ["Lai", "لاي", ""]);
    }

    #[test]
    fn what_holds_no_letter_is_no_name() {
        for none in [
            "",
            "-",
            ".",
            "--",
            "12345",
            "٢٠٢٦",
            "َُِّ",
            "ـــ",
            "👪",
            "🇲🇦",
            "™",
            "Ⓐ",
            "( )",
            "N/A",
            "n/a",
            "null",
            "NOTPROVIDED",
            "xxx",
            "\u{200F}\u{200E}",
            "’",
            "?",
            "...",
            "Néant",
        ] {
            same(none, none, "");
            same(none, "", "");
            same("", none, "");
        }
    }

    #[test]
    fn names_are_cut_to_what_banks_take() {
        let mut out = String::new();
        assert!(creditor_name(&"محمد ".repeat(40), "", Accepted, &mut out));
        assert_eq!(out.chars().count(), 69, "70 would end in a space");
        assert!(creditor_name(&"Mohamed ".repeat(40), "", Romanised, &mut out));
        assert_eq!(out.len(), 70);
    }
}
