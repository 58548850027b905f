//! A run over `/v1/responses`, with answers that end in every way.

use batchscribe::emulator::scenario::Scenario;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

fn at_responses(images: usize, weather: Weather) -> Sandbox {
    let mut sandbox = Sandbox::with(images, weather);
    let url = format!("{}/responses", sandbox.base_url());
    sandbox.set("api_url", &url);
    sandbox.set("run.canary", "sync");
    sandbox.set("max_images_per_batch", "40");
    sandbox
}

#[test]
fn two_hundred_images_to_the_end() {
    let sandbox = at_responses(220, Weather::default());
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 220);
    assert_eq!(oracle::count(&sandbox.bill(), "chat"), 1, "its canary was asked there, too");
    let chat = Sandbox::new(1);
    assert!(chat.run().fault.is_none());
    assert_eq!(chat.text("tray_0/page0000.png"), sandbox.text("tray_0/page0000.png"), "the same page, the same text");
}

#[test]
fn every_end_of_an_answer_has_its_reason() {
    let ends = [
        // Asked again, otherwise: then they come.
        ("page0000", "refusal", None),
        ("page0001", "length_cut", None),
        ("page0002", "length_empty", None),
        ("page0003", "content_filter", Some("content_filter")),
        ("page0004", "invalid_image", None),
        ("page0005", "server_error", None),
        ("page0006", "missing", None),
    ];
    let scenario = ends.map(|(page, outcome, _)| {
        format!("[[line]]\ncustom_id_contains = \"{page}\"\noutcome = \"{outcome}\"\nwhen = {{ times = 1 }}\n")
    });
    let scenario = Scenario::read(&scenario.concat()).expect("a scenario");
    let sandbox = at_responses(10, Weather { scenario, ..Weather::default() });
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (9, 1), "{:?}", outcome.standing);
    let reasons = oracle::reasons(&sandbox.workspace());
    for (page, _, reason) in ends {
        let told = reasons.get(&format!("{page}.png")).map(String::as_str);
        assert_eq!(told, reason, "{page}");
    }
}

#[test]
fn settings_that_are_refused_there_stop_the_run() {
    let scenario = Scenario::read("[[line]]\noutcome = \"unsupported_value\"\n").expect("a scenario");
    let sandbox = at_responses(5, Weather { scenario, ..Weather::default() });
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(batchscribe::pipeline::mission::Fault::SettingRefused(_))));
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 0);
}
