//! A validator for the part of JSON Schema that `openapi.json` uses. A keyword it does not know is an error of its own.

use serde_json::{Map, Value};

use crate::samples::json;

/// What a keyword may be without saying anything here: the shape of text is not looked at.
const SILENT: [&str; 2] = ["format", "pattern"];

/// The schemas of the document.
pub(crate) struct Schemas(Map<String, Value>);

impl Schemas {
    pub(crate) fn read() -> Self {
        match json("openapi.json") {
            Value::Object(schemas) => Self(schemas),
            other => panic!("no object: {other}"),
        }
    }

    fn named(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("no schema {name}"))
    }

    /// What is wrong with `value` as a `name`, each with its place; empty if nothing is.
    pub(crate) fn faults(&self, name: &str, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(self.named(name), value, name, &mut faults);
        faults
    }

    /// The same, and every member of the outermost object is one that the schema names.
    pub(crate) fn faults_and_strangers(&self, name: &str, value: &Value) -> Vec<String> {
        let mut faults = self.faults(name, value);
        let mut known = Vec::new();
        self.members(self.named(name), &mut known);
        let given = value.as_object().into_iter().flat_map(Map::keys);
        faults.extend(given.filter(|key| !known.contains(key)).map(|key| format!("{name}.{key}: not a member")));
        faults
    }

    /// Names of the members that a schema knows.
    fn members<'a>(&'a self, schema: &'a Value, known: &mut Vec<&'a String>) {
        known.extend(schema["properties"].as_object().into_iter().flat_map(Map::keys));
        if let Some(target) = schema["$ref"].as_str() {
            self.members(self.target(target), known);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.members(part, known);
        }
    }

    fn target(&self, reference: &str) -> &Value {
        self.named(reference.strip_prefix("#/components/schemas/").expect("a reference within the document"))
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let Value::Object(keywords) = schema else { panic!("{at}: {schema} is no schema") };
        if value.is_null() && keywords.get("nullable") == Some(&Value::Bool(true)) {
            return;
        }
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "$ref" => self.check(self.target(rule.as_str().expect("a reference")), value, at, faults),
                "anyOf" | "oneOf" | "allOf" => self.choice(keyword, rule, value, at, faults),
                "properties" => self.properties(rule, value, at, faults),
                "additionalProperties" => self.others(rule, &keywords["type"], schema, value, at, faults),
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}[{place}]"), faults);
                    }
                }
                keyword => plain(keyword, rule, value).unwrap_or_else(|why| faults.push(format!("{at}: {why}"))),
            }
        }
    }

    fn properties(&self, rules: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        for (name, rule) in rules.as_object().expect("properties") {
            if let Some(member) = value.get(name) {
                self.check(rule, member, &format!("{at}.{name}"), faults);
            }
        }
    }

    /// Members that `properties` does not name: allowed, forbidden, or of this shape.
    fn others(&self, rule: &Value, kind: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        assert_eq!(kind, "object", "{at}: a rule about members of what is no object");
        for (name, member) in value.as_object().into_iter().flatten() {
            if schema["properties"].get(name).is_some() {
                continue;
            }
            match rule {
                Value::Bool(true) => {}
                Value::Bool(false) => faults.push(format!("{at}.{name}: not a member")),
                rule => self.check(rule, member, &format!("{at}.{name}"), faults),
            }
        }
    }

    fn choice(&self, keyword: &str, rules: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let rules = rules.as_array().expect("a list of schemas");
        let each: Vec<Vec<String>> = rules
            .iter()
            .map(|rule| {
                let mut faults = Vec::new();
                self.check(rule, value, at, &mut faults);
                faults
            })
            .collect();
        let fit = each.iter().filter(|faults| faults.is_empty()).count();
        let good = match keyword {
            "anyOf" => fit >= 1,
            "oneOf" => fit == 1,
            _ => fit == rules.len(),
        };
        if !good {
            faults.push(format!("{at}: {fit} of {} fit where {keyword} is asked", rules.len()));
            faults.extend(each.into_iter().flatten());
        }
    }
}

/// The keywords that look at one value alone.
fn plain(keyword: &str, rule: &Value, value: &Value) -> Result<(), String> {
    let length = value.as_array().map(Vec::len);
    let letters = value.as_str().map(|text| text.chars().count());
    let bound = || usize::try_from(rule.as_u64().expect("a bound")).expect("a small bound");
    let good = match keyword {
        "type" => match rule {
            Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
            kind => is(kind, value),
        },
        "enum" => rule.as_array().expect("a list").contains(value),
        "const" => rule == value,
        "required" => match value.as_object() {
            Some(members) => {
                rule.as_array().expect("a list").iter().all(|name| members.contains_key(name.as_str().expect("a name")))
            }
            None => true,
        },
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a bound")),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().expect("a bound")),
        "minItems" => length.is_none_or(|length| length >= bound()),
        "maxItems" => length.is_none_or(|length| length <= bound()),
        "minLength" => letters.is_none_or(|letters| letters >= bound()),
        "maxProperties" => value.as_object().is_none_or(|members| members.len() <= bound()),
        "propertyNames" => value.as_object().is_none_or(|members| {
            let names = members.keys().map(|name| Value::String(name.clone()));
            let rules = rule.as_object().expect("a schema");
            names.into_iter().all(|name| rules.iter().all(|(keyword, rule)| plain(keyword, rule, &name).is_ok()))
        }),
        "maxLength" => letters.is_none_or(|letters| letters <= bound()),
        "nullable" => true,
        keyword if SILENT.contains(&keyword) => true,
        unknown => panic!("the validator does not know {unknown:?}"),
    };
    if good { Ok(()) } else { Err(format!("{value} is not of {keyword} {rule}")) }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a kind") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("the validator does not know the kind {unknown:?}"),
    }
}
