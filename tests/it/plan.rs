//! What a plan tells, what it leaves alone, and that a changed recipe is asked about: the real binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use batchscribe::emulator::scenario::Scenario;

use crate::cancel::call;
use crate::oracle;
use crate::prepared::tiff;
use crate::sandbox::{Sandbox, Weather, png};

struct Desk(tempfile::TempDir);

impl Desk {
    fn new(images: u32) -> Self {
        let desk = Self(tempfile::tempdir().expect("temp dir"));
        std::fs::create_dir(desk.at("in")).expect("folder");
        for n in 0..images {
            desk.put(&format!("in/page{n}.png"), &png(n));
        }
        desk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).expect("file");
    }

    fn call(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.current_dir(self.0.path()).env_clear().env("LANG", "C.UTF-8").env("HOME", self.0.path());
        command.args(words.split_whitespace()).args(["--set", "image_dir=in", "--set", "provider.engine=echo"]);
        command.stdin(Stdio::null()).output().expect("the program starts")
    }

    fn json(&self, words: &str) -> serde_json::Value {
        let output = self.call(&format!("{words} --json"));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("one document")
    }

    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(self.0.path(), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), std::fs::read(&path).expect("file"));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_plan_counts_and_writes_nothing() {
    let desk = Desk::new(3);
    desk.put("in/broken.png", b"");
    desk.put("in/notes.doc", b"x");
    let before = desk.tree();
    let plan = desk.json("plan");
    assert_eq!(desk.tree(), before);
    assert_eq!(plan["images"]["to_ask"], 3);
    assert_eq!(plan["images"]["failed"]["empty_file"], 1);
    assert_eq!(plan["other_endings"]["doc"], 1);
    assert_eq!((&plan["batches"], &plan["tokens_out"]["expected"]), (&1.into(), &1800.into()));
    // The built-in provider has no price and no host.
    assert!(plan["cost"].is_null() && plan["host"].is_null());
    let listed = desk.call("plan --list owed");
    assert_eq!(text(&listed.stdout), "page0.png\npage1.png\npage2.png\n");
}

#[test]
fn a_price_that_is_not_known_is_unknown() {
    let desk = Desk::new(1);
    let real = "plan --set provider.name=openai --set request.model=";
    let plan = desk.json(&format!("{real}gpt-5.6-luna"));
    let cost = &plan["cost"];
    assert!(cost["low"].as_f64() > Some(0.0) && cost["worst"].as_f64() > cost["expected"].as_f64(), "{cost}");
    assert_eq!(plan["host"], "api.openai.com");
    assert!(desk.json(&format!("{real}nobody-knows"))["cost"].is_null());
}

#[test]
fn a_changed_prompt_is_asked_about() {
    let desk = Desk::new(2);
    assert!(desk.call("run").status.success());
    assert_eq!(desk.json("plan")["images"]["done"], 2);
    desk.put("prompt.txt", b"Read it in another way.");
    desk.put("in/page9.png", &png(9));
    let refused = desk.call("run --yes");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        text(&refused.stderr).contains("error[E108]: the recipe changed (prompt) after 2 of 2 images"),
        "{refused:?}"
    );
    assert!(text(&refused.stderr).contains("batchscribe plan in --list stale  lists them"), "{refused:?}");
    let plan = desk.json("plan");
    assert_eq!((&plan["images"]["stale"], &plan["images"]["to_ask"]), (&2.into(), &1.into()));
    assert_eq!(text(&desk.call("plan --list stale").stdout), "page0.png  prompt\npage1.png  prompt\n");
    let old = std::fs::read(desk.at("in/page0.png.txt")).expect("text");
    assert!(desk.call("run --keep-old").status.success());
    assert_eq!(std::fs::read(desk.at("in/page0.png.txt")).expect("text"), old);
    assert!(desk.at("in/page9.png.txt").exists());
}

#[test]
fn a_plan_opens_no_connection() {
    let desk = Desk::new(2);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    nobody.set_nonblocking(true).expect("a listener");
    let port = nobody.local_addr().expect("an address").port();
    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
    let plan = desk.json(&format!("plan --set provider.name=openai --set api_url={url}"));
    assert_eq!((&plan["images"]["to_ask"], &plan["host"]), (&2.into(), &format!("127.0.0.1:{port}").into()));
    let knocked = nobody.accept().expect_err("somebody knocked");
    assert_eq!(knocked.kind(), std::io::ErrorKind::WouldBlock);
    // The list of models is OpenAI's; nobody knows whether this server has one of them.
    assert!(!plan["others"].to_string().contains("request.model"), "{plan}");
}

