//! Numbers with their nouns.

/// `1 image`, `2 images`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_told_in_the_singular() {
        assert_eq!([0, 1, 2].map(|number| count(number, "line", "lines")), ["0 lines", "1 line", "2 lines"]);
    }
}
