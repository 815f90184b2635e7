//! Postings, one function for each row of the chart of accounts: which account gains, which gives, under which name.

pub mod statement;
