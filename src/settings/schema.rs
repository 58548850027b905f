//! The JSON Schema of `batchscribe.toml`, made from the table of settings, so that an editor knows what the program knows.

use serde_json::{Map, Value, json};

use super::default_text;
use super::limits::{KEYS, Kind};
use super::resolve::WORKSPACE_FILE;

/// Schema of a settings file: every key with its type, bounds, default, and the words of `default.toml`.
#[must_use]
pub fn schema() -> Value {
    let defaults = default_text().parse::<toml::Table>().ok().and_then(|table| serde_json::to_value(table).ok());
    let defaults = defaults.unwrap_or_default();
    let mut root = section();
    for key in KEYS {
        let mut schema = of(key.kind);
        let default = key.path.split('.').try_fold(&defaults, |value, name| value.get(name));
        if let (Some(schema), Some(default)) = (schema.as_object_mut(), default) {
            schema.insert("default".to_owned(), default.clone());
            schema.insert("description".to_owned(), json!(described(key.path, key.kind)));
        }
        insert(&mut root, key.path, schema);
    }
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!(WORKSPACE_FILE));
    Value::Object(root)
}

/// An object that takes the keys of the table alone.
fn section() -> Map<String, Value> {
    let mut section = Map::new();
    section.insert("type".to_owned(), json!("object"));
    section.insert("additionalProperties".to_owned(), json!(false));
    section.insert("properties".to_owned(), json!({}));
    section
}

fn insert(section_of: &mut Map<String, Value>, path: &str, schema: Value) {
    let Some(properties) = section_of.get_mut("properties").and_then(Value::as_object_mut) else { return };
    match path.split_once('.') {
        None => drop(properties.insert(path.to_owned(), schema)),
        Some((name, rest)) => {
            let inner = properties.entry(name).or_insert_with(|| Value::Object(section()));
            if let Some(inner) = inner.as_object_mut() {
                insert(inner, rest, schema);
            }
        }
    }
}

/// What stands behind the default in `default.toml`; of the keys of an inline table, what is allowed.
fn described(path: &str, kind: Kind) -> String {
    let (group, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = "";
    for line in default_text().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            at = name.0;
        }
        let is_it = at == group && line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
        if let (true, Some((_, words))) = (is_it, line.rsplit_once("  # ").or_else(|| line.split_once(" # "))) {
            return words.trim().to_owned();
        }
    }
    kind.allowed()
}

fn of(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Path | Kind::Checked(..) => json!({"type": "string"}),
        Kind::Count(min, u64::MAX) => json!({"type": "integer", "minimum": min}),
        Kind::Count(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Number(min, max) => {
            json!({"anyOf": [{"type": "number", "minimum": min, "maximum": max}, {"const": "unset"}]})
        }
        Kind::Money => json!({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::List(..) => json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        Kind::ListOrNone(..) => json!({"type": ["array", "string"], "items": {"type": "string"}}),
        Kind::Span(..) | Kind::OptionalSpan | Kind::SpanOrNone(..) => json!({"type": "string"}),
        Kind::Bytes(..) => json!({"type": ["integer", "string"]}),
        Kind::Word(words) => json!({"enum": words}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::json_schema::JsonSchema;

    fn document(text: &str) -> Value {
        serde_json::to_value(text.parse::<toml::Table>().expect("TOML")).expect("JSON")
    }

    #[test]
    fn the_defaults_fit_and_mistakes_do_not() {
        let schema = JsonSchema::new(&schema()).expect("a schema");
        let check = |text: &str| schema.check(&document(text));
        assert!(check(default_text()).is_ok(), "{:?}", check(default_text()).err());
        assert!(check("max_images_per_batch = 20\n[request]\ndetail = \"low\"\n").is_ok());
        for wrong in [
            "max_images_per_batch = 0",
            "max_images = 5",
            "[request]\ndetail = \"huge\"",
            "[batch]\npol_interval = \"9s\"",
            "[judge]\nloop = { copies = 1 }",
            "[encode]\nfit = \"yes\"",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_key_has_a_default_and_words() {
        let schema = schema();
        for key in KEYS {
            let pointer = format!("/properties/{}", key.path.replace('.', "/properties/"));
            let found = schema.pointer(&pointer).expect(key.path);
            assert!(found.get("default").is_some(), "{}", key.path);
            assert!(found["description"].as_str().is_some_and(|words| words.len() > 3), "{}", key.path);
        }
    }
}
