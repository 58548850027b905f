//! A workspace of the scripts before this program is taken over: whole texts, no request.

use std::path::Path;
use std::process::{Command, Stdio};

use batchscribe::pipeline::mission::Mode;
use serde_json::{Value, json};

use crate::oracle;
use crate::sandbox::{Sandbox, png};

/// Content, and what stands beside the image.
const PAGES: [(&str, &str, Option<&str>); 6] = [
    // Cut at its first quote, with and without the backslash.
    ("tray_1/cut.1.png", "He said \"go\"\nand Müller went to the river with his dog.", Some("He said \\")),
    (
        "tray_1/cut.2.png",
        "A path C:\\new lies here\n\"and more\" of the same page follows.",
        Some("A path C:\\\\new lies here\\n"),
    ),
    (
        "tray_2/pipes.png",
        "First line of the page\nsecond line of the page.",
        Some("First line of the page|nsecond line of the page."),
    ),
    ("tray_2/edited.png", "He said \"stay\" to the men.", Some("He said “stay” to the men. [checked]")),
    ("whole.png", "Nothing in this page was ever cut.", Some("Nothing in this page was ever cut.")),
    ("missing.png", "The text of this page was never written.", None),
];

fn line(id: &str, content: &str) -> String {
    json!({"id": "batch_req_1", "custom_id": id, "error": null, "response": {"status_code": 200, "request_id": "r", "body": {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_794_271_800, "model": "gpt-5.4-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, "refusal": null}}],
        "usage": {"prompt_tokens": 1630, "completion_tokens": 212, "total_tokens": 1842}}}})
    .to_string()
}

fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    std::fs::write(path, bytes).expect("file");
}

struct Scene(tempfile::TempDir);

impl Scene {
    /// What the scripts left; `old` is where their images lay.
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().expect("temp dir"));
        let (origin, images) = (scene.path("origin"), scene.path("images"));
        let mut raw = String::new();
        for (n, (image, content, text)) in (0..).zip(PAGES) {
            put(&images.join(image), png(n));
            raw += &format!("{}\n", line(&format!("old|{}", image.replace('/', "|")), content));
            if let Some(text) = text {
                put(&images.join(format!("{image}.txt")), text);
            }
        }
        put(&images.join("whole.png.txt.api"), "a label of bigclean");
        put(&images.join("unasked.png"), png(90));
        put(&images.join("single.png"), png(91));
        for id in
            ["..|..|etc|passwd", "|etc|passwd", "old|..|..|out.png", "old\\x.png", "old|nul\0.png", "old|gone.png"]
        {
            raw += &format!("{}\n", line(id, "hostile"));
        }
        put(&origin.join("batch_return/batch_batch_one.jsonl"), raw);
        put(&origin.join("batch/completed/batch_one.txt"), "batch_one\n");
        // Expired, with a part of its answers, saved one by one alone.
        put(&origin.join("batch/batch_two.txt"), "Batch(id='batch_two', status='expired', input_file_id='file-2')");
        let single: Value =
            serde_json::from_str(&line("old|single.png", "The answer that was saved as a single file.")).expect("JSON");
        let single = serde_json::to_string_pretty(&single).expect("JSON");
        put(&origin.join("batch_json_results/batch_two/old|single.png.json"), single);
        scene
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn call(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let workspace = self.path("workspace");
        std::fs::create_dir_all(&workspace).expect("folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        // Port 9 answers nobody: whatever is sent fails.
        command.arg("--workspace").arg(&workspace).args(["--no-config", "--yes", "--plain"]);
        command.args(["--set", "api_url=http://127.0.0.1:9/v1/chat/completions", "--set", "provider.name=openai"]);
        command.args(words).env_clear().current_dir(&workspace).stdin(Stdio::null());
        let output = command.output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn import(&self, more: &[&str]) -> (Option<i32>, String, String) {
        self.call(&[&["import", "../origin", "--corpus-root", "../images"], more].concat())
    }

    fn text(&self, image: &str) -> Option<String> {
        std::fs::read_to_string(self.path("images").join(format!("{image}.txt"))).ok()
    }

    fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let all = ["images", "origin"].map(|folder| {
            let folder = self.path(folder);
            oracle::all_files(&folder)
                .into_iter()
                .map(move |name| (name.clone(), std::fs::read(folder.join(name)).expect("file")))
        });
        all.into_iter().flatten().collect()
    }
}

