//! People: added, removed, told apart.
//!
//! Input: names as they are typed. Output: who may act. Guarantee: two spellings of one name (capitals, accents, marks
//! between its parts) are one person; who was removed can do nothing; who comes back has the role they had, and it is told.
//! Limit: whether a name is the right person's is for those who give names out.

use crate::domain::hint::{Hint, NextStep};
use crate::domain::not_found::Entity;
use crate::pipeline::{Applied, Context, Refusal};
use crate::store::StoreError;
use crate::store::access::operators::{self, Operator, Role};
use crate::store::audit::chain::{self, Decision};

/// Why a person is neither added nor removed.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Whoever asks may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Empty, too long, or with other characters than letters, digits, `.`, `_`, `-`.
    #[error("`{}` is not a valid name for an operator", .0.escape_debug())]
    Name(String),
    /// Another spelling of the name is there.
    #[error("`{name}` is another spelling of operator `{known}`")]
    Spelling {
        /// As it was given.
        name: String,
        /// As it is kept.
        known: String,
    },
    /// The person has another role.
    #[error("operator `{name}` is {role} already, and no one holds two roles")]
    OtherRole {
        /// Who.
        name: String,
        /// Their role.
        role: Role,
    },
    /// Nobody removes themselves.
    #[error("operator `{0}` cannot remove themselves")]
    Themselves(String),
}

impl Hint for PeopleError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::Name(_) => "1 to 40 letters from A to Z, digits, `.`, `_` or `-`".into(),
            Self::Spelling { .. } => {
                "use the spelling that is there, or give the other person another name".into()
            }
            Self::OtherRole { .. } => "see `sarf operator list`; another role needs another person".into(),
            Self::Themselves(_) => "another operator does it: --as NAME".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(PeopleError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Name(_) => Self::Name("a b".into()),
    Self::Spelling { .. } => Self::Spelling { name: "Amina".into(), known: "amina".into() },
    Self::OtherRole { .. } => Self::OtherRole { name: "amina".into(), role: Role::Preparer },
    Self::Themselves(_) => Self::Themselves("amina".into()),
});

impl From<StoreError> for PeopleError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for PeopleError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// What became of adding a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// New.
    Now,
    /// There before.
    Already,
    /// Back: they had been removed by somebody.
    Back {
        /// Who had removed them.
        removed_by: String,
    },
}

/// Adds a person, or brings one back who was removed.
///
/// # Errors
/// See [`PeopleError`].
pub async fn add(context: &Context, name: &str, role: Role) -> Result<Added, PeopleError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    let all = operators::all_in_tx(&mut tx).await?;
    let known = all.into_iter().find(|o| is_same(&o.name, name));
    let added = match known {
        None if !is_name(name) => return Err(PeopleError::Name(name.to_owned())),
        None => {
            operators::add_in_tx(&mut tx, name, role, now).await?;
            Added::Now
        }
        Some(known) if known.name != name => {
            return Err(PeopleError::Spelling { name: name.to_owned(), known: known.name });
        }
        Some(known) if known.role != role => {
            return Err(PeopleError::OtherRole { name: known.name, role: known.role });
        }
        Some(Operator { removed_by: Some(removed_by), .. }) => {
            operators::set_removed_in_tx(&mut tx, name, None, now).await?;
            let subject = format!("operator {name}");
            let detail = format!("{role}; was removed by {removed_by}");
            let decision = Decision {
                actor: "sarf",
                action: "operator.back",
                subject: &subject,
                detail: &detail,
                at: now,
            };
            chain::append_in_tx(&mut tx, decision).await?;
            Added::Back { removed_by }
        }
        Some(_) => Added::Already,
    };
    tx.commit().await?;
    Ok(added)
}

/// Ends a person's rights; what they did stays.
///
/// # Errors
/// See [`PeopleError`].
pub async fn remove(context: &Context, name: &str, by: &str) -> Result<Applied<()>, PeopleError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    let all = operators::all_in_tx(&mut tx).await?;
    let unknown = |name: &str| PeopleError::Refused(Refusal::not_found(Entity::Operator, name));
    all.iter().find(|o| o.name == by && o.active).ok_or_else(|| unknown(by))?;
    let known = all.iter().find(|o| is_same(&o.name, name)).ok_or_else(|| unknown(name))?;
    if is_same(name, by) {
        return Err(PeopleError::Themselves(by.to_owned()));
    }
    if !known.active {
        return Ok(Applied::Already(()));
    }
    operators::set_removed_in_tx(&mut tx, &known.name, Some(by), now).await?;
    let subject = format!("operator {}", known.name);
    let decision = Decision {
        actor: by,
        action: "operator.remove",
        subject: &subject,
        detail: known.role.as_str(),
        at: now,
    };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}

/// Whether two names are spellings of one.
pub fn is_same(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

/// Letters and digits, small, without accents.
fn folded(name: &str) -> String {
    let plain = name.chars().flat_map(|c| deunicode::deunicode_char(c).unwrap_or("?").chars());
    plain.filter(|c| !matches!(c, '.' | '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=40).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one() {
        for (one, other, same) in [
            ("amina", "Amina", true),
            ("amina", "AMINA", true),
            ("amina", "amína", true),
            ("a.benali", "A_Benali", true),
            ("amina", "aminaa", false),
            ("amina1", "amina2", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
        for (name, good) in
            [("amina.b-2_x", true), ("", false), ("a b", false), ("amína", false), (&*"x".repeat(41), false)]
        {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
