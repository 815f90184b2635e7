//! API tokens: made, ended and looked up.
//!
//! Input: an operator's wish; later, the tokens that callers show. Output: a token, shown once; who a caller is.
//! Guarantee: a token for events is good once another person has confirmed it; a token is 256 random bits, of which only the SHA-256 is kept; making and ending one is in the audit chain.
//! Limit: whoever holds a token is its bearer: tokens end after a year at most, and can be ended at any time.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::people;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::listed::listed;
use crate::domain::not_found::Entity;
use crate::pipeline::{Applied, Context, Refusal, person};
use crate::store::StoreError;
use crate::store::access::operators::{self, Role};
use crate::store::access::tokens::{self, NewToken};
use crate::store::audit::chain::{self, Decision};

/// What every token begins with, so that scanners for leaked secrets know one.
const PREFIX: &str = "sarf_";
/// Random bytes in a token.
const RANDOM_BYTES: usize = 32;
/// Characters that they are written with.
const RANDOM_CHARS: usize = 43;
/// Longest life of a token.
pub const DAYS_MAX: u16 = 366;

listed! {
    /// What a token may be used for.
    Scope {
        /// Callbacks of its institution.
        Callbacks = "callbacks",
        /// Work lists of its institution.
        Worklists = "worklists",
        /// Uploads of its institution.
        Uploads = "uploads",
        /// Events of the registry.
        Events = "events",
    }
}

impl Scope {
    /// Whether it is an institution's, not the registry's own.
    pub const fn of_institution(self) -> bool {
        !matches!(self, Self::Events)
    }

    /// Whether a second person must confirm a token that has it: events make orders and change where payees are paid.
    pub const fn takes_two(self) -> bool {
        matches!(self, Self::Events)
    }
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Name, for people: as operators' names.
    pub name: String,
    /// What for.
    pub scopes: Vec<Scope>,
    /// The provider whose orders it reaches; `None` for the registry's own.
    pub institution: Option<String>,
    /// Days until it ends by itself.
    pub days: u16,
}

/// A token just made: the only time that it can be seen.
pub struct Issued {
    /// The token itself.
    pub token: String,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// Whether it is good only once a second person confirms it.
    pub waits: bool,
}

/// Why a token is neither made nor ended.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Whoever asks may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A name that is empty, too long, or has other characters than letters, digits, `.`, `_`, `-`.
    #[error("`{}` is not a valid name for a token", .0.escape_debug())]
    Name(String),
    /// The name is another token's.
    #[error("there is already a token `{0}`")]
    NameTaken(String),
    /// A scope that does not fit whose token it is.
    #[error("scope `{scope}` is only for tokens of {}", if scope.of_institution() { "an institution" } else { "the registry" })]
    Scope {
        /// Which.
        scope: Scope,
    },
    /// No scope at all.
    #[error("a token needs a scope")]
    NoScope,
    /// No days, or too many.
    #[error("a token is valid for 1 to {DAYS_MAX} days")]
    Days,
    /// It takes no second person.
    #[error("token `{0}` needs no second person")]
    NothingToConfirm(String),
    /// Who made it does not confirm it.
    #[error("operator `{0}` made this token: another person must confirm it")]
    SamePerson(String),
    /// The system gives no randomness.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
}

