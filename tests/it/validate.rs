//! `validate`: what is ours and unusable leaves its place and is asked again; what is a person's, never.

use crate::cancel::call;
use crate::kill::{command_of, live};
use crate::oracle;
use crate::prepared::tiff;
use crate::sandbox::Sandbox;

fn done(images: usize) -> Sandbox {
    let sandbox = Sandbox::new(images);
    assert!(sandbox.run().fault.is_none());
    sandbox
}

fn summary(out: &str) -> serde_json::Value {
    serde_json::from_str(out.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn where_nothing_was_begun_nothing_was_checked() {
    let sandbox = Sandbox::new(1);
    std::fs::create_dir_all(sandbox.workspace()).expect("workspace");
    let (exit, out, err) = call(&sandbox, "validate");
    assert_eq!((exit, out.as_str()), (Some(0), ""));
    assert!(err.starts_with("Nothing was begun in ") && !err.contains("checked"), "{err}");
    let (_, out, _) = call(&sandbox, "validate --json");
    assert!(out.contains("\"checked\":0"), "{out}");
}

#[test]
fn texts_that_are_good_are_counted_and_nothing_else() {
    let sandbox = done(4);
    let (exit, out, err) = call(&sandbox, "validate");
    assert_eq!((exit, out.as_str(), err.as_str()), (Some(0), "", "4 texts checked, 4 good, 0 not\n"));
}

#[test]
fn an_unusable_text_of_ours_leaves_its_place_and_a_persons_stays() {
    let sandbox = done(4);
    let text = |name: &str| sandbox.corpus().join(format!("{name}.txt"));
    std::fs::write(text("tray_0/page0000.png"), "{\"by\": \"a person\"}\n").expect("edit");
    std::fs::write(text("tray_0/page0002.png"), "by a person\n").expect("edit");
    std::fs::write(text("tray_1/stranger.png"), "of nobody\n").expect("stranger");
    std::fs::write(text("tray_1/notes"), "no text of an image\n").expect("notes");
    let (exit, out, err) = call(&sandbox, "validate --format json -n");
    assert_eq!(exit, Some(3), "{err}");
    assert!(
        out.contains("tray_0/page0002.png: not JSON: ") && out.contains("; left, a person has edited it\n"),
        "{out}"
    );
    assert!(
        out.contains("tray_1/stranger.png: not JSON: ") && out.contains("; left, the ledger does not know its image\n")
    );
    assert!(text("tray_1/page0001.png").exists() && err.ends_with("Nothing was changed.\n"), "{err}");
    let (exit, out, err) = call(&sandbox, "validate --format json --json");
    assert_eq!(exit, Some(3), "{err}");
    let told = summary(&out);
    assert_eq!((&told["checked"], &told["valid"]), (&5.into(), &1.into()));
    assert_eq!(out.lines().count(), 5, "{out}");
    assert!(!text("tray_1/page0001.png").exists() && !text("tray_1/page0003.png").exists());
    assert!(text("tray_0/page0002.png").exists() && text("tray_1/stranger.png").exists());
    assert_eq!(oracle::states(&sandbox.workspace()), [("done".to_owned(), 2), ("owed".to_owned(), 2)].into());
    let tree = sandbox.tree();
    let (exit, _, err) = call(&sandbox, "validate --format json");
    assert_eq!((exit, sandbox.tree()), (Some(3), tree), "once more changes nothing: {err}");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(oracle::states(&sandbox.workspace()), [("done".to_owned(), 4)].into());
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn tries_have_an_end_here_too() {
    let mut sandbox = done(1);
    sandbox.set("retry.max_attempts", "1");
    let (exit, _, err) = call(&sandbox, "validate --format json");
    assert_eq!(exit, Some(3), "{err}");
    assert_eq!(oracle::reasons(&sandbox.workspace())["page0000.png"], "json_invalid");
    assert!(sandbox.text("tray_0/page0000.png").is_none());
}

#[test]
fn the_only_copy_of_an_answer_is_kept_as_a_rough_text() {
    let sandbox = done(1);
    let before = sandbox.text("tray_0/page0000.png").expect("a text");
    for folder in ["batch_return", "batch_json_results"] {
        std::fs::remove_dir_all(sandbox.workspace().join(folder)).expect("raw");
    }
    let rough = sandbox.corpus().join("tray_0/page0000.png.txt.api");
    std::fs::write(&rough, "of a person").expect("a file in the way");
    let (_, out, _) = call(&sandbox, "validate --format json");
    assert!(out.ends_with("; left, its raw answer is gone and another .txt.api stands beside it\n"), "{out}");
    assert!(sandbox.text("tray_0/page0000.png").is_some());
    std::fs::remove_file(&rough).expect("out of the way");
    let (exit, out, err) = call(&sandbox, "validate --format json");
    assert_eq!(exit, Some(3), "{err}");
    assert!(out.ends_with("; its raw answer is gone, so it is kept as .txt.api\n"), "{out}");
    assert_eq!(std::fs::read_to_string(&rough).expect("rough"), before);
    assert!(sandbox.text("tray_0/page0000.png").is_none());
    assert_eq!(oracle::states(&sandbox.workspace()), [("rough".to_owned(), 1)].into());
    assert_eq!(call(&sandbox, "status --list rough").1, "\ttray_0/page0000.png\n");
    assert_eq!(call(&sandbox, "validate --format json").0, Some(0));
}

/// A file of three pages whose texts are no JSON.
fn three_pages() -> Sandbox {
    let sandbox = Sandbox::new(0);
    std::fs::create_dir_all(sandbox.corpus().join("box")).expect("folder");
    std::fs::write(sandbox.corpus().join("box/deed.tif"), tiff(&[10, 90, 200])).expect("file");
    assert!(sandbox.run().fault.is_none());
    sandbox
}

fn without_raw_answers(sandbox: &Sandbox) {
    for folder in ["batch_return", "batch_json_results"] {
        std::fs::remove_dir_all(sandbox.workspace().join(folder)).expect("raw");
    }
}

/// Its pages are rough texts of their own, each known to the ledger, and the text that held them is gone.
fn kept_apart(sandbox: &Sandbox, before: &str, what: &str) {
    assert!(sandbox.text("box/deed.tif").is_none(), "{what}");
    for (name, page) in
        ["deed.tif.txt.api", "deed.tif#2.txt.api", "deed.tif#3.txt.api"].iter().zip(before.split('\u{c}'))
    {
        let kept = std::fs::read_to_string(sandbox.corpus().join("box").join(name)).expect(what);
        assert_eq!(kept, page, "{what}: {name}");
    }
    assert_eq!(oracle::states(&sandbox.workspace()), [("rough".to_owned(), 3)].into(), "{what}");
    assert_eq!(call(sandbox, "validate --format json").0, Some(0), "{what}");
}

#[test]
fn of_several_unusable_pages_of_a_file_each_is_kept_as_its_own_rough_text() {
    let sandbox = three_pages();
    let before = sandbox.text("box/deed.tif").expect("a text");
    without_raw_answers(&sandbox);
    let (exit, out, err) = call(&sandbox, "validate --format json");
    assert_eq!((exit, out.matches("so it is kept as .txt.api").count()), (Some(3), 3), "{out}{err}");
    kept_apart(&sandbox, &before, "a life");
}

#[test]
fn what_a_life_left_of_the_pages_of_a_file_is_finished_by_the_next() {
    for point in ["validate.moved:1", "validate.copied:1", "validate.copied:2", "validate.removed:1"] {
        let sandbox = three_pages();
        let before = sandbox.text("box/deed.tif").expect("a text");
        without_raw_answers(&sandbox);
        let mut life = command_of(&sandbox, "validate");
        life.args(["--format", "json"]).env("BATCHSCRIBE_CRASH", point);
        assert!(live(life, None).is_some_and(|status| status.code() != Some(3)), "{point}: it died there");
        call(&sandbox, "validate --format json");
        kept_apart(&sandbox, &before, point);
    }
}

#[test]
fn a_schema_is_checked_and_one_that_cannot_be_is_told_first() {
    let mut sandbox = Sandbox::new(2);
    sandbox.set("request.answer_format", "json");
    assert!(sandbox.run().fault.is_none());
    let write = |name: &str, text: &str| std::fs::write(sandbox.workspace().join(name), text).expect("schema");
    write("any.json", "{\"type\":\"object\"}");
    write("dated.json", "{\"type\":\"object\",\"required\":[\"date\"]}");
    write("odd.json", "{\"type\":7}");
    assert_eq!(call(&sandbox, "validate").0, Some(0), "JSON was asked for, and is there");
    let (exit, out, _) = call(&sandbox, "validate --schema any.json");
    assert_eq!((exit, out.as_str()), (Some(0), ""));
    let (exit, out, _) = call(&sandbox, "validate --schema dated.json -n");
    assert_eq!(
        (exit, out.matches(": /: missing properties 'date'; would be taken away").count()),
        (Some(3), 2),
        "{out}"
    );
    let (exit, _, err) = call(&sandbox, "validate --schema odd.json");
    assert!(exit == Some(2) && err.starts_with("error[E112]: schema file "), "{err}");
    assert_eq!(call(&sandbox, "validate --schema dated.json").0, Some(3));
    let reason = "SELECT count(*) FROM wish WHERE after = 'schema_mismatch'";
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    assert_eq!(ledger.query_row(reason, [], |row| row.get::<_, i64>(0)).expect("query"), 2);
}
