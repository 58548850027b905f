//! XML as it is written here: elements, attributes, text, and at the end a seal by which a later export knows its own file.
//!
//! A template would escape as HTML does, which leaves in the signs that XML has no way to hold.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::kit::hash;

/// Around the BLAKE3 of everything before it, at the end of a file.
const SEAL: (&str, &str) = ("<!-- batchscribe ", " -->\n");
/// Hex digits between the two.
const DIGITS: usize = 32;

/// A document that is written from its beginning to its end.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    pub(super) fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() }
    }

    /// Begins an element.
    pub(super) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.text.push_str(">\n");
        self.open.push(name);
    }

    /// An element without content.
    pub(super) fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.text.push_str("/>\n");
    }

    /// An element that holds text and nothing else.
    pub(super) fn text(&mut self, name: &'static str, content: &str) {
        self.text_with(name, &[], content);
    }

    /// An element with attributes that holds text and nothing else.
    pub(super) fn text_with(&mut self, name: &'static str, attributes: &[(&str, &str)], content: &str) {
        self.tag(name, attributes);
        let _infallible = writeln!(self.text, ">{}</{name}>", escaped(content, false));
    }

    /// An empty element with text behind it, to the end of the line.
    pub(super) fn before(&mut self, name: &'static str, content: &str) {
        self.tag(name, &[]);
        let _infallible = writeln!(self.text, "/>{}", escaped(content, false));
    }

    /// Ends the element that was begun last.
    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            let _infallible = writeln!(self.text, "</{name}>");
        }
    }

    /// The bytes of the document, with the seal behind its root.
    pub(super) fn sealed(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.close();
        }
        let digits = hash::hex_digits(self.text.as_bytes(), DIGITS);
        [&self.text, SEAL.0, &digits, SEAL.1].concat().into_bytes()
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        let _infallible = write!(self.text, "<{name}");
        for (key, value) in attributes {
            let _infallible = write!(self.text, " {key}=\"{}\"", escaped(value, true));
        }
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.open.len()));
    }
}

/// Whether a file is as an export wrote it: nobody has been at it since.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    let length = SEAL.0.len() + DIGITS + SEAL.1.len();
    let Some(cut) = bytes.len().checked_sub(length) else { return false };
    let (body, seal) = bytes.split_at(cut);
    seal == [SEAL.0, &hash::hex_digits(body, DIGITS), SEAL.1].concat().as_bytes()
}

/// Text between tags, or a value between quotes. What XML 1.0 cannot hold (production 2: `Char`) becomes U+FFFD; what a reader
/// would normalise away is written as a reference (sections 2.11 and 3.3.3).
fn escaped(text: &str, value: bool) -> Cow<'_, str> {
    let code = |c: char| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        // Only `]]>` must not stand in text, but nobody expects the sign alone.
        '>' => Some("&gt;"),
        '"' if value => Some("&quot;"),
        '\t' if value => Some("&#9;"),
        '\n' if value => Some("&#10;"),
        '\r' => Some("&#13;"),
        '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => None,
        _ => Some("\u{fffd}"),
    };
    if !text.chars().any(|c| code(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match code(c) {
            Some(code) => safe.push_str(code),
            None => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_say_anything_and_change_nothing() {
        let all: String = (0..=0x1_1000).filter_map(char::from_u32).collect();
        for value in [false, true] {
            let safe = escaped(&all, value);
            assert!(!safe.contains(['<', '>']) && safe.matches('&').count() == safe.matches(';').count() - 1);
            let forbidden = |c: char| c < ' ' && !matches!(c, '\t' | '\n') || matches!(c, '\u{fffe}' | '\u{ffff}');
            assert!(!safe.contains(forbidden), "what XML 1.0 cannot hold");
        }
        assert_eq!(escaped("\u{1}\u{b}\u{c}\u{fffe}", false), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(escaped("a \"b\" ]]>\tc\r", false), "a \"b\" ]]&gt;\tc&#13;");
        assert_eq!(escaped("a \"b\"\tc\n", true), "a &quot;b&quot;&#9;c&#10;");
        assert!(matches!(escaped("plain äöü 😀", true), Cow::Borrowed(_)));
    }

    #[test]
    fn a_sealed_document_is_known_until_somebody_was_at_it() {
        let mut xml = Xml::new();
        xml.open("a", &[("b", "<c>")]);
        xml.empty("d", &[]);
        xml.text("e", "f & g");
        let bytes = xml.sealed();
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(text.contains("<a b=\"&lt;c&gt;\">\n  <d/>\n  <e>f &amp; g</e>\n</a>\n<!-- batchscribe "), "{text}");
        assert!(is_sealed(&bytes));
        for at in [0, 45, bytes.len() - 40, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!is_sealed(&other), "{at}");
        }
        assert!(!is_sealed(b"") && !is_sealed(&bytes[1..]) && !is_sealed(&[&bytes[..], b"\n"].concat()));
    }
}
