//! The hardened base of all readers: from bytes to the elements a message's table names.
//!
//! Input: XML, read as UTF-8 (see [`super::encoding`]), and a table of [`Node`]s. Output: steps (an element of interest opens, closes, or gives its text).
//! Guarantee: constant memory; any DOCTYPE, custom entity, unknown encoding, truncation, trailing content, or breach
//! of [`Limits`] ends the reading with the byte offset and the element path; elements the table does not name are
//! passed over, once with a warning. Limit: namespaces are not resolved; local names in their place decide, for
//! banks send prefixes, wrong versions and no namespace at all.

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::encoding::Transcoded;
use super::fault::{Limits, Warning, XmlError, XmlFault};
use super::input::{Bounded, Excess};
use super::messages::is_message;
use super::table::{Node, Step};
use crate::domain::money::Centimes;
use crate::iso20022::values::Problem;

#[derive(Clone, Copy)]
struct Level<F: 'static> {
    node: &'static Node<F>,
    /// Where the next child is expected: elements come in the order of the schema.
    next: usize,
    around: Around,
}

/// What an element is that stands around messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Part of a message, or of an envelope.
    Nothing,
    /// A `Document`.
    Document,
    /// The content of a `Document`, begun after so many messages: a message itself, of another kind, where none is found in it.
    Content(u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// Walks a message along its table.
pub(crate) struct XmlReader<R, F: 'static> {
    inner: Reader<Bounded<Transcoded<R>>>,
    event: Vec<u8>,
    limits: Limits,
    top: &'static Node<F>,
    stack: Vec<Level<F>>,
    /// Depth inside an element that is passed over.
    skipped: usize,
    text: String,
    currency: String,
    namespace: String,
    found: bool,
    /// Messages met so far, of whatever kind.
    messages: u32,
    closed: bool,
    state: State,
    warnings: Vec<Warning>,
    warnings_dropped: u64,
}

impl<R: BufRead, F: Copy> XmlReader<R, F> {
    /// Starts reading. The children of `top` are the messages' own elements; whatever wraps them (`Document`, an
    /// envelope) is walked through.
    pub(crate) fn new(inner: R, limits: Limits, top: &'static Node<F>) -> Self {
        let mut reader =
            Reader::from_reader(Bounded::new(Transcoded::new(inner), limits.total_bytes, limits.text_bytes));
        reader.config_mut().expand_empty_elements = true;
        Self {
            inner: reader,
            event: Vec::with_capacity(1024),
            limits,
            top,
            stack: Vec::with_capacity(limits.depth),
            skipped: 0,
            text: String::with_capacity(256),
            currency: String::new(),
            namespace: String::new(),
            found: false,
            messages: 0,
            closed: false,
            state: State::Reading,
            warnings: Vec::new(),
            warnings_dropped: 0,
        }
    }

