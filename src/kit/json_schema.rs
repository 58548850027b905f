//! JSON Schema (draft 2020-12), checked here: what a service promises of its structured outputs is not what always comes.

use std::error::Error;

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader};
use serde_json::Value;

/// The schema's name for the library.
const NAME: &str = "urn:batchscribe:schema";

/// A compiled schema.
pub struct JsonSchema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl std::fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonSchema").finish_non_exhaustive()
    }
}

/// Where a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct Misfit {
    /// JSON pointer into the value; `/` for the whole of it.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// Nothing is fetched for a schema: it stands alone.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url} lies elsewhere; a schema may refer to its own parts alone").into())
    }
}

impl JsonSchema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.use_loader(Box::new(Nowhere));
        let told = |error: &dyn std::fmt::Display| error.to_string().replace(NAME, "the schema");
        compiler.add_resource(NAME, schema.clone()).map_err(|error| told(&error))?;
        let index = compiler.compile(NAME, &mut schemas).map_err(|error| told(&error))?;
        Ok(Self { schemas, index })
    }

    /// Whether a value fits.
    ///
    /// # Errors
    /// The first place where it does not.
    pub fn check(&self, value: &Value) -> Result<(), Misfit> {
        let Err(error) = self.schemas.validate(value, self.index) else { return Ok(()) };
        // The causes of a fault lie below it; the first and deepest one names the place.
        let mut deepest = &error;
        while let Some(cause) = deepest.causes.first() {
            deepest = cause;
        }
        let pointer = deepest.instance_location.to_string();
        Err(Misfit {
            pointer: if pointer.is_empty() { "/".to_owned() } else { pointer },
            message: deepest.kind.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misfit_is_told_by_its_place() {
        let schema = json!({"type": "object", "required": ["text"], "additionalProperties": false,
            "properties": {"text": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}}});
        let schema = JsonSchema::new(&schema).expect("a schema");
        assert_eq!(schema.check(&json!({"text": "a", "lines": [1, 2]})), Ok(()));
        let cases = [
            (json!({"lines": []}), "/"),
            (json!({"text": 5}), "/text"),
            (json!({"text": "a", "lines": [1, "b"]}), "/lines/1"),
            (json!({"text": "a", "more": 1}), "/"),
            (json!("text"), "/"),
        ];
        for (value, pointer) in cases {
            let misfit = schema.check(&value).expect_err("does not fit");
            assert_eq!(misfit.pointer, pointer, "{misfit}");
            assert!(!misfit.message.is_empty());
        }
    }

    #[test]
    fn a_schema_stands_alone() {
        let far = json!({"$ref": "https://example.org/other.json"});
        let cause = JsonSchema::new(&far).expect_err("refers to elsewhere");
        assert!(cause.contains("example.org"), "{cause}");
        assert!(JsonSchema::new(&json!({"$ref": "file:///etc/passwd"})).is_err());
        assert!(JsonSchema::new(&json!({"type": "nonsense"})).is_err());
        assert!(JsonSchema::new(&json!({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"})).is_ok());
    }
}
