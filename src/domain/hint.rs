//! The next step after an error, said beside the error: one sentence without a full stop.

use std::borrow::Cow;

/// What the reader of an error can do about it.
pub type NextStep = Cow<'static, str>;

/// An error that knows the next step.
pub trait Hint: std::error::Error {
    /// The next step; `None` where only its cause has one.
    fn hint(&self) -> Option<NextStep>;

    /// The next step where the system is in the way (a full disk, a link in the place of a file). It is shown before the
    /// hints of the errors that this led to.
    fn system_hint(&self) -> Option<NextStep> {
        None
    }
}

/// An error and its causes, in one line. Some repeat their cause at the end of what they say: that is said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// One value of each variant of an error, for the test that asks all of them for their hints.
#[cfg(test)]
pub trait Samples: Sized {
    /// At least one value of each variant.
    fn samples() -> Vec<Self>;
}

/// Implements [`Samples`] from a table of patterns and values, in one order; after a `;` those variants that a test cannot
/// make. A variant without a line does not compile.
#[cfg(test)]
macro_rules! samples {
    ($error:ty { $($pattern:pat => $sample:expr),+ $(,)? $(; $($unmade:pat),+ $(,)?)? }) => {
        impl crate::domain::hint::Samples for $error {
            fn samples() -> Vec<Self> {
                let all: Vec<Self> = vec![$($sample),+];
                for one in &all {
                    match one {
                        $($pattern => {})+
                        $($($unmade => {})+)?
                    }
                }
                let mut each = all.iter();
                $(
                    let one = each.next();
                    assert!(matches!(one, Some($pattern)), "{one:?} is not {}", stringify!($pattern));
                )+
                all
            }
        }
    };
}
#[cfg(test)]
pub(crate) use samples;
