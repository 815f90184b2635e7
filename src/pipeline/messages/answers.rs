//! Answers of providers before they are recorded: a key of which one answer says two things that cannot both be true is
//! taken for neither.

use std::collections::HashMap;

use super::record::Source;
use crate::domain::telling::{Said, Telling};
use crate::rails::stream::Answer;

/// What one answer says, its contradictions apart.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// What can be taken.
    pub answers: Vec<Answer>,
    /// Keys of which two things were said.
    pub orders_to_hold: Vec<String>,
}

impl Judged {
    /// How many keys and reports there are.
    pub fn len(&self) -> usize {
        self.answers.len() + self.orders_to_hold.len()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what another answer says: two answers do not contradict each other, one comes after the other.
    pub fn append(&mut self, mut other: Self) {
        self.answers.append(&mut other.answers);
        self.orders_to_hold.append(&mut other.orders_to_hold);
    }
}

impl Source {
    /// Answers to requests say where orders stand; callbacks, lists of changes and uploads tell of their lives.
    const fn telling(self) -> Telling {
        match self {
            Self::Answer | Self::Enquiry => Telling::State,
            Self::Callback | Self::Changes | Self::Upload => Telling::History,
        }
    }
}

fn said(answer: &Answer) -> Said<'_> {
    Said { event: answer.status.event(), reason: answer.reason.as_deref(), amount: answer.amount }
}

/// Sets apart what one answer contradicts itself about.
pub fn judge(source: Source, answers: Vec<Answer>) -> Judged {
    let mut by_key: HashMap<&str, Vec<&Answer>> = HashMap::with_capacity(answers.len());
    for answer in &answers {
        by_key.entry(answer.key.as_str()).or_default().push(answer);
    }
    if by_key.len() == answers.len() {
        return Judged { answers, orders_to_hold: Vec::new() };
    }
    let telling = source.telling();
    let against = |of_key: &[&Answer]| {
        of_key
            .iter()
            .enumerate()
            .any(|(at, one)| of_key[at + 1..].iter().any(|other| telling.contradicts(said(one), said(other))))
    };
    let mut orders_to_hold: Vec<String> =
        by_key.iter().filter(|(_, of_key)| against(of_key)).map(|(key, _)| (*key).to_owned()).collect();
    orders_to_hold.sort_unstable();
    let kept = answers.into_iter().filter(|a| orders_to_hold.binary_search(&a.key).is_err()).collect();
    Judged { answers: kept, orders_to_hold }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rails::stream::wire::Status;

    #[test]
    fn what_is_said_twice_is_taken_once_or_not_at_all() {
        let answer = |key: &str, status| Answer { key: key.to_owned(), status, reason: None, amount: None };
        let said = || {
            vec![
                answer("a", Status::Accepted),
                answer("b", Status::Accepted),
                answer("a", Status::Rejected),
                answer("c", Status::Collected),
                answer("c", Status::Collected),
            ]
        };
        let keys = |judged: &Judged| judged.answers.iter().map(|a| a.key.clone()).collect::<Vec<_>>();
        let judged = judge(Source::Answer, said());
        assert_eq!(
            (keys(&judged), &judged.orders_to_hold[..]),
            (vec!["b".into(), "c".into(), "c".into()], &["a".to_owned()][..])
        );
        let judged = judge(Source::Changes, said());
        assert_eq!((judged.answers.len(), judged.orders_to_hold.len()), (5, 0));
        assert!(judge(Source::Answer, Vec::new()).is_empty());
    }
}
