//! Do bill, ledger and disk tell the same story? For runs in which failures are expected: what came of each image is
//! counted, what may never happen is named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;

use super::{all_files, entries};

/// What a workspace and its bill say together.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// Images in the ledger.
    pub(crate) images: usize,
    /// Batches that the provider opened for us.
    pub(crate) batches: usize,
    /// Lines that were charged.
    pub(crate) billed: usize,
    /// Images with a text.
    pub(crate) done: usize,
    /// Images with a rough text.
    pub(crate) rough: usize,
    /// Images that ended without one, by reason.
    pub(crate) failed: BTreeMap<String, usize>,
    /// Images that were paid for again although a usable answer had been given out.
    pub(crate) paid_twice: usize,
    /// Charged lines whose answer was given out and does not lie in `batch_return`, or has not ended its image.
    pub(crate) lost: usize,
    /// Everything else that does not fit.
    pub(crate) odd: Vec<String>,
}

/// A charged line.
struct Billed {
    batch: String,
    custom_id: String,
    image: String,
    withheld: bool,
    forced: String,
}

impl Billed {
    /// Whether it is about a rough text.
    fn is_deep(&self) -> bool {
        self.image.is_empty()
    }

    /// Whether its answer was such that another question is lawful.
    fn is_unusable(&self) -> bool {
        UNUSABLE.contains(&self.forced.as_str())
    }
}

/// What the emulator was told to make of an answer, and what no text can come of.
const UNUSABLE: [&str; 15] = [
    "length_cut",
    "length_empty",
    "reasoning_ate_budget",
    "loop_stop",
    "loop_length",
    "refusal",
    "refusal_words",
    "empty",
    "says_blank",
    "invented",
    "invalid_json",
    "schema_mismatch",
    "loses_word",
    "adds_word",
    "changes_number",
];
/// Most charged answers of one page, and of its rough text.
const CAPS: [usize; 2] = [3, 2];

/// An image as the ledger tells it.
struct Image {
    state: String,
    reason: Option<String>,
}

/// Reads bill, ledger and folders. `gone`: the scenario lets results vanish at the provider, so that the answers of images
/// that failed for that reason may be missing.
pub(crate) fn agreement(workspace: &Path, bill: &Path, gone: bool) -> Agreement {
    agreement_about(&prints(workspace), workspace, bill, gone)
}

