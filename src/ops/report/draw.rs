//! Pages drawn by lot, of a stream of unknown length: the same lot in every report, so that two people speak of the same pages.

use std::collections::BTreeMap;

use crate::kit::hash;

/// The pages with the smallest lots.
#[derive(Debug)]
pub(in crate::ops) struct Draw<T> {
    most: usize,
    drawn: BTreeMap<[u8; 16], T>,
}

impl<T> Draw<T> {
    /// Nothing drawn; at most `most` are kept.
    pub(in crate::ops) fn new(most: usize) -> Self {
        Self { most, drawn: BTreeMap::new() }
    }

    /// Puts `page` in; its lot follows from `name`, and from nothing that is known of the page.
    pub(in crate::ops) fn put(&mut self, name: &[u8], page: impl FnOnce() -> T) {
        let lot = hash::short(name);
        let is_in = self.drawn.len() < self.most || self.drawn.last_key_value().is_some_and(|(last, _)| lot < *last);
        if is_in {
            self.drawn.insert(lot, page());
            if self.drawn.len() > self.most {
                self.drawn.pop_last();
            }
        }
    }

    /// What was drawn, in the order of the lots.
    pub(in crate::ops) fn drawn(&self) -> impl Iterator<Item = &T> {
        self.drawn.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fair_lot_that_does_not_depend_on_the_order() {
        let pages: Vec<u32> = (0..1_000).collect();
        let draw = |pages: &mut dyn Iterator<Item = &u32>| {
            let mut draw = Draw::new(12);
            pages.for_each(|page| draw.put(&page.to_be_bytes(), || *page));
            draw.drawn().copied().collect::<Vec<_>>()
        };
        let drawn = draw(&mut pages.iter());
        assert_eq!(drawn, draw(&mut pages.iter().rev()));
        assert_eq!(drawn.len(), 12);
        assert!(drawn.iter().any(|page| *page < 500) && drawn.iter().any(|page| *page >= 500), "{drawn:?}");
        assert_eq!(draw(&mut pages[..3].iter()).len(), 3);
    }
}
