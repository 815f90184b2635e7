//! What a person signs: a decision as text, the same for whoever reads or checks it.
//!
//! - **Input**: what was decided, on what, with which content, by whom, when, and the head of the audit chain then.
//! - **Output**: the statement, one field a line.
//! - **Guarantee**: one decision has one text; no field can be taken for another, for none holds a line break.
//! - **Limit**: nothing personal stands in it: subjects are numbers, content is hashes, counts and sums.

use std::fmt::Write as _;

use time::{OffsetDateTime, UtcOffset};

/// What a signature is for: one made for anything else is not taken (SSHSIG).
pub const NAMESPACE: &str = "sarf-decision";

/// A decision to be signed.
#[derive(Clone, Copy, Debug)]
pub struct DecisionStatement<'a> {
    /// What: `run.approve`, `order.hold`, …
    pub action: &'a str,
    /// On what: `run 7`, `case 3`, …
    pub subject: &'a str,
    /// Content: hashes, counts, sums, reasons.
    pub detail: &'a str,
    /// By whom.
    pub by: &'a str,
    /// When.
    pub at: OffsetDateTime,
    /// Hash of the audit record before it.
    pub after: &'a [u8],
}

impl DecisionStatement<'_> {
    /// The text, of seven lines.
    pub fn text(&self) -> String {
        let mut text = String::from("sarf decision, version 1\n");
        for (name, value) in
            [("action", self.action), ("subject", self.subject), ("content", self.detail), ("by", self.by)]
        {
            let _ = writeln!(text, "{name}: {}", on_one_line(value));
        }
        let at = self.at.to_offset(UtcOffset::UTC);
        let _ = writeln!(
            text,
            "at: {}T{:02}:{:02}:{:02}.{:06}Z",
            at.date(),
            at.hour(),
            at.minute(),
            at.second(),
            at.microsecond()
        );
        let _ = writeln!(text, "after: {}", super::hex(self.after));
        text
    }
}

/// A value without line breaks, from which it can be told where one was.
fn on_one_line(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_decision_has_one_text_and_fields_cannot_be_forged() {
        let decision = DecisionStatement {
            action: "run.approve",
            subject: "run 7",
            detail: "why\nby: chafik",
            by: "brahim",
            at: datetime!(2026-11-24 10:00:00.000123 +01:00),
            after: &[7; 32],
        };
        let expected = format!(
            "sarf decision, version 1\naction: run.approve\nsubject: run 7\ncontent: why\\nby: chafik\nby: brahim\n\
             at: 2026-11-24T09:00:00.000123Z\nafter: {}\n",
            "07".repeat(32)
        );
        assert_eq!(decision.text(), expected);
        let other = DecisionStatement { detail: "why\\nby: chafik", ..decision };
        assert_ne!(other.text(), decision.text());
    }
}
