//! What the program that this one follows did wrong, each defect as a story that must not come back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::engine::{Answered, ChatRequest, Engine, Said};
use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::clock::Clock;
use batchscribe::pipeline::mission::{Mode, Outcome};

use crate::oracle;
use crate::sandbox::{Sandbox, Weather, png};

fn weather(scenario: &str) -> Weather {
    Weather { scenario: Scenario::read(scenario).expect("a scenario"), ..Weather::default() }
}

fn good(outcome: &Outcome) {
    assert!(outcome.fault.is_none() && outcome.standing.closes(), "{outcome:?}");
}

/// A PNG of `side` by `side` pixels that cannot be packed.
fn dense(side: u32, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let image = image::RgbImage::from_fn(side, side, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, a, b, c] = state.to_le_bytes();
        image::Rgb([a, b, c])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("memory");
    bytes.into_inner()
}

fn put(sandbox: &Sandbox, image: &str, bytes: &[u8]) {
    let path = sandbox.corpus().join(image);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    std::fs::write(path, bytes).expect("image");
}

/// Every image among `images` has the text that its own pixels are answered with.
fn each_has_its_own_text(sandbox: &Sandbox, images: &[&str]) {
    for image in images {
        let bytes = std::fs::read(sandbox.corpus().join(image)).expect("image");
        assert_eq!(sandbox.text(image), Some(format!("{}\n", Echo::text_of(&bytes))), "{image}");
    }
}

/// Lines of all raw files with `wanted` in them.
fn raw_lines(sandbox: &Sandbox, wanted: &str) -> usize {
    let folder = sandbox.workspace().join("batch_return");
    let read = |name: String| std::fs::read_to_string(folder.join(name)).expect("raw");
    let texts: Vec<String> = oracle::all_files(&folder).into_iter().map(read).collect();
    texts.iter().flat_map(|text| text.lines()).filter(|line| line.contains(wanted)).count()
}

#[test]
fn o1_a_second_run_pays_for_nothing() {
    let sandbox = Sandbox::new(7);
    good(&sandbox.run());
    let before = oracle::order(&sandbox.bill()).len();
    for _ in 0..2 {
        good(&sandbox.run());
    }
    let bill = oracle::order(&sandbox.bill());
    let dear = bill[before..].iter().filter(|what| matches!(what.as_str(), "line" | "upload" | "create")).count();
    assert_eq!(dear, 0, "nothing is sent again: {bill:?}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 7);
}

#[test]
fn o2_batches_that_expired_or_were_cancelled_give_what_they_have() {
    for ending in ["expire_after_lines = 2", "cancel_after_lines = 2"] {
        let sandbox = Sandbox::with(4, weather(&format!("[[batch]]\n{ending}\nwhen = {{ times = 1 }}\n")));
        good(&sandbox.work(Mode::Upload));
        let half = sandbox.work(Mode::Download { wait: true });
        assert!(half.fault.is_none(), "{:?}", half.fault);
        let standing = half.standing;
        assert!(standing.done >= 2 && standing.owed >= 1 && standing.failed == 0, "{ending}: {standing:?}");
        assert_eq!(standing.done + standing.owed, 4, "{ending}: {standing:?}");
        let raw = oracle::all_files(&sandbox.workspace().join("batch_return"));
        let errors = raw.iter().filter(|name| name.contains(".errors")).count();
        assert_eq!((raw.len(), errors), (2, 1), "both files are kept: {raw:?}");
        good(&sandbox.run());
        oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 4);
    }
}

#[test]
fn o2_a_batch_that_failed_is_not_forgotten() {
    let scenario = "[[batch]]\nfail = { code = \"token_limit_exceeded\", message = \"Enqueued token limit reached\" }\n\
                    when = { times = 1 }\n[[line]]\noutcome = \"server_error\"\nwhen = { times = 1 }\n";
    let mut sandbox = Sandbox::with(4, weather(scenario));
    let clock = Clock::manual(1_800_000_000_000);
    sandbox.set("batch.max_open_batches", "1");
    let (mut mission, _stop) = sandbox.mission(Mode::Run { once: false });
    mission.clock = clock.clone();
    let run = std::thread::spawn(move || batchscribe::pipeline::run(mission));
    let begun = Instant::now();
    while !run.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        clock.advance(Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(2));
    }
    good(&run.join().expect("it comes back"));
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 4);
    assert_eq!(raw_lines(&sandbox, "server_error"), 1, "the error file was read and kept");
}