#[test]
fn what_fills_a_batch_is_told() {
    let desk = Desk::new(5);
    let real = "plan --set provider.name=openai --set request.model=gpt-5.6-luna";
    for (setting, batches, filled_by) in [
        ("max_images_per_batch=2", 3, "lines".into()),
        ("shard.max_shard_tokens=1", 5, "tokens".into()),
        ("batch.max_enqueued_tokens=2", 5, "tokens".into()),
        ("max_images_per_batch=400", 1, serde_json::Value::Null),
    ] {
        let plan = desk.json(&format!("{real} --set {setting}"));
        assert_eq!((&plan["batches"], &plan["filled_by"]), (&batches.into(), &filled_by), "{setting}");
    }
    let told = text(&desk.call(&format!("{real} --set max_images_per_batch=2")).stdout);
    assert!(told.contains("3 batches, filled by lines · queue limit unknown until the first answer"), "{told}");
    assert!(told.contains("to send at 1 MB/s (assumed) · then usually 1 to 6 h, at most 24 h a batch"), "{told}");
}

/// The header of a PNG of this size; nobody looks at its pixels.
fn page(width: u32, height: u32) -> Vec<u8> {
    let mut image = png(1);
    image[16..20].copy_from_slice(&width.to_be_bytes());
    image[20..24].copy_from_slice(&height.to_be_bytes());
    let check = crc(&image[12..29]);
    image[29..33].copy_from_slice(&check.to_be_bytes());
    image.resize(image.len() + 1_000_000, 0);
    image
}

/// CRC-32 of PNG chunks.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn other_settings_are_weighed() {
    let desk = Desk::new(0);
    desk.put("in/a4.png", &page(2480, 3508));
    let plan = desk.json("plan --set provider.name=openai --set request.model=gpt-5.5 --set request.detail=high");
    let input = plan["tokens_in"].as_u64().expect("a count");
    let other = |key: &str| {
        let others = plan["others"].as_array().expect("a list").iter();
        others.filter(|other| other["key"] == key).cloned().collect::<Vec<_>>()
    };
    // 231, 2,974 and 10,296 tokens of the image, and the prompt.
    let details: Vec<_> = other("request.detail")
        .iter()
        .map(|other| (other["value"].clone(), other["tokens_in"].as_i64().expect("a count") - input.cast_signed()))
        .collect();
    assert_eq!(details, [("low".into(), 231 - 2_974), ("original".into(), 10_296 - 2_974)]);
    let models: Vec<_> = other("request.model").iter().map(|other| other["value"].clone()).collect();
    // Which others there are depends on the day: some models of the table end.
    assert!(models.len() == 3 && models.contains(&"gpt-6-luna".into()), "{plan}");
    let [side] = other("encode.longest_side").try_into().expect("one");
    assert_eq!(side["tokens_in"].as_u64(), Some(input), "at detail high the model sees no more");
    let [fit] = other("encode.fit").try_into().expect("one");
    assert_eq!((fit["value"].clone(), fit["tokens_in"].as_u64()), (true.into(), Some(input)));
    assert!(fit["bytes"].as_u64() < side["bytes"].as_u64(), "patches bound more than the side does: {plan}");
    let (bytes, less) = (plan["bytes"].as_u64().expect("bytes"), side["bytes"].as_u64().expect("bytes"));
    assert!(less < bytes * 2 / 5 && less > bytes / 4, "{less} of {bytes}");
    let told = text(
        &desk.call("plan --set provider.name=openai --set request.model=gpt-5.5 --set request.detail=high").stdout,
    );
    for words in [
        "with encode.longest_side = 2048: about",
        "1 batch, the same tokens",
        "with encode.fit = true: about",
        "with another detail: low ",
        "gpt-6-luna about $0.0",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_table_of_the_users_own_comes_first() {
    let desk = Desk::new(3);
    let real = "plan --set provider.name=openai --set request.model=ours";
    assert!(desk.json(real)["cost"].is_null());
    desk.put(
        "models.toml",
        b"read_on = \"2026-11-20\"\n[[model]]\nname = \"ours\"\ninput = 2\noutput = 1000\nends = \"2026-11-21\"\n",
    );
    let plan = desk.json(real);
    let input = plan["tokens_in"].as_u64().expect("a count");
    // 2 and 1,000 USD for a million tokens, 600 tokens of answer each.
    let expected = (input * 2 + 1800 * 1000) as f64 / 1e6;
    assert_eq!((plan["cost"]["expected"].as_f64(), plan["price_date"].as_str()), (Some(expected), Some("2026-11-20")));
    assert_eq!(plan["model_ends"], "2026-11-21");
    assert!(text(&desk.call("config path").stdout).lines().any(|line| line.ends_with("/models.toml")));
    desk.put("models.toml", b"read_on = \"2026-11-20\"\n\n[[model]]\nname = \"ours\"\nprice = 3\n");
    let refused = desk.call("plan");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        text(&refused.stderr).starts_with("error[E101]: models.toml:5:1 is no table of models: unknown field"),
        "{refused:?}"
    );
    assert!(desk.call("plan --no-config").status.success(), "then no file is read");
}

