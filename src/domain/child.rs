//! Children that have a row of their own in the registry's list, beside the members of households: births for which a grant is
//! claimed, and children in the care of institutions for whom deposits are paid in.

use std::fmt;

use time::Date;

use super::household::PlaceId;
use super::ids::HouseholdId;
use super::person::Idcs;
use crate::domain::listed::listed;

/// A claim of a birth grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BirthClaim {
    /// Data row in the `claims` part, from 1.
    pub row: u32,
    /// The household that claims.
    pub household: HouseholdId,
    /// The child that was born.
    pub child: Idcs,
    /// Which child of its mother it is, from 1.
    pub rank: u8,
    /// The day on which it was claimed.
    pub claimed_on: Date,
}

listed! {
    /// Why a child is in the care of an institution.
    CareGround {
        /// An orphan.
        Orphan = "orphan",
        /// An abandoned child.
        Abandoned = "abandoned",
    }
}

/// A child in the care of an institution, and the account in its name at the deposit holder. All of it is personal: it prints
/// nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ChildInCare {
    /// Data row in the `deposits` part, from 1.
    pub row: u32,
    /// The registry's identifier of the deposit: of the form of a household's, and never that of one.
    pub id: HouseholdId,
    /// Where the institution lies.
    pub place: PlaceId,
    /// Name of the institution.
    pub institution: String,
    /// The child.
    pub child: Idcs,
    /// Name in Latin script.
    pub name: String,
    /// Name in Arabic script; may be empty.
    pub name_ar: String,
    /// Date of birth.
    pub birth_date: Date,
    /// Why it is in care.
    pub ground: CareGround,
    /// First day in care.
    pub since: Date,
    /// Last day in care, where it has left.
    pub until: Option<Date>,
    /// Day of death, where dead.
    pub deceased_on: Option<Date>,
    /// The account in its name, as the registry wrote it; not checked here, since a bad account is held, not rejected.
    pub account: String,
}

impl fmt::Debug for ChildInCare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChildInCare(…)")
    }
}
