//! The Moroccan account number (RIB, 24 digits) and its IBAN.

use std::fmt;

use super::country;

/// A RIB with a valid key: bank 3, city 3, account 16, key 2.
///
/// Prints masked (bank code and last two digits of the account); [`Rib::reveal`] gives the digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rib([u8; 24]);

/// Why a text is not a RIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RibError {
    /// Not 24 digits (with the country and its check digits before them, for an IBAN).
    #[error("not a RIB of 24 digits")]
    Malformed,
    /// The last two digits are not 97 − (first 22 digits × 100 mod 97).
    #[error("RIB key does not match")]
    BadKey,
}

/// Length of a Moroccan IBAN.
pub const IBAN_LEN: usize = 28;

impl Rib {
    /// Reads a RIB or a Moroccan IBAN; spaces, hyphens and dots are passed over.
    ///
    /// # Errors
    /// See [`RibError`].
    pub fn parse(text: &str) -> Result<Self, RibError> {
        let mut digits = [0u8; 24];
        let mut len = 0;
        let mut bytes = text.bytes().filter(|b| !matches!(b, b' ' | b'-' | b'.')).peekable();
        if bytes.peek().is_some_and(u8::is_ascii_alphabetic) {
            let prefix = country::iban_prefix();
            if !prefix.iter().all(|known| bytes.next().is_some_and(|b| b.eq_ignore_ascii_case(known))) {
                return Err(RibError::Malformed);
            }
        }
        for byte in bytes {
            if !byte.is_ascii_digit() || len == 24 {
                return Err(RibError::Malformed);
            }
            digits[len] = byte;
            len += 1;
        }
        if len != 24 {
            return Err(RibError::Malformed);
        }
        if mod97(&digits) != 0 {
            return Err(RibError::BadKey);
        }
        Ok(Self(digits))
    }

    /// The RIB of a bank, city and account number, its key worked out.
    ///
    /// # Errors
    /// [`RibError::Malformed`] unless `bank` has 3, `city` 3 and `account` 16 digits.
    pub fn compose(bank: &str, city: &str, account: &str) -> Result<Self, RibError> {
        if (bank.len(), city.len(), account.len()) != (3, 3, 16) {
            return Err(RibError::Malformed);
        }
        let mut digits = [b'0'; 24];
        for (slot, byte) in digits.iter_mut().zip(bank.bytes().chain(city.bytes()).chain(account.bytes())) {
            if !byte.is_ascii_digit() {
                return Err(RibError::Malformed);
            }
            *slot = byte;
        }
        let key = 97 - mod97(&digits);
        digits[22] = b'0' + (key / 10) as u8;
        digits[23] = b'0' + (key % 10) as u8;
        Ok(Self(digits))
    }

    /// The 24 digits, in clear.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a RIB holds ASCII digits")
    }

    /// The bank's three digits.
    pub fn bank_code(&self) -> &str {
        &self.reveal()[..3]
    }

    /// The IBAN, in clear: the country, its check digits and the RIB.
    pub fn iban(&self) -> String {
        let mut iban = String::with_capacity(IBAN_LEN);
        iban.extend(country::iban_prefix().map(char::from));
        iban.push_str(self.reveal());
        iban
    }

    /// The RIB as a number below 10²⁴, for exact comparison in 80 bits.
    pub fn as_number(&self) -> u128 {
        self.0.iter().fold(0, |v, b| v * 10 + u128::from(b - b'0'))
    }
}

/// The remainder of a string of ASCII digits by 97.
fn mod97(digits: &[u8; 24]) -> u32 {
    // Twice twelve digits fit in u64, so two divisions do.
    let part = |d: &[u8]| d.iter().fold(0u64, |v, b| v * 10 + u64::from(b - b'0'));
    let (high, low) = (part(&digits[..12]), part(&digits[12..]));
    (((high % 97) * (1_000_000_000_000 % 97) + low % 97) % 97) as u32
}

impl fmt::Debug for Rib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Rib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…{}", self.bank_code(), &self.reveal()[20..22])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_hold() {
        for rib in ["001810007800020110620318", "001810007800020110620221", "011780000019210016805555"] {
            assert_eq!(Rib::parse(rib).unwrap().reveal(), rib);
        }
        let iban = "MA64011519000001205000534921";
        assert_eq!(Rib::parse(iban).unwrap().iban(), iban);
        for text in [
            "MA64 0115 1900 0001 2050 0053 4921",
            "ma64-011.519-0000012050005349-21",
            "011 519 0000012050005349 21",
        ] {
            assert_eq!(Rib::parse(text).unwrap().iban(), iban);
        }
    }

    #[test]
    fn faults_are_told_apart() {
        for (text, error) in [
            ("001810007800020110620319", RibError::BadKey),
            ("00181000780002011062031", RibError::Malformed),
            ("0018100078000201106203180", RibError::Malformed),
            ("FR64011519000001205000534921", RibError::Malformed),
            ("MA65011519000001205000534921", RibError::Malformed),
            ("", RibError::Malformed),
        ] {
            assert_eq!(Rib::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn prints_masked() {
        let rib = Rib::parse("001810007800020110620318").unwrap();
        assert_eq!(format!("{rib} {rib:?}"), "001…03 001…03");
    }

    proptest::proptest! {
        #[test]
        fn composed_ribs_parse(account in 0u64..9_999_999_999_999_999, city in 0u32..999) {
            let rib = Rib::compose("007", &format!("{city:03}"), &format!("{account:016}")).unwrap();
            proptest::prop_assert_eq!(Rib::parse(rib.reveal()), Ok(rib));
            proptest::prop_assert_eq!(rib.reveal().parse::<u128>().unwrap(), rib.as_number());
        }
    }
}
