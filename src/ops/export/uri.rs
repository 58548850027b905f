//! Paths as parts of addresses: every byte that RFC 3986 does not leave free is written as `%` and two digits (section 2.1).

use std::fmt::Write as _;

/// A path; its slashes part segments and stay.
pub(super) fn path(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => safe.push(char::from(*byte)),
            _ => {
                let _infallible = write!(safe, "%{byte:02X}");
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sign_of_a_name_is_one_of_an_address() {
        assert_eq!(path(b"box 1/a&b?#\"%\xff.png"), "box%201/a%26b%3F%23%22%25%FF.png");
        assert_eq!(path("é-._~".as_bytes()), "%C3%A9-._~");
    }
}
