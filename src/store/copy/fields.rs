//! Rows in COPY form as they travel: one by one, and field by field.

use crate::store::StoreError;

/// A field of a row in COPY form; `None` where it is null or not there.
pub(crate) fn field(row: &[u8], number: usize) -> Option<&[u8]> {
    let mut at = 2;
    for n in 0..=number {
        let len = i32::from_be_bytes(row.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        let len = usize::try_from(len).ok();
        if n == number {
            return row.get(at..at + len?);
        }
        at += len.unwrap_or(0);
    }
    None
}

pub(crate) fn big(field: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(field.try_into().ok()?))
}

/// The fields of a row in COPY form, as they came.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    len: usize,
    values: [Option<&'a [u8]>; FIELDS_MAX],
}

/// Columns of the widest leaf.
const FIELDS_MAX: usize = 16;

impl<'a> Fields<'a> {
    /// Finds the fields of a row; what is not there is null.
    pub fn of(row: &'a [u8]) -> Self {
        let mut values = [None; FIELDS_MAX];
        let fields = row.first_chunk::<2>().map_or(0, |n| i16::from_be_bytes(*n));
        let len = usize::try_from(fields).unwrap_or(0).min(FIELDS_MAX);
        let mut rest = row.get(2..).unwrap_or_default();
        for value in values.iter_mut().take(len) {
            let Some((len, after)) = rest.split_first_chunk::<4>() else { break };
            let len = usize::try_from(i32::from_be_bytes(*len)).ok();
            *value = len.and_then(|len| after.get(..len));
            rest = after.get(len.unwrap_or(0)..).unwrap_or_default();
        }
        Self { len, values }
    }

    /// How many fields the row has, as far as they are kept.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// A field as it came; `None` where it is null.
    pub fn get(&self, number: usize) -> Option<&'a [u8]> {
        self.values.get(number).copied().flatten()
    }

    /// A `bigint`.
    ///
    /// # Errors
    /// When it is null or another type.
    pub fn i64(&self, number: usize) -> Result<i64, StoreError> {
        self.fixed(number).map(i64::from_be_bytes)
    }

    /// An `integer`.
    ///
    /// # Errors
    /// When it is null or another type.
    pub fn i32(&self, number: usize) -> Result<i32, StoreError> {
        self.fixed(number).map(i32::from_be_bytes)
    }

    /// A `smallint`.
    ///
    /// # Errors
    /// When it is null or another type.
    pub fn i16(&self, number: usize) -> Result<i16, StoreError> {
        self.fixed(number).map(i16::from_be_bytes)
    }

    /// A `text` or `bytea`.
    ///
    /// # Errors
    /// When it is null.
    pub fn raw(&self, number: usize) -> Result<&'a [u8], StoreError> {
        self.get(number).ok_or_else(|| StoreError::Corrupt("column of a row"))
    }

    fn fixed<const N: usize>(&self, number: usize) -> Result<[u8; N], StoreError> {
        self.raw(number)?.try_into().map_err(|_| StoreError::Corrupt("column of a row"))
    }
}

/// Rows in COPY form, one by one.
pub(crate) struct Rows<'a>(pub &'a [u8]);

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let fields = i16::from_be_bytes(self.0.get(..2)?.try_into().ok()?);
        let mut at = 2;
        for _ in 0..fields {
            let len = i32::from_be_bytes(self.0.get(at..at + 4)?.try_into().ok()?);
            at += 4 + usize::try_from(len).unwrap_or(0);
        }
        let row = self.0.get(..at)?;
        self.0 = &self.0[at..];
        Some(row)
    }
}
