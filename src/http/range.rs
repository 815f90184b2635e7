//! Byte ranges (RFC 9110, section 14): one range of a body that is fetched, and the place of a piece that is sent.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: no range, several, or one that cannot be read.
    Whole,
    /// These bytes.
    Part(Range<usize>),
    /// Bytes that are not there.
    Outside,
}

/// Reads a `Range` header for a body of a length.
pub(super) fn asked(header: Option<&str>, length: usize) -> Asked {
    let Some(spec) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else { return Asked::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Asked::Whole };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        // The last so many bytes.
        return match number(last) {
            None => Asked::Whole,
            Some(0) => Asked::Outside,
            Some(_) if length == 0 => Asked::Outside,
            Some(count) => Asked::Part(length - usize::try_from(count).unwrap_or(length).min(length)..length),
        };
    }
    let Some(first) = number(first) else { return Asked::Whole };
    let last = match last {
        "" => None,
        text => match number(text) {
            Some(last) if last >= first => Some(last),
            _ => return Asked::Whole,
        },
    };
    let Some(first) = usize::try_from(first).ok().filter(|f| *f < length) else { return Asked::Outside };
    let end = last.and_then(|l| usize::try_from(l).ok()).map_or(length, |l| l.saturating_add(1).min(length));
    Asked::Part(first..end)
}

/// Reads `Content-Range: bytes FIRST-LAST/TOTAL`: the bytes, as a half-open range, and the length of the whole.
pub(super) fn sent(header: &str) -> Option<(Range<u64>, u64)> {
    let (bytes, total) = header.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = bytes.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then(|| (first..last + 1, total))
}

/// Digits only: no sign, no spaces.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        use Asked::{Outside, Part, Whole};
        for (header, length, expected) in [
            (None, 10, Whole),
            (Some("bytes=0-4"), 10, Part(0..5)),
            (Some("bytes=5-"), 10, Part(5..10)),
            (Some("bytes=5-100"), 10, Part(5..10)),
            (Some("bytes=9-9"), 10, Part(9..10)),
            (Some("bytes=-3"), 10, Part(7..10)),
            (Some("bytes=-30"), 10, Part(0..10)),
            (Some("bytes=-0"), 10, Outside),
            (Some("bytes=10-"), 10, Outside),
            (Some("bytes=0-"), 0, Outside),
            (Some("bytes=-1"), 0, Outside),
            (Some("bytes=18446744073709551615-"), 10, Outside),
            (Some("bytes=99999999999999999999-"), 10, Whole),
            (Some("bytes=4-3"), 10, Whole),
            (Some("bytes=0-1,3-4"), 10, Whole),
            (Some("bytes=+1-2"), 10, Whole),
            (Some("bytes=a-"), 10, Whole),
            (Some("bytes=-"), 10, Whole),
            (Some("lines=0-4"), 10, Whole),
        ] {
            assert_eq!(asked(header, length), expected, "{header:?} of {length}");
        }
    }

    #[test]
    fn pieces_lie_within_their_whole() {
        for (header, expected) in [
            ("bytes 0-4/10", Some((0..5, 10))),
            ("bytes 9-9/10", Some((9..10, 10))),
            ("bytes 0-10/10", None),
            ("bytes 5-4/10", None),
            ("bytes 0-4/*", None),
            ("bytes */10", None),
            ("0-4/10", None),
            ("bytes 0-18446744073709551615/18446744073709551615", None),
            ("bytes -1-4/10", None),
        ] {
            assert_eq!(sent(header), expected, "{header}");
        }
    }
}
