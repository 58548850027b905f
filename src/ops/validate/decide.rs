//! What is wrong with a text, and what becomes of it: values in, values out.

use serde_json::Value;

use crate::domain::image::Reason;
use crate::kit::json::check_strictly;
use crate::kit::json_schema::{JsonSchema, Misfit};
use crate::ledger::moves::ImageState;
use crate::ledger::reader::ImageRow;

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its bytes are no UTF-8, from this place on.
    NotUtf8(usize),
    /// It is no JSON, in the parser's words.
    Json(String),
    /// It is JSON and does not fit the schema.
    Schema(Misfit),
    /// It is longer than any answer.
    TooLong,
}

impl Fault {
    /// The word of reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotUtf8(_) => "not_utf8",
            Self::Json(_) => Reason::JsonInvalid.word(),
            Self::Schema(_) => Reason::SchemaMismatch.word(),
            Self::TooLong => "too_long",
        }
    }

    /// What it is to the ledger.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Schema(_) => Reason::SchemaMismatch,
            _ => Reason::JsonInvalid,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotUtf8(at) => write!(f, "not UTF-8 from byte {at} on"),
            Self::Json(words) => write!(f, "not JSON: {words}"),
            Self::Schema(fault) => fault.fmt(f),
            Self::TooLong => f.write_str("longer than any answer"),
        }
    }
}

/// What is wrong with `bytes`; a blank page is empty, and good.
#[must_use]
pub fn examine(bytes: &[u8], json: bool, schema: Option<&JsonSchema>) -> Option<Fault> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(cause) => return Some(Fault::NotUtf8(cause.valid_up_to())),
    };
    if !json || text.is_empty() {
        return None;
    }
    match (check_strictly(text), schema) {
        (Err(cause), _) => Some(Fault::Json(cause.to_string())),
        (Ok(()), Some(schema)) => fits(schema, text).map(Fault::Schema),
        (Ok(()), None) => None,
    }
}

fn fits(schema: &JsonSchema, text: &str) -> Option<Misfit> {
    // It was read strictly just now.
    let value: Value = serde_json::from_str(text).ok()?;
    schema.check(&value).err()
}

/// What becomes of a text that is not what it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It leaves its place, and its image is owed again, or failed where its tries are used up.
    AskedAgain,
    /// It leaves its place: the ledger knows already that it is unusable.
    Removed,
    /// It becomes the rough text: no other copy of the answer is left.
    Rough,
    /// It is the only copy of the answer, and another file bears the name of its rough text: left.
    NoRoom,
    /// Its image is to be asked, or is asked, in any case.
    Waits,
    /// A person has edited it: left.
    Edited,
    /// It was never ours: left.
    NeverOurs,
    /// The ledger knows no such image: left.
    Unknown,
}

impl Became {
    /// The word of reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::AskedAgain => "asked_again",
            Self::Removed => "removed",
            Self::Rough => "rough",
            Self::NoRoom => "no_room",
            Self::Waits => "waits",
            Self::Edited => "edited",
            Self::NeverOurs => "never_ours",
            Self::Unknown => "unknown_image",
        }
    }

    /// Whether the text leaves its place.
    #[must_use]
    pub fn moves(self) -> bool {
        matches!(self, Self::AskedAgain | Self::Removed | Self::Rough)
    }
}

/// Whose an unusable text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Ours,
    Edited,
    NeverOurs,
}

/// What becomes of the unusable text beside `image`; `raw`: its answer is saved.
pub(super) fn decide(image: &ImageRow, holder: Holder, raw: bool) -> Became {
    let known = |reason: &Option<String>| {
        reason.as_deref().is_some_and(|reason| {
            [Reason::JsonInvalid, Reason::SchemaMismatch].iter().any(|unusable| unusable.word() == reason)
        })
    };
    match (holder, image.state) {
        (Holder::Edited, _) => Became::Edited,
        (Holder::NeverOurs, _) => Became::NeverOurs,
        (Holder::Ours, ImageState::Done) if raw => Became::AskedAgain,
        (Holder::Ours, ImageState::Done) => Became::Rough,
        // An earlier life had come as far as the ledger.
        (Holder::Ours, ImageState::Owed) if known(&image.after) => Became::Removed,
        (Holder::Ours, ImageState::Failed) if known(&image.reason) => Became::Removed,
        (Holder::Ours, _) => Became::Waits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ImageId;
    use crate::domain::image::RelPath;
    use serde_json::json;

    fn image(state: ImageState, reason: Option<&str>, after: Option<&str>) -> ImageRow {
        ImageRow {
            id: ImageId(1),
            root: b"/pages".to_vec(),
            given: b"pages".to_vec(),
            path: RelPath { folder: Vec::new(), name: b"a.jpg".to_vec(), page: 1 },
            state,
            reason: reason.map(str::to_owned),
            asked: 0,
            measured: true,
            text: Some("txt".into()),
            text_hash: Some([1; 16]),
            edited: false,
            flagged: false,
            flags: Vec::new(),
            asked_as: None,
            after: after.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_is_ours_and_saved_is_asked_again() {
        use ImageState::{Done, Failed, Owed, Packed};
        for (image, holder, raw, became) in [
            (image(Done, None, None), Holder::Ours, true, Became::AskedAgain),
            (image(Done, None, None), Holder::Ours, false, Became::Rough),
            (image(Done, None, None), Holder::Edited, true, Became::Edited),
            (image(Done, None, None), Holder::NeverOurs, true, Became::NeverOurs),
            (image(Owed, None, Some("json_invalid")), Holder::Ours, false, Became::Removed),
            (image(Owed, None, Some("truncated")), Holder::Ours, false, Became::Waits),
            (image(Owed, None, None), Holder::Ours, false, Became::Waits),
            (image(Packed, None, Some("json_invalid")), Holder::Ours, false, Became::Waits),
            (image(Failed, Some("schema_mismatch"), None), Holder::Ours, false, Became::Removed),
            (image(Failed, Some("refused"), None), Holder::Ours, false, Became::Waits),
            (image(Failed, Some("json_invalid"), None), Holder::Edited, false, Became::Edited),
        ] {
            assert_eq!(decide(&image, holder, raw), became, "{image:?}");
        }
    }

    #[test]
    fn a_text_is_utf8_and_json_where_json_was_asked_for() {
        let schema = JsonSchema::new(&json!({"type": "object"})).expect("a schema");
        let word = |bytes: &[u8], json, schema| examine(bytes, json, schema).map(|fault| fault.word());
        for (bytes, json, expected) in [
            (b"plain".as_slice(), false, None),
            (b"\xff", false, Some("not_utf8")),
            (b"plain", true, Some("json_invalid")),
            (b"", true, None),
            (b"{\"a\":1}\n", true, None),
            (b"{\"a\":1,\"a\":2}", true, Some("json_invalid")),
            (b"[1]", true, Some("schema_mismatch")),
            (b"[1]", false, None),
        ] {
            assert_eq!(word(bytes, json, Some(&schema)), expected, "{bytes:?} {json}");
        }
        assert_eq!(word(b"[1]", true, None), None);
    }
}
