//! Facts of a household that the list's contract has no column of its own for: a programme names and types them in its file, the
//! list carries them in `attr_*` columns, and the programme's rules ask for them.
//!
//! Guarantee: a value is of its type, or its row is rejected; a condition on a value that is not given is not met. Limit:
//! [`ATTRIBUTES_MAX`] of a programme; they hold from the list's own month on.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::ids::Code;

/// The most attributes of a programme.
pub const ATTRIBUTES_MAX: usize = 16;

/// What stands before an attribute's name in the head of a list.
pub const COLUMN_PREFIX: &str = "attr_";

/// What an attribute's values are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AttributeType {
    /// True or false.
    Boolean {
        /// Whether a row without a value is rejected.
        #[serde(default)]
        required: bool,
    },
    /// A whole number.
    Integer {
        /// The lowest.
        #[serde(default = "lowest")]
        min: i64,
        /// The highest.
        #[serde(default = "highest")]
        max: i64,
        /// Whether a row without a value is rejected.
        #[serde(default)]
        required: bool,
    },
    /// One of some codes.
    Code {
        /// Which.
        values: Vec<Code>,
        /// Whether a row without a value is rejected.
        #[serde(default)]
        required: bool,
    },
}

fn lowest() -> i64 {
    i64::MIN
}

fn highest() -> i64 {
    i64::MAX
}

/// Why a text is no value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeProblem {
    /// It is required and not given.
    Missing,
    /// It does not have the form of its type.
    Malformed,
    /// It is a number outside what the programme allows.
    OutOfRange,
    /// It is none of the programme's codes.
    UnknownValue,
}

impl AttributeType {
    /// Reads a value as lists write it; `None` where it is not given.
    ///
    /// # Errors
    /// See [`AttributeProblem`].
    pub fn read(&self, text: &str) -> Result<Option<AttributeValue>, AttributeProblem> {
        let text = text.trim();
        let (Self::Boolean { required } | Self::Integer { required, .. } | Self::Code { required, .. }) =
            self;
        if text.is_empty() {
            return if *required { Err(AttributeProblem::Missing) } else { Ok(None) };
        }
        match self {
            Self::Boolean { .. } => {
                let value = boolean(text).ok_or(AttributeProblem::Malformed)?;
                Ok(Some(AttributeValue::Boolean(value)))
            }
            Self::Integer { min, max, .. } => match text.parse::<i64>() {
                Ok(value) if (*min..=*max).contains(&value) => Ok(Some(AttributeValue::Integer(value))),
                Ok(_) => Err(AttributeProblem::OutOfRange),
                Err(error) => Err(match error.kind() {
                    std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                        AttributeProblem::OutOfRange
                    }
                    _ => AttributeProblem::Malformed,
                }),
            },
            Self::Code { values, .. } => {
                let code = Code::folded(text).map_err(|_| AttributeProblem::Malformed)?;
                let known = values.iter().find(|known| known.is_like(&code));
                let known = known.ok_or(AttributeProblem::UnknownValue)?;
                Ok(Some(AttributeValue::Code(known.clone())))
            }
        }
    }
}

/// A yes or no as lists write it; `None` where it is neither.
pub fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 4] = ["true", "1", "t", "yes"];
    const FALSE: [&str; 4] = ["false", "0", "f", "no"];
    let is = |words: [&str; 4]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
    if is(FALSE) {
        Some(false)
    } else if is(TRUE) {
        Some(true)
    } else {
        None
    }
}

/// The attributes that a programme asks for, by name.
pub type AttributeTypes = BTreeMap<Code, AttributeType>;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A code.
    Code(Code),
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Code(code) => code.fmt(f),
        }
    }
}

/// A household's attributes, by name; those that are not given are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(Code, AttributeValue)>);

impl Attributes {
    /// Adds the value of a name that comes after all before.
    pub fn push(&mut self, name: Code, value: AttributeValue) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < name), "names ascend");
        self.0.push((name, value));
    }

    /// The value of a name.
    pub fn get(&self, name: &Code) -> Option<&AttributeValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// All, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Code, AttributeValue)> {
        self.0.iter()
    }

    /// Whether none is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a rule asks of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeCondition {
    /// This value.
    Boolean(bool),
    /// A number within bounds, both included.
    Within {
        /// The lowest.
        min: i64,
        /// The highest.
        max: i64,
    },
    /// One of these codes.
    OneOf(Vec<Code>),
}

