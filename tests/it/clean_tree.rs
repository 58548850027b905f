//! `clean DIR`: only what the rules take is taken, what stood there before is kept, and once more changes nothing.

use std::path::Path;

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::Sandbox;

fn put(dir: &Path, name: &str, text: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    std::fs::write(path, text).expect("text");
}

fn at(dir: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(dir.join(name)).ok()
}

const FENCED: &[u8] = b"```text\r\nDear Sir,\r\non 3.5.1848\r\n```";
const ROUGH: &[u8] = b"Dear Sir\nThe image shows a stamp.\nYours\n";

fn tree(sandbox: &Sandbox) -> std::path::PathBuf {
    let dir = sandbox.workspace().join("old");
    put(&dir, "a/fenced.jpg.txt", FENCED);
    put(&dir, "a/clean.JPG.txt", "Straſse, 1848\n".as_bytes());
    put(&dir, "a/notes.txt", b"```\nno text of an image\n```");
    put(&dir, "b/rough.png.txt", ROUGH);
    put(&dir, "b/latin.png.txt", b"Stra\xdfe");
    dir
}

/// A tree with a text for each way that a text can go.
pub(crate) fn unclean() -> Sandbox {
    let sandbox = Sandbox::new(1);
    let dir = sandbox.workspace().join("old");
    put(&dir, "a/fenced.jpg.txt", FENCED);
    put(&dir, "b/rough.png.txt", ROUGH);
    sandbox
}

pub(crate) fn is_cleaned(sandbox: &Sandbox) {
    let dir = sandbox.workspace().join("old");
    let before = sandbox.workspace().join("batch/before");
    assert_eq!(at(&dir, "a/fenced.jpg.txt").as_deref(), Some("Dear Sir,\non 3.5.1848\n"));
    assert_eq!(at(&dir, "b/rough.png.txt"), None);
    assert_eq!(at(&dir, "b/rough.png.txt.api").map(String::into_bytes), Some(ROUGH.to_vec()));
    assert_eq!(std::fs::read(before.join("a/fenced.jpg.txt")).expect("kept"), FENCED);
    assert_eq!(std::fs::read(before.join("b/rough.png.txt")).expect("kept"), ROUGH);
    let files = |dir: &Path| oracle::all_files(dir).len();
    assert_eq!((files(&dir), files(&before)), (2, 2), "no second copy, no file half written");
}

#[test]
fn texts_are_cleaned_and_kept_as_they_were() {
    let sandbox = Sandbox::new(1);
    let dir = tree(&sandbox);
    let before = sandbox.workspace().join("batch/before");
    let (exit, out, err) = call(&sandbox, "clean old -n");
    assert_eq!(exit, Some(3), "{err}");
    assert!(
        out.contains("a/fenced.jpg.txt: would be cleaned: ") && err.ends_with("Nothing was changed.\n"),
        "{out}{err}"
    );
    assert!(!before.exists() && at(&dir, "a/fenced.jpg.txt").expect("text").starts_with("```"));

    let (exit, out, err) = call(&sandbox, "clean old");
    assert_eq!(exit, Some(3), "a text was left: {err}");
    assert!(out.contains("b/latin.png.txt: left: not utf8\n"), "{out}");
    assert!(out.contains("b/rough.png.txt: kept as .txt.api: model_voice\n"), "{out}");
    assert!(err.starts_with("4 texts: 1 were clean, 1 cleaned, 1 rough, 0 known, 1 left\n"), "{err}");
    assert_eq!(at(&dir, "a/fenced.jpg.txt").as_deref(), Some("Dear Sir,\non 3.5.1848\n"));
    assert_eq!(at(&dir, "a/clean.JPG.txt").as_deref(), Some("Straſse, 1848\n"));
    assert!(at(&dir, "a/notes.txt").expect("notes").starts_with("```"));
    assert!(err.contains("\n1 other text was passed over: only those named after an image are cleaned"), "{err}");
    assert_eq!(
        (at(&dir, "b/rough.png.txt"), at(&dir, "b/rough.png.txt.api").map(String::into_bytes)),
        (None, Some(ROUGH.to_vec()))
    );
    assert_eq!(std::fs::read(before.join("a/fenced.jpg.txt")).expect("kept"), FENCED);
    assert_eq!(std::fs::read(before.join("b/rough.png.txt")).expect("kept"), ROUGH);

    let (_, _, err) = call(&sandbox, "clean old");
    assert!(err.starts_with("3 texts: 2 were clean, 0 cleaned, 0 rough, 0 known, 1 left\n"), "once more: {err}");
}

#[test]
fn an_earlier_kept_text_is_never_overwritten() {
    let sandbox = Sandbox::new(1);
    let dir = sandbox.workspace().join("old");
    for text in ["one  \n", "two  \n", "one  \n"] {
        put(&dir, "x.png.txt", text.as_bytes());
        assert_eq!(call(&sandbox, "clean old").0, Some(0));
    }
    let before = sandbox.workspace().join("batch/before");
    assert_eq!(at(&before, "x.png.txt").as_deref(), Some("one  \n"));
    assert_eq!(at(&before, "x.png.txt.2").as_deref(), Some("two  \n"));
    assert!(!before.join("x.png.txt.3").exists());
}

#[test]
fn a_rough_text_of_somebody_else_is_not_replaced() {
    let sandbox = Sandbox::new(1);
    let dir = sandbox.workspace().join("old");
    put(&dir, "x.png.txt", ROUGH);
    put(&dir, "x.png.txt.api", b"another\n");
    let (exit, out, _) = call(&sandbox, "clean old");
    assert_eq!((exit, out.as_str()), (Some(3), "x.png.txt: left: rough there\n"));
    assert_eq!(at(&dir, "x.png.txt").map(String::into_bytes), Some(ROUGH.to_vec()));
    assert_eq!(at(&dir, "x.png.txt.api").as_deref(), Some("another\n"));
}

#[test]
fn texts_of_the_ledger_are_left_and_one_document_tells_of_all() {
    let sandbox = Sandbox::new(2);
    assert!(sandbox.run().fault.is_none());
    put(&sandbox.corpus(), "tray_0/page0000.png.txt", b"by a person  \n");
    put(&sandbox.corpus(), "tray_0/stranger.png.txt", b"of nobody  \n");
    let (exit, out, err) = call(&sandbox, &format!("clean {} --json", sandbox.corpus().display()));
    assert_eq!(exit, Some(0), "{err}");
    let told: serde_json::Value = serde_json::from_str(&out).expect("one document");
    assert_eq!((&told["known"], &told["cleaned"], &told["rules"]["blanks"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(at(&sandbox.corpus(), "tray_0/page0000.png.txt").as_deref(), Some("by a person  \n"));
    assert_eq!(at(&sandbox.corpus(), "tray_0/stranger.png.txt").as_deref(), Some("of nobody\n"));
}

#[test]
fn a_folder_that_is_none_is_told() {
    let sandbox = Sandbox::new(1);
    let (exit, _, err) = call(&sandbox, "clean nowhere");
    assert!(exit == Some(2) && err.contains("nowhere is no folder"), "{err}");
}
