//! What the corpora of files have in common: cases laid out in one tree, one run over all of them, and the comparison of
//! every image's end, and of the whole disk, with what the table says.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use batchscribe::domain::layout;
use batchscribe::encode::line::full_hash;
use batchscribe::kit::folder::{Folder, Sort};
use batchscribe::pipeline::mission::{Mode, Outcome};

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// Longest path below the folder of images whose folder can be made at once.
const LONGEST_PATH: usize = 3_500;

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It has a text.
    Done,
    /// It ends without a text, for this reason.
    Failed(&'static str),
    /// It is not asked, for this reason.
    Skipped(&'static str),
    /// It is no image of ours, and only counted.
    PassedOver,
}

/// Puts what a case is about at the path that it is given.
pub(crate) type Make = Box<dyn Fn(&Path)>;

/// One case.
pub(crate) struct Case {
    pub(crate) group: &'static str,
    /// Its path below the folder of images, as bytes.
    pub(crate) path: Vec<u8>,
    pub(crate) make: Make,
    pub(crate) end: End,
}

impl Case {
    pub(crate) fn new(group: &'static str, path: impl Into<Vec<u8>>, make: Make, end: End) -> Self {
        Self { group, path: path.into(), make, end }
    }

    /// A case that is a file of these bytes.
    pub(crate) fn file(group: &'static str, path: impl Into<Vec<u8>>, bytes: Vec<u8>, end: End) -> Self {
        Self::new(group, path, put(bytes), end)
    }

    pub(crate) fn shown(&self) -> String {
        self.path.escape_ascii().to_string()
    }
}

/// A file of these bytes.
pub(crate) fn put(bytes: Vec<u8>) -> Make {
    Box::new(move |path| std::fs::write(path, &bytes).expect("a file"))
}

/// What a corpus came to; printed, and compared with its minimum.
#[derive(Default)]
pub(crate) struct Tally {
    cases: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
    panics: usize,
    outside: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, group: &'static str, cases: usize) {
        *self.cases.entry(group).or_default() += cases;
    }

    pub(crate) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Counts one case, and notes what is wrong with it, if anything is.
    pub(crate) fn case<E: std::fmt::Debug>(&mut self, group: &'static str, name: &str, outcome: Result<(), E>) {
        self.count(group, 1);
        if let Err(why) = outcome {
            self.wrong.push(format!("{group}/{name}: {why:?}"));
        }
    }

    /// Prints the counts and fails if anything is wrong or if there are fewer than `least` cases.
    pub(crate) fn close(self, corpus: &str, least: usize) {
        let cases: usize = self.cases.values().sum();
        for (group, cases) in &self.cases {
            println!("{corpus} {group}: {cases}");
        }
        for wrong in self.wrong.iter().chain(&self.outside) {
            println!("{corpus} WRONG {wrong}");
        }
        println!(
            "{corpus}: {cases} cases, {} panics, {} files outside the roots, {} wrong",
            self.panics,
            self.outside.len(),
            self.wrong.len(),
        );
        assert!(self.wrong.is_empty() && self.outside.is_empty(), "{:#?} {:#?}", self.wrong, self.outside);
        assert_eq!(self.panics, 0, "nothing panics");
        assert!(cases >= least, "{cases} cases, {least} are demanded");
    }
}

/// Tells another thread to come to its end, whatever becomes of this one.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A sandbox with nothing in it, whose shards are as long as a corpus.
pub(crate) fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::with(0, Weather::default());
    sandbox.set("max_images_per_batch", "400");
    // Hostile answers are bad for one reason, most of them; the rows are about each by itself.
    sandbox.set("run.max_failures_percent", "unset");
    sandbox
}

/// Lays the cases out, works them off in one run, and compares everything. `others`: files that are passed over beside those
/// of the table.
pub(crate) fn run(cases: &[Case], others: u64, tally: &mut Tally) {
    let sandbox = sandbox();
    lay_out(&sandbox, cases);
    let before = Disk::look(top(&sandbox));
    let outcome = watched(&sandbox, Mode::Run { once: false }, tally);
    compare(&sandbox, cases, &outcome, others, tally);
    stayed_inside(&sandbox, &before, tally);
    for case in cases {
        tally.count(case.group, 1);
    }
}

pub(crate) fn lay_out(sandbox: &Sandbox, cases: &[Case]) {
    for case in cases {
        let target = sandbox.corpus().join(path_of(&case.path));
        if case.path.len() < LONGEST_PATH {
            std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
        }
        (case.make)(&target);
    }
}

