//! Claims of birth grants and children in the care of institutions, from the seed, the people of the list and the period.
//!
//! A claim is the same claim in every list that carries it: most stand in the list of their own month, some in the next one too.
//! Some are too late, for a third child, of a child that the household does not list, or of a rank that cannot be.

use std::fmt::Write as _;

use time::{Date, Duration};

use super::draw::{Draw, mix};
use super::person::{Dwelling, GENERATIONS, Person, idcs, latin, month_of, place};
use super::sink::PartWriter;
use super::{GenerateOptions, HOUSEHOLDS_MAX};
use crate::domain::period::Period;
use crate::domain::person::Idcs;
use crate::domain::rib::Rib;
use crate::snapshot::SnapshotError;

const SALT_CLAIM: u64 = 8;
const SALT_CARE: u64 = 9;
/// Households for each child in care.
const HOUSEHOLDS_PER_CHILD: u64 = 400;
/// The bank code of the deposit holder in the configuration (synthetic).
const HOLDER_BANK: &str = "995";

/// Writes the claims that the list carries for a household's children.
pub(super) fn write_claims(
    claims: &mut PartWriter,
    dwelling: &Dwelling,
    options: &GenerateOptions,
) -> Result<(), SnapshotError> {
    // Only households with children claim; members of a household are its children then.
    if dwelling.relation == "registrant" {
        return Ok(());
    }
    for child in &dwelling.members {
        let mut draw = Draw::new(mix(options.seed ^ SALT_CLAIM, child.idcs.reveal()));
        let elder = dwelling.members.iter().filter(|m| m.birth_date < child.birth_date).count() as u64;
        let Some((rank, claimed_on)) = claim(&mut draw, child, elder, options.period) else { continue };
        let unknown = draw.chance(10_000);
        claims.row(|text| {
            let number = if unknown { idcs(options.seed, unused_number(0), 1) } else { child.idcs };
            let _ = write!(text, "{},{},{rank},", dwelling.id, number.reveal());
            write_day(text, Some(claimed_on));
            text.push('\n');
        })?;
    }
    Ok(())
}

/// The rank and day of a claim that the list of a period carries.
fn claim(draw: &mut Draw, child: &Person, elder: u64, period: Period) -> Option<(u64, Date)> {
    let claims = draw.chance(if elder < 2 { 930_000 } else { 500_000 });
    let (late, again, wrong) = (draw.chance(40_000), draw.chance(100_000), draw.chance(15_000));
    let days = if late { 185 + draw.below(120) } else { 3 + draw.below(120) };
    let claimed_on = child.birth_date + Duration::days(days as i64);
    let since = period.index() - month_of(claimed_on);
    let carried = claims && child.deceased_on.is_none() && (since == 0 || (since == 1 && again));
    let rank = if wrong { elder.max(1) } else { elder + 1 };
    carried.then_some((rank, claimed_on))
}

/// A household number that no household of a list of less than the most has.
const fn unused_number(index: u64) -> u64 {
    HOUSEHOLDS_MAX * GENERATIONS - 1 - index
}

/// Writes the children in care, in the order of their deposits.
pub(super) fn write_children_in_care(
    deposits: &mut PartWriter,
    options: &GenerateOptions,
) -> Result<(), SnapshotError> {
    let children = options.households.min(HOUSEHOLDS_MAX).div_ceil(HOUSEHOLDS_PER_CHILD);
    for index in 0..children {
        if let Some(child) = InCare::draw(index, options) {
            deposits.row(|text| child.write(text))?;
        }
    }
    Ok(())
}

struct InCare {
    index: u64,
    place: [&'static str; 3],
    idcs: Idcs,
    name: String,
    born: Date,
    orphan: bool,
    since: Date,
    until: Option<Date>,
    account: String,
}

impl InCare {
    /// The child of an index; `None` before it comes into care.
    fn draw(index: u64, options: &GenerateOptions) -> Option<Self> {
        let mut draw = Draw::new(mix(options.seed ^ SALT_CARE, index));
        let place = place(&mut draw);
        let first = Date::from_calendar_date(2007, time::Month::January, 1).ok()?;
        let born = first + Duration::days(draw.below(20 * 365) as i64);
        let since = born + Duration::days(1 + draw.below(8 * 365) as i64);
        let left = since + Duration::days(200 + draw.below(4_000) as i64);
        let leaves = draw.chance(150_000);
        let names = [draw.below(14), draw.below(20)];
        let account = Rib::compose(HOLDER_BANK, "810", &format!("{:016}", 1 + index));
        Some(Self {
            index,
            place,
            idcs: idcs(options.seed, unused_number(1 + index), 1),
            name: latin(true, names, draw.bits()),
            born,
            orphan: draw.chance(600_000),
            since,
            until: Some(left).filter(|left| leaves && *left <= options.period.last_day()),
            account: account.map_or_else(|_| String::new(), |rib| rib.reveal().to_owned()),
        })
        .filter(|child| child.since <= options.period.last_day())
    }

    fn write(&self, text: &mut String) {
        let [region, province, commune] = self.place;
        let _ = write!(text, "DP-{:07},{region},{province},{commune},Foyer {commune},", self.index);
        let _ = write!(text, "{},{},,", self.idcs.reveal(), self.name);
        write_day(text, Some(self.born));
        text.push_str(if self.orphan { ",orphan," } else { ",abandoned," });
        write_day(text, Some(self.since));
        text.push(',');
        write_day(text, self.until);
        let _ = writeln!(text, ",,{}", self.account);
    }
}

fn write_day(text: &mut String, day: Option<Date>) {
    if let Some(day) = day {
        let _ = write!(text, "{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day());
    }
}