impl Hint for TokenError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::Name(_) => "1 to 40 letters from A to Z, digits, `.`, `_` or `-`".into(),
            Self::NameTaken(_) => "see `sarf operator tokens`, and choose another name".into(),
            Self::Scope { .. } => {
                "an institution's token needs --institution CODE; only `events` is the registry's own".into()
            }
            Self::NoScope => "say what it is for: --scope".into(),
            Self::Days => format!("give --days between 1 and {DAYS_MAX}").into(),
            Self::NothingToConfirm(_) => "use it as it is: only tokens for events take two people".into(),
            Self::SamePerson(_) => "an approver who did not make it: --as NAME".into(),
            Self::Random(_) => "see that the system offers `getrandom`, then give the command again".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(TokenError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Name(_) => Self::Name("a b".into()),
    Self::NameTaken(_) => Self::NameTaken("registry".into()),
    Self::Scope { .. } => Self::Scope { scope: Scope::Events },
    Self::NoScope => Self::NoScope,
    Self::Days => Self::Days,
    Self::NothingToConfirm(_) => Self::NothingToConfirm("m2t".into()),
    Self::SamePerson(_) => Self::SamePerson("amina".into()),
    Self::Random(_) => Self::Random(getrandom::Error::UNSUPPORTED),
});

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for TokenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// Makes a token.
///
/// # Errors
/// See [`TokenError`].
pub async fn issue(context: &Context, wish: &Wish, operator: &str) -> Result<Issued, TokenError> {
    check(wish)?;
    if let Some(code) = wish.institution.as_deref().filter(|c| context.config.router.by_code(c).is_none()) {
        return Err(Refusal::not_found(Entity::Provider, code).into());
    }
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(TokenError::Random)?;
    let token = write(&bytes);
    let now = context.clock.now();
    let expires_at = now + Duration::days(wish.days.into());
    let scopes: Vec<String> = wish.scopes.iter().map(|s| s.as_str().to_owned()).collect();
    let mut tx = context.store.begin().await?;
    active(&mut tx, operator).await?;
    let new = NewToken {
        name: &wish.name,
        institution: wish.institution.as_deref(),
        scopes: &scopes,
        sha256: &digest(&token),
        created_by: operator,
        created_at: now,
        expires_at,
    };
    if !tokens::insert_in_tx(&mut tx, new).await? {
        return Err(TokenError::NameTaken(wish.name.clone()));
    }
    let whose = wish.institution.as_deref().unwrap_or("registry");
    let decision = Decision {
        actor: operator,
        action: "token.issue",
        subject: &format!("token {}", wish.name),
        detail: &format!("{whose}: {}; ends {}", scopes.join(","), expires_at.date()),
        at: now,
    };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    let waits = wish.scopes.iter().any(|scope| scope.takes_two());
    Ok(Issued { token, expires_at, waits })
}

/// Confirms a token that takes two people: an approver who did not make it. From then on it is good.
///
/// # Errors
/// See [`TokenError`].
pub async fn confirm(context: &Context, name: &str, approver: &str) -> Result<Applied<()>, TokenError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    person(&mut tx, approver, Role::Approver).await?;
    let token = tokens::find_in_tx(&mut tx, name).await?.filter(|token| token.revoked_at.is_none());
    let token = token.ok_or_else(|| Refusal::not_found(Entity::Token, name))?;
    if !token.scopes.iter().filter_map(|s| Scope::parse(s)).any(Scope::takes_two) {
        return Err(TokenError::NothingToConfirm(name.to_owned()));
    }
    if token.confirmed_by.is_some() {
        return Ok(Applied::Already(()));
    }
    if people::is_same(&token.created_by, approver) {
        return Err(TokenError::SamePerson(approver.to_owned()));
    }
    tokens::confirm_in_tx(&mut tx, token.id, approver, now).await?;
    let subject = format!("token {name}");
    let detail = format!("made by {}: {}", token.created_by, token.scopes.join(","));
    let decision =
        Decision { actor: approver, action: "token.confirm", subject: &subject, detail: &detail, at: now };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}

/// Ends a token.
///
/// # Errors
/// See [`TokenError`].
pub async fn revoke(context: &Context, name: &str, operator: &str) -> Result<Applied<()>, TokenError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    active(&mut tx, operator).await?;
    match tokens::revoke_in_tx(&mut tx, name, now).await? {
        None => return Err(Refusal::not_found(Entity::Token, name).into()),
        Some(false) => return Ok(Applied::Already(())),
        Some(true) => {}
    }
    let subject = format!("token {name}");
    let decision =
        Decision { actor: operator, action: "token.revoke", subject: &subject, detail: "", at: now };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}

fn check(wish: &Wish) -> Result<(), TokenError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if wish.name.is_empty() || wish.name.len() > 40 || !wish.name.bytes().all(allowed) {
        return Err(TokenError::Name(wish.name.clone()));
    }
    if wish.scopes.is_empty() {
        return Err(TokenError::NoScope);
    }
    if let Some(&scope) = wish.scopes.iter().find(|s| s.of_institution() != wish.institution.is_some()) {
        return Err(TokenError::Scope { scope });
    }
    if wish.days == 0 || wish.days > DAYS_MAX { Err(TokenError::Days) } else { Ok(()) }
}

