//! What is done about an order that ended unpaid: decided by where it stands and the reason its provider gave.
//!
//! Input: the state, the reason code and the attempt. Output: a [`Verdict`]. Guarantee: every order has one; attempts
//! that are used up end with an operator, never in silence. Limit: the policy knows no payees: whether another account
//! or lane is there is the pipeline's to find out ([`Waits`]).

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use serde::Deserialize;
use time::Date;

use super::order::OrderState;
use super::period::Period;
use crate::domain::listed::listed;

listed! {
    /// What is done about an order that ended unpaid.
    Decision {
        /// Paid again in the next reissue run, to where the payee is paid.
        Retry = "retry",
        /// Paid again once the payee has another account or phone.
        AskAccount = "ask_account",
        /// Paid again as cash at a payment point.
        ChangeLane = "change_lane",
        /// A person looks into it first.
        Case = "case",
        /// An operator puts it right and puts it forward.
        Repair = "repair",
        /// Never paid again for this: the first delivery may be paid.
        Never = "never",
        /// Put forward by an operator.
        PutForward = "put_forward",
    }
}

listed! {
    /// Why an order that ended unpaid is not paid again now.
    Waits {
        /// A person looks into it first.
        Case = "case",
        /// An operator must put it right and put it forward.
        Repair = "repair",
        /// The reason speaks of a second delivery.
        SecondDelivery = "second_delivery",
        /// All attempts are used up: an operator must look at it.
        AttemptsUsedUp = "attempts_used_up",
        /// The registry knows no other account or phone yet.
        SameAccount = "same_account",
        /// No phone is known, without which no payment point pays.
        NoPhone = "no_phone",
        /// It went by the only other lane already, or none is configured.
        NoOtherLane = "no_other_lane",
        /// The bank announced the return; its account statement has not booked it yet.
        ReturnNotBooked = "return_not_booked",
        /// The claim has lapsed.
        Prescribed = "prescribed",
        /// Nothing: all of it was found undue.
        Undue = "undue",
        /// An open break may mean that the claim is paid: a person decides it first.
        InQuestion = "in_question",
    }
}

/// What a reason leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is done.
    pub decision: Decision,
    /// Most orders for one claim, the first one too.
    pub attempts_max: NonZeroU16,
}

/// `config/reasons.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PolicyFile")]
pub struct Policy {
    default: Rule,
    expired: Rule,
    /// By code in capitals.
    reason: BTreeMap<String, Rule>,
    /// Words of a refusal as a second delivery, folded.
    second_delivery_words: Vec<String>,
    harmless: BTreeMap<StatedOf, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    default: Rule,
    expired: Rule,
    #[serde(default)]
    reason: BTreeMap<String, Rule>,
    #[serde(default)]
    second_delivery_words: Vec<String>,
    #[serde(default)]
    harmless: BTreeMap<StatedOf, BTreeMap<String, String>>,
}

/// What a status is stated of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatedOf {
    /// A file of ours, or its payment information (pain.002).
    File,
    /// A transaction (pain.002).
    Transaction,
    /// A recall (camt.029).
    Recall,
    /// An entry of a statement (camt.053, camt.054).
    Entry,
}

/// The file that the engine is shipped with.
const SHIPPED: &str = include_str!("../../config/reasons.toml");

/// Whether a code refuses a second delivery, by the standard.
pub fn is_second_delivery(code: &str) -> bool {
    second_delivery_codes().iter().any(|known| known == code)
}

/// Codes by which the standard lets a bank refuse what it received before: those that are `never` in the `config/reasons.toml`
/// that the engine is shipped with. No configuration may have their orders paid again.
pub fn second_delivery_codes() -> &'static [String] {
    static CODES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let shipped: PolicyFile = toml::from_str(SHIPPED).expect("a test reads the shipped file");
        let never = |(code, rule): (String, Rule)| (rule.decision == Decision::Never).then_some(code);
        shipped.reason.into_iter().filter_map(never).collect()
    });
    &CODES
}

impl TryFrom<PolicyFile> for Policy {
    type Error = String;

