//! Why a bank or provider says what it says: all reasons, as they were sent, and what follows from all of them together.
//!
//! Input: the reasons stated with an order and with whatever it stands in (its payment information, its message).
//! Output: a [`Why`]. Guarantee: no reason is dropped; a reason stated once above holds for what stands beneath and
//! has none; a refusal as a second delivery anywhere on the way up wins.
//! Limit: of the texts 2,000 characters are kept; characters that steer a terminal are not.

use super::policy::{Decision, Policy};

/// Most reasons of one place, and bytes of one text: no honest message comes near.
const REASONS_MAX: usize = 10_000;
const INFO_BYTES_MAX: usize = 4_000;
/// Most characters that are kept of all reasons together.
const TOLD_CHARS_MAX: usize = 2_000;

/// One reason as it was sent. Texts are empty where nothing was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// The code, of a code list or of the sender's own.
    pub code: String,
    /// Additional information; several lines are joined by blanks.
    pub info: String,
}

impl Reason {
    /// Empties the texts and keeps their buffers.
    pub fn clear(&mut self) {
        self.code.clear();
        self.info.clear();
    }

    /// True if neither a code nor a text was given.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty() && self.info.is_empty()
    }

    /// Adds a line of additional information.
    pub fn add_info(&mut self, line: &str) {
        if self.info.len() + line.len() > INFO_BYTES_MAX {
            return;
        }
        if !self.info.is_empty() && !line.is_empty() {
            self.info.push(' ');
        }
        self.info.push_str(line);
    }
}

/// All reasons stated in one place of a message, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(Vec<Reason>);

impl Reasons {
    /// One reason; none where both texts are empty.
    pub fn one(code: impl Into<String>, info: impl Into<String>) -> Self {
        let reason = Reason { code: code.into(), info: info.into() };
        Self(if reason.is_empty() { Vec::new() } else { vec![reason] })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Begins another one.
    pub fn begin(&mut self) {
        if self.0.len() < REASONS_MAX {
            self.0.push(Reason::default());
        }
    }

    /// The one under way; one is begun where there is none.
    pub fn under_way(&mut self) -> &mut Reason {
        if self.0.is_empty() {
            self.begin();
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Those that say anything.
    pub fn iter(&self) -> impl Iterator<Item = &Reason> {
        self.0.iter().filter(|r| !r.is_empty())
    }

    /// True where nothing was given.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The first code; empty where none was given.
    pub fn first_code(&self) -> &str {
        self.iter().next().map_or("", |r| r.code.as_str())
    }
}

/// Why something was said of an order or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// The code that decides what is done, as it was sent.
    pub code: Option<Box<str>>,
    /// All reasons, with their texts.
    pub told: Option<Box<str>>,
    /// Whether a second delivery is refused: that says nothing of the first, which may be paid.
    pub second: bool,
    /// Whether one of the reasons is a case for a person.
    pub case: bool,
}

impl Why {
    /// What is said of it after a sentence of ours: all reasons, or nothing.
    pub fn suffix(&self) -> String {
        self.told.as_deref().map_or_else(String::new, |told| format!(" (reason given: {told})"))
    }
}

impl Policy {
    /// What follows from reasons: those of the thing itself first, then those of each level above it.
    pub fn why(&self, levels: &[&Reasons]) -> Why {
        let own = levels.iter().find(|r| !r.is_empty());
        let second = |r: &&Reason| self.is_second_delivery(r);
        let mut counted: Vec<&Reason> = own.map_or_else(Vec::new, |r| r.iter().collect());
        let above: Vec<&Reason> = levels.iter().flat_map(|r| r.iter()).filter(second).collect();
        // What was refused above as a second delivery is told too, once.
        counted.extend(above.iter().filter(|r| !own.is_some_and(|o| o.iter().any(|x| x == **r))));
        let decision = |r: &Reason| self.decision_of(&r.code);
        let code = counted.iter().min_by_key(|r| (self.caution(r), r.code.is_empty()));
        Why {
            code: code.map(|r| clean(&r.code)).filter(|c| !c.is_empty()).map(String::into_boxed_str),
            told: told(&counted).map(String::into_boxed_str),
            second: !above.is_empty(),
            case: counted.iter().any(|r| decision(r) == Some(Decision::Case)),
        }
    }

    /// Whether a reason refuses a second delivery: by its code, or by words where a sender has no code for it.
    pub fn is_second_delivery(&self, reason: &Reason) -> bool {
        self.decision_of(&reason.code) == Some(Decision::Never)
            || self.says_second_delivery(&reason.code)
            || self.says_second_delivery(&reason.info)
    }

    /// How careful one must be with a reason, the most careful first. One that no line speaks of decides only where it
    /// stands alone.
    fn caution(&self, reason: &Reason) -> u8 {
        match self.decision_of(&reason.code) {
            _ if self.is_second_delivery(reason) => 0,
            Some(Decision::Never) => 0,
            Some(Decision::Case) => 1,
            Some(Decision::Repair | Decision::PutForward) => 2,
            Some(Decision::AskAccount) => 3,
            Some(Decision::ChangeLane) => 4,
            Some(Decision::Retry) => 5,
            None => 6,
        }
    }
}

/// What one message says of a whole file, in one or several places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileWords {
    accepted: Level,
    rejected: Level,
    /// It says of an order of the file that it is not rejected.
    pub orders_live: bool,
}

/// Whether and how narrowly something is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Unsaid,
    /// Of the message.
    Wide,
    /// Of its payment information.
    Narrow,
}

