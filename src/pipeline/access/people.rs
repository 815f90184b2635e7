//! People: added, given keys, removed, told apart; and the administrators who do so.
//!
//! Input: names as they are typed, public keys. Output: who may act, and by which key they sign. Guarantee: two spellings of one name
//! (capitals, accents, marks between its parts) are one person; a key is one person's for all time; who was removed can do nothing; who
//! comes back has the role they had, and it is told; no administrator decides over money. Limit: whether a name and a key are the right
//! person's is for those who give them out.

pub use super::office::Office;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::not_found::Entity;
use crate::keys::KeyError;
use crate::pipeline::{Applied, Context, Refusal};
use crate::store::StoreError;
use crate::store::access::operators::{self, Role};
use crate::store::audit::signing;

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
    /// A key that cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Whoever acts is no administrator.
    #[error("`{0}` is no administrator of this home")]
    NotAdministrator(String),
    /// Administrators decide over people, not over money.
    #[error("`{0}` is an administrator, who decides over people and not over money")]
    Administrator(String),
    /// A key is one person's.
    #[error("key {fingerprint} is, or was, that of {holder}")]
    KeyOfAnother {
        /// The key.
        fingerprint: String,
        /// Whose.
        holder: String,
    },
    /// Nobody has such a key.
    #[error("nobody has a key {0}")]
    NoKey(String),
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
            Self::Key(e) => return e.hint(),
            Self::NotAdministrator(_) => {
                "say --as ADMINISTRATOR; the first is named by `sarf operator administrator NAME`".into()
            }
            Self::Administrator(_) => "give the role to somebody else".into(),
            Self::KeyOfAnother { .. } => "make the person a key of their own: ssh-keygen -t ed25519".into(),
            Self::NoKey(_) => "see `sarf operator keys`".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(PeopleError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Name(_) => Self::Name("a b".into()),
    Self::Spelling { .. } => Self::Spelling { name: "Amina".into(), known: "amina".into() },
    Self::OtherRole { .. } => Self::OtherRole { name: "amina".into(), role: Role::Preparer },
    Self::Key(_) => Self::Key(KeyError::Malformed),
    Self::NotAdministrator(_) => Self::NotAdministrator("amina".into()),
    Self::Administrator(_) => Self::Administrator("sara".into()),
    Self::KeyOfAnother { .. } => {
        Self::KeyOfAnother { fingerprint: "SHA256:x".into(), holder: "amina".into() }
    },
    Self::NoKey(_) => Self::NoKey("SHA256:x".into()),
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

/// Adds a person with a key, or brings one back who was removed; on an administrator's word. Without a key it is that of
/// `people/NAME` below the home, where a pair is made if there is none.
///
/// # Errors
/// See [`PeopleError`].
pub async fn add(
    context: &Context,
    name: &str,
    role: Role,
    key: Option<&str>,
    by: &str,
) -> Result<Added, PeopleError> {
    Office::of(context).add(name, role, key, by).await
}

/// Gives a person a further key: the old one is good until it is taken away.
///
/// # Errors
/// See [`PeopleError`].
pub async fn enrol(
    context: &Context,
    name: &str,
    public: &str,
    by: &str,
) -> Result<Applied<String>, PeopleError> {
    let office = Office::of(context);
    let mut tx = context.store.begin().await?;
    let known = operators::active_in_tx(&mut tx, name).await?;
    let known = known.ok_or_else(|| Refusal::not_found(Entity::Operator, name))?;
    let trust = office.trusting(by, Some(name))?;
    let enrolled = office.enrol_in_tx(&mut tx, (name, known.role), public, (by, &trust)).await?;
    tx.commit().await?;
    Ok(enrolled)
}

/// Takes a key away: what it signed stays signed.
///
/// # Errors
/// See [`PeopleError`].
pub async fn revoke(context: &Context, fingerprint: &str, by: &str) -> Result<Applied<String>, PeopleError> {
    let office = Office::of(context);
    let mut tx = context.store.begin().await?;
    office.trusting(by, None)?;
    let key = signing::find_in_tx(&mut tx, fingerprint).await?;
    let key = key.ok_or_else(|| PeopleError::NoKey(fingerprint.to_owned()))?;
    if key.revoked_by.is_some() {
        return Ok(Applied::Already(key.operator));
    }
    signing::revoke_in_tx(&mut tx, fingerprint, by, office.now).await?;
    office.note(&mut tx, by, signing::REVOKE, &key.operator, fingerprint).await?;
    tx.commit().await?;
    Ok(Applied::Now(key.operator))
}

/// Ends a person's rights; what they did stays.
///
/// # Errors
/// See [`PeopleError`].
pub async fn remove(context: &Context, name: &str, by: &str) -> Result<Applied<()>, PeopleError> {
    let office = Office::of(context);
    let mut tx = context.store.begin().await?;
    let all = operators::all_in_tx(&mut tx).await?;
    office.trusting(by, None)?;
    let known = all.iter().find(|o| is_same(&o.name, name));
    let known = known.ok_or_else(|| Refusal::not_found(Entity::Operator, name))?;
    if !known.active {
        return Ok(Applied::Already(()));
    }
    operators::set_removed_in_tx(&mut tx, &known.name, Some(by), office.now).await?;
    office.note(&mut tx, by, "operator.remove", &known.name, known.role.as_str()).await?;
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

pub(super) fn is_name(name: &str) -> bool {
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
