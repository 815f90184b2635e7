//! The one table of names by which a message speaks of what is ours: which are tried, in which order, and what follows when
//! two of them disagree. Every kind of message is matched by it: pain.002, camt.052/053/054, pacs.004, camt.029, settlement
//! files, reports of the stream lane.
//!
//! | name | what it may name | tried |
//! |---|---|---|
//! | end-to-end id, instruction id, transaction id | an order, confirmed by the check characters of its claim | first, in this order |
//! | UETR | an order of the file that the message names | where no id above names one |
//! | message id, payment-information id | a file of ours | where no order is named, and to see whether the order was in it |
//! | file reference | a settlement file | where no file of ours is named |
//! | case id | a recall | where no order with a recall is named |
//!
//! Guarantee: a text that names nothing of ours (`NOTPROVIDED`, a bank's own id, a cut one) shuts out no other name; padding,
//! separators and case do not matter. Names that point at different things of ours point at nothing, and so does one that is
//! mistyped (the number of an order of ours with the check characters of another): a person looks.
//! Limit: pure; whether something goes by a name is the caller's to look up.

use super::order::EndToEndRef;

/// The longest text that a name has in a message.
const NAME_LEN_MAX: usize = 35;

/// Words that banks write where they have no name.
const NO_NAME: [&str; 6] = ["NOTPROVIDED", "NOTAVAILABLE", "NONREF", "NOREF", "NONE", "NA"];

/// A kind of name, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// `EndToEndId`, or the key of the stream lane.
    EndToEnd,
    /// `InstrId`.
    Instruction,
    /// `TxId`: of the clearing, but some banks write the instruction's there.
    Transaction,
    /// `UETR`.
    Uetr,
    /// `MsgId`.
    Message,
    /// `PmtInfId`.
    PaymentInformation,
}

/// The unique end-to-end transaction reference: 32 hexadecimal digits, dashes and case apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uetr(u128);

impl Uetr {
    /// Reads a UETR; `None` for what is none, nil among it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = 0;
        let mut value = 0u128;
        for c in text.trim().chars().filter(|c| *c != '-') {
            value = (value << 4) | u128::from(c.to_digit(16)?);
            digits += 1;
            if digits > 32 {
                return None;
            }
        }
        (digits == 32 && value != 0).then_some(Self(value))
    }
}

/// The form in which names are compared: capital letters and digits only. `None` for what stands for no name.
pub fn plain(text: &str) -> Option<String> {
    let plain: String =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let nothing = plain.bytes().all(|b| b == b'0') || NO_NAME.contains(&plain.as_str());
    (!nothing).then_some(plain)
}

/// What a name may have been before a bank filled its field with zeros.
fn unpadded(text: &str) -> Option<&str> {
    (text.len() == NAME_LEN_MAX).then(|| text.trim_end_matches('0')).filter(|cut| cut.len() < text.len())
}

/// The names that a message gives for one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    orders: [Option<EndToEndRef>; 4],
    uetr: Option<Uetr>,
    files: [Option<Box<str>>; 4],
}

impl Names {
    /// The names of one order that is known by its reference.
    pub fn of(reference: EndToEndRef) -> Self {
        let mut names = Self::default();
        names.order(reference);
        names
    }

    /// With one name more. Those that cannot be ours are left out.
    #[must_use]
    pub fn with(mut self, kind: NameKind, text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return self;
        }
        match kind {
            NameKind::EndToEnd | NameKind::Instruction | NameKind::Transaction => {
                // As it is read first: nearly all come back as they were sent.
                match EndToEndRef::parse(text) {
                    Some(reference) => self.order(reference),
                    None => {
                        if let Some(reference) = plain(text).and_then(|plain| EndToEndRef::parse(&plain)) {
                            self.order(reference);
                        }
                    }
                }
                if let Some(reference) = unpadded(text).and_then(EndToEndRef::parse) {
                    self.order(reference);
                }
            }
            NameKind::Uetr => self.uetr = self.uetr.or(Uetr::parse(text)),
            NameKind::Message | NameKind::PaymentInformation => {
                if let Some(plain) = plain(text) {
                    if let Some(cut) = unpadded(&plain) {
                        self.file(cut);
                    }
                    self.file(&plain);
                }
            }
        }
        self
    }

    /// With an order that was found by another name.
    pub fn add(&mut self, reference: EndToEndRef) {
        // The names before it were tried and name nothing.
        self.orders = [Some(reference), None, None, None];
    }

    fn order(&mut self, reference: EndToEndRef) {
        if !self.orders.contains(&Some(reference))
            && let Some(free) = self.orders.iter_mut().find(|slot| slot.is_none())
        {
            *free = Some(reference);
        }
    }

    fn file(&mut self, name: &str) {
        if !self.files.iter().flatten().any(|known| &**known == name)
            && let Some(free) = self.files.iter_mut().find(|slot| slot.is_none())
        {
            *free = Some(name.into());
        }
    }

    /// What may name an order, in the order in which it is tried.
    pub fn orders(&self) -> impl Iterator<Item = EndToEndRef> + '_ {
        self.orders.iter().flatten().copied()
    }

    /// The UETR.
    pub const fn uetr(&self) -> Option<Uetr> {
        self.uetr
    }

    /// What may name a file, plain, in the order in which it is tried.
    pub fn files(&self) -> impl Iterator<Item = &str> + '_ {
        self.files.iter().flatten().map(|name| &**name)
    }
}

