//! `retry`: what is put back is asked again by the next run and by nothing else; a person's text is not.

use batchscribe::emulator::scenario::Scenario;

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// Six images, of which one is refused for good.
fn one_failed() -> Sandbox {
    let scenario = "[[line]]\ncustom_id_contains = \"page0003\"\noutcome = \"content_filter\"\nwhen = { times = 1 }\n";
    let scenario = Scenario::read(scenario).expect("a scenario");
    let sandbox = Sandbox::with(6, Weather { scenario, ..Weather::default() });
    assert!(sandbox.run().fault.is_none());
    sandbox
}

fn wishes(sandbox: &Sandbox) -> Vec<(String, Option<String>)> {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT CAST(name AS TEXT), model FROM wish JOIN image ON id = image_id ORDER BY 1";
    let mut rows = ledger.prepare(sql).expect("query");
    let told = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    told.map(|row| row.expect("a row")).collect()
}

#[test]
fn what_failed_is_owed_again_and_asked_by_the_next_run() {
    let sandbox = one_failed();
    assert_eq!(oracle::reasons(&sandbox.workspace())["page0003.png"], "content_filter");
    let (exit, out, err) = call(&sandbox, "retry --where code=E502 -n");
    assert_eq!((exit, out.as_str()), (Some(0), ""));
    assert_eq!(err, "Would put back 1 image to be asked again:\n  1 failed (content_filter)\n");
    assert_eq!(oracle::states(&sandbox.workspace())["failed"], 1, "nothing was changed");
    let (exit, out, err) = call(&sandbox, "retry --json --where reason=refused|content_filter --where state=failed");
    assert_eq!(exit, Some(0), "{err}");
    let told: serde_json::Value = serde_json::from_str(&out).expect("one document");
    let from = serde_json::json!([{"state": "failed", "reason": "content_filter", "images": 1}]);
    assert_eq!((&told["images"], &told["from"]), (&1.into(), &from));
    assert_eq!(oracle::states(&sandbox.workspace())["owed"], 1);
    let (_, _, err) = call(&sandbox, "retry");
    assert_eq!(err, "No image is to be put back.\n", "once more is no news");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(oracle::states(&sandbox.workspace())["done"], 6);
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn a_path_and_a_model_and_the_text_that_stays_until_the_next_one() {
    let sandbox = Sandbox::new(6);
    assert!(sandbox.run().fault.is_none());
    let before = sandbox.text("tray_1/page0001.png").expect("a text");
    let (exit, _, err) = call(&sandbox, "retry --where state=done --path tray_1/* --model better");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.starts_with("3 images are owed again; batchscribe run  asks for them with better"), "{err}");
    assert!(err.contains("Their texts stay until new ones replace them."), "{err}");
    assert_eq!(sandbox.text("tray_1/page0001.png").as_ref(), Some(&before));
    let ordered = |name: &str| (name.to_owned(), Some("better".to_owned()));
    assert_eq!(wishes(&sandbox), [ordered("page0001.png"), ordered("page0003.png"), ordered("page0005.png")]);
    assert!(sandbox.run().fault.is_none());
    assert_eq!(oracle::states(&sandbox.workspace())["done"], 6);
    let asked: u32 = oracle::billed(&sandbox.bill()).values().sum();
    assert_eq!((asked, wishes(&sandbox)), (9, Vec::new()), "each of the three once more");
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn a_persons_text_is_put_back_by_its_exact_name_only() {
    let sandbox = Sandbox::new(4);
    assert!(sandbox.run().fault.is_none());
    let edited = sandbox.corpus().join("tray_0/page0002.png.txt");
    std::fs::write(&edited, "read by a person\n").expect("edit");
    let (exit, _, err) = call(&sandbox, "retry --where state=done");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.starts_with("3 images are owed again"), "{err}");
    let left = "1 image left: a person's text stands beside them. --path PATH puts one back by its name:\n  tray_0/page0002.png\n";
    assert!(err.ends_with(left), "{err}");
    let (_, out, _) = call(&sandbox, "status --list edited");
    assert_eq!(out, "done\ttray_0/page0002.png\n");
    // As the user sees it from the workspace.
    let (_, _, err) = call(&sandbox, "retry --path in/tray_0/page0002.png");
    assert!(err.starts_with("1 image is owed again"), "{err}");
    let stays = "The text of tray_0/page0002.png is a person's, and stays: the new answer, which is paid for, will lie in the saved";
    assert!(err.contains(stays) && err.contains("move tray_0/page0002.png.txt away"), "before anything is paid: {err}");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(std::fs::read_to_string(&edited).expect("text"), "read by a person\n", "it is kept all the same");
    // What was said holds: once the text is moved away, the answer that was paid for takes its place for nothing.
    let paid = oracle::billed(&sandbox.bill());
    std::fs::rename(&edited, sandbox.workspace().join("mine.txt")).expect("moved");
    let (exit, _, err) = call(&sandbox, "clean");
    assert_eq!(exit, Some(0), "{err}");
    let text = std::fs::read_to_string(&edited).expect("text");
    assert!(!text.is_empty() && text != "read by a person\n", "{text}");
    assert_eq!(oracle::billed(&sandbox.bill()), paid);
}

#[test]
fn a_pattern_that_finds_nothing_says_why() {
    let sandbox = Sandbox::new(4);
    assert!(sandbox.run().fault.is_none());
    let (exit, _, err) = call(&sandbox, "retry --path tray_0/*");
    let expected = "No image is to be put back: none that failed fits --path 'tray_0/*'.\n2 images that are done or rough fit: \
                    --where 'state=done|rough' asks for them again, too, as the full path of one does.\n";
    assert_eq!((exit, err.as_str()), (Some(0), expected));
    let (_, _, err) = call(&sandbox, "retry --path tray_9/*");
    assert!(err.contains("none that failed fits --path 'tray_9/*'.\nPaths are those below the image folder"), "{err}");
    let (_, _, err) = call(&sandbox, "retry --where state=rough --path tray_0/*");
    assert_eq!(err, "No image is to be put back.\n");
}

#[test]
fn mistakes_say_what_would_be_right() {
    let sandbox = Sandbox::new(1);
    assert!(sandbox.run().fault.is_none());
    for (flags, words) in [
        ("--where failed", "error: --where failed is no condition\nhint: a condition is code=E501"),
        (
            "--where state=odd",
            "error: --where state=odd: `odd` is no state\nhint: states are failed, rough, done, skipped\n",
        ),
        ("--where reason=loop|odd", "`odd` is no reason\nhint: reasons are unreadable, "),
        ("--where flag=odd", "`odd` is no flag\nhint: flags are blank, "),
        ("--where code=E101", "`E101` is no code\nhint: codes of images are "),
        ("--path [", "error: --path [ is no pattern: "),
    ] {
        let (exit, _, err) = call(&sandbox, &format!("retry {flags}"));
        assert!(exit == Some(2) && err.contains(words), "{flags}: {err}");
    }
}