/// What one message says of a whole file, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileVerdict {
    /// Nothing.
    Nothing,
    /// It is taken.
    Accepted,
    /// None of it is.
    Rejected,
    /// Both: a person must ask.
    Contradicted,
}

impl FileWords {
    /// Adds what is said of the message, or, `narrow`, of its payment information.
    pub fn add(&mut self, narrow: bool, rejected: bool) {
        let level = if narrow { Level::Narrow } else { Level::Wide };
        let said = if rejected { &mut self.rejected } else { &mut self.accepted };
        *said = level.max(*said);
    }

    /// The verdict. What is said of the payment information says more than what is said of the message: a message that was
    /// taken may hold payment information that was not, but not the other way round.
    pub fn verdict(self) -> FileVerdict {
        let taken_as_narrowly = self.accepted != Level::Unsaid && self.accepted >= self.rejected;
        match (self.accepted, self.rejected) {
            (Level::Unsaid, Level::Unsaid) => FileVerdict::Nothing,
            (_, Level::Unsaid) => FileVerdict::Accepted,
            _ if self.orders_live || taken_as_narrowly => FileVerdict::Contradicted,
            _ => FileVerdict::Rejected,
        }
    }
}

/// All reasons in one line, as they were sent.
fn told(reasons: &[&Reason]) -> Option<String> {
    let one = |r: &&Reason| match (r.code.is_empty(), r.info.is_empty()) {
        (_, true) => r.code.clone(),
        (true, false) => r.info.clone(),
        (false, false) => format!("{}: {}", r.code, r.info),
    };
    let all = clean(&reasons.iter().map(one).collect::<Vec<_>>().join("; "));
    let cut = all.char_indices().nth(TOLD_CHARS_MAX).map_or(all.len(), |(at, _)| at);
    (!all.is_empty()).then(|| all[..cut].to_owned())
}