    /// The next step.
    ///
    /// # Errors
    /// See [`XmlFault`]. After an error the reader only repeats that it failed.
    pub(crate) fn step(&mut self) -> Result<Step<F>, XmlError> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(Step::End),
            State::Failed => return Err(self.locate(XmlFault::AfterError)),
        }
        // Moved out for the while, so that the event may borrow it while `self` changes.
        let mut event = std::mem::take(&mut self.event);
        let result = self.step_with(&mut event);
        self.event = event;
        result.map_err(|fault| {
            self.state = State::Failed;
            self.locate(fault)
        })
    }

    /// The text of the leaf just met, without white space at its ends.
    pub(crate) fn text(&self) -> &str {
        self.text.trim_ascii()
    }

    /// The currency attribute of the leaf just met; empty if it has none.
    pub(crate) fn currency(&self) -> &str {
        &self.currency
    }

    /// How many messages the file holds, of whatever kind, once it was read to its end.
    pub(crate) fn messages(&self) -> u32 {
        self.messages
    }

    /// The namespace of the message's root element.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The leaf's text into a reused string, cut at `len_max` characters with a warning.
    pub(crate) fn copy_text(&mut self, field: &'static str, len_max: usize, into: &mut String) {
        into.clear();
        let text = self.text.trim_ascii();
        if text.len() > len_max
            && let Some((cut, _)) = text.char_indices().nth(len_max)
        {
            into.push_str(&text[..cut]);
            self.warn(Warning::Truncated(field));
        } else {
            into.push_str(text);
        }
    }

    /// The leaf's text through `parse`; a warning where that fails.
    pub(crate) fn parse_text<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = parse(self.text());
        if value.is_none() {
            self.warn(Warning::Unreadable(field));
        }
        value
    }

    /// Warnings so far, each once.
    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many warnings found no room.
    pub(crate) fn warnings_dropped(&self) -> u64 {
        self.warnings_dropped
    }

    /// Adds a warning, if it is new and there is room.
    pub(crate) fn warn(&mut self, warning: Warning) {
        if self.warnings.contains(&warning) {
        } else if self.warnings.len() < self.limits.warnings {
            self.warnings.push(warning);
        } else {
            self.warnings_dropped += 1;
        }
    }

    fn step_with(&mut self, buffer: &mut Vec<u8>) -> Result<Step<F>, XmlFault> {
        loop {
            buffer.clear();
            self.inner.get_mut().start_piece();
            // Matched in place: moving the event out first costs as much as looking at it.
            let step = match &self.inner.read_event_into(buffer) {
                Ok(Event::Start(element) | Event::Empty(element)) => self.open(element)?,
                Ok(Event::End(_)) => self.close(),
                Ok(Event::Text(text)) => self.add_text(text).map(|()| None)?,
                Ok(Event::CData(text)) => self.add_text(text).map(|()| None)?,
                Ok(Event::GeneralRef(reference)) => self.add_reference(reference).map(|()| None)?,
                Ok(Event::DocType(_)) => return Err(XmlFault::Doctype),
                Ok(Event::Decl(_)) if self.closed => return Err(XmlFault::SecondDocument),
                Ok(Event::Decl(declaration)) => {
                    let decoded = self.inner.get_ref().get_ref().is_decoding();
                    check_declaration(declaration, decoded).map(|()| None)?
                }
                Ok(Event::Comment(_) | Event::PI(_)) => None,
                Ok(Event::Eof) => Some(self.end()?),
                Err(error) => return Err(self.fault_of(error.clone())),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn open(&mut self, element: &BytesStart<'_>) -> Result<Option<Step<F>>, XmlFault> {
        if self.closed {
            return Err(XmlFault::SecondDocument);
        }
        if self.stack.len() + self.skipped >= self.limits.depth {
            return Err(XmlFault::Depth(self.limits.depth));
        }
        self.text.clear();
        if element.attributes_raw().is_empty() {
            self.currency.clear();
        } else {
            self.read_attributes(element)?;
        }
        if self.skipped > 0 {
            self.skipped += 1;
            return Ok(None);
        }
        let name = element.name().into_inner();
        let (parent, from) = match self.stack.last() {
            Some(level) => (level.node, level.next),
            None => (self.top, 0),
        };
        if std::ptr::eq(parent, self.top) {
            return self.open_outside(name);
        }
        // Names seldom have a prefix, so it is looked for only where the whole name is not found.
        let local = || name.split_once(':').map_or(name, |(_, local)| local);
        let child = parent.find(name, from).or_else(|| parent.find(local(), from));
        if let Some(at) = child {
            if let Some(level) = self.stack.last_mut() {
                level.next = at;
            }
            let node = &parent.children[at];
            self.stack.push(Level { node, next: 0, around: Around::Nothing });
            return Ok(node.open.map(Step::Open));
        }
        if !parent.known.contains(&local()) {
            self.warn_unknown(local());
        }
        self.skipped = 1;
        Ok(None)
    }

    /// Opens an element around or beside messages: the one that is asked for is entered, others are counted and passed over,
    /// and what holds them is walked through.
    fn open_outside(&mut self, name: &str) -> Result<Option<Step<F>>, XmlFault> {
        let local = name.split_once(':').map_or(name, |(_, local)| local);
        if !is_message(local) {
            let in_document = self.stack.last().is_some_and(|level| level.around == Around::Document);
            let around = match local {
                "Document" => Around::Document,
                _ if in_document => Around::Content(self.messages),
                _ => Around::Nothing,
            };
            self.stack.push(Level { node: self.top, next: 0, around });
            return Ok(None);
        }
        let asked_for = self.messages == self.limits.message;
        self.messages += 1;
        if !asked_for {
            self.skipped = 1;
            return Ok(None);
        }
        let at = self.top.find(local, 0).ok_or(XmlFault::NotThisMessage)?;
        self.found = true;
        let node = &self.top.children[at];
        self.stack.push(Level { node, next: 0, around: Around::Nothing });
        Ok(node.open.map(Step::Open))
    }

    fn close(&mut self) -> Option<Step<F>> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return None;
        }
        // The parser has matched the tags, so there is always a level to close.
        let level = self.stack.pop()?;
        self.messages += u32::from(level.around == Around::Content(self.messages));
        self.closed = self.stack.is_empty();
        match (level.node.leaf, level.node.open) {
            (Some(field), _) => Some(Step::Leaf(field)),
            (None, field) => field.map(Step::Close),
        }
    }

    fn end(&mut self) -> Result<Step<F>, XmlFault> {
        if !self.closed {
            return Err(XmlFault::Truncated);
        }
        if !self.found {
            return Err(XmlFault::NotThisMessage);
        }
        self.state = State::Ended;
        Ok(Step::End)
    }

    fn add_text(&mut self, text: &str) -> Result<(), XmlFault> {
        let Some(level) = self.stack.last() else {
            let blank = text.bytes().all(|b| b.is_ascii_whitespace());
            return match (blank, self.closed) {
                (true, _) => Ok(()),
                (false, true) => Err(XmlFault::TrailingContent),
                (false, false) => Err(XmlFault::NotThisMessage),
            };
        };
        if self.skipped == 0 && level.node.leaf.is_some() {
            if self.text.len() + text.len() > self.limits.text_bytes {
                return Err(XmlFault::TextLength(self.limits.text_bytes));
            }
            self.text.push_str(text);
        }
        Ok(())
    }

    fn add_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), XmlFault> {
        let character = match &**reference {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => match reference.resolve_char_ref() {
                Ok(Some(c)) if c >= ' ' || matches!(c, '\t' | '\n' | '\r') => c,
                Ok(None) => return Err(XmlFault::UnknownEntity),
                Ok(Some(_)) | Err(_) => return Err(XmlFault::ForbiddenCharacter),
            },
        };
        self.add_text(character.encode_utf8(&mut [0; 4]))
    }

    fn read_attributes(&mut self, element: &BytesStart<'_>) -> Result<(), XmlFault> {
        self.currency.clear();
        let in_envelope = !self.found && self.skipped == 0;
        let mut attributes = element.attributes();
        // The parser's own check for duplicates allocates; here only one name matters, and is checked below.
        attributes.with_checks(false);
        for (place, attribute) in attributes.enumerate() {
            let attribute = attribute.map_err(|e| XmlFault::Malformed(e.into()))?;
            if place >= self.limits.attributes || attribute.value.len() > self.limits.attribute_bytes {
                return Err(XmlFault::Attributes);
            }
            if attribute.value.contains('&') {
                attribute
                    .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                    .map_err(|_| XmlFault::UnknownEntity)?;
            }
            let key = attribute.key.into_inner();
            if key == "Ccy" {
                if !self.currency.is_empty() {
                    return Err(XmlFault::Attributes);
                }
                self.currency.extend(attribute.value.trim_ascii().chars().take(3));
            } else if in_envelope && declares_namespace_of(key, element) {
                self.namespace.clear();
                self.namespace.push_str(&attribute.value);
            }
        }
        Ok(())
    }

    fn warn_unknown(&mut self, name: &str) {
        let known = self.warnings.iter().any(|w| matches!(w, Warning::UnknownElement(n) if n == name));
        if !known {
            self.warn(Warning::UnknownElement(name.chars().take(64).collect()));
        }
    }

    fn fault_of(&self, error: quick_xml::Error) -> XmlFault {
        match (self.inner.get_ref().excess(), error) {
            (Some(Excess::Piece), _) => XmlFault::TextLength(self.limits.text_bytes),
            (Some(Excess::Total), _) => XmlFault::TotalBytes(self.limits.total_bytes),
            (None, quick_xml::Error::Io(error)) => XmlFault::Io(error),
            (None, quick_xml::Error::Encoding(_)) => XmlFault::Encoding,
            (None, quick_xml::Error::Syntax(quick_xml::errors::SyntaxError::InvalidBangMarkup)) => {
                XmlFault::Malformed(quick_xml::errors::SyntaxError::InvalidBangMarkup.into())
            }
            // All the other syntax errors are pieces of markup that the end of the file cut.
            (None, quick_xml::Error::Syntax(_)) => XmlFault::Truncated,
            (None, error) => XmlFault::Malformed(error),
        }
    }

    fn locate(&self, fault: XmlFault) -> XmlError {
        let names: Vec<&str> = self.stack.iter().map(|l| l.node.name).filter(|n| !n.is_empty()).collect();
        XmlError { offset: self.inner.buffer_position(), path: names.join("/"), fault }
    }
}

