//! The program itself among hostile names: what it prints, whom it runs as, and where its root lies.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use super::table;
use batchscribe::pipeline::mission::Mode;

use crate::sandbox::{Sandbox, png};
use crate::scene::{self, Case, Tally, top};

/// Images beside one whose text cannot be written.
const NEIGHBOURS: u32 = 15;
/// A user without rights.
const NOBODY: u32 = 65_534;

/// Nothing that the program prints moves a cursor, sets a title or turns a line round.
pub(super) fn terminal(tally: &mut Tally) {
    let sandbox = scene::sandbox();
    let hostile: Vec<Case> = table::cases().into_iter().filter(|case| case.group == "failing").collect();
    scene::lay_out(&sandbox, &hostile);
    sandbox.image("good.png", 8_000);
    let evil = "\u{1b}]0;title\u{7}\u{202e}gone";
    for (name, arguments, code) in [
        ("run", vec!["run"], 3),
        ("status", vec!["status"], 0),
        ("status --list", vec!["status", "--list", "failed"], 0),
        ("status FILE", vec!["status", "in/failing/\u{1b}[2J\u{1b}[31mred.png"], 0),
        ("audit", vec!["audit"], 0),
        ("plan of nothing", vec!["run", evil], 2),
        ("an unknown word", vec![evil], 2),
        ("an unknown page", vec!["help", evil], 2),
        ("an unknown file", vec!["status", evil], 2),
        ("a bad setting", vec!["--set", "image_dir\u{1b}[2J=x", "run"], 2),
        ("a bad value", vec!["--set", "request.detail=\u{1b}[2J", "run"], 2),
    ] {
        let (ended, _) = scene::binary(&sandbox, "", None, &arguments);
        let said = [&ended.stdout[..], &ended.stderr].concat();
        let words = String::from_utf8_lossy(&said).into_owned();
        // Between the columns of a list for other programs.
        let is_hostile = |letter: &char| is_hostile(*letter) && !(name == "status --list" && *letter == '\t');
        let outcome = match words.chars().find(is_hostile) {
            Some(letter) => Err(format!("{letter:?} is printed: {words:?}")),
            None if std::str::from_utf8(&said).is_err() => Err(format!("no text: {words:?}")),
            None if ended.status.code() != Some(code) => Err(format!("{}: {words}", ended.status)),
            None => Ok(()),
        };
        tally.case("terminal", name, outcome);
    }
}

