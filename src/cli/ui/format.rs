//! Figures for people: amounts, counts, bytes, durations. Whole-number arithmetic only.

use std::time::Duration;

use time::{OffsetDateTime, UtcOffset};

use crate::domain::country;
use crate::domain::money::Centimes;

/// `1 234 567.00 MAD`.
pub fn amount(amount: Centimes) -> String {
    format!("{} {}", figure(amount), country::currency())
}

/// `1 234 567.00`: for tables, whose head names the currency once.
pub fn figure(amount: Centimes) -> String {
    let centimes = amount.get();
    let sign = if centimes < 0 { "-" } else { "" };
    let size = centimes.unsigned_abs();
    format!("{sign}{}.{:02}", count(size / 100), size % 100)
}

/// `4 000 000`: groups of three, apart by a plain space, so that output can be searched for.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `512 B`, `13.6 MB`: powers of a thousand, one decimal, cut off.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", count(bytes / size), bytes % size * 10 / size),
        None => format!("{bytes} B"),
    }
}

/// `950 ms`, `34.6 s`, `2 min 05 s`, `1 h 02 min`.
pub fn duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", count(seconds / 3600), seconds % 3600 / 60),
    }
}

/// `640 000/s`: what was done over the time it took; nothing is shown before the first millisecond.
pub fn rate(done: u64, took: Duration) -> String {
    match u64::try_from(took.as_millis()) {
        Ok(millis @ 1..) => format!("{}/s", count(done.saturating_mul(1000) / millis)),
        _ => "–".into(),
    }
}

/// `2026-11-24 09:00:07 UTC`.
pub fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (h, m, s) = at.to_hms();
    format!("{} {h:02}:{m:02}:{s:02} UTC", at.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        let check = |shown: String, expected: &str| assert_eq!(shown, expected);
        check(amount(Centimes::ZERO), "0.00 MAD");
        check(amount(Centimes::new(5)), "0.05 MAD");
        check(amount(Centimes::from_mad(1_234_567)), "1 234 567.00 MAD");
        check(amount(Centimes::new(-123_456)), "-1 234.56 MAD");
        check(amount(Centimes::new(i64::MIN)), "-92 233 720 368 547 758.08 MAD");
        check(figure(Centimes::new(-123_456)), "-1 234.56");
        check(count(0), "0");
        check(count(999), "999");
        check(count(1_000), "1 000");
        check(count(4_000_000), "4 000 000");
        check(bytes(999), "999 B");
        check(bytes(13_650_000), "13.6 MB");
        check(bytes(2_650_000_000), "2.6 GB");
        check(bytes(u64::MAX), "18 446 744.0 TB");
        check(duration(Duration::from_millis(950)), "950 ms");
        check(duration(Duration::from_millis(34_690)), "34.6 s");
        check(duration(Duration::from_secs(125)), "2 min 05 s");
        check(duration(Duration::from_secs(3_725)), "1 h 02 min");
        check(rate(4_000_000, Duration::from_millis(6_250)), "640 000/s");
        check(rate(5, Duration::ZERO), "–");
    }
}