/// Whether an attribute declares the namespace an element is in.
fn declares_namespace_of(key: &str, element: &BytesStart<'_>) -> bool {
    let name = element.name().into_inner();
    match (name.split_once(':'), key.strip_prefix("xmlns")) {
        (None, Some("")) => true,
        (Some((prefix, _)), Some(declared)) => declared.strip_prefix(':') == Some(prefix),
        _ => false,
    }
}

/// What was decoded is UTF-8 by now. What was not is, even where it says UTF-16: that would have begun with its mark.
fn check_declaration(declaration: &BytesDecl<'_>, decoded: bool) -> Result<(), XmlFault> {
    let known = ["utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "us-ascii"];
    match declaration.encoding() {
        None => Ok(()),
        Some(_) if decoded => Ok(()),
        Some(Ok(name)) if known.iter().any(|k| name.eq_ignore_ascii_case(k)) => Ok(()),
        Some(_) => Err(XmlFault::DeclaredEncoding),
    }
}

/// Reads an amount as ISO 20022 writes it: no sign.
pub(crate) fn parse_amount(text: &str) -> Result<Centimes, Problem> {
    match Centimes::parse_bytes(text.as_bytes()) {
        Ok(amount) if amount < Centimes::ZERO => Err(Problem::Negative),
        Ok(amount) => Ok(amount),
        Err(_) if text.is_empty() => Err(Problem::Missing),
        Err(error) => Err(Problem::Amount(error)),
    }
}