impl AttributeCondition {
    /// Whether a value meets it; one that is not given meets none.
    pub fn is_met(&self, value: Option<&AttributeValue>) -> bool {
        match (self, value) {
            (Self::Boolean(asked), Some(AttributeValue::Boolean(value))) => asked == value,
            (Self::Within { min, max }, Some(AttributeValue::Integer(value))) => {
                (*min..=*max).contains(value)
            }
            (Self::OneOf(codes), Some(AttributeValue::Code(code))) => codes.contains(code),
            _ => false,
        }
    }

    /// What is wrong with asking this of an attribute of a type.
    fn problem(&self, of: &AttributeType) -> Option<&'static str> {
        match (self, of) {
            (Self::Boolean(_), AttributeType::Boolean { .. }) => None,
            (Self::Within { min, max }, AttributeType::Integer { min: lowest, max: highest, .. }) => {
                (min > max || max < lowest || min > highest).then_some("asks for a number that none can be")
            }
            (Self::OneOf(codes), AttributeType::Code { values, .. }) => (codes.is_empty()
                || codes.iter().any(|code| !values.contains(code)))
            .then_some("asks for a code that is not among the attribute's values"),
            _ => {
                Some("does not fit the attribute's type: true or false, { min, max }, or a list of its codes")
            }
        }
    }
}

impl fmt::Display for AttributeCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Within { min: i64::MIN, max } => write!(f, "at most {max}"),
            Self::Within { min, max: i64::MAX } => write!(f, "at least {min}"),
            Self::Within { min, max } => write!(f, "{min} to {max}"),
            Self::OneOf(codes) => {
                let codes: Vec<&str> = codes.iter().map(Code::as_str).collect();
                f.write_str(&codes.join(" or "))
            }
        }
    }
}

impl<'de> Deserialize<'de> for AttributeCondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Bounds {
            min: Option<i64>,
            max: Option<i64>,
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "true or false, { min = …, max = … }, or a list of codes")]
        enum Form {
            Boolean(bool),
            Bounds(Bounds),
            Codes(Vec<Code>),
        }
        match Form::deserialize(deserializer)? {
            Form::Boolean(value) => Ok(Self::Boolean(value)),
            Form::Bounds(Bounds { min: None, max: None }) => Err(D::Error::custom("needs min or max")),
            Form::Bounds(Bounds { min, max }) => {
                Ok(Self::Within { min: min.unwrap_or(i64::MIN), max: max.unwrap_or(i64::MAX) })
            }
            Form::Codes(codes) => Ok(Self::OneOf(codes)),
        }
    }
}

/// What is asked of a household's attributes: all of it must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AttributeConditions(BTreeMap<Code, AttributeCondition>);

impl AttributeConditions {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first condition that is not met.
    pub fn unmet(&self, attributes: &Attributes) -> Option<(&Code, &AttributeCondition)> {
        self.0.iter().find(|(name, condition)| !condition.is_met(attributes.get(name)))
    }

    /// What is wrong with asking this, where the programme has attributes of these types.
    pub fn problem(&self, types: &AttributeTypes) -> Option<&'static str> {
        let of_one = |(name, condition): (&Code, &AttributeCondition)| match types.get(name) {
            None => Some("asks for an attribute that the programme does not declare in [attributes]"),
            Some(of) => condition.problem(of),
        };
        self.0.iter().find_map(of_one)
    }
}

/// What is wrong with a programme's attributes.
pub fn problem(types: &AttributeTypes) -> Option<&'static str> {
    // A column's name is compared as it stands, so that a name has one spelling.
    let is_plain = |name: &Code| Code::folded(name.as_str()).is_ok_and(|folded| folded == *name);
    let of_type = |of: &AttributeType| match of {
        AttributeType::Boolean { .. } => None,
        AttributeType::Integer { min, max, .. } => (min > max).then_some("min is above max"),
        AttributeType::Code { values, .. } => {
            let twice = values.iter().enumerate().any(|(i, v)| values[..i].iter().any(|w| w.is_like(v)));
            (values.is_empty() || twice).then_some("values must be distinct codes, at least one")
        }
    };
    if types.len() > ATTRIBUTES_MAX {
        Some("more than 16 attributes")
    } else if !types.keys().all(is_plain) {
        Some("a name must be of small letters, digits and single underscores")
    } else {
        types.values().find_map(of_type)
    }
}

#[cfg(test)]
#[path = "attribute_tests.rs"]
mod tests;