    fn try_from(file: PolicyFile) -> Result<Self, String> {
        let mut reason = BTreeMap::new();
        for (code, rule) in file.reason {
            if reason.insert(folded_code(&code), rule).is_some() {
                return Err(format!("reason `{code}` is listed twice"));
            }
        }
        for code in second_delivery_codes() {
            if reason.get(code).is_none_or(|rule| rule.decision != Decision::Never) {
                return Err(format!(
                    "reason `{code}` refuses a second delivery: its decision is `never`, since the first may be paid"
                ));
            }
        }
        for (code, why) in file.harmless.values().flatten() {
            if why.trim().is_empty() {
                return Err(format!("status `{code}` is listed as harmless without saying why"));
            }
        }
        let second_delivery_words =
            file.second_delivery_words.iter().map(|w| folded_text(w)).filter(|w| !w.is_empty()).collect();
        let PolicyFile { default, expired, harmless, .. } = file;
        Ok(Self { default, expired, reason, second_delivery_words, harmless })
    }
}

/// A code as it is compared: banks pad and vary the case of what they take over.
fn folded_code(code: &str) -> String {
    code.trim().to_ascii_uppercase()
}

/// A text as it is compared: small letters, without the accents of French.
fn folded_text(text: &str) -> String {
    let plain = |c: char| match c {
        'à' | 'â' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'î' | 'ï' => 'i',
        'ô' => 'o',
        'ù' | 'û' => 'u',
        'ç' => 'c',
        c if c.is_whitespace() => ' ',
        c => c,
    };
    text.trim().to_lowercase().chars().map(plain).collect()
}

/// What the policy says of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// What is done.
    pub decision: Decision,
    /// Most orders for the claim.
    pub attempts_max: NonZeroU16,
    /// Set where nothing can be done by a run alone.
    pub waits: Option<Waits>,
}

impl Policy {
    /// What is done about an order that stands rejected, returned or expired after its `attempt`th attempt. An expiry
    /// goes by its own rule, unless the provider gave a reason that is listed.
    pub fn judge(&self, state: OrderState, reason: Option<&str>, attempt: u16) -> Verdict {
        let rule = self.rule(state, reason);
        let waits = match rule.decision {
            Decision::Case => Some(Waits::Case),
            Decision::Never => Some(Waits::SecondDelivery),
            _ if attempt >= rule.attempts_max.get() => Some(Waits::AttemptsUsedUp),
            Decision::Repair | Decision::PutForward => Some(Waits::Repair),
            Decision::Retry | Decision::AskAccount | Decision::ChangeLane => None,
        };
        Verdict { decision: rule.decision, attempts_max: rule.attempts_max, waits }
    }

    fn rule(&self, state: OrderState, reason: Option<&str>) -> Rule {
        let unlisted = if state == OrderState::Expired { self.expired } else { self.default };
        reason.and_then(|r| self.reason.get(&folded_code(r))).copied().unwrap_or(unlisted)
    }

    /// What the line of a reason says; `None` where it has none.
    pub fn decision_of(&self, code: &str) -> Option<Decision> {
        self.reason.get(&folded_code(code)).map(|rule| rule.decision)
    }

    /// Whether a text refuses a second delivery in words.
    pub fn says_second_delivery(&self, text: &str) -> bool {
        !text.is_empty() && {
            let text = folded_text(text);
            self.second_delivery_words.iter().any(|word| text.contains(word.as_str()))
        }
    }

    /// Whether a status that moves nothing may be passed over.
    pub fn is_harmless(&self, of: StatedOf, status: &str) -> bool {
        self.harmless.get(&of).is_some_and(|listed| listed.contains_key(status))
    }

    /// Whether a person must look into an order that ended so, before the payee is paid anything again.
    pub fn throws_doubt(&self, state: OrderState, reason: Option<&str>) -> bool {
        self.rule(state, reason).decision == Decision::Case
    }

    /// Whether a reason has a line of its own.
    pub fn lists(&self, reason: &str) -> bool {
        self.reason.contains_key(&folded_code(reason))
    }
}

impl Verdict {
    /// Whether an operator may put such an order forward; with a payee in doubt, once the doubt is cleared up. What may be
    /// paid already and what waits for the payee's word is not an operator's to decide.
    pub fn may_be_put_forward(&self) -> bool {
        match self.waits {
            Some(waits) => matches!(waits, Waits::Case | Waits::Repair | Waits::AttemptsUsedUp),
            None => self.decision == Decision::ChangeLane,
        }
    }
}