/// What several names that were looked up say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<T> {
    /// Nothing of ours.
    Nothing,
    /// All that name something name this.
    One(T),
    /// They name different things.
    Disagree,
}

impl<T: Copy + PartialEq> Named<T> {
    /// Of what each name was found to name, those that name nothing left out.
    pub fn of(found: impl IntoIterator<Item = T>) -> Self {
        found.into_iter().fold(Self::Nothing, Self::and)
    }

    /// With what one name more was found to name.
    #[must_use]
    pub fn and(self, next: T) -> Self {
        match self {
            Self::Nothing => Self::One(next),
            Self::One(known) if known == next => self,
            Self::One(_) | Self::Disagree => Self::Disagree,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Code, HouseholdId, OrderId, RunId};
    use crate::domain::order::{OrderKey, OrderNames};

    fn order(sequence: u32) -> (String, EndToEndRef) {
        let code = Code::parse("DSS").unwrap();
        let key = OrderKey {
            programme: &code,
            period: "2026-11".parse().unwrap(),
            household: HouseholdId::parse(b"H1").unwrap(),
            purpose: &code,
            attempt: 1,
        };
        let (names, order) = (OrderNames::of(&key), OrderId::compose(RunId::new(3), sequence));
        let mut text = String::new();
        names.write_end_to_end(&code, key.period, order, &mut text);
        (text, names.reference(order))
    }

    #[test]
    fn a_foreign_name_shuts_out_no_other() {
        let (id, reference) = order(7);
        for foreign in
            ["", "NOTPROVIDED", "notprovided", "000000", "BKREF202611300000042", &id[..20], "é\u{1}"]
        {
            let names = Names::default().with(NameKind::EndToEnd, foreign).with(NameKind::Instruction, &id);
            assert!(names.orders().any(|o| o == reference), "{foreign}");
        }
        // An id that could be ours by its form does not take the place of the one that is.
        let names = Names::default()
            .with(NameKind::EndToEnd, "BKREF20261130000004299")
            .with(NameKind::Transaction, &id);
        assert_eq!(names.orders().nth(1), Some(reference));
    }

    #[test]
    fn padding_separators_and_case_do_not_matter() {
        let (id, reference) = order(7);
        let padded = format!("{id:0<35}");
        let spaced = format!("{}-{} {}", &id[..7], &id[7..19], &id[19..]);
        let small = id.to_lowercase();
        let blank = format!("  {id}  ");
        let led = format!("{id:0>35}");
        for text in [&id, &padded, &spaced, &small, &blank, &led] {
            let names = Names::default().with(NameKind::EndToEnd, text);
            assert!(names.orders().any(|o| o == reference), "{text}");
        }
        let file = "DSS2611R1B4";
        for text in
            [file, "dss2611r1b4", " DSS2611R1B4 ", "DSS2611-R1-B4", "DSS2611R1B4000000000000000000000000"]
        {
            let names = Names::default().with(NameKind::Message, text);
            assert!(names.files().any(|name| name == file), "{text}");
        }
        assert_eq!(Names::default().with(NameKind::Message, "NOTPROVIDED").files().count(), 0);
    }

    #[test]
    fn a_cut_name_names_nothing() {
        let (id, reference) = order(7);
        for text in [&id[..id.len() - 1], &id[1..id.len() - 2], &id[..16]] {
            assert!(
                !Names::default().with(NameKind::EndToEnd, text).orders().any(|o| o == reference),
                "{text}"
            );
        }
    }

    #[test]
    fn uetrs_are_read_in_every_form() {
        let text = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
        let uetr = Uetr::parse(text);
        assert!(uetr.is_some());
        assert_eq!(Uetr::parse(&text.to_uppercase()), uetr);
        assert_eq!(Uetr::parse(&text.replace('-', "")), uetr);
        for foreign in ["", "NOTPROVIDED", "00000000-0000-0000-0000-000000000000", &text[1..], "7c9e6679"] {
            assert_eq!(Uetr::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_that_disagree_name_nothing() {
        for (found, expected) in [
            (vec![], Named::Nothing),
            (vec![1], Named::One(1)),
            (vec![1, 1, 1], Named::One(1)),
            (vec![1, 2], Named::Disagree),
            (vec![1, 2, 2], Named::Disagree),
        ] {
            assert_eq!(Named::of(found), expected);
        }
    }
}