async fn active(connection: &mut sqlx::PgConnection, name: &str) -> Result<(), TokenError> {
    let known = operators::active_in_tx(connection, name).await?;
    known.map(drop).ok_or_else(|| Refusal::not_found(Entity::Operator, name).into())
}

/// Who calls in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Number of the token.
    pub token: i64,
    /// Its name.
    pub name: String,
    /// The provider whose orders it reaches; `None` for the registry's own.
    pub institution: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Until when.
    pub expires_at: OffsetDateTime,
}

/// All callers that are good now, by the SHA-256 of their token.
pub async fn callers(context: &Context) -> Result<HashMap<[u8; 32], Caller>, StoreError> {
    let confirmed: Vec<String> =
        Scope::ALL.iter().filter(|s| s.takes_two()).map(|s| s.as_str().to_owned()).collect();
    let live = tokens::live(&context.store, context.clock.now(), &confirmed).await?;
    live.into_iter()
        .map(|token| {
            let sha256 = token.sha256.try_into().map_err(|_| StoreError::Corrupt("token"))?;
            // A scope that this version does not know gives no right.
            let scopes = token.scopes.iter().filter_map(|s| Scope::parse(s)).collect();
            let caller = Caller {
                token: token.id,
                name: token.name,
                institution: token.institution,
                scopes,
                expires_at: token.expires_at,
            };
            Ok((sha256, caller))
        })
        .collect()
}

/// Whether a token is not good yet, since a second person has to confirm it.
pub fn waits(token: &tokens::Token) -> bool {
    token.confirmed_by.is_none() && token.scopes.iter().filter_map(|s| Scope::parse(s)).any(Scope::takes_two)
}

/// What stands for a token that has a token's form. Looking it up by this hash tells nothing of the token by the time
/// it takes.
pub fn fingerprint(token: &str) -> Option<[u8; 32]> {
    let random = token.strip_prefix(PREFIX)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (random.len() == RANDOM_CHARS && random.bytes().all(allowed)).then(|| digest(token))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The prefix and the bytes in base64url without padding (RFC 4648).
fn write(bytes: &[u8; RANDOM_BYTES]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::from(PREFIX);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_written_in_base64url() {
        // From RFC 4648's alphabet: all zeros, all ones, and a text whose form is known.
        assert_eq!(write(&[0; 32]), format!("sarf_{}", "A".repeat(43)));
        assert_eq!(write(&[255; 32]), format!("sarf_{}8", "_".repeat(42)));
        assert_eq!(
            write(b"any carnal pleasure, any carnal "),
            "sarf_YW55IGNhcm5hbCBwbGVhc3VyZSwgYW55IGNhcm5hbCA"
        );
        assert_eq!(fingerprint(&write(&[7; 32])), Some(digest(&write(&[7; 32]))));
    }

    #[test]
    fn what_has_no_tokens_form_is_not_looked_up() {
        let good = write(&[1; 32]);
        for bad in ["", "sarf_", &good[1..], &good[..47], &format!("{good}A"), &good.replace("AQ", "A+")] {
            assert_eq!(fingerprint(bad), None, "{bad}");
        }
    }

    #[test]
    fn wishes_are_checked() {
        use Scope::{Callbacks, Events, Uploads};
        let says = |name: &str, scopes: &[Scope], institution: Option<&str>, days, expected: &str| {
            let wish = Wish {
                name: name.into(),
                scopes: scopes.to_vec(),
                institution: institution.map(Into::into),
                days,
            };
            assert_eq!(check(&wish).err().map_or(String::new(), |e| e.to_string()), expected);
        };
        says("m2t.live", &[Callbacks, Uploads], Some("m2t"), 90, "");
        says("registry", &[Events], None, 366, "");
        says("", &[Events], None, 90, "`` is not a valid name for a token");
        says("a b", &[Events], None, 90, "`a b` is not a valid name for a token");
        says("x", &[], None, 90, "a token needs a scope");
        says("x", &[Uploads], None, 90, "scope `uploads` is only for tokens of an institution");
        says("x", &[Callbacks, Events], Some("m2t"), 90, "scope `events` is only for tokens of the registry");
        says("x", &[Events], None, 0, "a token is valid for 1 to 366 days");
        says("x", &[Events], None, 367, "a token is valid for 1 to 366 days");
    }
}
