//! What banks' answers repeat: which order of ours they speak of, its amount, the reasons, and the version of the message.

use std::io::BufRead;

use super::fault::Warning;
use super::reader::{XmlReader, parse_amount};
use super::table::Node;
use crate::domain::money::Centimes;
use crate::iso20022::values::{Problem, Reasons};

/// A reference of the original transaction, named alike in all answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Message id.
    MsgId,
    /// Instruction id.
    InstrId,
    /// End-to-end id.
    EndToEndId,
    /// UETR.
    Uetr,
}

impl Reference {
    /// Its element, and how many characters the standard allows.
    const fn element(self) -> (&'static str, usize) {
        match self {
            Self::MsgId => ("OrgnlMsgId", 35),
            Self::InstrId => ("OrgnlInstrId", 35),
            Self::EndToEndId => ("OrgnlEndToEndId", 35),
            Self::Uetr => ("OrgnlUETR", 36),
        }
    }

    /// Its place in a message's table.
    pub(crate) const fn leaf<F: Copy>(self, field: F) -> Node<F> {
        Node::leaf(self.element().0, field)
    }
}

/// What a message's table has of a reason's element: the code, the standard's or the bank's own, and lines of additional information.
macro_rules! reason_elements {
    ($field:ident) => {
        &[
            Node::path(
                "Rsn",
                &[Node::leaf("Cd", $field::ReasonCode), Node::leaf("Prtry", $field::ReasonCode)],
                &[],
            ),
            Node::leaf("AddtlInf", $field::ReasonInfo),
        ]
    };
}
pub(crate) use reason_elements;

/// What makes an entry unusable that bears none of these references.
pub(crate) fn unnamed(references: &[&String]) -> Option<(&'static str, Problem)> {
    let none = references.iter().all(|reference| reference.is_empty());
    none.then_some((Reference::EndToEndId.element().0, Problem::Missing))
}

impl<R: BufRead, F: Copy> XmlReader<R, F> {
    /// The leaf's text as a reference of the original.
    pub(crate) fn take_reference(&mut self, reference: Reference, into: &mut String) {
        let (element, len_max) = reference.element();
        self.copy_text(element, len_max, into);
    }

    /// The leaf's amount with its currency.
    ///
    /// # Errors
    /// What makes it unusable; the currency is taken all the same.
    pub(crate) fn read_amount(&self, currency: &mut String) -> Result<Centimes, Problem> {
        currency.clear();
        currency.push_str(self.currency());
        parse_amount(self.text())
    }

    /// The leaf's amount with its currency, as far as it can be used; gives what is wrong, if anything is.
    pub(crate) fn take_amount(
        &self,
        amount: &mut Option<Centimes>,
        currency: &mut String,
    ) -> Option<Problem> {
        let read = self.read_amount(currency);
        *amount = read.ok();
        read.err()
    }

    /// The leaf's text as the code of the reason under way, or as a line of its additional information.
    pub(crate) fn take_reason(&mut self, is_code: bool, into: &mut Reasons) {
        let mut text = String::new();
        if is_code {
            self.copy_text("Rsn", 35, &mut text);
            into.under_way().code = text;
        } else {
            self.copy_text("AddtlInf", 105, &mut text);
            into.under_way().add_info(&text);
        }
    }

    /// The version at the end of the message's namespace, e.g. `10` for `pain.002.001.`, if it is that of such a message.
    pub(crate) fn version(&self, messages: &[&str]) -> Option<u8> {
        let version = |message: &&str| self.namespace().split_once(*message)?.1.parse().ok();
        messages.iter().find_map(version)
    }

    /// Warns where the namespace is not that of such a message.
    pub(crate) fn check_namespace(&mut self, messages: &[&str]) {
        if self.version(messages).is_none() {
            let namespace = self.namespace().chars().take(64).collect();
            self.warn(Warning::Namespace(namespace));
        }
    }
}