/// The same where it is known which picture is which.
pub(crate) fn agreement_about(
    prints: &HashMap<String, String>,
    workspace: &Path,
    bill: &Path,
    gone: bool,
) -> Agreement {
    let entries = entries(bill);
    let billed: Vec<Billed> = entries.iter().filter(|entry| entry["what"] == "line").map(charged).collect();
    let opened = entries.iter().filter(|entry| entry["what"] == "create" && entry["batch"].is_string()).count();
    let images = images(workspace);
    let mut found = Agreement { images: images.len(), batches: opened, billed: billed.len(), ..Agreement::default() };
    for (path, image) in &images {
        match image.state.as_str() {
            "done" => found.done += 1,
            "rough" => found.rough += 1,
            "failed" => *found.failed.entry(image.reason.clone().unwrap_or_default()).or_default() += 1,
            other => found.odd.push(format!("{path} is {other}")),
        }
        let has_text = workspace.join(format!("in/{path}.txt")).is_file();
        if has_text != (image.state == "done") {
            found.odd.push(format!("{path} is {}, its text {has_text}", image.state));
        }
        let has_rough = workspace.join(format!("in/{path}.txt.api")).is_file();
        if has_rough != (image.state == "rough") {
            found.odd.push(format!("{path} is {}, its rough text {has_rough}", image.state));
        }
    }
    let raw = raw_answers(workspace);
    let made = made_pictures(workspace);
    let copies = copies(workspace);
    // A rough text goes out without its picture, under the id of its page.
    let pages: HashMap<&str, &String> =
        billed.iter().filter_map(|line| Some((line.custom_id.as_str(), prints.get(&line.image)?))).collect();
    let mut paid: HashMap<&str, [Vec<bool>; 2]> = HashMap::new();
    for line in &billed {
        let path = match prints.get(&line.image) {
            _ if line.is_deep() => pages.get(line.custom_id.as_str()).copied(),
            // What was made of a picture is known by the ledger alone.
            None => made.get(&line.custom_id),
            // One that was asked although another has its bytes bears its own name.
            path => copies.keys().find(|copy| custom_id(copy) == line.custom_id).or(path),
        };
        let Some((path, image)) = path.and_then(|path| images.get_key_value(path)) else {
            found.odd.push(format!("{} was charged for a picture that nobody has", line.custom_id));
            continue;
        };
        if line.withheld {
            continue;
        }
        paid.entry(path).or_default()[usize::from(line.is_deep())].push(line.is_unusable());
        let excused = gone && image.reason.as_deref() == Some("results_gone");
        let kept = raw.contains(&(line.batch.clone(), line.custom_id.clone()));
        if !(excused || kept && matches!(image.state.as_str(), "done" | "rough" | "failed")) {
            found.lost += 1;
        }
    }
    // All but the last answer have to be such that asking again is lawful.
    let is_twice = |answers: &Vec<bool>| answers.iter().rev().skip(1).any(|unusable| !unusable);
    found.paid_twice = paid.values().filter(|answers| answers.iter().any(is_twice)).count();
    let beyond = paid.iter().filter(|(_, answers)| answers.iter().zip(CAPS).any(|(answers, cap)| answers.len() > cap));
    found.odd.extend(beyond.map(|(path, _)| format!("{path} was paid for more often than it may be tried")));
    let is_served = |path: &String| copies.get(path).is_some_and(|original| paid.contains_key(original.as_str()));
    let unpaid = images.iter().filter(|(path, image)| image.state == "done" && !paid.contains_key(path.as_str()));
    let unpaid = unpaid.filter(|(path, _)| !is_served(path));
    found.odd.extend(unpaid.map(|(path, _)| format!("{path} has a text that nobody was paid for")));
    found.odd.extend(unknown_batches(workspace, &billed));
    found.odd.extend(left_over(workspace));
    found.odd.extend(untold(workspace).into_iter().map(|line| format!("the journal lacks {line}")));
    found
}

fn charged(entry: &Value) -> Billed {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let image = entry["images"][0].as_str().unwrap_or_default().to_owned();
    let withheld = entry["withheld"] == true;
    Billed { batch: text("batch"), custom_id: text("custom_id"), image, withheld, forced: text("forced") }
}