#[test]
fn o3_a_batch_that_takes_nearly_its_whole_day_is_collected() {
    let clock = Clock::manual(1_800_000_000_000);
    let day = Duration::from_secs(86_400);
    let weather = Weather { line_delay: day - Duration::from_secs(60), clock: clock.clone(), ..Weather::default() };
    let mut sandbox = Sandbox::with(1, weather);
    sandbox.set("batch.poll_interval", "1m");
    sandbox.set("batch.max_poll_interval", "10m");
    let (mission, _stop) = sandbox.mission(Mode::Run { once: false });
    let run = std::thread::spawn(move || batchscribe::pipeline::run(mission));
    sandbox.await_batches(1);
    let (begun, mut passed) = (Instant::now(), Duration::ZERO);
    while !run.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(90), "it does not end");
        // Slowly where a minute counts: between the answer and the end of the window.
        let is_late = passed > day - Duration::from_secs(90) && oracle::count(&sandbox.bill(), "line") == 0;
        let step = Duration::from_millis(if is_late { 200 } else { 60_000 });
        clock.advance(step);
        passed += step;
        std::thread::sleep(Duration::from_millis(2));
    }
    good(&run.join().expect("it comes back"));
    assert!(passed > day - Duration::from_secs(60), "{passed:?}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 1);
}

#[test]
fn o4_an_image_that_is_too_large_ends_itself_and_nobody_else() {
    let mut sandbox = Sandbox::new(0);
    sandbox.set("shard.max_shard_bytes", "64000");
    sandbox.image("a.png", 1);
    put(&sandbox, "b.png", &dense(200, 2));
    sandbox.image("c.png", 3);
    good(&sandbox.run());
    let reasons = oracle::reasons(&sandbox.workspace());
    assert_eq!(reasons.get("b.png").map(String::as_str), Some("too_large"), "{reasons:?}");
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    each_has_its_own_text(&sandbox, &["a.png", "c.png"]);
}

#[test]
fn o5_each_text_lies_beside_its_own_image() {
    let names = ["a|b.png", "a/b.png", "a/c|d.png", "a|c/d.png", "a|c|d.png"];
    let sandbox = Sandbox::with(0, weather("[[line]]\noutcome = \"unknown_id\"\nwhen = { times = 2 }\n"));
    for (seed, name) in (0..).zip(names) {
        sandbox.image(name, seed);
    }
    good(&sandbox.run());
    each_has_its_own_text(&sandbox, &names);
    let texts = sandbox.tree().into_iter().filter(|name| name.ends_with(".txt") && name.starts_with("in/")).count();
    assert_eq!(texts, names.len(), "an answer that nobody asked for writes nothing: {:?}", sandbox.tree());
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), names.len());
}

#[test]
fn o6_subfolders_endings_and_dots_are_images_of_their_own() {
    let names = ["a.1.png", "a.2.png", "deep/er/still/page.JPG", "deep/page.Jpeg", "x.jpg.png", "deep.png/y.png"];
    let sandbox = Sandbox::new(0);
    for (seed, name) in (0..).zip(names) {
        sandbox.image(name, seed);
    }
    put(&sandbox, "notes.doc", b"words");
    put(&sandbox, "deep/more.DOC", b"words");
    put(&sandbox, "master.jp2", b"\0\0\0\x0cJXL \r\n\x87\n");
    let outcome = sandbox.run();
    good(&outcome);
    each_has_its_own_text(&sandbox, &names);
    assert_eq!(outcome.passed_over.by_ending.get("doc"), Some(&2), "{:?}", outcome.passed_over);
    let reasons = oracle::reasons(&sandbox.workspace());
    assert_eq!(reasons.get("master.jp2").map(String::as_str), Some("unsupported_format"), "{reasons:?}");
}

/// Says of each picture what it was told to.
struct Told(HashMap<Vec<u8>, String>);

impl Engine for Told {
    fn model(&self) -> &str {
        "told"
    }

    fn answer(&self, request: &ChatRequest<'_>) -> Answered {
        let text = request.images.first().and_then(|image| self.0.get(&image.bytes)).cloned().unwrap_or_default();
        Ok(Said::text(self.model(), text, request.prompt_tokens()))
    }
}

