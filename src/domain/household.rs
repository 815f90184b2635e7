//! The registry's household as the snapshot gives it: who lives in it, who is paid, and by what means.

use super::listed::listed;
use std::fmt;

use time::Date;

use super::attribute::Attributes;
use super::ids::{Code, HouseholdId};
use super::person::{Cin, Idcs, Phone};

/// One household of a snapshot, its members joined in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Household {
    /// Data row in the `households` part, from 1.
    pub row: u32,
    /// The registry's identifier.
    pub id: HouseholdId,
    /// Where it lives: an index into the snapshot's table of places.
    pub place: PlaceId,
    /// The RSU score in millionths (9.743001 is 9,743,001).
    pub rsu_score: Score,
    /// The head of household.
    pub head_idcs: Idcs,
    /// Whether the head lives in Morocco.
    pub head_resident: bool,
    /// Why the registry's exchanges exclude it (`public_job`, `pension`, `family_allowance`, …).
    pub excluded_by: Option<Code>,
    /// Who is paid.
    pub payee: Payee,
    /// How the payee is paid.
    pub means: Means,
    /// The provider that the payee chose, where there is a choice (payment accounts, wallets, cash).
    pub provider: Option<Code>,
    /// Level of the payment account (1 to 3), where the registry knows it.
    pub account_level: Option<u8>,
    /// What the programme asks for and the contract has no column of its own for.
    pub attributes: Attributes,
    /// Its members, in file order.
    pub members: Vec<Member>,
    /// How many of its member rows were rejected: what it is due cannot then be relied on.
    pub members_rejected: u16,
}

#[cfg(test)]
impl Household {
    /// One that may draw any programme, paid in cash, without members.
    pub(crate) fn sample() -> Self {
        let idcs = Idcs::from_stem(299_999_999);
        Self {
            row: 1,
            id: HouseholdId::parse(b"H1").expect("an id"),
            place: PlaceId(0),
            rsu_score: Score(9_743_001),
            head_idcs: idcs,
            head_resident: true,
            excluded_by: None,
            payee: Payee {
                idcs,
                name: "A".into(),
                name_ar: String::new(),
                cin: None,
                relation: Relation::Registrant,
                deceased: false,
                phone: None,
                account: String::new(),
            },
            means: Means::Cash,
            provider: None,
            account_level: None,
            attributes: Attributes::default(),
            members: Vec::new(),
            members_rejected: 0,
        }
    }
}

/// A place of the snapshot, by index into its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub u16);

/// Region, province and commune, as the registry writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Region.
    pub region: String,
    /// Province or prefecture.
    pub province: String,
    /// Commune.
    pub commune: String,
}

/// An RSU score in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(pub i64);

impl Score {
    /// Reads a decimal with at most six decimals that count (further ones must be zero).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let mut parts = digits.splitn(2, |b| *b == b'.');
        let (whole, decimals) = (parts.next()?, parts.next().unwrap_or(b""));
        if whole.is_empty() || whole.len() > 6 || decimals.len() > 18 {
            return None;
        }
        let mut value = 0i64;
        for (i, byte) in whole.iter().chain(decimals.iter().take(6)).enumerate() {
            let _ = i;
            value = value * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        if decimals.iter().skip(6).any(|b| *b != b'0') {
            return None;
        }
        for _ in decimals.len().min(6)..6 {
            value *= 10;
        }
        Some(Self(if negative { -value } else { value }))
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:06}", self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000)
    }
}

/// The person who is paid. All of it is personal: it prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Payee {
    /// Number in the population registry.
    pub idcs: Idcs,
    /// Name in Latin script, as the registry writes it.
    pub name: String,
    /// Name in Arabic script; may be empty.
    pub name_ar: String,
    /// Identity card.
    pub cin: Option<Cin>,
    /// Relation to the children or household.
    pub relation: Relation,
    /// Whether the registry knows that the payee died.
    pub deceased: bool,
    /// Mobile number.
    pub phone: Option<Phone>,
    /// Account as the registry wrote it, spaces removed; not checked here, since a bad account is held, not rejected.
    pub account: String,
}

impl fmt::Debug for Payee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payee(…)")
    }
}

listed! {
    /// How a payee is paid.
    Means {
        /// An account at a bank, by RIB.
        BankAccount = "bank_account",
        /// A payment account at a payment institution, by RIB.
        PaymentAccount = "payment_account",
        /// A mobile wallet, by phone number.
        Wallet = "wallet",
        /// Cash at a proximity payment point, by phone and identity card.
        Cash = "cash",
    }
}

listed! {
    /// What households may share.
    Shared {
        /// An account.
        Account = "account",
        /// A phone.
        Phone = "phone",
        /// A person listed in each of them.
        Person = "person",
        /// A person who is the payee of one of them, and is paid for or listed in the others.
        Payee = "payee",
        /// The payee's identity card.
        Card = "card",
    }
}

listed! {
    /// The payee's relation: child aid goes, in this order, to husband, custodian, kafil, legal guardian; the flat
    /// rate to whoever registered the household.
    Relation {
        /// The husband (father).
        Husband = "husband",
        /// The parent who has custody.
        Custodian = "custodian",
        /// The kafil of a child in kafala.
        Kafil = "kafil",
        /// The legal guardian.
        Guardian = "guardian",
        /// Whoever registered the household.
        Registrant = "registrant",
    }
}

listed! {
    /// Sex in the population registry.
    Sex {
        /// Female.
        Female = "F",
        /// Male.
        Male = "M",
    }
}

listed! {
    /// Cycle of schooling.
    SchoolCycle {
        /// Before primary school.
        Preschool = "preschool",
        /// Primary school.
        Primary = "primary",
        /// Collège (lower secondary).
        College = "college",
        /// Lycée (upper secondary).
        Lycee = "lycee",
        /// University or vocational training.
        Higher = "higher",
    }
}

listed! {
    /// Sector of the school.
    SchoolSector {
        /// Public school.
        Public = "public",
        /// Private school.
        Private = "private",
    }
}

/// One member of a household.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Number in the population registry.
    pub idcs: Idcs,
    /// Date of birth.
    pub birth_date: Date,
    /// Sex.
    pub sex: Sex,
    /// Whether enrolled in a school.
    pub in_school: bool,
    /// Cycle, where enrolled.
    pub school_cycle: Option<SchoolCycle>,
    /// Sector, where enrolled.
    pub school_sector: Option<SchoolSector>,
    /// Whether the father has died.
    pub father_orphan: bool,
    /// Whether severely disabled (health data: law 09-08).
    pub severe_disability: bool,
    /// Whether in the care of an institution.
    pub in_institution: bool,
    /// Day of death, where dead.
    pub deceased_on: Option<Date>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_read_to_the_millionth() {
        for (text, value) in [
            ("9.743001", Some(9_743_001)),
            ("9.7430010000", Some(9_743_001)),
            ("-1.5", Some(-1_500_000)),
            ("9.7430011", None),
            ("", None),
            (".5", None),
            ("9,7", None),
            ("nan", None),
        ] {
            assert_eq!(Score::parse(text.as_bytes()).map(|s| s.0), value, "{text}");
        }
        assert_eq!(Score(9_743_001).to_string(), "9.743001");
    }
}
