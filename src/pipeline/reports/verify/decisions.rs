//! What `sarf verify` proves of people: each decision bears the signature of who took it, by a key that an administrator had enrolled for
//! them by then; what a run says of its deciders is what they signed; and they are three.
//!
//! Guarantee: worked out from the signed records alone, from the administrators in the home on: no table of the database is believed.
//! Limit: records from before signatures were begun bear none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Proof, named, proof};
use crate::domain::powers::{self, Role};
use crate::domain::statement_of_decision::{DecisionStatement, NAMESPACE};
use crate::keys::{self, Trust};
use crate::pipeline::Context;
use crate::pipeline::access::people::is_same;
use crate::store::StoreError;
use crate::store::audit::signing::{self, Deciders, DecisionRecord};
use crate::store::runs::standing_approvals::{self, StandingApproval};

/// Faults that are named.
const NAMED_MAX: usize = 20;

/// A key, as the signed records have it.
#[derive(Debug)]
struct Enrolled {
    name: String,
    role: Role,
    public: String,
    /// Places in the chain: enrolled there, taken away there.
    from: i64,
    until: Option<i64>,
}

/// What the records come to.
#[derive(Debug, Default)]
struct Ledger {
    keys: HashMap<String, Enrolled>,
    seen: BTreeSet<String>,
    faults: Vec<String>,
    signed: i64,
    /// Who was removed, and is not back.
    removed: BTreeSet<String>,
    /// Where signatures began.
    begun: Option<i64>,
    /// By action and subject: who signed it last, and what.
    decided: BTreeMap<(String, String), (String, String, bool)>,
}

/// The proofs over decisions.
pub(super) async fn prove(context: &Context, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let store = &context.store;
    let records = signing::records(store).await?;
    let (trust, unread) = match store.keys().map(|keys| keys.trust()) {
        None => (Trust::default(), None),
        Some(Ok(trust)) => (trust, None),
        Some(Err(error)) => (Trust::default(), Some(error.to_string())),
    };
    let ledger = tokio::task::spawn_blocking(move || {
        let mut ledger = Ledger::default();
        records.iter().for_each(|record| ledger.take(record, &trust));
        ledger
    });
    let mut ledger = ledger.await.expect("checking does not panic");
    ledger.faults.extend(unread);
    let kept = signing::list(store).await?;
    ledger.compare(&kept);
    let wrong = ledger.faults.len();
    let names: Vec<String> = ledger.faults.iter().take(NAMED_MAX).cloned().collect();
    let mut figures =
        format!("{} signed decisions, {} keys, {wrong} differ", ledger.signed, ledger.keys.len());
    if wrong > 0 {
        figures.push_str(&format!(": {}", named(wrong as i64, &names)));
    }
    found.push(proof(5, "all", "each decision is signed by who took it", figures, wrong == 0));
    runs(&ledger, &signing::deciders(store).await?, found);
    standing(&ledger, &standing_approvals::list(store).await?, found);
    Ok(())
}

impl Ledger {
    fn take(&mut self, record: &DecisionRecord, trust: &Trust) {
        if record.actor == signing::ENGINE {
            self.begun.get_or_insert(record.sequence);
            return;
        }
        let good = match &record.signed {
            None if self.begun.is_none() => false,
            None => {
                self.fault(record, "bears no signature");
                false
            }
            Some((fingerprint, signature, after, place)) => {
                let found = self.check(record, trust, (fingerprint, signature, after, *place));
                match found {
                    Ok(()) => self.signed += 1,
                    Err(what) => self.fault(record, what),
                }
                found.is_ok()
            }
        };
        // Before signatures were begun, what was recorded counts; after, only what is signed.
        let counts = good || self.begun.is_none();
        self.decided.insert(
            (record.action.clone(), record.subject.clone()),
            (record.actor.clone(), record.detail.clone(), counts),
        );
        if good {
            self.follow(record, trust);
        }
    }

