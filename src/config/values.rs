//! What is wrong with a single value; `None` where nothing is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rust_decimal::Decimal;
use toml::de::{DeArray, DeValue};

use crate::domain::money::Centimes;
use crate::domain::shown;

type Problem = Option<String>;

pub(super) fn whole(value: &DeValue<'_>, low: i64, high: i64) -> Problem {
    let DeValue::Integer(number) = value else { return None };
    let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
    match parsed {
        Some(number) if (low..=high).contains(&number) => None,
        _ => Some(format!("{} is not from {low} to {high}", number.as_str())),
    }
}

pub(super) fn share(text: &str, above_zero: bool) -> Problem {
    match text.parse::<Decimal>() {
        Ok(share) if share > Decimal::ONE => {
            Some(format!("{text} is more than the whole ({} %)", (share * Decimal::ONE_HUNDRED).normalize()))
        }
        Ok(share) if share < Decimal::ZERO || (above_zero && share.is_zero()) => {
            Some(format!("{text} is not {} 0", if above_zero { "above" } else { "at least" }))
        }
        Ok(_) => None,
        Err(_) => Some(format!("`{text}` is not a share")),
    }
}

pub(super) fn text(text: &str, max: usize) -> Problem {
    if text.trim().is_empty() {
        return Some("it is empty".into());
    }
    if shown::on_one_line(text) != text {
        return Some(format!("`{}` holds control characters", shown::on_one_line(text)));
    }
    let length = text.chars().count();
    (length > max).then(|| format!("it has {length} characters, {max} at most are taken"))
}

/// What SEPA banks must take (EPC 217-08), and no more: other banks take no more either.
pub(super) fn sepa(value: &str, max: usize) -> Problem {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(c);
    if let Some(problem) = text(value, max) {
        return Some(problem);
    }
    if value.trim() != value {
        return Some(format!("`{value}` begins or ends with a blank"));
    }
    let wrong = value.chars().find(|c| !allowed(*c));
    wrong.map(|c| format!("`{c}` in `{value}` cannot stand in a bank file"))
}

pub(super) fn time(text: &str) -> Problem {
    let format = time::macros::format_description!("[hour]:[minute]");
    match time::Time::parse(text, format) {
        Ok(_) => None,
        Err(_) => Some(format!("`{text}` is not a time of the form HH:MM")),
    }
}

/// An amount within bounds, in centimes.
pub(super) fn money(text: &str, low: i64, high: i64) -> Problem {
    match text.parse::<Centimes>() {
        Ok(amount) if (low..=high).contains(&amount.get()) => None,
        Ok(amount) => {
            Some(format!("{amount} is not from {} to {:#}", Centimes::new(low), Centimes::new(high)))
        }
        Err(_) => Some(format!("`{text}` is not an amount with two decimals")),
    }
}

/// A code of so many capitals.
pub(super) fn capitals(text: &str, length: usize) -> Problem {
    let fits = text.len() == length && text.bytes().all(|b| b.is_ascii_uppercase());
    (!fits).then(|| format!("`{text}` is not a code of {length} capitals"))
}

pub(super) fn date(text: &str) -> Problem {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    match time::Date::parse(text, format) {
        Ok(_) => None,
        Err(_) => Some(format!("`{text}` is not a day of the form YYYY-MM-DD")),
    }
}

pub(super) fn offset(text: &str) -> Problem {
    let format = time::macros::format_description!("[offset_hour sign:mandatory]:[offset_minute]");
    match time::UtcOffset::parse(text, format) {
        Ok(offset)
            if (-12 * 60..=14 * 60).contains(&offset.whole_minutes()) && offset.whole_minutes() % 15 == 0 =>
        {
            None
        }
        Ok(_) => Some(format!("`{text}` is no country's offset")),
        Err(_) => Some(format!("`{text}` is not of the form +HH:MM")),
    }
}

pub(super) fn bic(text: &str) -> Problem {
    let bytes = text.as_bytes();
    let capital = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_uppercase);
    let sign = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let well = matches!(bytes.len(), 8 | 11) && capital(4..6) && bytes.iter().all(sign) && capital(0..4);
    (!well).then(|| format!("`{text}` is not a BIC of 8 or 11 characters"))
}

pub(super) fn member(text: &str) -> Problem {
    let sign = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let well = (3..=35).contains(&text.len()) && text.bytes().all(sign);
    (!well).then(|| format!("`{text}` is not a clearing member id"))
}

