//! The custom ids of an upload, picked out of its bytes while they stream by: of each line only the beginning is looked at.

/// What the beginning of a line may be long: an id that reaches beyond it is not found.
const HEAD: usize = 1024;

/// The ids found so far, and where in a line the bytes ended.
#[derive(Debug, Default)]
pub(super) struct Ids {
    found: Vec<String>,
    /// The beginning of the line that the bytes are in.
    head: Vec<u8>,
    /// Nothing more is looked for in this line.
    passed: bool,
}

impl Ids {
    /// Looks at the next bytes of the upload. Whatever holds no request, such as the frame of a form, is passed over.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.passed {
                let Some(end) = memchr::memchr(b'\n', bytes) else { return };
                bytes = &bytes[end + 1..];
                (self.head, self.passed) = (Vec::new(), false);
                continue;
            }
            let near = &bytes[..bytes.len().min(HEAD - self.head.len())];
            let end = memchr::memchr(b'\n', near);
            let part = &near[..end.unwrap_or(near.len())];
            self.head.extend_from_slice(part);
            bytes = &bytes[part.len()..];
            let id = id(&self.head);
            self.passed = id.is_some() || end.is_some() || self.head.len() == HEAD;
            self.found.extend(id);
        }
    }

    /// The ids in their order, each as a JSON string with its quotes, as it was written.
    pub(super) fn into_found(self) -> Vec<String> {
        self.found
    }
}

/// The id that a request line begins with, once the whole of it is there.
fn id(head: &[u8]) -> Option<String> {
    let mut rest = head;
    for expected in ["{", "\"custom_id\"", ":"] {
        rest = rest.trim_ascii_start().strip_prefix(expected.as_bytes())?;
    }
    let text = rest.trim_ascii_start();
    let mut escaped = false;
    let ends = |byte: &u8| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    };
    let length = text.strip_prefix(b"\"")?.iter().position(ends)? + 2;
    text.get(..length).and_then(|id| String::from_utf8(id.to_vec()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the official Python client sends it, with the id of one page in its language's escapes.
    const FORM: &str = concat!(
        "--4f2b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n",
        "--4f2b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n",
        "{\"custom_id\": \"box|page1.png\", \"method\": \"POST\", \"body\": {\"custom_id\": \"no\"}}\n",
        "{\"custom_id\":\"box|S\\u00e3o \\\\\\\"2\\\".png\",\"method\":\"POST\"}\n",
        "{\"method\": \"POST\", \"custom_id\": \"not at the beginning\"}\n",
        "{\"custom_id\":\"cut",
        "\n{\"custom_id\":\"box|ſ.png\"}\r\n--4f2b--\r\n",
    );
    const FOUND: [&str; 3] = ["\"box|page1.png\"", "\"box|S\\u00e3o \\\\\\\"2\\\".png\"", "\"box|ſ.png\""];

    #[test]
    fn ids_of_a_form_are_found_wherever_its_bytes_are_cut() {
        for length in 1..=FORM.len() {
            let mut ids = Ids::default();
            FORM.as_bytes().chunks(length).for_each(|part| ids.take(part));
            assert_eq!(ids.into_found(), FOUND, "in parts of {length}");
        }
    }

    #[test]
    fn what_is_long_without_an_end_of_line_is_not_kept() {
        let mut ids = Ids::default();
        for _ in 0..100 {
            ids.take(&[b'{'; 100]);
        }
        assert!(ids.head.len() <= HEAD, "{}", ids.head.len());
        ids.take(format!("\n{{\"custom_id\":\"{}\"}}\n{{\"custom_id\":\"b\"}}", "a".repeat(HEAD)).as_bytes());
        assert_eq!(ids.into_found(), ["\"b\""]);
    }
}