    /// Whether a signature is of the decision, by a key that its maker held then.
    fn check(
        &mut self,
        record: &DecisionRecord,
        trust: &Trust,
        (fingerprint, signature, after, place): (&str, &str, &[u8], Option<i64>),
    ) -> Result<(), &'static str> {
        if place.is_none_or(|place| place >= record.sequence) && (record.sequence > 1 || after != [0; 32]) {
            return Err("names a head that is no record before it");
        }
        let own = self.keys.get(fingerprint).filter(|key| {
            key.name == record.actor
                && key.from < record.sequence
                && key.until.is_none_or(|until| record.sequence < until)
        });
        let public = own.map(|key| key.public.as_str());
        let public = public.or_else(|| trust.key(&record.actor, fingerprint).map(|a| a.public.as_str()));
        let public = public.ok_or("is signed by a key that its maker did not hold then")?;
        let statement = DecisionStatement {
            action: &record.action,
            subject: &record.subject,
            detail: &record.detail,
            by: &record.actor,
            at: record.at,
            after,
        };
        if !keys::verifies(public, NAMESPACE, &statement.text(), signature) {
            return Err("bears a signature over something else");
        }
        if self.removed.contains(&record.actor) {
            return Err("is by somebody who had been removed");
        }
        let theirs = match own {
            Some(key) => powers::may(key.role, &record.action),
            None => powers::administrator_may(&record.action),
        };
        if !theirs {
            return Err("is not for its maker to decide");
        }
        if !self.seen.insert(signature.to_owned()) {
            return Err("bears a signature that was used before");
        }
        Ok(())
    }

    /// Keys that a decision gives and takes.
    fn follow(&mut self, record: &DecisionRecord, trust: &Trust) {
        let of_administrator = trust.knows(&record.actor);
        let Some(name) = record.subject.strip_prefix("operator ") else { return };
        match record.action.as_str() {
            signing::ENROL if !of_administrator => {
                self.fault(record, "enrols a key on the word of no administrator")
            }
            signing::ENROL => {
                let mut words = record.detail.splitn(3, ' ');
                let role = words.next().and_then(Role::parse);
                let (Some(role), Some(fingerprint), Some(public)) = (role, words.next(), words.next()) else {
                    return self.fault(record, "enrols nothing that is a key");
                };
                let is = keys::read_public(public).is_ok_and(|(read, _)| read == fingerprint);
                let taken = self.keys.contains_key(fingerprint)
                    || trust
                        .administrators
                        .iter()
                        .any(|a| a.fingerprint == fingerprint || is_same(&a.name, name));
                if !is || taken {
                    return self.fault(record, "enrols a key that is another's, or none");
                }
                let key = Enrolled {
                    name: name.to_owned(),
                    role,
                    public: public.to_owned(),
                    from: record.sequence,
                    until: None,
                };
                self.keys.insert(fingerprint.to_owned(), key);
            }
            "operator.remove" if of_administrator => {
                self.removed.insert(name.to_owned());
            }
            "operator.back" if of_administrator => {
                self.removed.remove(name);
            }
            signing::REVOKE if of_administrator => {
                if let Some(key) = self.keys.get_mut(&record.detail) {
                    key.until.get_or_insert(record.sequence);
                }
            }
            _ => {}
        }
    }

    /// The kept table beside what the records say.
    fn compare(&mut self, kept: &[signing::OperatorKey]) {
        for key in kept {
            let same = self.keys.get(&key.fingerprint).is_some_and(|known| {
                known.name == key.operator
                    && known.public == key.public_key
                    && known.until.is_some() == key.revoked_by.is_some()
            });
            if !same {
                self.faults.push(format!(
                    "key {} of {} is not as the records have it",
                    key.fingerprint, key.operator
                ));
            }
        }
        let there: BTreeSet<&str> = kept.iter().map(|key| key.fingerprint.as_str()).collect();
        let gone: Vec<String> = self.keys.keys().filter(|f| !there.contains(f.as_str())).cloned().collect();
        self.faults.extend(
            gone.into_iter().map(|fingerprint| format!("key {fingerprint} was taken out of the table")),
        );
    }

    fn fault(&mut self, record: &DecisionRecord, what: &str) {
        let DecisionRecord { sequence, actor, action, subject, .. } = record;
        self.faults.push(format!("record {sequence} ({action} of {subject} by {actor}) {what}"));
    }
}

/// Who decided on each run, by its rows and by what was signed.
fn runs(ledger: &Ledger, rows: &[Deciders], found: &mut Vec<Proof>) {
    let mut faults = Vec::new();
    for run in rows {
        let steps = [
            ("run.submit", &run.submitted_by),
            ("run.approve-first", &run.first_approver),
            ("run.approve", &run.approved_by),
            ("run.fund", &run.funded_by),
        ];
        let subject = format!("run {}", run.id);
        let mut people: Vec<&str> = Vec::new();
        for (action, by) in steps {
            let Some(by) = by else { continue };
            let signed = ledger.decided.get(&(action.to_owned(), subject.clone()));
            let content = run.content_sha256.as_deref().unwrap_or("none");
            let holds = signed.is_some_and(|(who, detail, counts)| {
                // Before contents were named whole, funding named its sum alone.
                who == by
                    && *counts
                    && (detail.contains(content) || ledger.begun.is_none() || !detail.contains("sha256"))
            });
            if !holds {
                faults.push(format!(
                    "{action} of {subject} by {by}, of content {}, is signed by nobody",
                    short(content)
                ));
            }
            if people.iter().any(|known| is_same(known, by)) {
                faults.push(format!("{by} decided twice on {subject}"));
            }
            people.push(by);
        }
    }
    let wrong = faults.len();
    faults.truncate(NAMED_MAX);
    let mut figures = format!("{} runs, {wrong} differ", rows.len());
    if wrong > 0 {
        figures.push_str(&format!(": {}", named(wrong as i64, &faults)));
    }
    let claim = "each run was submitted, approved and funded by three people, over the content that it has";
    found.push(proof(1, "all", claim, figures, wrong == 0));
}

/// Who proposed, approved and funded each standing approval, by its rows and by what was signed.
fn standing(ledger: &Ledger, rows: &[StandingApproval], found: &mut Vec<Proof>) {
    let mut faults = Vec::new();
    for one in rows {
        let subject = format!("standing approval {}", one.id);
        let limits = format!("{} for an order, {} for a day", one.order_max, one.day_max);
        let proposed = Some(one.proposed_by.clone());
        for (action, by) in [
            ("approval.propose", &proposed),
            ("approval.approve", &one.approved_by),
            ("approval.fund", &one.funded_by),
        ] {
            let Some(by) = by else { continue };
            let signed = ledger.decided.get(&(action.to_owned(), subject.clone()));
            let holds =
                signed.is_some_and(|(who, detail, counts)| who == by && *counts && detail.contains(&limits));
            if !holds {
                faults.push(format!("{action} of {subject} by {by}, of {limits}, is signed by nobody"));
            }
        }
    }
    let wrong = faults.len();
    faults.truncate(NAMED_MAX);
    let mut figures = format!("{} standing approvals, {wrong} differ", rows.len());
    if wrong > 0 {
        figures.push_str(&format!(": {}", named(wrong as i64, &faults)));
    }
    let claim = "each standing approval is what was signed, by whom its rows name";
    found.push(proof(1, "all", claim, figures, wrong == 0));
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
