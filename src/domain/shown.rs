//! Text from outside, made safe to be shown: on a terminal, and in a spreadsheet's cell.
//!
//! Input: any text. Output: the text itself where it is harmless, else a copy in which what could act is spelled out.
//! Guarantee: what [`on_terminal`] gives moves no cursor, changes no colour and turns no text round; what [`in_cell`]
//! gives is no formula in any spreadsheet, and a number stays a number. Limit: look-alike letters are left alone.

use std::borrow::Cow;

/// The text with everything that a terminal would act on spelled out (`\u{202e}`, `\r`); line ends stay.
pub fn on_terminal(text: &str) -> Cow<'_, str> {
    spell_out(text, |c| c == '\n')
}

/// The same within one line: line ends are spelled out too.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    spell_out(text, |_| false)
}

/// JSON text, in which such characters stand within strings only: as JSON's own escapes. Line ends stay.
pub fn in_json(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| acts(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The text for a cell of a table that is handed on: what a spreadsheet would run gets an apostrophe before it, and
/// what a terminal would act on is spelled out.
pub fn in_cell(text: &str) -> Cow<'_, str> {
    let safe = on_one_line(text);
    if is_formula(text) { Cow::Owned(format!("'{safe}")) } else { safe }
}

/// Whether a spreadsheet may run the text: after blanks and what is not seen, it begins as a formula does. A plain number
/// with a sign is none.
fn is_formula(text: &str) -> bool {
    let begins = text.trim_start_matches(|c: char| {
        c.is_whitespace() || c.is_control() || turns(c) || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}')
    });
    let first = begins.chars().next();
    let formula = matches!(
        first,
        Some(
            '=' | '+'
                | '-'
                | '@'
                | '\u{ff1d}'
                | '\u{ff0b}'
                | '\u{ff0d}'
                | '\u{ff20}'
                | '\u{fe62}'
                | '\u{fe63}'
                | '\u{fe66}'
                | '\u{fe6b}'
                | '\u{2212}'
        )
    );
    // A tab or a line end at the front parts the cell: what follows it may be read anew.
    let parted = text.starts_with(['\t', '\r', '\n']);
    (formula || parted) && !is_number(text)
}

/// An optional minus, digits, and at most one point with digits after it.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let size = text.strip_prefix('-').unwrap_or(text);
    match size.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(size),
    }
}

fn spell_out(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(|c| acts(c) && !stays(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) && !stays(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Whether a terminal, or a program that lays text out, does something with the character instead of showing it.
fn acts(c: char) -> bool {
    c.is_control()
        || turns(c)
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether it changes the direction of the text around it.
const fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_spelled_out() {
        for (text, shown, line) in [
            ("Fès-Meknès الدعم 1 234.50", "Fès-Meknès الدعم 1 234.50", "Fès-Meknès الدعم 1 234.50"),
            ("a\nb", "a\nb", "a\\nb"),
            ("\u{1b}[31mred", "\\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\rb\tc\u{7f}", "a\\rb\\tc\\u{7f}", "a\\rb\\tc\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m", "\\u{9b}31m"),
            ("pay\u{202e}001\u{2066}", "pay\\u{202e}001\\u{2066}", "pay\\u{202e}001\\u{2066}"),
            ("\u{feff}x\u{2028}y", "\\u{feff}x\\u{2028}y", "\\u{feff}x\\u{2028}y"),
            ("\u{e0041}", "\\u{e0041}", "\\u{e0041}"),
            // Joiners shape Arabic and other scripts.
            ("می\u{200c}خواهم", "می\u{200c}خواهم", "می\u{200c}خواهم"),
        ] {
            assert_eq!((on_terminal(text).as_ref(), on_one_line(text).as_ref()), (shown, line), "{text:?}");
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text =
            serde_json::to_string_pretty(&serde_json::json!({ "a": "x\u{202e}y\u{9b}\u{e0041}\u{1b}é" }))
                .unwrap();
        let safe = in_json(&text);
        assert!(!safe.contains(|c: char| acts(c) && c != '\n'), "{safe}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap(),
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        );
    }

    #[test]
    fn cells_run_nothing_and_numbers_stay_numbers() {
        for (text, cell) in [
            ("H0042", "H0042"),
            ("-12.50", "-12.50"),
            ("-5", "-5"),
            ("0.00", "0.00"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+212600000000", "'+212600000000"),
            ("-", "'-"),
            ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
            ("-1.2.3", "'-1.2.3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("\u{200b}=1", "'\u{200b}=1"),
            ("\u{feff}=1", "'\\u{feff}=1"),
            ("\t=1", "'\\t=1"),
            ("\tx", "'\\tx"),
            ("\rx", "'\\rx"),
            ("\u{ff1d}1+1", "'\u{ff1d}1+1"),
            ("\u{ff0b}1", "'\u{ff0b}1"),
            ("\u{ff0d}1", "'\u{ff0d}1"),
            ("\u{ff20}x", "'\u{ff20}x"),
            ("a=1", "a=1"),
            ("two\nlines", "two\\nlines"),
            ("\u{202e}=x", "'\\u{202e}=x"),
        ] {
            assert_eq!(in_cell(text), cell, "{text:?}");
        }
    }
}