/// The first day on which a claim has lapsed: so many years after the first day of its budget year. `None` beyond the
/// calendar.
pub fn prescribed_on(claim: Period, years: u8) -> Option<Date> {
    Date::from_calendar_date(claim.year() + i32::from(years), time::Month::January, 1).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn policy() -> Policy {
        toml::from_str(SHIPPED).unwrap()
    }

    #[test]
    fn verdicts_follow_state_reason_and_attempt() {
        use OrderState::{Expired, Rejected, Returned};
        let policy = policy();
        for (state, reason, attempt, decision, waits) in [
            (Returned, Some("AC04"), 1, Decision::AskAccount, None),
            (Returned, Some("AC04"), 4, Decision::AskAccount, Some(Waits::AttemptsUsedUp)),
            (Rejected, Some(" MS03"), 2, Decision::Retry, None),
            (Rejected, Some("MS03"), 3, Decision::Retry, Some(Waits::AttemptsUsedUp)),
            (Returned, Some("AC06"), 1, Decision::ChangeLane, None),
            (Returned, Some("MD07"), 1, Decision::Case, Some(Waits::Case)),
            (Rejected, Some("DUPL"), 1, Decision::Never, Some(Waits::SecondDelivery)),
            (Rejected, Some("XX99"), 1, Decision::Repair, Some(Waits::Repair)),
            (Rejected, None, 1, Decision::Repair, Some(Waits::Repair)),
            (Expired, None, 1, Decision::Retry, None),
            (Expired, Some("swept"), 1, Decision::Retry, None),
            (Expired, Some("FRAD"), 1, Decision::Case, Some(Waits::Case)),
        ] {
            let verdict = policy.judge(state, reason, attempt);
            assert_eq!((verdict.decision, verdict.waits), (decision, waits), "{state} {reason:?} {attempt}");
        }
    }

    #[test]
    fn every_reason_that_can_be_met_has_a_line() {
        let policy = policy();
        for reason in [
            "AC01", "AC03", "AC04", "AC06", "AC07", "AG01", "AG03", "AM02", "AM04", "AM05", "AM09", "AM10",
            "BE01", "BE06", "BE23", "MD07", "RC04", "RR04", "MS03", "FOCR", "DUPL", "NARR", "FR01", "FF01",
            "DU01", "DU02", "DU03", "DU04", "DU05", "AGNT", "CURR", "CUST", "CUTA", "FRAD", "TECH", "UPAY",
        ] {
            assert!(policy.lists(reason), "{reason}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        for text in [
            "[default]\ndecision = \"repair\"\nattempts_max = 0\n[expired]\ndecision = \"retry\"\nattempts_max = 2",
            "[default]\ndecision = \"pray\"\nattempts_max = 1\n[expired]\ndecision = \"retry\"\nattempts_max = 2",
            "[default]\ndecision = \"repair\"\nattempts_max = 1\nluck = 1\n[expired]\ndecision = \"retry\"\nattempts_max = 2",
            "[default]\ndecision = \"repair\"\nattempts_max = 1",
        ] {
            assert!(toml::from_str::<Policy>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_second_delivery_is_never_paid_again_whatever_is_configured() {
        let text = SHIPPED;
        assert_eq!(second_delivery_codes(), ["AM05", "DU01", "DU02", "DU03", "DU04", "DU05", "DUPL"]);
        for code in second_delivery_codes() {
            let line = format!("{code} = {{ decision = \"never\"");
            assert!(text.contains(&line), "{line}");
            let changed = text.replace(&line, &format!("{code} = {{ decision = \"retry\""));
            let error = toml::from_str::<Policy>(&changed).unwrap_err().to_string();
            assert!(error.contains(&format!("`{code}` refuses a second delivery")), "{error}");
            let dropped: String =
                text.lines().filter(|l| !l.starts_with(&line)).collect::<Vec<_>>().join("\n");
            assert!(toml::from_str::<Policy>(&dropped).is_err(), "{code} dropped");
        }
    }

    #[test]
    fn harmless_statuses_are_known_by_place_and_spelling() {
        let policy = policy();
        for (of, status, harmless) in [
            (StatedOf::File, "PART", true),
            (StatedOf::Transaction, "PART", false),
            (StatedOf::Transaction, "PDNG", true),
            (StatedOf::Transaction, "pdng", false),
            (StatedOf::Transaction, "rjct", false),
            (StatedOf::Transaction, "ACIS", false),
            (StatedOf::Recall, "IPAY", false),
            (StatedOf::Recall, "", false),
            (StatedOf::Entry, "PDNG", true),
        ] {
            assert_eq!(policy.is_harmless(of, status), harmless, "{of:?} {status}");
        }
    }

    #[test]
    fn claims_lapse_after_their_budget_year() {
        for (claim, on) in [("2026-01", date!(2030 - 01 - 01)), ("2026-12", date!(2030 - 01 - 01))] {
            assert_eq!(prescribed_on(claim.parse().unwrap(), 4), Some(on));
        }
    }
}