#[test]
fn o7_texts_that_were_cut_are_whole_again_without_a_request() {
    let scene = Scene::new();
    let (exit, _, said) = scene.import(&["--rebuild-texts"]);
    assert!(said.contains("1 whole, 3 cut, 1 a person's, 2 missing"), "{exit:?} {said}");
    for (image, content, _) in PAGES {
        let expected = if image.contains("edited") { PAGES[3].2.map(str::to_owned) } else { Some(content.to_owned()) };
        assert_eq!(scene.text(image).map(|text| text.trim_end().to_owned()), expected, "{image}: {said}");
    }
    assert_eq!(scene.text("single.png").as_deref(), Some("The answer that was saved as a single file.\n"));
    assert_eq!(scene.text("unasked.png"), None);
    assert_eq!(
        scene
            .text("whole.png.txt.api")
            .or(std::fs::read_to_string(scene.path("images/whole.png.txt.api")).ok())
            .as_deref(),
        Some("a label of bigclean")
    );
    let before = scene.everything();
    let (exit, _, said) = scene.import(&["--rebuild-texts"]);
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(scene.everything(), before, "a second time changes nothing");
    let (exit, out, said) = scene.call(&["audit"]);
    assert_eq!(exit, Some(0), "{out}{said}");
}

#[test]
fn o5_hostile_ids_are_listed_and_write_nothing() {
    let scene = Scene::new();
    let before = scene.everything();
    let (exit, out, said) = scene.import(&["-n", "--json"]);
    assert_eq!(exit, Some(0), "{said}");
    let told: Value = serde_json::from_str(out.lines().next().expect("a line")).expect("an object");
    assert_eq!((&told["images"]["found"], &told["images"]["not_found"]), (&json!(7), &json!(6)), "{told}");
    assert_eq!(scene.everything(), before);
    assert_eq!(oracle::all_files(&scene.path("workspace")), Vec::<String>::new());
    scene.import(&["--rebuild-texts"]);
    for outside in ["out.png.txt", "passwd.txt", "etc/passwd.txt"] {
        assert!(!scene.path(outside).exists(), "{outside}");
    }
}

#[test]
fn texts_that_were_cut_wait_for_the_flag() {
    let scene = Scene::new();
    let before = scene.everything();
    let (exit, _, said) = scene.import(&[]);
    assert_eq!((exit, scene.everything() == before), (Some(0), true), "{said}");
    assert!(said.contains("--rebuild-texts"), "{said}");
    let (_, _, said) = scene.import(&["--rebuild-texts"]);
    assert_eq!(scene.text("tray_1/cut.1.png").as_deref().map(str::trim_end), Some(PAGES[0].1), "{said}");
}

#[test]
fn an_open_batch_is_not_paid_for_again() {
    let scene = Scene::new();
    put(&scene.path("origin/batch/batch_three.txt"), "batch_three");
    let (exit, _, said) = scene.import(&["--rebuild-texts"]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("batch_three") && said.contains("recover IMAGES --from-account"), "{said}");
    let (exit, _, said) = scene.call(&["run"]);
    assert!(exit != Some(0) && said.contains("E403"), "{exit:?} {said}");
}

