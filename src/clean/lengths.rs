//! Lengths of texts against those of their neighbours. Only ever a flag: a title page is short, an index is long.

use std::collections::BTreeMap;

use super::rules::LengthLimits;

/// The flag of each text, given its folder and its letters; a folder with few texts has no median worth the name.
#[must_use]
pub(super) fn flags(texts: &[(&[u8], usize)], limits: &LengthLimits) -> Vec<Option<&'static str>> {
    let mut folders: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (folder, letters) in texts {
        folders.entry(folder).or_default().push(*letters);
    }
    let medians: BTreeMap<&[u8], usize> =
        folders.into_iter().filter(|(_, letters)| letters.len() >= limits.pages).map(|(f, l)| (f, median(l))).collect();
    texts.iter().map(|(folder, letters)| flag(*letters, *medians.get(folder)?, limits)).collect()
}

fn median(mut letters: Vec<usize>) -> usize {
    letters.sort_unstable();
    letters[letters.len() / 2]
}

fn flag(letters: usize, median: usize, limits: &LengthLimits) -> Option<&'static str> {
    let (letters, median) = (letters as f64, median as f64);
    if letters < median * limits.short {
        Some("too_short")
    } else if letters > median * limits.long {
        Some("too_long")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_with_many_texts_have_a_median() {
        let limits = LengthLimits { pages: 5, ..LengthLimits::default() };
        let many = [1000, 900, 1100, 100, 5000, 1000].map(|letters| (&b"many"[..], letters));
        let few = [1000, 10].map(|letters| (&b"few"[..], letters));
        let flags = flags(&[&many[..], &few[..]].concat(), &limits);
        let wanted = [None, None, None, Some("too_short"), Some("too_long"), None, None, None];
        assert_eq!(flags, wanted);
    }
}
