//! Components as the few bytes that are stored with an order: about seven for a child's line.
//!
//! A first byte names the layout (1). Then for each component: the rule; a byte of month (six bits), "whole dirhams"
//! and "has a child"; if it has a child its place (LEB128), rank and age; the amount (zigzag, LEB128), in dirhams when
//! it is whole. Every list has exactly one encoding, and only that one is read back.

use super::Component;
use crate::domain::money::Centimes;

const LAYOUT: u8 = 1;
const HAS_CHILD: u8 = 1;
const WHOLE: u8 = 2;
const MONTH_SHIFT: u32 = 2;

/// Why stored bytes are not components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The layout is not one that this program reads.
    #[error("components are stored in layout `{0}`, which is not known")]
    Layout(u8),
    /// The bytes end within a component, or there are none.
    #[error("components end too early")]
    Truncated,
    /// A number too large, or not in its only form.
    #[error("components hold a malformed number")]
    Malformed,
}

/// Appends the stored form of the components.
///
/// # Panics
/// On a month beyond 63: validation of the programme allows 24.
pub fn encode_components(components: &[Component], out: &mut Vec<u8>) {
    out.push(LAYOUT);
    for c in components {
        assert!(c.month < 64, "a covered month is stored in six bits");
        let whole = c.amount.get() % 100 == 0;
        let flags = (u8::from(c.member.is_some()) * HAS_CHILD) | (u8::from(whole) * WHOLE);
        out.extend_from_slice(&[c.rule, (c.month << MONTH_SHIFT) | flags]);
        if let Some(member) = c.member {
            write_number(u64::from(member), out);
            out.extend_from_slice(&[c.rank, c.age]);
        }
        let amount = if whole { c.amount.get() / 100 } else { c.amount.get() };
        write_number(((amount << 1) ^ (amount >> 63)).cast_unsigned(), out);
    }
}

/// Reads the stored form back.
///
/// # Errors
/// See [`CodecError`].
pub fn decode_components(bytes: &[u8]) -> Result<Vec<Component>, CodecError> {
    let (layout, mut rest) = bytes.split_first().ok_or(CodecError::Truncated)?;
    if *layout != LAYOUT {
        return Err(CodecError::Layout(*layout));
    }
    let mut components = Vec::with_capacity(rest.len() / 6);
    while !rest.is_empty() {
        let [rule, packed] = take(&mut rest)?;
        let (member, [rank, age]) = if packed & HAS_CHILD != 0 {
            let place = u16::try_from(read_number(&mut rest)?).map_err(|_| CodecError::Malformed)?;
            (Some(place), take(&mut rest)?)
        } else {
            (None, [0, 0])
        };
        let zigzag = read_number(&mut rest)?;
        let stored = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        let whole = packed & WHOLE != 0;
        let centimes = if whole { stored.checked_mul(100).ok_or(CodecError::Malformed)? } else { stored };
        if !whole && centimes % 100 == 0 {
            return Err(CodecError::Malformed);
        }
        let amount = Centimes::new(centimes);
        components.push(Component { rule, month: packed >> MONTH_SHIFT, member, rank, age, amount });
    }
    Ok(components)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (head, tail) = rest.split_first_chunk().ok_or(CodecError::Truncated)?;
    *rest = tail;
    Ok(*head)
}

fn write_number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_number(rest: &mut &[u8]) -> Result<u64, CodecError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        let bits = u64::from(byte & 0x7F);
        // The tenth byte has room for one bit, and a last byte of zero would be a longer form of the same number.
        if (shift == 63 && byte > 1) || (shift > 0 && byte == 0) {
            return Err(CodecError::Malformed);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CodecError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn component() -> impl Strategy<Value = Component> {
        (any::<u8>(), 0u8..64, any::<Option<u16>>(), any::<(u8, u8)>(), any::<i64>(), any::<bool>()).prop_map(
            |(rule, month, member, (rank, age), amount, whole)| {
                let (rank, age) = if member.is_some() { (rank, age) } else { (0, 0) };
                let amount = Centimes::new(if whole { amount / 100 * 100 } else { amount });
                Component { rule, month, member, rank, age, amount }
            },
        )
    }

    proptest! {
        #[test]
        fn stored_components_read_back(list in prop::collection::vec(component(), 0..12)) {
            let mut bytes = Vec::new();
            encode_components(&list, &mut bytes);
            prop_assert_eq!(decode_components(&bytes), Ok(list));
        }

        #[test]
        fn whatever_is_read_has_one_encoding(tail in prop::collection::vec(any::<u8>(), 0..40)) {
            let bytes: Vec<u8> = std::iter::once(LAYOUT).chain(tail).collect();
            if let Ok(list) = decode_components(&bytes) {
                let mut again = Vec::new();
                encode_components(&list, &mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn a_childs_line_takes_seven_bytes() {
        let line = Component {
            rule: 3,
            month: 0,
            member: Some(2),
            rank: 1,
            age: 8,
            amount: Centimes::from_mad(300),
        };
        let mut bytes = Vec::new();
        encode_components(&[line], &mut bytes);
        assert_eq!(bytes, [1, 3, 3, 2, 1, 8, 0xD8, 0x04]);
        for (bytes, error) in [
            (&[][..], CodecError::Truncated),
            (&[9], CodecError::Layout(9)),
            (&[1, 3], CodecError::Truncated),
            (&[1, 3, 3, 2, 1, 8, 0xD8], CodecError::Truncated),
            (&[1, 255, 2, 0x80, 0], CodecError::Malformed),
        ] {
            assert_eq!(decode_components(bytes), Err(error), "{bytes:?}");
        }
    }
}