/// An answer that is billed and never comes says nothing of the estimate.
#[test]
fn a_lost_answer_corrects_nothing() {
    let scenario = "[[line]]\ncustom_id_contains = \"page0001\"\noutcome = \"missing\"\nwhen = { times = 1 }\n";
    let scenario = Scenario::read(scenario).expect("a scenario");
    let sandbox = Sandbox::with(4, Weather { scenario, ..Weather::default() });
    assert!(sandbox.run().fault.is_none());
    let (_, out, err) = call(&sandbox, "plan --json");
    let plan: serde_json::Value = serde_json::from_str(&out).expect("one document");
    let correction = &plan["correction"]["thousandths"];
    assert!(
        correction.as_u64().is_some_and(|one| one.abs_diff(1000) <= 10),
        "both sides count alike: {correction} {err}"
    );
}

/// Our estimate of a gpt-4o page is tiles; the emulator counts patches.
#[test]
fn what_earlier_batches_were_off_by_is_put_right_and_said() {
    let mut sandbox = Sandbox::new(8);
    sandbox.set("request.model", "gpt-4o");
    sandbox.set("request.detail", "low");
    let plain = |sandbox: &Sandbox| -> serde_json::Value {
        let (exit, out, err) = call(sandbox, "plan --json");
        assert_eq!(exit, Some(0), "{err}");
        serde_json::from_str(&out).expect("one document")
    };
    let before = plain(&sandbox);
    assert!(before["correction"].is_null(), "{before}");
    assert!(sandbox.run().fault.is_none());
    let told: u64 = oracle::entries(&sandbox.bill()).iter().filter_map(|entry| entry["prompt_tokens"].as_u64()).sum();
    let estimated = before["tokens_in"].as_u64().expect("a count");
    for n in 0..8 {
        sandbox.image(&format!("tray_2/page{n:04}.png"), 100 + n);
    }
    let after = plain(&sandbox);
    let thousandths = ((told * 1000 + estimated / 2) / estimated).clamp(500, 3000);
    assert_eq!(
        after["correction"],
        serde_json::json!({"thousandths": thousandths, "batches": 2}),
        "{told} {estimated}"
    );
    assert_eq!(after["tokens_in"], estimated * thousandths / 1000, "the same pages once more");
    assert_eq!(after["tokens_out"]["measured"], true);
    assert_eq!(after["time"]["answers"]["batches"], 2);
    let percent = (1000 - thousandths + 5) / 10;
    let words = format!("images counted {percent} % less than estimated, from 2 batches");
    assert!(thousandths < 900, "the scene is to be far off: {thousandths}");
    assert!(call(&sandbox, "plan").1.contains(&words), "{words}");
    let (_, status, _) = call(&sandbox, "status");
    assert!(status.contains(&format!(" Estimate  gpt-4o: {words}")), "{status}");
    let (_, status, _) = call(&sandbox, "status --json");
    let status: serde_json::Value = serde_json::from_str(&status).expect("one document");
    assert_eq!(
        (&status["estimates"][0]["told"], &status["estimates"][0]["estimated"]),
        (&told.into(), &estimated.into())
    );
    // Whoever writes a rule of their own has put it right; nothing is corrected twice.
    let table = "read_on = \"2026-11-20\"\n[[model]]\nname = \"gpt-4o\"\nimage = { tiles = { base = 2, tile = 1 } }\n";
    std::fs::write(sandbox.workspace().join("models.toml"), table).expect("file");
    let (_, out, _) = crate::cancel::call_with(&sandbox, "plan --json", true);
    let own: serde_json::Value = serde_json::from_str(&out).expect("one document");
    assert!(own["correction"].is_null() && own["cost"].is_null(), "{own}");
}

