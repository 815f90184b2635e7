//! Bounds of the hardened base, why it refuses a file, and what it only warns of.
//!
//! Guarantee: neither errors nor warnings hold values, only names of elements and places in the file.

use std::io;
use std::sync::Arc;

/// Bounds on what is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nesting of elements.
    pub depth: usize,
    /// Bytes of text in one element, and of any one piece of markup.
    pub text_bytes: usize,
    /// Attributes of one element.
    pub attributes: usize,
    /// Bytes of one attribute's value.
    pub attribute_bytes: usize,
    /// Bytes of the whole file.
    pub total_bytes: u64,
    /// Warnings kept; more are counted.
    pub warnings: usize,
    /// Which of the messages in the file is read, from 0: an envelope may hold several.
    pub message: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 32,
            text_bytes: 64 * 1024,
            attributes: 16,
            attribute_bytes: 4 * 1024,
            total_bytes: 16 << 30,
            warnings: 64,
            message: 0,
        }
    }
}

/// Why a file was refused, and where.
#[derive(Debug, thiserror::Error)]
#[error("message refused at byte {offset}, in `{path}`")]
pub struct XmlError {
    /// Offset of the first byte that was not accepted, or near it.
    pub offset: u64,
    /// Names of the open elements, `/` between them.
    pub path: String,
    /// The reason.
    #[source]
    pub fault: XmlFault,
}

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum XmlFault {
    /// A document type definition: never needed, and the door to entity attacks.
    #[error("a DOCTYPE is not accepted")]
    Doctype,
    /// An entity other than the five of XML.
    #[error("an entity other than the five of XML is not accepted")]
    UnknownEntity,
    /// A character reference to what XML does not allow.
    #[error("a character reference to a forbidden character")]
    ForbiddenCharacter,
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    Encoding,
    /// The declaration names an encoding that is not known.
    #[error("the declared encoding is not known")]
    DeclaredEncoding,
    /// Nested too deep.
    #[error("elements are nested deeper than {0}")]
    Depth(usize),
    /// Too long a text or piece of markup.
    #[error("a text or tag is longer than {0} bytes")]
    TextLength(usize),
    /// Too many attributes, one too long, or one twice.
    #[error("attributes are too many, too long, or repeated")]
    Attributes,
    /// Too large a file.
    #[error("the file is larger than {0} bytes")]
    TotalBytes(u64),
    /// The file ends before its root element does.
    #[error("the file is truncated")]
    Truncated,
    /// Something follows the root element.
    #[error("content after the end of the message")]
    TrailingContent,
    /// Another XML document follows in the same file.
    #[error("a second XML document begins here: one file holds one, or several within one envelope")]
    SecondDocument,
    /// The file is well formed, but not the message asked for.
    #[error("not a message of the expected kind")]
    NotThisMessage,
    /// Not well formed.
    #[error("not well-formed XML")]
    Malformed(#[source] quick_xml::Error),
    /// The bytes could not be read.
    #[error("cannot read the file")]
    Io(#[source] Arc<io::Error>),
    /// The reader was asked again after an error.
    #[error("reading has already failed")]
    AfterError,
}

/// Something odd that did not stop the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// An element the message's table does not know; its content was passed over.
    UnknownElement(String),
    /// The namespace is missing or not one that is known.
    Namespace(String),
    /// A text was longer than the standard allows, and was cut.
    Truncated(&'static str),
    /// An optional value could not be read and was left out.
    Unreadable(&'static str),
    /// An element that should be there is not.
    Missing(&'static str),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownElement(name) => write!(f, "element `{name}` is not known and was passed over"),
            Self::Namespace(uri) if uri.is_empty() => f.write_str("the namespace is missing"),
            Self::Namespace(uri) => write!(f, "namespace `{uri}` is not known"),
            Self::Truncated(name) => write!(f, "`{name}` is longer than the standard allows and was cut"),
            Self::Unreadable(name) => write!(f, "`{name}` could not be read and was left out"),
            Self::Missing(name) => write!(f, "`{name}` is missing"),
        }
    }
}
