//! Who may do something: operators, and tokens of institutions.

pub mod people;
pub mod tokens;