/// A page that bears writing: long texts for paper without ink are doubted.
fn written_page(seed: u32) -> Vec<u8> {
    let stroke = |x: u32, y: u32| y % 12 < 5 && (x + seed) % 5 < 2;
    let page = image::GrayImage::from_fn(240, 320, |x, y| image::Luma([if stroke(x, y) { 30 } else { 230 }]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    page.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG");
    bytes.into_inner()
}

/// Every page of `tests/data/truth` with words on it, by its path.
fn real_pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/truth");
    let mut pages = Vec::new();
    for name in oracle::all_files(&root).into_iter().filter(|name| name.ends_with(".txt")) {
        let text = std::fs::read_to_string(root.join(&name)).expect("a text");
        if text.contains(char::is_alphabetic) {
            pages.push((name.trim_end_matches(".txt").to_owned(), text));
        }
    }
    pages
}

#[test]
fn a_workspace_of_real_pages_is_whole_again_without_a_request() {
    let scene = Scene(tempfile::tempdir().expect("temp dir"));
    let pages = real_pages();
    assert!(pages.len() > 25, "{}", pages.len());
    let mut raw = String::new();
    for (n, (image, content)) in (0..).zip(&pages) {
        put(&scene.path("images").join(image), written_page(n));
        raw += &format!("{}\n", line(&format!("images|{}", image.replace('/', "|")), content));
        // As the scripts had it: the inside of the JSON string, up to its first quote, escapes and all.
        let escaped = Value::from(content.as_str()).to_string();
        let inside = &escaped[1..escaped.len() - 1];
        let cut = inside.split('"').next().unwrap_or_default();
        put(&scene.path("images").join(format!("{image}.txt")), cut);
    }
    put(&scene.path("origin/batch_return/batch_batch_real.jsonl"), raw);
    put(&scene.path("origin/batch/completed/batch_real.txt"), "batch_real\n");
    let (exit, _, said) = scene.import(&["--rebuild-texts"]);
    assert_eq!(exit, Some(0), "{said}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for (image, content) in &pages {
        let text = scene.text(image).unwrap_or_else(|| panic!("{image}: {said}"));
        assert_eq!(words(&text), words(content), "{image}: {said}");
        assert!(!text.contains("\\n"), "{image}");
    }
    let (exit, out, said) = scene.call(&["audit"]);
    assert_eq!(exit, Some(0), "{out}{said}");
}

#[test]
fn open_batches_are_taken_over_and_collected_like_our_own() {
    // Whoever opened them left a name, and nothing else.
    let sandbox = Sandbox::new(4);
    assert!(sandbox.work(Mode::Upload).fault.is_none());
    let scene = Scene(tempfile::tempdir().expect("temp dir"));
    let opened: Vec<String> = oracle::all_files(&sandbox.workspace().join("batch"))
        .into_iter()
        .filter(|name| name.starts_with("batch_") && name.ends_with(".txt"))
        .collect();
    assert!(!opened.is_empty());
    for name in &opened {
        put(&scene.path("origin/batch").join(name), name.trim_end_matches(".txt"));
    }
    let (workspace, origin) = (scene.path("workspace"), scene.path("origin").display().to_string());
    std::fs::create_dir_all(&workspace).expect("folder");
    let call = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.args(words).arg("--workspace").arg(&workspace).args(["--no-config", "--yes"]);
        for (key, value) in sandbox.flags().into_iter().filter(|(key, _)| key != "image_dir") {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let output =
            command.env_clear().current_dir(sandbox.workspace()).stdin(Stdio::null()).output().expect("the program");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (exit, said) = call(&["import", &origin, "--corpus-root", "in"]);
    assert!(exit == Some(0) && said.contains("recover IMAGES --from-account"), "{exit:?} {said}");
    let (exit, said) = call(&["run", "in"]);
    assert!(exit == Some(2) && said.contains("E403"), "nothing is asked beside them: {exit:?} {said}");
    let (exit, said) = call(&["recover", "in", "--from-account"]);
    assert_eq!(exit, Some(0), "{said}");
    let (exit, said) = call(&["download", "--wait"]);
    assert!(exit == Some(0) && said.contains("found 4 = 4 done"), "{exit:?} {said}");
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 4, "nothing is paid for again");
}

#[test]
fn a_workspace_that_was_used_keeps_its_texts_and_its_open_batches() {
    let sandbox = Sandbox::new(4);
    let (done, open) = ("tray_0/page0000.png", "tray_1/page0003.png");
    let text = |image: &str| std::fs::read_to_string(sandbox.corpus().join(format!("{image}.txt"))).ok();
    std::fs::rename(sandbox.corpus().join(open), sandbox.workspace().join("aside.png")).expect("aside");
    let call = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.args(words).arg("--workspace").arg(sandbox.workspace()).args(["--no-config", "--yes"]);
        for (key, value) in sandbox.flags() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let output =
            command.env_clear().current_dir(sandbox.workspace()).stdin(Stdio::null()).output().expect("the program");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(call(&["run"]).0, Some(0));
    std::fs::rename(sandbox.workspace().join("aside.png"), sandbox.corpus().join(open)).expect("back");
    assert_eq!(call(&["upload"]).0, Some(0));
    let (ours, asked) = (text(done).expect("a text"), oracle::count(&sandbox.bill(), "line"));
    // The scripts had asked for both: one answer is whole, the other one of no use.
    let origin = sandbox.workspace().join("origin");
    let lines = [(done, "The scripts had read this page, too."), (open, "")]
        .map(|(image, content)| line(&format!("in|{}", image.replace('/', "|")), content));
    put(&origin.join("batch_return/batch_batch_old.jsonl"), lines.join("\n") + "\n");
    put(&origin.join("batch/completed/batch_old.txt"), "batch_old\n");
    let (exit, said) = call(&["import", &origin.display().to_string(), "--corpus-root", "in", "--rebuild-texts"]);
    assert!(said.contains("1 batch with answers"), "{exit:?} {said}");
    let (exit, said) = call(&["download", "--wait"]);
    assert!(exit == Some(0) && said.contains("found 4 = 4 done"), "{exit:?} {said}");
    assert_eq!(text(done), Some(ours), "a newer text stays");
    assert_eq!(oracle::count(&sandbox.bill(), "line"), asked, "nothing is paid for again");
    let (exit, said) = call(&["audit"]);
    assert_eq!(exit, Some(0), "{said}");
}