/// One run in this process, which must end by itself and without a panic.
pub(crate) fn watched(sandbox: &Sandbox, mode: Mode, tally: &mut Tally) -> Outcome {
    static HOOK: Once = Once::new();
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            usual(info);
        }));
    });
    let before = PANICS.load(Ordering::SeqCst);
    let (mission, _stop) = sandbox.mission(mode);
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(batchscribe::pipeline::run(mission))));
    let outcome = ended.recv_timeout(Duration::from_secs(120)).expect("the run ends");
    tally.panics += PANICS.load(Ordering::SeqCst) - before;
    outcome
}

/// The program itself at work on a sandbox, with `limits` of the shell in front, perhaps as another user; what it said, and
/// the most memory that it held at once, in MiB.
pub(crate) fn binary(sandbox: &Sandbox, limits: &str, user: Option<u32>, arguments: &[&str]) -> (Output, u64) {
    let mut command = Command::new("sh");
    let script = format!("{limits} exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_batchscribe"), "--workspace"]).arg(sandbox.workspace());
    command
        .args(["--no-config", "--yes", "--plain"])
        .env_clear()
        .env("TMPDIR", "/nowhere")
        .current_dir(sandbox.workspace());
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.args(arguments);
    held(&mut command)
}

/// What a process said, and the most memory that it held at once, in MiB.
pub(crate) fn held(command: &mut Command) -> (Output, u64) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let ended = std::thread::spawn(move || child.wait_with_output().expect("a child"));
    let mut most = 0;
    while !ended.is_finished() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let held = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        most = most.max(held.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() >> 10);
        std::thread::sleep(Duration::from_millis(2));
    }
    (ended.join().expect("a child"), most)
}

/// Compares the ends of all images with the table, and lets the auditors look. `others`: files that are passed over beside
/// those of the table.
pub(crate) fn compare(sandbox: &Sandbox, cases: &[Case], outcome: &Outcome, others: u64, tally: &mut Tally) {
    if outcome.fault.is_some() || !outcome.standing.closes() {
        tally.wrong(format!("the run: {:?} {:?}", outcome.fault, outcome.standing));
    }
    let mut ends = ends(&sandbox.workspace());
    for case in cases {
        let end = ends.remove(&case.path);
        let wanted = match case.end {
            End::Done => Some(("done".to_owned(), None)),
            End::Failed(reason) => Some(("failed".to_owned(), Some(reason.to_owned()))),
            End::Skipped(reason) => Some(("skipped".to_owned(), Some(reason.to_owned()))),
            End::PassedOver => None,
        };
        if end != wanted {
            tally.wrong(format!("{}/{}: {end:?}, expected {:?}", case.group, case.shown(), case.end));
        }
        if case.end == End::Done && !has_text(sandbox, &case.path) {
            tally.wrong(format!("{}/{}: done without a text", case.group, case.shown()));
        }
    }
    for (path, end) in ends {
        tally.wrong(format!("{} is in no table: {end:?}", path.escape_ascii()));
    }
    let passed_over = cases.iter().filter(|case| case.end == End::PassedOver).count() as u64 + others;
    let counted = outcome.passed_over.by_ending.values().sum::<u64>() + outcome.passed_over.links;
    if counted != passed_over {
        tally.wrong(format!("{counted} files were passed over, expected {passed_over}: {:?}", outcome.passed_over));
    }
    audited(sandbox, tally);
}

/// The bill names no picture more often than it lies in the folder, and the program's own audit closes.
pub(crate) fn audited(sandbox: &Sandbox, tally: &mut Tally) {
    let mut pictures: BTreeMap<String, u32> = BTreeMap::new();
    for bytes in Disk::look(sandbox.corpus()).files() {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        *pictures.entry(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()).or_default() += 1;
    }
    let lines = oracle::entries(&sandbox.bill()).into_iter().filter(|entry| entry["what"] == "line");
    let ids: BTreeSet<(String, String)> = lines
        .map(|line| (line["images"][0].as_str().unwrap_or_default().to_owned(), line["custom_id"].to_string()))
        .collect();
    for (picture, times) in oracle::billed(&sandbox.bill()) {
        // What was made of two pages may be one and the same picture; one that lies too deep to be looked at here is there once.
        let there = pictures.get(&picture).copied();
        let pages = || u32::try_from(ids.iter().filter(|(of, _)| *of == picture).count()).unwrap_or(u32::MAX);
        if times > there.unwrap_or_else(pages) {
            tally.wrong(format!("picture {picture} was paid for {times} times"));
        }
    }
    let mut audit = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    audit.arg("--workspace").arg(sandbox.workspace()).args(["--no-config", "audit"]).env_clear();
    let audit = audit.output().expect("the program starts");
    if !audit.status.success() {
        tally.wrong(format!("audit: {}\n{}", audit.status, String::from_utf8_lossy(&audit.stdout)));
    }
}

