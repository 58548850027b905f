//! Typed values, and the two ways they are written: as TOML in a file, as text in a flag or variable.

use std::time::Duration;

use toml::de::DeValue;

use super::limits::Kind;
use super::units;
use crate::domain::money::Money;

/// A value that fits its kind's type; bounds are checked by [`Kind::admit`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Count(u64),
    /// None is `"unset"`.
    Number(Option<f64>),
    Switch(bool),
    List(Vec<String>),
    /// None is `""`.
    Span(Option<Duration>),
    Bytes(u64),
}

/// A value as it was written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written<'a> {
    /// In a flag or variable.
    Text(&'a str),
    /// In a file.
    Toml(&'a DeValue<'a>),
}

impl Written<'_> {
    /// The value of this kind, if it is one within the bounds.
    pub(super) fn read(self, kind: Kind) -> Option<Value> {
        let value = match self {
            Self::Text(text) => from_text(kind, text),
            Self::Toml(value) => from_toml(kind, value),
        };
        value.and_then(|value| kind.admit(value))
    }

    /// As a file would say it: for messages and `config show`.
    pub(super) fn shown(self, kind: Kind) -> String {
        match self {
            Self::Toml(value) => show_toml(value),
            Self::Text(text) => match (kind, from_text(kind, text)) {
                (_, Some(Value::List(items))) => show_list(&items),
                (Kind::Count(..) | Kind::Switch | Kind::Number(..) | Kind::Money, Some(_))
                    if text.trim() != "unset" =>
                {
                    text.trim().to_owned()
                }
                _ => quoted(text),
            },
        }
    }
}

fn from_text(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text | Kind::Path | Kind::Word(_) | Kind::Checked(..) => Some(Value::Text(text.to_owned())),
        Kind::Count(..) => text.trim().parse().ok().map(Value::Count),
        Kind::Number(..) => number(text).map(Value::Number),
        Kind::Money => Money::parse(text.trim()).map(|_| Value::Text(text.trim().to_owned())),
        Kind::Switch => text.trim().parse().ok().map(Value::Switch),
        Kind::ListOrNone(..) if text.trim().is_empty() => Some(Value::List(Vec::new())),
        Kind::List(..) | Kind::ListOrNone(..) => list(text).map(Value::List),
        Kind::Span(..) | Kind::OptionalSpan | Kind::SpanOrNone(..) if text.trim().is_empty() => Some(Value::Span(None)),
        Kind::Span(..) | Kind::OptionalSpan | Kind::SpanOrNone(..) => {
            units::duration(text).map(|span| Value::Span(Some(span)))
        }
        Kind::Bytes(..) => units::bytes(text).map(Value::Bytes),
    }
}

fn number(text: &str) -> Option<Option<f64>> {
    if text.trim() == "unset" {
        return Some(None);
    }
    text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(Some)
}

/// `[".jpg", ".png"]` as in a file, or `.jpg, .png`.
fn list(text: &str) -> Option<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return Some(text.split(',').map(|item| item.trim().to_owned()).collect());
    }
    let value = DeValue::parse(text).ok()?;
    strings(value.get_ref())
}

