//! Requests as engines read them, the echo, and an upstream that is another of our servers.

use serde_json::value::RawValue;

use super::echo::Echo;
use super::*;
use crate::emulator::endpoint::Endpoint;
use crate::kit::base64::Encoder;

/// A chat request with one picture.
pub(in crate::emulator) fn body(bytes: &[u8], more: &str) -> String {
    let mut data = Vec::new();
    Encoder::new().append(bytes, &mut data);
    let data = String::from_utf8(data).expect("base64");
    format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"Transcribe."}},{{"role":"user","content":[
            {{"type":"text","text":"The page."}},
            {{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}","detail":"high"}}}}]}}]{more}}}"#
    )
    .replace("\n            ", "")
}

/// A small picture that differs from others by `shade`.
pub(in crate::emulator) fn png(shade: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(64, 32, image::Luma([shade]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("a picture");
    bytes.into_inner()
}

fn answered(body: &str) -> Answered {
    let raw: &RawValue = serde_json::from_str(body).expect("JSON");
    ChatRequest::read(Endpoint::Chat, raw).and_then(|request| Echo::new().answer(&request))
}

#[test]
fn a_request_is_taken_apart() {
    let body = body(&png(1), r#","max_completion_tokens":50,"response_format":{"type":"json_object"}"#);
    let raw: &RawValue = serde_json::from_str(&body).expect("JSON");
    let request = ChatRequest::read(Endpoint::Chat, raw).expect("a request");
    assert_eq!(
        (request.model.as_str(), request.system.as_str(), request.user.as_str()),
        ("m", "Transcribe.", "The page.")
    );
    assert_eq!((request.images[0].media_type.as_str(), &request.images[0].bytes), ("image/png", &png(1)));
    assert_eq!((request.max_tokens, request.format), (Some(50), Format::Json));
    // Two patches, times 1.2, and the words.
    assert_eq!(request.prompt_tokens(), 3 + 20u64.div_ceil(3));
}

#[test]
fn the_echo_says_the_same_of_the_same_picture() {
    let said = answered(&body(&png(1), "")).expect("an answer");
    assert_eq!(said.content.as_deref(), Some(Echo::text_of(&png(1)).as_str()));
    assert_ne!(Echo::text_of(&png(1)), Echo::text_of(&png(2)));
    let said = answered(&body(&png(1), r#","response_format":{"type":"json_schema"}"#)).expect("an answer");
    let json: serde_json::Value = serde_json::from_str(said.content.as_deref().expect("text")).expect("JSON");
    assert_eq!(json["text"], Echo::text_of(&png(1)));
    let cut = answered(&body(&png(1), r#","max_tokens":2"#)).expect("an answer");
    assert_eq!(
        (cut.finish_reason.as_str(), cut.completion_tokens, cut.content.map(|text| text.len())),
        ("length", 2, Some(8))
    );
}

#[test]
fn what_is_no_picture_is_refused_by_its_code() {
    let good = body(&png(1), "");
    let cases = [
        (body(b"not a picture", ""), "invalid_image_format"),
        (body(b"\x89PNG\r\n\x1a\ncut", ""), "image_parse_error"),
        (body(b"", ""), "empty_image_file"),
        (good.replace("base64,", "base64,*"), "invalid_base64_image"),
        (good.replace("data:image/png;base64,", "https://example.org/"), "invalid_image_url"),
        (
            good.replace("\"detail\"", "\"detail\":1,\"type\"").replace("image_url\",", "input_image\","),
            "invalid_value",
        ),
        (good.replace("[{\"role\"", "{\"role\""), ""),
    ];
    for (body, code) in cases {
        let Ok(raw) = serde_json::from_str::<&RawValue>(&body) else { continue };
        let refusal =
            ChatRequest::read(Endpoint::Chat, raw).and_then(|request| Echo::new().answer(&request)).expect_err(code);
        assert_eq!((refusal.status, refusal.code.as_deref().unwrap_or_default()), (400, code), "{}", refusal.message);
    }
}

#[test]
fn an_upstream_is_asked_with_the_body_as_it_came() {
    let folder = tempfile::tempdir().expect("temp dir");
    let options = crate::emulator::ServerOptions::new(folder.path().join("state"), std::sync::Arc::new(Echo::new()));
    let server = crate::emulator::start(options).expect("server");
    let engine = upstream::Upstream::new(&server.base_url(), Some("key"), 1).expect("upstream");
    let ask = |body: &str| {
        let raw: &RawValue = serde_json::from_str(body).expect("JSON");
        engine.answer(&ChatRequest::read(Endpoint::Chat, raw).expect("a request"))
    };
    let said = ask(&body(&png(7), "")).expect("an answer");
    assert_eq!((said.content, said.model.as_str()), (Some(Echo::text_of(&png(7))), "batchscribe-echo"));
    let response = input(&png(7), "");
    let raw: &RawValue = serde_json::from_str(&response).expect("JSON");
    let said = engine.answer(&ChatRequest::read(Endpoint::Responses, raw).expect("a request")).expect("an answer");
    assert_eq!((said.content, said.finish_reason.as_str()), (Some(Echo::text_of(&png(7))), "stop"));
    assert!(said.prompt_tokens > 0 && said.completion_tokens > 0);
    let refusal = ask(&body(b"not a picture", "")).expect_err("refused");
    assert_eq!((refusal.status, refusal.code.as_deref()), (400, Some("invalid_image_format")));
    server.stop();
    assert_eq!(ask(&body(&png(7), "")).expect_err("gone").status, 503);
}

/// A request to the Responses API with one picture.
fn input(bytes: &[u8], more: &str) -> String {
    let chat: serde_json::Value = serde_json::from_str(&body(bytes, "")).expect("JSON");
    let url = &chat["messages"][1]["content"][1]["image_url"]["url"];
    format!(
        r#"{{"model":"m","input":[{{"role":"system","content":"Transcribe."}},{{"role":"user","content":[
        {{"type":"input_text","text":"The page."}},{{"type":"input_image","image_url":{url},"detail":"high"}}]}}]{more}}}"#
    )
}

#[test]
fn a_request_of_the_responses_api_is_taken_apart_by_its_own_words() {
    let read = |endpoint, body: &str| {
        let raw: &RawValue = serde_json::from_str(body).expect("JSON");
        ChatRequest::read(endpoint, raw)
            .map(|request| (request.system, request.user, request.images.len(), request.max_tokens, request.format))
    };
    let whole = input(&png(1), r#","max_output_tokens":50,"text":{"format":{"type":"json_object"}}"#);
    let expected = ("Transcribe.".to_owned(), "The page.".to_owned(), 1, Some(50), Format::Json);
    assert_eq!(read(Endpoint::Responses, &whole), Ok(expected));
    let alone = read(Endpoint::Responses, r#"{"model":"m","instructions":"Be brief.","input":"Hello"}"#);
    assert_eq!(alone, Ok(("Be brief.".to_owned(), "Hello".to_owned(), 0, None, Format::Text)));
    let (good, chat) = (input(&png(1), ""), body(&png(1), ""));
    let nested = good.replace(r#""image_url":"#, r#""image_url":{"url":"#).replace(r#","detail""#, r#"},"detail""#);
    for (endpoint, body, param, code) in [
        (Endpoint::Responses, chat.clone(), "messages", "unsupported_parameter"),
        (Endpoint::Responses, input(&png(1), r#","max_tokens":5"#), "max_tokens", "unsupported_parameter"),
        (
            Endpoint::Responses,
            input(&png(1), r#","response_format":{"type":"text"}"#),
            "response_format",
            "unsupported_parameter",
        ),
        (
            Endpoint::Responses,
            input(&png(1), r#","text":{"format":{"type":"json_schema"}}"#),
            "text.format.name",
            "missing_required_parameter",
        ),
        (
            Endpoint::Responses,
            input(&png(1), r#","text":{"format":{"type":"xml"}}"#),
            "text.format.type",
            "invalid_value",
        ),
        (Endpoint::Responses, good.replace("input_text", "text"), "input[1].content[0].type", "invalid_value"),
        (Endpoint::Responses, nested, "input[1].content[1].image_url", "invalid_type"),
        (Endpoint::Responses, r#"{"model":"m"}"#.to_owned(), "input", "missing_required_parameter"),
        (Endpoint::Chat, good, "input", "unknown_parameter"),
        (
            Endpoint::Chat,
            chat.replace("image_url\":{\"url\":", "image_url\":").replace(",\"detail\":\"high\"}", ""),
            "messages[1].content[1].image_url",
            "invalid_type",
        ),
    ] {
        let refusal = read(endpoint, &body).expect_err(&body);
        assert_eq!((refusal.param.as_deref(), refusal.code.as_deref()), (Some(param), Some(code)), "{body}");
    }
}

#[test]
fn engines_have_names() {
    let model = |name| by_name(name, None, 1).map(|engine| engine.model().to_owned()).map_err(|cause| cause.kind());
    assert_eq!(model("echo").as_deref(), Ok("batchscribe-echo"));
    assert_eq!(model("http://127.0.0.1:9/v1/").as_deref(), Ok("batchscribe-upstream-127.0.0.1"));
    assert_eq!(model("tesseract"), Err(io::ErrorKind::InvalidInput));
}

#[tokio::test]
async fn an_upstream_may_be_dropped_on_any_thread() {
    drop(upstream::Upstream::new("http://127.0.0.1:9", None, 2).expect("upstream"));
    assert!(upstream::Upstream::new("not a url", None, 2).is_err());
}