/// A sandbox whose images are answered with `answers`, one each.
fn told(answers: &[&str]) -> Sandbox {
    let seeds = (0u32..).zip(answers);
    let engine = Told(seeds.clone().map(|(seed, answer)| (png(seed), (*answer).to_owned())).collect());
    let sandbox = Sandbox::with(0, Weather { engine: Arc::new(engine), ..Weather::default() });
    for (seed, _) in seeds {
        sandbox.image(&format!("page{seed}.png"), seed);
    }
    sandbox
}

#[test]
fn o7_a_text_with_quotes_and_escapes_comes_whole() {
    let answers = [
        "He said \"hello\",\nand then \"goodbye\".\nThat was all.",
        "C:\\new\\table \\ and a \\n that is none\nGrüße aus Köln, „Straſſe“ № 7\u{fb01}",
        "\"Quoted from the first sign to the last\"",
        "tab\there, {braces}, [brackets], 100 % | pipe",
    ];
    let sandbox = told(&answers);
    good(&sandbox.run());
    for (seed, answer) in answers.iter().enumerate() {
        assert_eq!(sandbox.text(&format!("page{seed}.png")), Some(format!("{answer}\n")));
    }
}

#[test]
fn o7_a_fence_comes_off_and_what_is_in_it_stays_as_it_was_answered() {
    let line = include_str!("../data/api/output-lines/chat_success_fenced_json.jsonl");
    let line: serde_json::Value = serde_json::from_str(line).expect("an example");
    let fenced = line["response"]["body"]["choices"][0]["message"]["content"].as_str().expect("content").to_owned();
    let inner = fenced.lines().filter(|line| !line.starts_with("```")).collect::<Vec<_>>().join("\n");
    let bare = r#"{"text":"He said \"hello\"\nto M\u00fcller \\ Co.","page":1.50}"#;
    let mut sandbox = told(&[&fenced, bare]);
    sandbox.set("request.answer_format", "json");
    good(&sandbox.run());
    assert_eq!(sandbox.text("page0.png"), Some(format!("{}\n", inner.trim())));
    assert_eq!(sandbox.text("page1.png"), Some(format!("{bare}\n")));
}

#[test]
fn o8_invalid_answers_are_kept_counted_and_come_to_an_end() {
    let scenario = "[[bad]]\ncustom_id_contains = \"page0001\"\nhow = [\"invalid_json\"]\ntimes = 99\n";
    let mut sandbox = Sandbox::with(3, weather(scenario));
    sandbox.set("request.answer_format", "json");
    sandbox.set("request.escalate_model", "gpt-4.1");
    for _ in 0..2 {
        good(&sandbox.run());
        let reasons = oracle::reasons(&sandbox.workspace());
        assert_eq!(reasons.get("page0001.png").map(String::as_str), Some("json_invalid"), "{reasons:?}");
        assert_eq!(raw_lines(&sandbox, "page0001"), 3, "every paid answer is kept");
        let times: Vec<u32> = oracle::billed(&sandbox.bill()).into_values().collect();
        assert_eq!((times.iter().sum::<u32>(), times.iter().max()), (5, Some(&3)), "three, and no fourth");
    }
    let found = oracle::agreement(&sandbox.workspace(), &sandbox.bill(), false);
    assert_eq!((found.done, found.paid_twice, found.lost, &found.odd), (2, 0, 0, &Vec::new()), "{found:?}");
}

#[test]
fn o9_both_limits_of_a_shard_hold_at_once() {
    let mut many = Sandbox::new(401);
    many.set("max_images_per_batch", "400");
    good(&many.work(Mode::Upload));
    assert_eq!(oracle::count(&many.bill(), "create"), 2, "401 small images");
    let mut large = Sandbox::new(0);
    large.set("max_images_per_batch", "400");
    large.set("shard.max_shard_bytes", "64000");
    for seed in 0..10 {
        // 21 kB, 28 kB as base64: two of them in a shard.
        put(&large, &format!("page{seed}.png"), &dense(83, 2 * seed + 1));
    }
    good(&large.work(Mode::Upload));
    assert_eq!(oracle::count(&large.bill(), "create"), 5, "as many as the bytes demand");
}