fn strings(value: &DeValue<'_>) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

fn from_toml(kind: Kind, value: &DeValue<'_>) -> Option<Value> {
    let integer = || {
        let written = value.as_integer()?;
        u64::from_str_radix(written.as_str(), written.radix()).ok()
    };
    match kind {
        Kind::Count(..) => integer().map(Value::Count),
        Kind::Bytes(..) if value.is_integer() => integer().map(Value::Bytes),
        Kind::Number(..) | Kind::Money => {
            let written = value.as_str().or_else(|| value.as_float().map(toml::de::DeFloat::as_str));
            let written = written.or_else(|| value.as_integer().map(toml::de::DeInteger::as_str));
            written.and_then(|text| from_text(kind, text))
        }
        Kind::Switch => value.as_bool().map(Value::Switch),
        // One text is a list of one, whatever commas it holds: a path may have some.
        Kind::ListOrNone(..) if value.is_str() => value
            .as_str()
            .map(|text| Value::List(Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect())),
        Kind::List(..) | Kind::ListOrNone(..) => strings(value).map(Value::List),
        _ => value.as_str().and_then(|text| from_text(kind, text)),
    }
}

fn show_toml(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(switch) => switch.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| show_toml(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn show_list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML basic string; harmless on a terminal.
fn quoted(text: &str) -> String {
    toml::Value::String(crate::domain::image::shown(text.as_bytes())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Kind = Kind::Span(0, 3_600_000);
    const LIST: Kind = Kind::List(|item| item.starts_with('.'), "endings");
    const OR_NONE: Kind = Kind::ListOrNone(|item| !item.is_empty(), "words");

    #[test]
    fn a_file_and_a_variable_say_the_same() {
        for (kind, text, toml) in [
            (SPAN, "60s", "\"60s\""),
            (Kind::Count(0, 9), "7", "7"),
            (Kind::Switch, "true", "true"),
            (Kind::Bytes(0, 1 << 40), "150 MB", "\"150 MB\""),
            (Kind::Bytes(0, 1 << 40), "150000000", "150_000_000"),
            (Kind::Number(0.0, 2.0), "0.5", "0.5"),
            (Kind::Number(0.0, 2.0), "unset", "\"unset\""),
            (Kind::Money, "2", "2"),
            (Kind::Money, "0.25", "0.25"),
            (Kind::Money, "0.25", "\"0.25\""),
            (LIST, ".a, .b", "[\".a\", \".b\"]"),
            (LIST, "[\".a\", \".b\"]", "[\".a\", \".b\"]"),
            (OR_NONE, "tell,me", "[\"tell\", \"me\"]"),
            (OR_NONE, "tell", "\"tell\""),
            (OR_NONE, "", "\"\""),
            (OR_NONE, "[]", "[]"),
        ] {
            let parsed = DeValue::parse(toml).expect(toml);
            let from_file = Written::Toml(parsed.get_ref()).read(kind);
            assert!(from_file.is_some(), "{toml}");
            assert_eq!(Written::Text(text).read(kind), from_file, "{text}");
        }
    }

    #[test]
    fn a_text_of_a_file_is_one_word_of_a_list() {
        let parsed = DeValue::parse("\"/opt/tell, me\"").expect("TOML");
        let value = Written::Toml(parsed.get_ref()).read(OR_NONE);
        assert_eq!(value, Some(Value::List(vec!["/opt/tell, me".to_owned()])));
        let parsed = DeValue::parse("\".jpg\"").expect("TOML");
        assert_eq!(Written::Toml(parsed.get_ref()).read(LIST), None);
    }

    #[test]
    fn what_is_out_of_bounds_is_no_value() {
        for (kind, text) in [
            (SPAN, "2h"),
            (SPAN, ""),
            (Kind::Count(1, 9), "0"),
            (Kind::Count(1, 9), "-3"),
            (Kind::Number(0.0, 2.0), "NaN"),
            (Kind::Switch, "yes"),
            (Kind::Money, "-1"),
            (Kind::Money, "1e3"),
            (Kind::Money, ""),
            (Kind::Word(&["low", "high"]), "medium"),
            (LIST, "jpg"),
        ] {
            assert_eq!(Written::Text(text).read(kind), None, "{text}");
        }
    }

    #[test]
    fn values_are_shown_as_a_file_says_them() {
        assert_eq!(Written::Text("low").shown(Kind::Text), "\"low\"");
        assert_eq!(Written::Text("7").shown(Kind::Count(0, 9)), "7");
        assert_eq!(Written::Text(".a,.b").shown(LIST), "[\".a\", \".b\"]");
        assert_eq!(Written::Text("a\u{1b}[2J").shown(Kind::Text), "\"a\u{fffd}[2J\"");
    }
}
