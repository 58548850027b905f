//! What a plan tells, what it leaves alone, and that a changed recipe is asked about: the real binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::sandbox::png;

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
    let plan = desk.json("plan");
    assert_eq!((&plan["images"]["stale"], &plan["images"]["to_ask"]), (&2.into(), &1.into()));
    assert_eq!(text(&desk.call("plan --list stale").stdout), "page0.png  prompt\npage1.png  prompt\n");
    let old = std::fs::read(desk.at("in/page0.png.txt")).expect("text");
    assert!(desk.call("run --keep-old").status.success());
    assert_eq!(std::fs::read(desk.at("in/page0.png.txt")).expect("text"), old);
    assert!(desk.at("in/page9.png.txt").exists());
}
