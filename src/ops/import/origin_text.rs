//! What the scripts before this program made of a saved answer: known so exactly that a text they cut is told from one that a
//! person wrote.
//!
//! They took the JSON of a line from its first `{` on and the content up to its first `"`, whether or not a backslash stood
//! before it; escapes were left literal, or their backslashes became `|`.

use serde_json::Value;

/// What stands before a content in a saved line.
const KEY: &str = "\"content\"";

/// Every text that the scripts may have written for this saved line, without white space at its ends.
#[must_use]
pub fn cut_texts(saved: &str) -> Vec<String> {
    let Some(open) = saved.find('{') else { return Vec::new() };
    let Some(content) = content_of(&saved[open..]) else { return Vec::new() };
    let to_quote = content.split('"').next().unwrap_or_default();
    let mut texts = Vec::new();
    for cut in [to_quote, to_quote.strip_suffix('\\').unwrap_or(to_quote)] {
        for text in [cut.to_owned(), cut.replace('\\', "|")] {
            let text = text.trim().to_owned();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    texts
}

/// What follows the quote that opens the content.
fn content_of(json: &str) -> Option<&str> {
    let after = &json[json.find(KEY)? + KEY.len()..];
    after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')
}

/// The whole content of a saved line, decoded.
#[must_use]
pub fn whole_text(saved: &Value) -> Option<&str> {
    saved.pointer("/response/body/choices/0/message/content")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(content: &str) -> String {
        let content = Value::from(content).to_string();
        format!(
            r#"{{"custom_id": "a", "response": {{"body": {{"choices": [{{"message": {{"content": {content}}}}}]}}}}}}"#
        )
    }

    #[test]
    fn o7_every_way_in_which_a_text_was_cut() {
        let cases: [(&str, &[&str]); 6] = [
            ("Dear Sir", &["Dear Sir"]),
            ("He said \"go\"", &[r"He said \", "He said |", "He said"]),
            ("one\ntwo", &[r"one\ntwo", "one|ntwo"]),
            ("Müller\n\"x\"", &[r"Müller\n\", "Müller|n|", r"Müller\n", "Müller|n"]),
            ("C:\\new", &[r"C:\\new", "C:||new"]),
            ("", &[""]),
        ];
        for (content, expected) in cases {
            assert_eq!(cut_texts(&line(content)), expected, "{content}");
        }
    }

    #[test]
    fn what_stands_before_the_first_brace_counts_for_nothing() {
        assert_eq!(cut_texts(&format!("\"content\": \"no\" {}", line("yes"))), ["yes"]);
        assert!(cut_texts("no line").is_empty());
        assert!(cut_texts(r#"{"content": null}"#).is_empty());
    }
}