/// Controls that a terminal obeys, C0 and C1, and marks that turn the order of letters round.
fn is_hostile(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (letter.is_control() && letter != '\n') || turns || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// Files and folders that this user may not read or write.
pub(super) fn rights(tally: &mut Tally) {
    if !rustix::process::geteuid().is_root() {
        println!("B3 rights: 6 cases left out, which only root can set up for another user");
        return;
    }
    let sandbox = scene::sandbox();
    for (n, path) in
        ["locked/a.png", "listed/a.png", "open/locked.png", "open/good.png", "open/kept.png"].iter().enumerate()
    {
        sandbox.image(path, 8_100 + u32::try_from(n).expect("few"));
    }
    let at = |path: &str| sandbox.corpus().join(path);
    std::fs::write(at("open/kept.png.txt"), "by hand").expect("a file");
    give_away(&top(&sandbox));
    for (path, mode) in [("locked", 0o000), ("listed", 0o444), ("open/locked.png", 0o000), ("open/kept.png.txt", 0o000)]
    {
        std::fs::set_permissions(at(path), PermissionsExt::from_mode(mode)).expect("mode");
    }
    let (ended, _) = scene::binary(&sandbox, "", Some(NOBODY), &["run"]);
    let ends = scene::ends(&sandbox.workspace());
    let words = words(&ended);
    for (path, wanted) in [
        ("locked/a.png", None),
        ("listed/a.png", Some(("failed", "unreadable"))),
        ("open/locked.png", Some(("failed", "unreadable"))),
        ("open/kept.png", Some(("skipped", "text_present"))),
        ("open/good.png", Some(("done", ""))),
    ] {
        let end =
            ends.get(path.as_bytes()).map(|(state, reason)| (state.as_str(), reason.as_deref().unwrap_or_default()));
        tally.case("rights", path, if end == wanted { Ok(()) } else { Err(format!("{end:?} {words}")) });
    }
    let told = ended.status.code() == Some(3) && words.contains("cannot read the folder");
    tally.case("rights", "the locked folder is told", if told { Ok(()) } else { Err(words) });
}

/// A folder that texts cannot be written into is told before anything is sent; where it is locked later, it stops the run by name; its answer is kept, and written without being paid for
/// again once the folder is open.
pub(super) fn read_only(tally: &mut Tally) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut sandbox = scene::sandbox();
    sandbox.image("\u{1b}[2Jmasters/a.png", 8_200);
    (0..NEIGHBOURS).for_each(|n| sandbox.image(&format!("open/{n}.png"), 8_201 + n));
    // One of them in its own batch, the others behind it.
    sandbox.set("max_images_per_batch", "2");
    give_away(&top(&sandbox));
    let folder = sandbox.corpus().join("\u{1b}[2Jmasters");
    let lock = |mode| std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).expect("mode");
    let told = |ended: &Output| {
        let said = words(ended);
        let told = said.contains("E405") && said.contains("masters") && !said.chars().any(is_hostile);
        if told { Ok(said) } else { Err(said) }
    };
    lock(0o555);
    let (ended, _) = scene::binary(&sandbox, "", Some(NOBODY), &["run"]);
    let before = told(&ended).and_then(|said| if said.contains("nothing was sent") { Ok(()) } else { Err(said) });
    tally.case("rights", "a read-only folder is told before anything is sent", before);
    let (ended, _) = scene::binary(&sandbox, "", Some(NOBODY), &["upload"]);
    assert!(ended.status.success(), "it may be written elsewhere: {}", words(&ended));
    let (ended, _) = scene::binary(&sandbox, "", Some(NOBODY), &["download", "--wait"]);
    tally.case("rights", "a read-only folder is told", told(&ended).map(drop));
    let ends = scene::ends(&sandbox.workspace());
    let done = ends.iter().filter(|(path, (state, _))| path.starts_with(b"open/") && state == "done").count();
    tally.case("rights", "its neighbours are done", if done == NEIGHBOURS as usize { Ok(()) } else { Err(ends) });
    lock(0o755);
    let (ended, _) = scene::binary(&sandbox, "", Some(NOBODY), &["run"]);
    let done = ended.status.success() && sandbox.text("\u{1b}[2Jmasters/a.png").is_some();
    tally.case("rights", "the text comes later", if done { Ok(()) } else { Err(words(&ended)) });
    scene::audited(&sandbox, tally);
}

fn words(ended: &Output) -> String {
    format!("{} {}", ended.status, String::from_utf8_lossy(&ended.stderr))
}

fn give_away(folder: &Path) {
    chown(folder, Some(NOBODY), Some(NOBODY)).expect("given away");
    for entry in std::fs::read_dir(folder).expect("list").flatten() {
        let path = entry.path();
        if path.is_dir() { give_away(&path) } else { chown(&path, Some(NOBODY), Some(NOBODY)).expect("given away") }
    }
}

type Root = fn(&Sandbox) -> String;

