//! Who may do something: operators, and tokens of institutions.

mod office;
pub mod people;
pub mod tokens;
