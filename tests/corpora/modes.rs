//! T7: with an umask that forbids nothing, everything that this program keeps for itself is its user's alone; texts follow the
//! umask, as everything does that belongs to the user.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::scene::{self, top};

/// Files of a run that are private, each by a part of its path.
const PRIVATE: [&str; 8] = [
    "batch/ledger.sqlite",
    "batch/ledger.lock",
    "batch/batches.jsonl",
    "batch/completed/",
    "batch_return/",
    "batch_json_results/",
    "batch/spool/",
    "run.log",
];

#[test]
fn what_the_program_keeps_is_its_users_alone() {
    let mut sandbox = scene::sandbox();
    for n in 0..3 {
        sandbox.image(&format!("tray/{n}.png"), 9_000 + n);
    }
    sandbox.set("shard.spool", "true");
    let log = top(&sandbox).join("run.log");
    let log = log.to_str().expect("a text");
    // Sealed and spooled, but not sent: the spool file stays.
    let jsonl = top(&sandbox).join("jsonl/batch/spool");
    let spool = jsonl.to_str().expect("a text");
    let umask = |mask: &str| format!("umask {mask};");
    let (ended, _) = scene::binary(&sandbox, &umask("000"), None, &["upload", "--spool-only", spool]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let (ended, _) = scene::binary(&sandbox, &umask("000"), None, &["upload", "--log-file", log]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let open = files(&sandbox.workspace().join("batch"));
    assert!(open.iter().any(|(path, _)| is_notice(path)), "a notice of an open batch: {open:?}");
    let mut seen = files(&top(&sandbox));
    let (ended, _) = scene::binary(&sandbox, &umask("000"), None, &["run", "--log-file", log]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    seen.extend(files(&top(&sandbox)));
    let private = |path: &Path| PRIVATE.iter().any(|part| path.to_string_lossy().contains(part)) || is_notice(path);
    let kept: Vec<_> = seen.iter().filter(|(path, _)| private(path)).collect();
    for part in PRIVATE {
        assert!(kept.iter().any(|(path, _)| path.to_string_lossy().contains(part)), "{part} was looked at");
    }
    for (path, mode) in &kept {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & 0o777, wanted, "{}: {mode:o}", path.display());
    }
    for folder in ["batch", "batch_return", "batch_json_results"] {
        let mode = mode(&sandbox.workspace().join(folder));
        assert_eq!(mode, 0o700, "{folder}: {mode:o}");
    }
    assert_eq!(mode(&sandbox.corpus().join("tray/0.png.txt")), 0o666, "texts follow the umask");
    println!("T7: {} files and folders of ours, all private; texts follow the umask", kept.len());
    sandbox.image("tray/3.png", 9_003);
    let (ended, _) = scene::binary(&sandbox, &umask("027"), None, &["run"]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(mode(&sandbox.corpus().join("tray/3.png.txt")), 0o640, "texts follow the umask");
}

/// The folders of a mirror tree are the user's, too.
#[test]
fn a_mirror_tree_follows_the_umask() {
    let mut sandbox = scene::sandbox();
    sandbox.image("tray/box/a.png", 9_100);
    sandbox.set("text.out_dir", "texts");
    let (ended, _) = scene::binary(&sandbox, "umask 022;", None, &["run"]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let texts = sandbox.workspace().join("texts");
    assert_eq!(mode(&texts.join("tray/box")), 0o755);
    assert_eq!(mode(&texts.join("tray/box/a.png.txt")), 0o644);
    assert!(!sandbox.corpus().join("tray/box/a.png.txt").exists(), "nothing beside the image");
}

fn is_notice(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        name.to_string_lossy().starts_with("batch_") && path.extension().is_some_and(|ending| ending == "txt")
    })
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

/// Everything below a folder, with its mode.
fn files(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push((path.clone(), mode(&path)));
    }
    found
}
