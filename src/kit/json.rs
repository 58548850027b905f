//! JSON from strangers: a bound on its depth, and a strict reading.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Deepest nesting that is read.
pub const DEEPEST: usize = 64;

/// Whether arrays and objects are nested deeper than [`DEEPEST`]; of what is no JSON, whether its brackets are.
#[must_use]
pub fn is_too_deep(bytes: &[u8]) -> bool {
    // Nearly nothing that is read has so many brackets at all, and to count them is much cheaper than to follow them.
    bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > DEEPEST && nests_too_deep(bytes)
}

fn nests_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// One value and nothing behind it, no member twice, no lone surrogate, not too deep.
///
/// # Errors
/// What is wrong, in the parser's words.
pub fn check_strictly(text: &str) -> Result<(), serde_json::Error> {
    if is_too_deep(text.as_bytes()) {
        return Err(serde_json::Error::custom(format_args!("nested deeper than {DEEPEST}")));
    }
    serde_json::from_str(text).map(|Strict| ())
}

/// Any value that names no member twice.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if names.contains(&name) {
                members.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format_args!("member {name:?} stands there twice")));
            }
            names.insert(name);
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn brackets_in_texts_do_not_count() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(!is_too_deep(nested(DEEPEST).as_bytes()));
        assert!(is_too_deep(nested(DEEPEST + 1).as_bytes()));
        assert!(is_too_deep("[".repeat(100_000).as_bytes()));
        assert!(!is_too_deep(format!("[\"\\\"{}\"]", "[".repeat(100)).as_bytes()));
        assert!(is_too_deep(format!("[\"\\\\\",{}]", nested(DEEPEST)).as_bytes()));
        assert!(!is_too_deep(b"]]]]{}"));
    }

    #[test]
    fn strict_is_stricter_than_the_parser() {
        for good in
            ["7", "null", "\"\"", "{\"a\":[1,2.5,true,-3,{\"b\":\"\\ud83d\\ude00\"}]}", "{\"a\":{\"b\":1},\"b\":1}"]
        {
            assert!(check_strictly(good).is_ok(), "{good}");
        }
        let deep = "[".repeat(65) + &"]".repeat(65);
        for bad in
            ["", "7 7", "{\"a\":1,\"a\":1}", "[{\"a\":1,\"\\u0061\":2}]", "\"\\ud800\"", "NaN", "{a:1}", &deep, "[1,]"]
        {
            assert!(check_strictly(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_strictly_good_is_good(text in "[\\[\\]{}\",:0-9a-b\\\\u ]{0,40}") {
            if check_strictly(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