/// Writes another picture in the place of one, of another length, so that it is seen to differ even within a millisecond.
fn replace(sandbox: &Sandbox, image: &str, seed: u32) {
    let mut bytes = png(seed);
    bytes.extend_from_slice(&[0; 5]);
    std::fs::write(sandbox.corpus().join(image), bytes).expect("image");
}

fn planned(sandbox: &Sandbox) -> serde_json::Value {
    let (exit, out, err) = call(sandbox, "plan --json");
    assert_eq!(exit, Some(0), "{err}");
    serde_json::from_str(&out).expect("one document")
}

#[test]
fn a_page_that_was_changed_is_counted_and_asked_about_before_it_is_paid_again() {
    let sandbox = Sandbox::new(3);
    assert!(sandbox.run().fault.is_none());
    let paid = oracle::count(&sandbox.bill(), "line");
    replace(&sandbox, "tray_0/page0000.png", 77);
    let plan = planned(&sandbox);
    assert_eq!((&plan["images"]["to_ask"], &plan["images"]["done"]), (&1.into(), &2.into()), "{plan}");
    assert!(plan["cost"]["expected"].as_f64() > Some(0.0), "{plan}");
    let (exit, _, err) = call(&sandbox, "run");
    assert!(exit == Some(2) && err.contains("E109") && err.contains("1 image, about $"), "{exit:?} {err}");
    // Its text stands where the new one belonged.
    let (exit, _, err) = call(&sandbox, "run --yes --existing stop");
    assert!(exit == Some(2) && err.contains("contradicts 1 text that is there\n  tray_0/page0000.png"), "{err}");
    assert_eq!(oracle::count(&sandbox.bill(), "line"), paid, "nothing was sent");
    let (exit, _, err) = call(&sandbox, "run --yes");
    assert_eq!(exit, Some(0), "{err}");
    assert_eq!(oracle::count(&sandbox.bill(), "line"), paid + 1);
}

#[test]
fn a_failed_page_that_can_be_read_now_is_stopped_by_a_text_that_was_put_beside_it() {
    let sandbox = Sandbox::new(1);
    std::fs::write(sandbox.corpus().join("late.png"), b"").expect("image");
    assert_eq!(sandbox.run().standing.failed, 1);
    let paid = oracle::count(&sandbox.bill(), "line");
    replace(&sandbox, "late.png", 78);
    assert_eq!(planned(&sandbox)["images"]["to_ask"], 1);
    std::fs::write(sandbox.corpus().join("late.png.txt"), "typed by hand\n").expect("text");
    let (exit, _, err) = call(&sandbox, "run --yes --existing stop");
    assert!(exit == Some(2) && err.contains("contradicts 1 text that is there\n  late.png"), "{exit:?} {err}");
    assert_eq!(oracle::count(&sandbox.bill(), "line"), paid, "nothing was sent");
}

#[test]
fn pages_that_a_file_has_gained_are_counted_although_its_text_lies_beside_it() {
    let sandbox = Sandbox::new(1);
    let deed = sandbox.corpus().join("deed.tif");
    std::fs::write(&deed, tiff(&[10])).expect("image");
    assert_eq!(sandbox.run().standing.done, 2);
    std::fs::write(&deed, tiff(&[10, 200, 90])).expect("image");
    let plan = planned(&sandbox);
    assert_eq!((&plan["images"]["to_ask"], &plan["images"]["skipped"]), (&3.into(), &serde_json::json!({})), "{plan}");
    let paid = oracle::count(&sandbox.bill(), "line");
    assert_eq!(sandbox.run().standing.done, 4);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), paid + 3);
}

#[test]
fn an_image_is_too_large_for_a_plan_where_it_is_too_large_for_a_run() {
    let desk = Desk::new(1);
    let mut large = png(7);
    // Its base64 fits into a shard of 1 MB, but not beside the longest of names.
    large.resize(740_000, 7);
    desk.put("in/large.png", &large);
    let small = "--set shard.max_shard_bytes=1MB";
    let plan = desk.json(&format!("plan {small}"));
    let run = desk.call(&format!("run {small} --json"));
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    let summary: serde_json::Value = serde_json::from_str(told.lines().last().expect("a summary")).expect("JSON");
    let count = |document: &serde_json::Value, words: &str| document.pointer(words).and_then(serde_json::Value::as_u64);
    assert_eq!(count(&summary, "/images/failed"), Some(1), "{told}");
    assert_eq!(count(&plan, "/images/failed/too_large"), Some(1), "{plan}");
}
