//! A result line that a strict reader refuses although its sense is plain. It was paid for: bytes that say nothing are
//! replaced by a sign that says so, and nothing is guessed.

/// `line` with every unreadable sign in a text as U+FFFD, bare control characters escaped, numbers beyond all bounds null.
/// What is broken otherwise stays broken.
#[must_use]
pub fn mended(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        let used = match first {
            '"' => mend_text(rest, &mut out),
            _ if is_of_word(first) => mend_word(rest, &mut out),
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[used..];
    }
    out
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

/// A number, `true`, `null`; some servers write `NaN`.
fn mend_word(rest: &str, out: &mut String) -> usize {
    let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
    let word = &rest[..end];
    let is_no_number = word.parse().is_ok_and(|number: f64| !number.is_finite());
    out.push_str(if is_no_number { "null" } else { word });
    end
}

/// A text with its quotes; tells how long it was.
fn mend_text(rest: &str, out: &mut String) -> usize {
    out.push('"');
    let mut at = 1;
    while let Some(c) = rest[at..].chars().next() {
        match c {
            '\\' => at += mend_escape(&rest[at..], out),
            control if control < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
                at += 1;
            }
            other => {
                out.push(other);
                at += other.len_utf8();
                if other == '"' {
                    break;
                }
            }
        }
    }
    at
}

/// An escape sequence; half a pair of surrogates is no sign.
fn mend_escape(rest: &str, out: &mut String) -> usize {
    let (used, text) = match unit(rest) {
        Some(0xd800..=0xdbff) if matches!(unit(&rest[6..]), Some(0xdc00..=0xdfff)) => (12, &rest[..12]),
        Some(0xd800..=0xdfff) => (6, "\\ufffd"),
        Some(_) => (6, &rest[..6]),
        None => {
            let used = rest.chars().take(2).map(char::len_utf8).sum();
            (used, &rest[..used])
        }
    };
    out.push_str(text);
    used
}

/// The number of `\uXXXX` at the beginning.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_says_nothing_is_replaced() {
        let cases: [(&[u8], &str); 9] = [
            (b"{\"a\":\"\xff\"}", "{\"a\":\"\u{fffd}\"}"),
            (b"\"\\ud800x\"", "\"\\ufffdx\""),
            (b"\"\\ud800\\ud83d\\ude00\\udc00\"", "\"\\ufffd\\ud83d\\ude00\\ufffd\""),
            (b"\"a\tb\"", "\"a\\u0009b\""),
            (b"[1e400,-1e400,NaN,-Infinity,1.5,true]", "[null,null,null,null,1.5,true]"),
            (b"{\"NaN\":\"1e400\"}", "{\"NaN\":\"1e400\"}"),
            (b"\"\\\\ud800\\\"\"", "\"\\\\ud800\\\"\""),
            (b"\"\\u12\"", "\"\\u12\""),
            (b"{\"half\":\"a te", "{\"half\":\"a te"),
        ];
        for (line, expected) in cases {
            assert_eq!(mended(line), expected, "{:?}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn what_can_be_read_stays_as_it_is(text in "\\PC{0,30}", number in any::<f64>()) {
            let line = serde_json::json!({"custom_id": text, "number": number}).to_string();
            prop_assert_eq!(mended(line.as_bytes()), line);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[\\\\\"ud8c0é]{0,20}") {
            let _whatever = (mended(&bytes), mended(text.as_bytes()));
        }
    }
}
