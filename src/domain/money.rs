//! Money: whole centimes of the country's currency, with checked sums. No floats anywhere near it.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::country;

/// An amount in centimes, hundredths of the currency (ISO 4217 exponent 2). `{}` writes `12.50`, `{:#}` the currency after it.
///
/// Arithmetic that would overflow panics in `+` and `sum` (an amount beyond 92 million billion is a
/// programming error, never data) and returns `None` in `checked_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Centimes(i64);

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not digits with at most one decimal point.
    #[error("not a decimal amount")]
    Malformed,
    /// More than two decimals that are not zero: a fraction of a centime cannot be paid.
    #[error("more than two decimals")]
    FractionOfCentime,
    /// Too large for the type.
    #[error("amount too large")]
    TooLarge,
}

impl Centimes {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount from whole centimes.
    pub const fn new(centimes: i64) -> Self {
        Self(centimes)
    }

    /// An amount from whole dirhams.
    pub const fn from_mad(mad: i64) -> Self {
        Self(mad * 100)
    }

    /// The whole centimes.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// True for zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Sum, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(v) => Some(Self(v)),
            None => None,
        }
    }

    /// Difference, or `None` on overflow.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(v) => Some(Self(v)),
            None => None,
        }
    }

    /// The share `rate` of this amount, rounded to the centime, half to even.
    pub fn share(self, rate: Decimal) -> Option<Self> {
        Decimal::from(self.0)
            .checked_mul(rate)?
            .round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven)
            .try_into()
            .ok()
            .map(Self)
    }

    /// The amount in dirhams as a decimal of scale 2.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, 2)
    }

    /// An amount from a decimal number of dirhams.
    ///
    /// # Errors
    /// When the number holds a fraction of a centime or is out of range.
    pub fn from_decimal(mad: Decimal) -> Result<Self, MoneyError> {
        let centimes = mad.checked_mul(Decimal::ONE_HUNDRED).ok_or(MoneyError::TooLarge)?;
        if !centimes.fract().is_zero() {
            return Err(MoneyError::FractionOfCentime);
        }
        centimes.trunc().try_into().map(Self).map_err(|_| MoneyError::TooLarge)
    }

    /// Appends the ISO 20022 decimal form (`1234.50`, no sign, no separators) to a byte buffer.
    ///
    /// # Panics
    /// On a negative amount: ISO 20022 carries the sign in the credit/debit indicator.
    pub fn write_iso(self, out: &mut Vec<u8>) {
        assert!(self.0 >= 0, "ISO 20022 amounts carry no sign");
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = self.0 / 100;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
        let cents = (self.0 % 100) as u8;
        out.extend_from_slice(&[b'.', b'0' + cents / 10, b'0' + cents % 10]);
    }

    /// Reads an ISO 20022 or CSV decimal amount: optional sign, digits, optional point and decimals;
    /// decimals past the second must be zero.
    ///
    /// # Errors
    /// See [`MoneyError`].
    pub fn parse_bytes(text: &[u8]) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text),
        };
        let (whole, decimals) = match digits.iter().position(|b| *b == b'.') {
            Some(at) => (&digits[..at], &digits[at + 1..]),
            None => (digits, &digits[digits.len()..]),
        };
        if whole.is_empty() && decimals.is_empty() {
            return Err(MoneyError::Malformed);
        }
        let mut value: i64 = 0;
        for (place, byte) in
            whole.iter().map(|b| (0, b)).chain(decimals.iter().enumerate().map(|(i, b)| (i + 1, b)))
        {
            if !byte.is_ascii_digit() {
                return Err(MoneyError::Malformed);
            }
            if place > 2 {
                if *byte != b'0' {
                    return Err(MoneyError::FractionOfCentime);
                }
                continue;
            }
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(i64::from(byte - b'0')))
                .ok_or(MoneyError::TooLarge)?;
        }
        for _ in decimals.len().min(2)..2 {
            value = value.checked_mul(10).ok_or(MoneyError::TooLarge)?;
        }
        Ok(Self(if negative { -value } else { value }))
    }
}

impl std::ops::Add for Centimes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("sum of amounts overflows")
    }
}

impl std::ops::AddAssign for Centimes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::Sub for Centimes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.checked_sub(other).expect("difference of amounts overflows")
    }
}

impl Sum for Centimes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

impl fmt::Display for Centimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let abs = self.0.unsigned_abs();
        let amount = format!("{sign}{}.{:02}", abs / 100, abs % 100);
        if f.alternate() { write!(f, "{amount} {}", country::currency()) } else { f.pad(&amount) }
    }
}

impl FromStr for Centimes {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Self::parse_bytes(text.as_bytes())
    }
}

impl Serialize for Centimes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Centimes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let decimal = <Decimal as Deserialize>::deserialize(deserializer)?;
        Self::from_decimal(decimal).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, centimes) in [
            ("0", 0),
            ("1", 100),
            ("1.5", 150),
            ("500.00", 50_000),
            ("12.340", 1234),
            ("-0.07", -7),
            (".5", 50),
        ] {
            assert_eq!(text.parse::<Centimes>(), Ok(Centimes(centimes)), "{text}");
        }
        for (text, error) in [
            ("", MoneyError::Malformed),
            (".", MoneyError::Malformed),
            ("1,5", MoneyError::Malformed),
            ("1e3", MoneyError::Malformed),
            ("1.005", MoneyError::FractionOfCentime),
            ("99999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(text.parse::<Centimes>(), Err(error), "{text}");
        }
        let mut out = Vec::new();
        Centimes(123_405).write_iso(&mut out);
        assert_eq!(out, b"1234.05");
        assert_eq!(Centimes(-7).to_string(), "-0.07");
    }

    proptest::proptest! {
        #[test]
        fn printing_then_reading_gives_the_same_amount(v in -9_000_000_000_000_000i64..9_000_000_000_000_000) {
            proptest::prop_assert_eq!(Centimes(v).to_string().parse::<Centimes>(), Ok(Centimes(v)));
            if v >= 0 {
                let mut out = Vec::new();
                Centimes(v).write_iso(&mut out);
                proptest::prop_assert_eq!(Centimes::parse_bytes(&out), Ok(Centimes(v)));
            }
        }
    }
}
