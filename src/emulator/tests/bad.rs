//! Bad answers as they come out, and who gets them.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::*;
use crate::emulator::endpoint::Endpoint;
use crate::emulator::engine::Engine as _;
use crate::emulator::engine::echo::Echo;
use crate::emulator::engine::tests::{body, png};
use crate::emulator::faults::Faults;
use crate::emulator::scenario::Scenario;

fn spoilt(way: Way, body: &str) -> Said {
    let raw: &RawValue = serde_json::from_str(body).expect("JSON");
    let request = ChatRequest::read(Endpoint::Chat, raw).expect("a request");
    spoil(way, &request, Echo::new().answer(&request)).expect("an answer")
}

fn page(way: Way) -> Said {
    spoilt(way, &body(&png(1), r#","max_completion_tokens":2000"#))
}

fn rough(text: &str) -> String {
    let parts = serde_json::json!([{"type": "text", "text": "Clean it."}, {"type": "text", "text": text}]);
    serde_json::json!({"model": "m", "messages": [{"role": "user", "content": parts}]}).to_string()
}

#[test]
fn each_way_is_bad_in_its_own_words() {
    let good = Echo::text_of(&png(1));
    let said = |way| page(way).content.unwrap_or_default();
    let (first, rest) = good.split_once('\n').expect("lines");
    assert!(good.starts_with(&said(Way::LengthCut)) && said(Way::LengthCut).len() == good.len() / 2);
    assert!(said(Way::LoopStop).starts_with(&good) && said(Way::LoopStop).matches(RUNAWAY).count() == COPIES);
    assert_eq!(page(Way::LoopStop), page(Way::LoopStop), "twice word for word");
    assert!(REFUSALS.contains(&said(Way::RefusalWords).as_str()));
    assert_eq!(said(Way::SaysBlank), "[blank page]");
    assert!(said(Way::Invented).chars().filter(|sign| sign.is_alphabetic()).count() >= 200);
    assert_eq!(said(Way::ChatterBefore), format!("{PREAMBLE}\n\n{good}"));
    assert_eq!(said(Way::ChatterAfter), format!("{good}\n\n{CLOSING}"));
    assert_eq!(said(Way::ModelVoice), format!("{first}\n{VOICE}\n{rest}"));
    assert_eq!(said(Way::TwoFences).matches("```").count(), 4);
    assert_eq!(said(Way::PromptEcho), format!("The page.\n\n{good}"));
    assert!(said(Way::LiteralEscapes).matches("\\n").count() >= 3 && !said(Way::LiteralEscapes).contains('\n'));
    assert!(page(Way::Refusal).refusal.is_some() && page(Way::Refusal).content.is_none());
    let object = spoilt(Way::ModelVoice, &body(&png(1), r#","response_format":{"type":"json_object"}"#));
    let value: serde_json::Value = serde_json::from_str(&object.content.expect("content")).expect("still JSON");
    assert!(value["text"].as_str().is_some_and(|text| text.contains(VOICE)));
    assert!(serde_json::from_str::<serde_json::Value>(&said(Way::InvalidJson)).is_err());
}

#[test]
fn a_bad_answer_costs_what_it_says() {
    for way in Way::READING {
        let said = page(way);
        let least = tokens_of(said.content.as_deref().unwrap_or_default().len());
        let cut = said.finish_reason == "length";
        assert_eq!(said.completion_tokens == 2000, cut, "{way:?}");
        assert!(cut || said.completion_tokens >= least, "{way:?}");
        assert!(said.prompt_tokens > 0 && said.reasoning_tokens <= said.completion_tokens, "{way:?}");
    }
    let said = page(Way::ReasoningAteBudget);
    assert_eq!((said.content.as_deref(), said.reasoning_tokens), (Some(""), said.completion_tokens));
}

#[test]
fn a_rough_text_comes_back_without_what_was_put_in_or_bad_by_order() {
    let good = Echo::text_of(&png(1));
    for way in [Way::ChatterBefore, Way::ChatterAfter, Way::ModelVoice] {
        let raw = rough(&page(way).content.expect("content"));
        let raw: &RawValue = serde_json::from_str(&raw).expect("JSON");
        let request = ChatRequest::read(Endpoint::Chat, raw).expect("a request");
        assert!(request.is_deep());
        assert_eq!(Echo::new().answer(&request).expect("an answer").content.as_deref(), Some(good.as_str()), "{way:?}");
    }
    let said = |way| spoilt(way, &rough("Paid 40 pounds\nto John.")).content.expect("content");
    assert_eq!(said(Way::LosesWord), "Paid 40 pounds\nto");
    assert_eq!(said(Way::AddsWord), "Paid 40 pounds\nto John. indeed");
    assert_eq!(said(Way::ChangesNumber), "Paid 70 pounds\nto John.");
}

#[test]
fn images_are_drawn_by_name_and_their_first_answers_are_bad() {
    let text = "seed = 3\n[[bad]]\ncustom_id_contains = \"odd\"\nhow = [\"refusal\"]\ntimes = 2\n\
                [[bad]]\nshare = 0.2\nhow = [\"empty\", \"loop_stop\", \"invented\"]\n\
                [[bad]]\nhow = [\"adds_word\"]\n";
    let faults = || Faults::new(Scenario::read(text).expect("a scenario"));
    let one = faults();
    let three: Vec<_> = (0..3).map(|_| one.of_image("odd1", false)).collect();
    assert_eq!(three, [Some(Way::Refusal), Some(Way::Refusal), None]);
    assert_eq!((one.of_image("odd1", true), one.of_image("odd1", true)), (Some(Way::AddsWord), None));
    let drawn = |names: Vec<u32>| -> BTreeSet<(u32, Way)> {
        let faults = faults();
        let way = |name: u32| faults.of_image(&format!("page{name}"), false).map(|way| (name, way));
        names.into_iter().filter_map(way).collect()
    };
    let forwards = drawn((0..1000).collect());
    assert_eq!(forwards, drawn((0..1000).rev().collect()), "whatever their order");
    assert!((150..250).contains(&forwards.len()), "{}", forwards.len());
    assert_eq!(forwards.iter().map(|(_, way)| *way).collect::<BTreeSet<_>>().len(), 3);
    assert!(Scenario::read("[[bad]]\nhow = [\"politely\"]").is_err());
}
