//! An ordinary result line, read without a document in between: nearly all are ordinary, and most of a document is thrown away.
//! What is out of the ordinary in any way is left to [`super::parse`]; what is read here, it reads the same.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::parse::Line;
use crate::domain::answer::{Finish, Outcome};
use crate::domain::batch::Usage;

/// Reads a line that says 200 and holds a chat completion with its first choice; `None`, which says nothing of the line, if it
/// is any other.
pub(super) fn read(bytes: &[u8]) -> Option<Line> {
    if may_have_a_private_key(bytes) {
        return None;
    }
    let Object(Told { custom_id, response }) = serde_json::from_slice(bytes).ok()?;
    let Response { status: Some(200), body: Some(Body { choice: Some(choice), usage }) } = response? else {
        return None;
    };
    let Choice { finish, message: Some(message) } = choice else { return None };
    let refusal = message.refusal.map(|refusal| refusal.0).filter(|refusal| !refusal.is_empty()).map(Cow::into_owned);
    let outcome = Outcome::Answered { content: message.content, refusal, finish };
    Some(Line { custom_id: custom_id?, outcome, usage: usage.and_then(Tokens::sums) })
}

/// Whether a key of the line may be one of those by which serde_json tells itself of other things than objects
/// (`$serde_json::private::RawValue`): a document takes the text behind such a key for what it says, wherever it stands.
fn may_have_a_private_key(bytes: &[u8]) -> bool {
    let begins = |at: usize| matches!(bytes.get(at + 2), Some(b's' | b'\\'));
    memmem::find_iter(bytes, b"\"$").any(begins) || memmem::find(bytes, b"\"\\u0024").is_some()
}

/// What an object is read into, member by member; a member that comes twice counts as it came last.
trait Members<'de>: Default {
    /// Takes the value of the member `name`.
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error>;
}

/// An object and nothing else: what is derived for a struct would take a list for one, too.
struct Object<T>(T);

impl<'de, T: Members<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Of(PhantomData)).map(Object)
    }
}

struct Of<T>(PhantomData<T>);

impl<'de, T: Members<'de>> Visitor<'de> for Of<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut from: M) -> Result<T, M::Error> {
        let mut told = T::default();
        while let Some(Text(name)) = from.next_key()? {
            told.take(&name, &mut from)?;
        }
        Ok(told)
    }
}

/// A text as it stands in the line, unless there are escapes in it.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn skip<'de, M: MapAccess<'de>>(from: &mut M) -> Result<(), M::Error> {
    from.next_value::<IgnoredAny>().map(drop)
}

/// Null is as good as absent; anything else is for the thorough reader.
fn nothing<'de, M: MapAccess<'de>>(from: &mut M) -> Result<(), M::Error> {
    from.next_value::<Option<IgnoredAny>>()?.map_or(Ok(()), |_| Err(odd()))
}

fn odd<E: serde::de::Error>() -> E {
    E::custom("out of the ordinary")
}

fn object<'de, T: Members<'de>, M: MapAccess<'de>>(from: &mut M) -> Result<Option<T>, M::Error> {
    Ok(from.next_value::<Option<Object<T>>>()?.map(|object| object.0))
}

#[derive(Default)]
struct Told<'de> {
    custom_id: Option<String>,
    response: Option<Response<'de>>,
}

impl<'de> Members<'de> for Told<'de> {
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error> {
        match name {
            "custom_id" if self.custom_id.is_some() => return Err(odd()),
            "custom_id" => self.custom_id = Some(from.next_value()?),
            "response" => self.response = object(from)?,
            "error" => nothing(from)?,
            _ => skip(from)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Response<'de> {
    status: Option<u16>,
    body: Option<Body<'de>>,
}

impl<'de> Members<'de> for Response<'de> {
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error> {
        match name {
            "status_code" => self.status = Some(from.next_value()?),
            "body" => self.body = object(from)?,
            _ => skip(from)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Body<'de> {
    choice: Option<Choice<'de>>,
    usage: Option<Tokens>,
}

impl<'de> Members<'de> for Body<'de> {
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error> {
        match name {
            "choices" => self.choice = from.next_value::<First<Object<Choice<'de>>>>()?.0.map(|choice| choice.0),
            "usage" => self.usage = object(from)?,
            // Of the Responses API.
            "output" => nothing(from)?,
            "object" if from.next_value::<Text<'de>>()?.0 == "response" => return Err(odd()),
            "object" => {}
            _ => skip(from)?,
        }
        Ok(())
    }
}

/// The first of a list.
struct First<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Choices<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Choices<T> {
            type Value = First<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut from: S) -> Result<First<T>, S::Error> {
                let first = from.next_element()?;
                while from.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        from.deserialize_seq(Choices(PhantomData))
    }
}

