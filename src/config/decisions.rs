//! What decisions take beyond three people: `[decisions]` of `sarf.toml`.

use serde::{Deserialize, Deserializer};
use time::Date;

use crate::domain::money::Centimes;

/// What decisions take beyond three people.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// A run over this much takes two approvers.
    pub second_approver_above: Option<Centimes>,
    /// Days on which nothing new is approved.
    #[serde(default)]
    pub freezes: Vec<Freeze>,
}

/// Days on which nothing new is approved: elections, audits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// The first.
    #[serde(deserialize_with = "read_date")]
    pub from: Date,
    /// The last.
    #[serde(deserialize_with = "read_date")]
    pub to: Date,
    /// Why, as whoever is refused reads it.
    pub why: String,
}

impl Decisions {
    /// What stands in the way of approving anything on a day.
    pub fn freeze_on(&self, day: Date) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| (freeze.from..=freeze.to).contains(&day))
    }
}

fn read_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Date::parse(&text, format)
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is not a date YYYY-MM-DD")))
}