pub(super) fn bank_codes(codes: &DeArray<'_>) -> Problem {
    let digits = |code: &str| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let texts = codes.iter().filter_map(|code| code.get_ref().as_str());
    let wrong = texts.clone().find(|code| !digits(code));
    match wrong {
        Some(code) => Some(format!("`{code}` is not a bank code of three digits")),
        None => twice(texts),
    }
}

pub(super) fn items(items: &DeArray<'_>) -> Problem {
    if items.is_empty() {
        return Some("the list is empty".into());
    }
    twice(items.iter().filter_map(|item| item.get_ref().as_str()))
        .or_else(|| twice(items.iter().filter_map(|i| Some(i.get_ref().as_integer()?.as_str()))))
}

fn twice<'a>(texts: impl Iterator<Item = &'a str>) -> Problem {
    let mut seen = BTreeSet::new();
    texts
        .into_iter()
        .find(|text| !seen.insert(text.to_lowercase()))
        .map(|text| format!("`{text}` stands there twice"))
}

/// `https://`, or `http://` to this machine; no account, no question mark: secrets and parameters are elsewhere.
pub(super) fn http(text: &str) -> Problem {
    let Ok(url) = reqwest::Url::parse(text) else { return Some(format!("`{text}` is not an address")) };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("it carries an account or a password, which belong into a file of their own".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some(format!("`{text}` has more than a host and a path"));
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Some(format!("`{text}` names no host"));
    };
    match url.scheme() {
        "https" => None,
        "http" if is_this_machine(host) => None,
        "http" => Some(format!("`{text}` would go over the network in the clear")),
        _ => Some(format!("`{text}` is neither https:// nor http://")),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn nats(text: &str) -> Problem {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "nats" | "tls"));
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    (host.is_empty()).then(|| format!("`{text}` is not an address of NATS"))
}

pub(super) fn subject(text: &str) -> Problem {
    let token = |token: &str| {
        !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    (!text.split('.').all(token)).then(|| format!("`{text}` is not a name or subject without wildcards"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_the_clear_stay_on_this_machine() {
        for (url, problem) in [
            ("https://pay.example.ma/v1", None),
            ("http://127.0.0.1:8710/x", None),
            ("http://[::1]:8710", None),
            ("http://localhost:8710/x", None),
            ("http://127.9.9.9/", None),
            ("http://pay.example.ma/v1", Some("in the clear")),
            ("http://127.0.0.1.example.ma/", Some("in the clear")),
            ("http://localhost.example.ma/", Some("in the clear")),
            ("http://192.168.0.1/", Some("in the clear")),
            ("http://[::ffff:10.0.0.1]/", Some("in the clear")),
            ("https://user:secret@pay.example.ma/", Some("password")),
            ("https://pay.example.ma/?key=1", Some("more than")),
            ("ftp://pay.example.ma/", Some("neither")),
            ("pay.example.ma", Some("not an address")),
            ("https://", Some("not an address")),
        ] {
            let found = http(url);
            assert_eq!(found.is_some(), problem.is_some(), "{url}: {found:?}");
            assert!(found.unwrap_or_default().contains(problem.unwrap_or_default()), "{url}");
        }
    }

    #[test]
    fn codes_have_their_forms() {
        for (code, well) in [
            ("BCMAMAMC", true),
            ("BCMAMAMCXXX", true),
            ("BCMA1AMC", false),
            ("bcmamamc", false),
            ("BCMAMAM", false),
            ("BCMAMAMCXX", false),
            ("1CMAMAMC", false),
        ] {
            assert_eq!(bic(code).is_none(), well, "{code}");
        }
        for (text, well) in [
            ("+01:00", true),
            ("-12:00", true),
            ("+14:15", false),
            ("+25:00", false),
            ("+01:07", false),
            ("1", false),
        ] {
            assert_eq!(offset(text).is_none(), well, "{text}");
        }
        for (name, well) in [
            ("AGENCE NATIONALE", true),
            ("Ministère", false),
            ("A\u{1b}[31m", false),
            (" A", false),
            ("", false),
            ("A & B", false),
        ] {
            assert_eq!(sepa(name, 70).is_none(), well, "{name}");
        }
        assert!(sepa(&"A".repeat(71), 70).is_some());
    }
}
