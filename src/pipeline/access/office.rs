//! Where people are entered, and given keys: the database, and the home with its trust.

use std::path::Path;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::people::{Added, PeopleError, is_name, is_same};
use crate::keys::{self, Administrator, KeyRing, Trust};
use crate::pipeline::{Applied, Context};
use crate::store::access::operators::{self, Operator, Role};
use crate::store::audit::chain::{self, Decision};
use crate::store::audit::signing::{self, OperatorKey};
use crate::store::{Store, StoreError};

/// Where people are entered: the database, the home with its trust, the time.
#[derive(Clone, Copy, Debug)]
pub struct Office<'a> {
    store: &'a Store,
    home: &'a Path,
    pub(super) now: OffsetDateTime,
}

impl<'a> Office<'a> {
    /// That of a context.
    pub fn of(context: &'a Context) -> Self {
        Self { store: &context.store, home: &context.home, now: context.clock.now() }
    }

    /// That of a store whose home is this.
    pub const fn at(store: &'a Store, home: &'a Path, now: OffsetDateTime) -> Self {
        Self { store, home, now }
    }

    /// An administrator and people, with keys of their own below the home: for demos, trials and simulations.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn establish(&self, administrator: &str, people: &[(&str, Role)]) -> Result<(), PeopleError> {
        if !Trust::read(self.home)?.knows(administrator) {
            self.name_administrator(administrator, None).await?;
        }
        for (name, role) in people {
            self.add(name, *role, None, administrator).await?;
        }
        Ok(())
    }

    /// Trusts somebody to enrol others: written into the home, and noted in the chain. No one who decides over money is.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn name_administrator(
        &self,
        name: &str,
        key: Option<&str>,
    ) -> Result<(Administrator, bool), PeopleError> {
        let mut tx = self.store.begin().await?;
        let all = operators::all_in_tx(&mut tx).await?;
        if !is_name(name) {
            return Err(PeopleError::Name(name.to_owned()));
        }
        if let Some(known) = all.iter().find(|o| is_same(&o.name, name)) {
            return Err(PeopleError::OtherRole { name: known.name.clone(), role: known.role });
        }
        let public = self.public_key(name, key)?;
        let (fingerprint, _) = keys::read_public(&public)?;
        if let Some(held) = signing::find_in_tx(&mut tx, &fingerprint).await? {
            return Err(PeopleError::KeyOfAnother { fingerprint, holder: held.operator });
        }
        if let Some(known) = Trust::read(self.home)?.key(name, &fingerprint) {
            return Ok((known.clone(), false));
        }
        let added = Trust::add(self.home, name, &public)?;
        self.note(&mut tx, signing::ENGINE, "administrator.add", name, &fingerprint).await?;
        tx.commit().await?;
        Ok((added, true))
    }

    pub(super) async fn add(
        &self,
        name: &str,
        role: Role,
        key: Option<&str>,
        by: &str,
    ) -> Result<Added, PeopleError> {
        let mut tx = self.store.begin().await?;
        let all = operators::all_in_tx(&mut tx).await?;
        let trust = self.trusting(by, Some(name))?;
        let known = all.into_iter().find(|o| is_same(&o.name, name));
        let added = match known {
            None if !is_name(name) => return Err(PeopleError::Name(name.to_owned())),
            None => {
                operators::insert_in_tx(&mut tx, name, role, self.now).await?;
                self.note(&mut tx, by, "operator.add", name, role.as_str()).await?;
                Added::Now
            }
            Some(known) if known.name != name => {
                return Err(PeopleError::Spelling { name: name.to_owned(), known: known.name });
            }
            Some(known) if known.role != role => {
                return Err(PeopleError::OtherRole { name: known.name, role: known.role });
            }
            Some(Operator { removed_by: Some(removed_by), .. }) => {
                operators::set_removed_in_tx(&mut tx, name, None, self.now).await?;
                let detail = format!("{role}; was removed by {removed_by}");
                self.note(&mut tx, by, "operator.back", name, &detail).await?;
                Added::Back { removed_by }
            }
            Some(_) => Added::Already,
        };
        let enrolled = match (key, &added) {
            // Somebody who is there has keys already; another is named, not found.
            (None, Added::Already) => false,
            _ => {
                let public = self.public_key(name, key)?;
                self.enrol_in_tx(&mut tx, (name, role), &public, (by, &trust)).await?.is_now()
            }
        };
        if added != Added::Already || enrolled {
            tx.commit().await?;
        }
        Ok(added)
    }

    /// Gives a key to a person, within the caller's transaction.
    pub(super) async fn enrol_in_tx(
        &self,
        tx: &mut PgConnection,
        (name, role): (&str, Role),
        public: &str,
        (by, trust): (&str, &Trust),
    ) -> Result<Applied<String>, PeopleError> {
        let (fingerprint, public) = keys::read_public(public)?;
        if let Some(administrator) = trust.administrators.iter().find(|a| a.fingerprint == fingerprint) {
            return Err(PeopleError::KeyOfAnother { fingerprint, holder: administrator.name.clone() });
        }
        match signing::find_in_tx(tx, &fingerprint).await? {
            Some(held) if held.operator == name && held.revoked_by.is_none() => {
                return Ok(Applied::Already(fingerprint));
            }
            // A key is one person's for all time, and what was taken away stays so.
            Some(held) => return Err(PeopleError::KeyOfAnother { fingerprint, holder: held.operator }),
            None => {}
        }
        let key = OperatorKey {
            fingerprint: fingerprint.clone(),
            operator: name.to_owned(),
            public_key: public.clone(),
            enrolled_by: by.to_owned(),
            enrolled_at: self.now,
            revoked_by: None,
        };
        signing::insert_in_tx(tx, &key).await?;
        self.note(tx, by, signing::ENROL, name, &format!("{role} {fingerprint} {public}")).await?;
        Ok(Applied::Now(fingerprint))
    }

    /// The trust of the home, where it knows who acts and not whom it is about.
    pub(super) fn trusting(&self, by: &str, about: Option<&str>) -> Result<Trust, PeopleError> {
        let trust = Trust::read(self.home)?;
        if !trust.knows(by) {
            return Err(PeopleError::NotAdministrator(by.to_owned()));
        }
        if let Some(one) = trust.administrators.iter().find(|a| about.is_some_and(|n| is_same(&a.name, n))) {
            return Err(PeopleError::Administrator(one.name.clone()));
        }
        Ok(trust)
    }

    fn public_key(&self, name: &str, key: Option<&str>) -> Result<String, PeopleError> {
        Ok(match key {
            Some(line) => line.to_owned(),
            None => KeyRing::new(self.home).public_or_new(name)?.0,
        })
    }

    pub(super) async fn note(
        &self,
        tx: &mut PgConnection,
        by: &str,
        action: &str,
        name: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        let subject = format!("operator {name}");
        chain::append_in_tx(tx, Decision { actor: by, action, subject: &subject, detail, at: self.now }).await
    }
}
