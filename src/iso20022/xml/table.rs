//! The tables that tell the hardened base which elements of a message matter, and the steps it gives for them.

/// An element of a message's table.
#[derive(Debug)]
pub(crate) struct Node<F: 'static> {
    pub(crate) name: &'static str,
    pub(crate) open: Option<F>,
    pub(crate) leaf: Option<F>,
    pub(crate) children: &'static [Self],
    /// Names known and passed over in silence.
    pub(crate) known: &'static [&'static str],
}

impl<F: Copy> Node<F> {
    /// An element whose opening and closing are steps.
    pub(crate) const fn group(
        name: &'static str,
        field: F,
        children: &'static [Self],
        known: &'static [&'static str],
    ) -> Self {
        Self { name, open: Some(field), leaf: None, children, known }
    }

    /// An element that only leads to others.
    pub(crate) const fn path(
        name: &'static str,
        children: &'static [Self],
        known: &'static [&'static str],
    ) -> Self {
        Self { name, open: None, leaf: None, children, known }
    }

    /// An element whose text is a step.
    pub(crate) const fn leaf(name: &'static str, field: F) -> Self {
        Self { name, open: None, leaf: Some(field), children: &[], known: &[] }
    }

    /// The place of the child of a name, looked for from place `from` on, then before it.
    #[inline]
    pub(crate) fn find(&self, name: &str, from: usize) -> Option<usize> {
        let (last, len) = (name.as_bytes().last()?, name.len());
        // Length and last byte tell almost all names apart, before any call to compare them.
        let same = |node: &Self| {
            let own = node.name.as_bytes();
            own.len() == len && own[len - 1] == *last && own == name.as_bytes()
        };
        let (before, after) = self.children.split_at(from);
        after.iter().position(same).map(|at| at + from).or_else(|| before.iter().position(same))
    }

    /// An element that holds a text in some versions, and children in others.
    pub(crate) const fn either(name: &'static str, field: F, children: &'static [Self]) -> Self {
        Self { name, open: None, leaf: Some(field), children, known: &[] }
    }
}

/// What the reader met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<F> {
    /// A group opens.
    Open(F),
    /// A group closes.
    Close(F),
    /// A leaf closes; its text is at hand until the next step.
    Leaf(F),
    /// The message is complete.
    End,
}