struct Choice<'de> {
    finish: Finish,
    message: Option<Message<'de>>,
}

impl Default for Choice<'_> {
    fn default() -> Self {
        Self { finish: Finish::Other(String::new()), message: None }
    }
}

impl<'de> Members<'de> for Choice<'de> {
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error> {
        match name {
            "finish_reason" => {
                let told: Option<Text<'de>> = from.next_value()?;
                self.finish = Finish::told(told.as_ref().map(|told| &*told.0));
            }
            "message" => self.message = object(from)?,
            _ => skip(from)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Message<'de> {
    content: Option<String>,
    refusal: Option<Text<'de>>,
}

impl<'de> Members<'de> for Message<'de> {
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error> {
        match name {
            "content" => self.content = from.next_value()?,
            "refusal" => self.refusal = from.next_value()?,
            _ => skip(from)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Tokens {
    prompt: Option<u64>,
    output: Option<u64>,
    of_prompt: Details,
    of_output: Details,
}

impl Tokens {
    fn sums(self) -> Option<Usage> {
        let (cached, reasoning) = (self.of_prompt.cached.unwrap_or(0), self.of_output.reasoning.unwrap_or(0));
        Some(Usage { prompt: self.prompt?, cached, output: self.output?, reasoning })
    }
}

impl<'de> Members<'de> for Tokens {
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error> {
        match name {
            "prompt_tokens" => self.prompt = from.next_value()?,
            "completion_tokens" => self.output = from.next_value()?,
            "prompt_tokens_details" => self.of_prompt = object(from)?.unwrap_or_default(),
            "completion_tokens_details" => self.of_output = object(from)?.unwrap_or_default(),
            // The same sums in the words of the Responses API.
            "input_tokens" | "output_tokens" | "input_tokens_details" | "output_tokens_details" => nothing(from)?,
            _ => skip(from)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Details {
    cached: Option<u64>,
    reasoning: Option<u64>,
}

impl<'de> Members<'de> for Details {
    fn take<M: MapAccess<'de>>(&mut self, name: &str, from: &mut M) -> Result<(), M::Error> {
        match name {
            "cached_tokens" => self.cached = from.next_value()?,
            "reasoning_tokens" => self.reasoning = from.next_value()?,
            _ => skip(from)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parse;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// What may stand in the place of any value.
    const ODD: [&str; 19] = [
        "null",
        "7",
        "-1",
        "200",
        "200.0",
        "1e400",
        "true",
        "\"\"",
        "\"stop\"",
        "\"response\"",
        "\"a\\u00e4 \\ud800\"",
        "[]",
        "[\"text\", null]",
        "[{}]",
        "{}",
        "{\"content\": \"x\", \"code\": \"y\"}",
        "{\"$serde_json::private::RawValue\": \"{}\"}",
        "[{\"\\u0024serde_json::private::RawValue\": \"7\"}]",
        "{\"$\\u0073erde_json::private::RawValue\": \"no JSON\"}",
    ];

    /// Members, each with a value that is ordinary most times, left out, or there twice.
    fn object(members: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
        let member = |(name, value): (&'static str, BoxedStrategy<String>)| {
            let odd = select(&ODD[..]).prop_map(str::to_owned);
            let value = prop_oneof![40 => value, 2 => odd];
            (value, 0..60_u8).prop_map(move |(value, fate)| match fate {
                0 => String::new(),
                1 => format!("\"{name}\": null, \"{name}\": {value}, "),
                2 => format!("\"{name}\": {value}, \"{name}\": {value}, "),
                _ => format!("\"{name}\": {value}, "),
            })
        };
        let members: Vec<_> = members.into_iter().map(member).collect();
        (members.prop_shuffle(), any::<bool>())
            .prop_map(|(members, other)| {
                let other = if other { "\"other\": [{\"x\": 1}]" } else { "\"\\u006fther\": null" };
                format!("{{{}{other}}}", members.concat())
            })
            .boxed()
    }

    fn words(told: &'static [&'static str]) -> BoxedStrategy<String> {
        select(told).prop_map(str::to_owned).boxed()
    }

    fn lines() -> BoxedStrategy<String> {
        let details = || object(vec![("cached_tokens", words(&["0", "12"])), ("reasoning_tokens", words(&["3"]))]);
        let usage = object(vec![
            ("prompt_tokens", words(&["1100"])),
            ("completion_tokens", words(&["600"])),
            ("prompt_tokens_details", details()),
            ("completion_tokens_details", details()),
            ("input_tokens_details", words(&["null"])),
        ]);
        let message = object(vec![
            ("content", words(&["\"Dear Sir\"", "\"a\\n\\\"b\\\"\"", "null", "[{\"text\": \"a\"}]"])),
            ("refusal", words(&["null", "\"\"", "\"I cannot\""])),
        ]);
        let choice = object(vec![
            ("finish_reason", words(&["\"stop\"", "\"length\"", "\"odd\"", "null"])),
            ("message", message),
        ]);
        let body = object(vec![
            ("choices", choice.prop_map(|choice| format!("[{choice}, {{}}]")).boxed()),
            ("usage", usage),
            ("object", words(&["\"chat.completion\""])),
            ("output", words(&["null"])),
            ("error", words(&["null"])),
        ]);
        let response = object(vec![("status_code", words(&["200", "200", "400"])), ("body", body)]);
        object(vec![("custom_id", words(&["\"a|b.png\""])), ("response", response), ("error", words(&["null"]))])
    }

    proptest! {
        #[test]
        fn what_is_read_here_the_thorough_reader_reads_the_same(line in lines()) {
            if let Some(read) = read(line.as_bytes()) {
                prop_assert_eq!(Some(read), parse::of_document(line.as_bytes()), "{}", line);
            }
        }
    }

    #[test]
    fn keys_that_a_document_takes_for_something_else_are_left_to_the_thorough_reader() {
        let line = |other: &str| {
            let body = r#"{"choices": [{"message": {"content": "Dear Sir"}, "finish_reason": "stop"}]}"#;
            format!(r#"{{"custom_id": "a", "response": {{"status_code": 200, "body": {body}}}, "other": {other}}}"#)
        };
        for other in [
            r#"{"$serde_json::private::RawValue": "no JSON"}"#,
            r#"[{"$serde_json::private::RawValue": 7}]"#,
            r#"{"\u0024serde_json::private::RawValue": "no JSON"}"#,
            r#"{"$\u0073erde_json::private::RawValue": "no JSON"}"#,
            r#"{"x": 1, "$serde_json::private::RawValue": "no JSON"}"#,
        ] {
            let line = line(other);
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
        for other in [r#""$5 and \"$6\"""#, r#"{"$id": 7}"#] {
            let line = line(other);
            assert_eq!(read(line.as_bytes()), parse::of_document(line.as_bytes()), "{line}");
            assert!(read(line.as_bytes()).is_some(), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_read_here() {
        let line = r#"{"id": "batch_req_1", "custom_id": "a", "response": {"status_code": 200, "request_id": "r", "body":
            {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant",
            "content": "Dear\nSir", "refusal": null, "annotations": []}, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "prompt_tokens_details":
            {"cached_tokens": 2, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 3}}}}, "error": null}"#;
        let line = line.replace("Dear\n", "Dear\\n");
        let read = read(line.as_bytes()).expect("an ordinary line");
        assert_eq!(read.usage, Some(Usage { prompt: 7, cached: 2, output: 5, reasoning: 3 }));
        assert!(matches!(read.outcome, Outcome::Answered { content: Some(text), .. } if text == "Dear\nSir"));
    }
}