/// Custom id and path of each image of which another picture was sent.
fn made_pictures(workspace: &Path) -> HashMap<String, String> {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT CAST(d.path AS TEXT), CAST(i.name AS TEXT) FROM line l JOIN image i ON i.id = l.image_id
        JOIN directory d ON d.id = i.directory_id WHERE l.prepared IS NOT NULL AND i.page = 1";
    let mut rows = ledger.prepare(sql).expect("query");
    let read = rows.query_map([], |row| Ok(format!("{}/{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let paths = read.expect("rows").map(|path| path.expect("a row").trim_start_matches('/').to_owned());
    paths.map(|path| (custom_id(&path), path)).collect()
}

fn custom_id(path: &str) -> String {
    format!("in|{}", path.replace('/', "|"))
}

/// Images that are or were copies of others, and whose.
fn copies(workspace: &Path) -> BTreeMap<String, String> {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    let sql =
        "SELECT CAST(d.path AS TEXT), CAST(i.name AS TEXT), CAST(e.path AS TEXT), CAST(o.name AS TEXT) FROM copy c
        JOIN image i ON i.id = c.image_id JOIN directory d ON d.id = i.directory_id
        JOIN image o ON o.id = c.original_id JOIN directory e ON e.id = o.directory_id";
    let mut rows = ledger.prepare(sql).expect("query");
    let path = |row: &rusqlite::Row<'_>, n: usize| {
        let path = format!("{}/{}", row.get::<_, String>(n)?, row.get::<_, String>(n + 1)?);
        Ok::<_, rusqlite::Error>(path.trim_start_matches('/').to_owned())
    };
    let read = rows.query_map([], |row| Ok((path(row, 0)?, path(row, 2)?))).expect("rows");
    read.map(|row| row.expect("a row")).collect()
}

/// Every image of the ledger by its path below the corpus.
fn images(workspace: &Path) -> BTreeMap<String, Image> {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT d.path, i.name, i.state, i.reason FROM image i JOIN directory d ON d.id = i.directory_id";
    let mut rows = ledger.prepare(sql).expect("query");
    let read = rows.query_map([], |row| {
        let part =
            |n: usize| Ok::<_, rusqlite::Error>(String::from_utf8_lossy(&row.get::<_, Vec<u8>>(n)?).into_owned());
        let path = format!("{}/{}", part(0)?, part(1)?);
        Ok((path.trim_start_matches('/').to_owned(), Image { state: row.get(2)?, reason: row.get(3)? }))
    });
    read.expect("rows").map(|row| row.expect("a row")).collect()
}

/// The path of each picture by its SHA-256.
pub(crate) fn prints(workspace: &Path) -> HashMap<String, String> {
    let root = workspace.join("in");
    let pictures = all_files(&root).into_iter().filter(|name| !name.ends_with(".txt"));
    let print = |name: String| {
        let bytes = std::fs::read(root.join(&name)).expect("a picture");
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        (digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(), name)
    };
    pictures.map(print).collect()
}

/// Batch and `custom_id` of every whole line in `batch_return`; each must have a file of its own, too.
fn raw_answers(workspace: &Path) -> BTreeSet<(String, String)> {
    let folder = workspace.join("batch_return");
    let mut answers = BTreeSet::new();
    for name in all_files(&folder) {
        let batch = name.trim_end_matches(".jsonl").trim_end_matches(".errors").to_owned();
        let text = std::fs::read(folder.join(&name)).expect("raw answers");
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(id) = serde_json::from_slice::<Value>(line)
                .ok()
                .and_then(|line| line["custom_id"].as_str().map(str::to_owned))
            {
                answers.insert((batch.clone(), id));
            }
        }
    }
    answers
}

/// Batches that cost something and that the ledger does not know.
fn unknown_batches(workspace: &Path, billed: &[Billed]) -> Vec<String> {
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    let mut rows = ledger.prepare("SELECT batch_id FROM batch WHERE batch_id IS NOT NULL").expect("query");
    let known: BTreeSet<String> =
        rows.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect();
    let charged: BTreeSet<&str> = billed.iter().map(|line| line.batch.as_str()).collect();
    charged.into_iter().filter(|id| !known.contains(*id)).map(|id| format!("nobody knows batch {id}")).collect()
}

/// Intents, batch ids and ends that the ledger knows and `batches.jsonl` does not tell.
pub(crate) fn untold(workspace: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(workspace.join("batch/batches.jsonl")).unwrap_or_default();
    let told: BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of the journal"))
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {} {}", text("ev"), text("shard"), line["attempt"], text("batch"))
        })
        .collect();
    let ledger = rusqlite::Connection::open(workspace.join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT 'intent ' || s.tag || ' ' || b.attempt || ' ' FROM batch b JOIN shard s ON s.id = b.shard_id WHERE b.stray = 0
        UNION SELECT 'open ' || s.tag || ' ' || b.attempt || ' ' || b.batch_id FROM batch b JOIN shard s ON s.id = b.shard_id
        WHERE b.batch_id IS NOT NULL
        UNION SELECT b.state || ' ' || s.tag || ' ' || b.attempt || ' ' || coalesce(b.batch_id, '') FROM batch b
        JOIN shard s ON s.id = b.shard_id WHERE b.state IN ('refused', 'void', 'settled')";
    let mut rows = ledger.prepare(sql).expect("query");
    let wanted = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    wanted.map(|row| row.expect("a row")).filter(|line| !told.contains(line)).collect()
}

/// Temporary files, and notices of batches that have ended.
fn left_over(workspace: &Path) -> Vec<String> {
    let is_left = |name: &String| name.contains(".bs-") || name.ends_with(".part") || name.starts_with("batch/batch_");
    all_files(workspace).into_iter().filter(is_left).map(|name| format!("{name} is left over")).collect()
}