/// Folders of images, each with one image if it is one: how it is made and named, the exit code, images that are done.
const ROOTS: [(&str, Root, i32, usize); 10] = [
    ("a file", |sandbox| of(sandbox, "file", |path| std::fs::write(path, png(1)).expect("a file")), 2, 0),
    ("nowhere", |sandbox| of(sandbox, "nowhere", |_| ()), 2, 0),
    ("empty", |sandbox| of(sandbox, "empty", |path| std::fs::create_dir(path).expect("folder")), 2, 0),
    ("a broken link", |sandbox| of(sandbox, "broken", |path| symlink("nowhere", path).expect("link")), 2, 0),
    (
        "a link",
        |sandbox| {
            of(sandbox, "link", |path| {
                one_image(&path.with_file_name("behind"));
                symlink("behind", path).expect("link");
            })
        },
        0,
        1,
    ),
    ("a link to itself", |sandbox| of(sandbox, "ring", |path| symlink("ring", path).expect("link")), 2, 0),
    (
        "relative, with ..",
        |sandbox| {
            one_image(&top(sandbox).join("beside"));
            "../beside/../beside/.".to_owned()
        },
        0,
        1,
    ),
    (
        "the workspace itself",
        |sandbox| {
            one_image(&sandbox.workspace());
            ".".to_owned()
        },
        0,
        1,
    ),
    (
        "around the workspace",
        |sandbox| {
            one_image(&top(sandbox).join("beside"));
            "..".to_owned()
        },
        0,
        1,
    ),
    (
        "a working folder",
        |sandbox| {
            one_image(&sandbox.workspace().join("batch_return"));
            "batch_return".to_owned()
        },
        2,
        0,
    ),
];

fn of(sandbox: &Sandbox, name: &str, make: fn(&Path)) -> String {
    let path = top(sandbox).join(name);
    make(&path);
    path.to_str().expect("a text").to_owned()
}

fn one_image(folder: &Path) {
    std::fs::create_dir_all(folder).expect("folder");
    std::fs::write(folder.join("page.png"), png(8_300)).expect("a file");
}

pub(super) fn roots(tally: &mut Tally) {
    for (name, make, code, done) in ROOTS {
        let sandbox = scene::sandbox();
        let root = make(&sandbox);
        let before = scene::Disk::look(top(&sandbox));
        let (ended, _) = scene::binary(&sandbox, "", None, &["run", &root]);
        let texts = if done > 0 { scene::ends(&sandbox.workspace()).len() } else { 0 };
        let good = ended.status.code() == Some(code) && texts == done;
        tally.case("roots", name, if good { Ok(()) } else { Err(format!("{texts} images; {}", words(&ended))) });
        let new = scene::Disk::look(top(&sandbox)).beside(&before);
        let is_ours = |path: &Path| {
            path.ends_with("page.png.txt")
                || path.components().any(|part| {
                    let part = part.as_os_str().to_string_lossy();
                    part.starts_with("batch") || part == "server" || part == "bill.jsonl"
                })
        };
        let astray: Vec<_> =
            new.into_iter().filter(|path| !is_ours(path.strip_prefix(top(&sandbox)).expect("below"))).collect();
        if !astray.is_empty() {
            tally.wrong(format!("roots/{name}: {astray:?} appeared or changed"));
        }
    }
}

/// Folders that come and go while they are walked, read and written.
pub(super) fn vanishing(tally: &mut Tally) {
    let sandbox = scene::sandbox();
    for n in 0..30 {
        sandbox.image(&format!("quiet/{n}.png"), 8_400 + n);
    }
    let over = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                for image in 0..5 {
                    sandbox.image(&format!("vanishing/{image}/page.png"), 8_500 + n);
                    n += 1;
                }
                // A text may be on its way into it just now.
                drop(std::fs::remove_dir_all(sandbox.corpus().join("vanishing")));
            }
        });
        let _end = scene::Over(&over);
        scene::watched(&sandbox, Mode::Run { once: false }, tally)
    });
    let ends = scene::ends(&sandbox.workspace());
    let quiet = ends.iter().filter(|(path, (state, _))| path.starts_with(b"quiet/") && state == "done").count();
    let good = outcome.fault.is_none() && outcome.standing.closes() && quiet == 30;
    tally.case("trees", "folders that vanish", if good { Ok(()) } else { Err(outcome) });
    let named = ends.values().all(|(state, reason)| state == "done" || reason.is_some());
    tally.case("trees", "what vanished is named", if named { Ok(()) } else { Err(ends) });
}