/// A text without what would steer a terminal: control characters and those that turn the direction of writing.
pub fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let plain: String = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(texts: &[(&str, &str)]) -> Reasons {
        let reason = |(code, info): &(&str, &str)| Reason { code: (*code).into(), info: (*info).into() };
        Reasons(texts.iter().map(reason).collect())
    }

    #[test]
    fn all_reasons_on_the_way_up_count() {
        let policy: Policy = toml::from_str(include_str!("../../config/reasons.toml")).unwrap();
        type Level = &'static [(&'static str, &'static str)];
        // Own reasons, those of the payment information, those of the message; the deciding code, what is told, whether it is
        // a second delivery.
        let rows: [(Level, Level, Level, &str, &str, bool); 16] = [
            (&[], &[], &[], "", "", false),
            (&[("MS03", "")], &[], &[], "MS03", "MS03", false),
            (&[("MS03", ""), ("DUPL", "")], &[], &[], "DUPL", "MS03; DUPL", true),
            (&[("DUPL", ""), ("MS03", "")], &[], &[], "DUPL", "DUPL; MS03", true),
            (&[("dupl", "")], &[], &[], "dupl", "dupl", true),
            (&[(" AM05 ", "")], &[], &[], "AM05", "AM05", true),
            (&[], &[], &[("DUPL", "sent twice")], "DUPL", "DUPL: sent twice", true),
            (&[("MS03", "")], &[], &[("DUPL", "")], "DUPL", "MS03; DUPL", true),
            (&[("MS03", "")], &[("DU01", "")], &[("AC04", "")], "DU01", "MS03; DU01", true),
            (&[], &[("AC04", "")], &[("AM04", "")], "AC04", "AC04", false),
            (&[], &[], &[("AM04", "no cover")], "AM04", "AM04: no cover", false),
            (&[("AC04", "")], &[("AM04", "")], &[], "AC04", "AC04", false),
            (&[("MS03", ""), ("AC04", "")], &[], &[], "AC04", "MS03; AC04", false),
            (&[("NARR", "le compte est clos")], &[], &[], "NARR", "NARR: le compte est clos", false),
            (&[("COMPTE CLOS", "")], &[], &[], "COMPTE CLOS", "COMPTE CLOS", false),
            (&[("NARR", "Fichier reçu en DOUBLE")], &[], &[], "NARR", "NARR: Fichier reçu en DOUBLE", true),
        ];
        for (own, payment, group, code, text, second) in rows {
            let levels = [reasons(own), reasons(payment), reasons(group)];
            let why = policy.why(&levels.each_ref());
            let seen = (why.code.as_deref().unwrap_or(""), why.told.as_deref().unwrap_or(""), why.second);
            assert_eq!(seen, (code, text, second), "{own:?} {payment:?} {group:?}");
        }
    }

    #[test]
    fn a_file_is_rejected_only_where_nothing_else_is_said_of_it() {
        use FileVerdict::{Accepted, Contradicted, Nothing, Rejected};
        // What is said: `a` accepted, `r` rejected; capitals of the payment information; whether an order lives.
        for (said, orders_live, verdict) in [
            ("", false, Nothing),
            ("", true, Nothing),
            ("a", false, Accepted),
            ("aA", true, Accepted),
            ("r", false, Rejected),
            ("R", false, Rejected),
            ("rR", false, Rejected),
            ("aR", false, Rejected),
            ("r", true, Contradicted),
            ("R", true, Contradicted),
            ("aR", true, Contradicted),
            ("ra", false, Contradicted),
            ("rA", false, Contradicted),
            ("RA", false, Contradicted),
            ("AR", false, Contradicted),
        ] {
            let mut words = FileWords { orders_live, ..FileWords::default() };
            for c in said.chars() {
                words.add(c.is_ascii_uppercase(), c.eq_ignore_ascii_case(&'r'));
            }
            assert_eq!(words.verdict(), verdict, "{said} {orders_live}");
        }
    }

    #[test]
    fn a_case_among_several_reasons_is_seen() {
        let policy: Policy = toml::from_str(include_str!("../../config/reasons.toml")).unwrap();
        let why = policy.why(&[&reasons(&[("AC04", ""), ("MD07", "")])]);
        assert_eq!((why.code.as_deref(), why.case), (Some("MD07"), true));
        assert!(!policy.why(&[&reasons(&[("AC04", "")])]).case);
    }

    #[test]
    fn nothing_steers_a_terminal_and_nothing_is_endless() {
        let policy: Policy = toml::from_str(include_str!("../../config/reasons.toml")).unwrap();
        let why = policy.why(&[&reasons(&[("A\u{1b}[31m", "b\u{202e}c\n")])]);
        assert_eq!(why.told.as_deref(), Some("A [31m: b c"));
        let why = policy.why(&[&reasons(&[("NARR", &"é".repeat(5_000))])]);
        assert_eq!(why.told.map(|t| t.chars().count()), Some(TOLD_CHARS_MAX));
    }
}
