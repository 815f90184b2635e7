//! Who may do what: one table, asked where a decision is signed, whatever way it came in by.
//!
//! - **Input**: a role, or an administrator, and the action as the audit chain names it.
//! - **Output**: whether that is theirs to do.
//! - **Guarantee**: what stands in no row is nobody's. No one holds two of preparer, approver and accountant, nor administrator with any
//!   of them; so no row of money has one person alone: what one role makes, another approves and a third pays.
//! - **Limit**: who has acted on the other side of one run or case before is asked where the run or case is known.

use super::listed::listed;

listed! {
    /// What a person may do. No one holds two roles.
    Role {
        /// Makes and submits runs.
        Preparer = "preparer",
        /// Approves them.
        Approver = "approver",
        /// Funds and releases them, closes the books.
        Accountant = "accountant",
    }
}

use Role::{Accountant, Approver, Preparer};

/// Actions of people, each with the roles that may take it.
pub const POWERS: &[(&str, &[Role])] = &[
    ("run.compute", &[Preparer]),
    ("correction.nothing", &[Preparer]),
    ("run.acknowledge", &[Preparer]),
    ("run.submit", &[Preparer]),
    // Above `decisions.second_approver_above` two of them, one after the other.
    ("run.approve-first", &[Approver]),
    ("run.approve", &[Approver]),
    ("run.fund", &[Accountant]),
    ("run.release", &[Accountant]),
    ("run.pause", &[Accountant]),
    ("run.resume", &[Accountant]),
    ("run.close", &[Accountant]),
    // Whoever finds it stale sends it back; whoever finds it wrong gives it up: neither moves money.
    ("run.stale", &[Approver, Accountant]),
    ("run.cancel", &[Preparer, Approver, Accountant]),
    ("approval.propose", &[Preparer]),
    ("approval.approve", &[Approver]),
    ("approval.fund", &[Accountant]),
    ("approval.revoke", &[Preparer, Approver, Accountant]),
    ("order.hold", &[Preparer]),
    ("order.propose-release", &[Preparer]),
    // Before its run is funded the preparer alone; after it the approver confirms what the preparer proposed.
    ("order.release", &[Preparer, Approver]),
    ("order.reissue", &[Preparer]),
    ("order.recall", &[Accountant]),
    ("order.doubt", &[Accountant]),
    ("batch.again", &[Accountant]),
    ("delivery.again", &[Accountant]),
    ("delivery.there", &[Accountant]),
    ("feedback.dismiss", &[Accountant]),
    ("feedback.accept_breaks", &[Accountant]),
    ("break.resolve", &[Accountant]),
    ("break.propose", &[Accountant]),
    ("break.explain", &[Accountant]),
    ("break.confirm", &[Approver, Accountant]),
    ("break.reopen", &[Approver, Accountant]),
    // Releasing a correction run opens the cases that it found.
    ("recovery.open", &[Preparer, Accountant]),
    ("recovery.planned", &[Preparer]),
    ("recovery.complaint", &[Preparer]),
    ("recovery.upheld", &[Approver]),
    ("recovery.granted", &[Approver]),
    ("recovery.appeal", &[Preparer]),
    ("recovery.appeal_upheld", &[Approver]),
    ("recovery.appeal_granted", &[Approver]),
    ("recovery.recalled", &[Accountant]),
    ("recovery.repaid", &[Accountant]),
    ("recovery.write_off_proposed", &[Accountant]),
    ("recovery.written_off", &[Approver]),
    ("recovery.write_off_refused", &[Approver]),
    ("token.issue", &[Preparer, Approver, Accountant]),
    ("token.confirm", &[Approver]),
    ("token.revoke", &[Preparer, Approver, Accountant]),
];

/// Actions of administrators: people and keys, no money.
pub const OF_ADMINISTRATORS: &[&str] =
    &["operator.add", "operator.back", "operator.remove", "key.enrol", "key.revoke"];

/// Whether a role may take an action.
pub fn may(role: Role, action: &str) -> bool {
    POWERS.iter().any(|(known, roles)| *known == action && roles.contains(&role))
}

/// Whether an administrator may.
pub fn administrator_may(action: &str) -> bool {
    OF_ADMINISTRATORS.contains(&action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_alone_moves_money_and_no_administrator_does() {
        let takes = |role: Role, steps: &[&str]| steps.iter().all(|step| may(role, step));
        for role in Role::ALL {
            assert!(!takes(*role, &["run.submit", "run.approve"]), "{role}");
            assert!(!takes(*role, &["run.approve", "run.fund"]), "{role}");
            assert!(!takes(*role, &["run.submit", "run.fund"]), "{role}");
            assert!(!takes(*role, &["recovery.write_off_proposed", "recovery.written_off"]), "{role}");
            assert!(!takes(*role, &["approval.propose", "approval.approve"]), "{role}");
            assert!(!may(*role, "run.do-as-one-likes"), "what stands in no row is nobody's");
        }
        for (action, roles) in POWERS {
            assert!(!administrator_may(action) && !roles.is_empty(), "{action}");
            assert_eq!(POWERS.iter().filter(|(other, _)| other == action).count(), 1, "{action}");
        }
    }
}