/// State and reason of every image in the ledger, by its path below the folder of images.
pub(crate) fn ends(workspace: &Path) -> BTreeMap<Vec<u8>, (String, Option<String>)> {
    let path = workspace.join("batch/ledger.sqlite");
    if !path.is_file() {
        return BTreeMap::new();
    }
    let ledger = rusqlite::Connection::open(path).expect("ledger");
    let sql = "SELECT d.path, i.name, i.state, i.reason FROM image i JOIN directory d ON d.id = i.directory_id";
    let mut rows = ledger.prepare(sql).expect("query");
    let read = rows.query_map([], |row| {
        let (folder, name): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let path = if folder.is_empty() { name } else { [&folder[..], b"/", &name].concat() };
        Ok((path, (row.get(2)?, row.get(3)?)))
    });
    read.expect("rows").map(|row| row.expect("a row")).collect()
}

/// Whether an image has a text, however long the way there is.
fn has_text(sandbox: &Sandbox, path: &[u8]) -> bool {
    let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let name = layout::text_name(parts.pop().expect("a name"), full_hash);
    let folder = Folder::open(&sandbox.corpus()).and_then(|root| root.below(&parts));
    folder.and_then(|folder| folder.facts(&name)).is_ok_and(|facts| facts.sort == Sort::File)
}

/// Where the text of an image lies.
pub(crate) fn text_of(sandbox: &Sandbox, path: &[u8]) -> PathBuf {
    let (folder, name) = path.iter().rposition(|byte| *byte == b'/').map_or((&b""[..], path), |at| path.split_at(at));
    let name = name.strip_prefix(b"/").unwrap_or(name);
    sandbox.corpus().join(path_of(folder)).join(path_of(&layout::text_name(name, full_hash)))
}

pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

/// The folder that holds everything of a sandbox.
pub(crate) fn top(sandbox: &Sandbox) -> PathBuf {
    sandbox.workspace().parent().expect("a folder").to_path_buf()
}

/// Notes everything that appeared, vanished or changed where nothing may: only the working folders, the emulator's own and
/// texts of finished images are ours to write.
pub(crate) fn stayed_inside(sandbox: &Sandbox, before: &Disk, tally: &mut Tally) {
    let top = top(sandbox);
    let after = Disk::look(top.clone());
    let images = ends(&sandbox.workspace());
    let texts: Vec<PathBuf> =
        images.into_iter().filter(|(_, (state, _))| state == "done").map(|(path, _)| text_of(sandbox, &path)).collect();
    let ours = ["work/batch", "work/batch_return", "work/batch_json_results", "server", "bill.jsonl", "stderr.txt"];
    let is_ours = |path: &Path| {
        ours.iter().any(|folder| path.starts_with(top.join(folder))) || texts.iter().any(|text| text == path)
    };
    for (path, facts) in &after.0 {
        match before.0.get(path) {
            Some(old) if old == facts => {}
            _ if is_ours(path) => {}
            Some(old) => tally.outside.push(format!("{} changed: {old:?} {facts:?}", shown(path))),
            None => tally.outside.push(format!("{} appeared", shown(path))),
        }
    }
    let gone = before.0.keys().filter(|path| !after.0.contains_key(*path) && !is_ours(path));
    tally.outside.extend(gone.map(|path| format!("{} vanished", shown(path))));
}

fn shown(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

/// Everything below a folder, as it is: kind and mode, and for files length, time and content.
#[derive(PartialEq, Eq)]
pub(crate) struct Disk(BTreeMap<PathBuf, Facts>);

#[derive(Debug, PartialEq, Eq)]
struct Facts {
    mode: u32,
    file: Option<(u64, i64, i64, [u8; 32])>,
    link: Option<PathBuf>,
}

impl Disk {
    /// What is not as it was before.
    pub(crate) fn beside(&self, before: &Self) -> Vec<PathBuf> {
        self.0.iter().filter(|(path, facts)| before.0.get(*path) != Some(facts)).map(|(path, _)| path.clone()).collect()
    }

    /// The content of every file.
    fn files(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.iter().filter(|(_, facts)| facts.file.is_some()).filter_map(|(path, _)| std::fs::read(path).ok())
    }

    pub(crate) fn look(folder: PathBuf) -> Self {
        let mut disk = Self(BTreeMap::new());
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(facts) = std::fs::symlink_metadata(&path) else { continue };
                if facts.is_dir() {
                    folders.push(path.clone());
                }
                let file = facts.is_file().then(|| {
                    let print = *blake3::hash(&std::fs::read(&path).unwrap_or_default()).as_bytes();
                    (facts.len(), facts.mtime(), facts.mtime_nsec(), print)
                });
                let facts = Facts { mode: facts.mode(), file, link: std::fs::read_link(&path).ok() };
                disk.0.insert(path, facts);
            }
        }
        disk
    }
}
