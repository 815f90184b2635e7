//! Who may do something: operators, and tokens of institutions.

pub mod operators;
pub mod tokens;
