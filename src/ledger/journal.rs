//! `batches.jsonl`: every intent to pay and every batch id, a line each, for the day on which the ledger is lost.
//!
//! The keeper writes it, after the commit and before the callers hear of it: whichever road a batch came in by, nobody acts
//! on a money move that is not in here. A crash in between leaves a line out, and the next start appends it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::lost::UNDATED;
use super::moves::BatchState;
use crate::domain::ids::{BatchId, FileId, TAG_LENGTH, Tag};
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{append_private, cut_torn_line, folder_of, sync_folder};
use crate::kit::clock::Millis;
use crate::kit::crash;
use crate::kit::hash::{self, Short, hex, short, unhex};

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A batch is about to be paid for.
    Intent,
    /// It exists.
    Open,
    /// It surely never ran.
    Refused,
    /// It surely never existed, and never can.
    Void,
    /// Its books are closed.
    Settled,
    /// `recover` looked for its answers and can find no more of them.
    Closed,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When (unix milliseconds).
    pub at: Millis,
    /// What.
    pub ev: Event,
    /// The run that pays.
    pub run: Tag,
    /// The shard.
    pub shard: Tag,
    /// Number of the try.
    pub attempt: u32,
    /// Its input file.
    pub file: FileId,
    /// Its name at the provider, once it has one.
    pub batch: Option<BatchId>,
    /// Lines of the shard.
    pub lines: u32,
    /// Length of its body.
    pub bytes: u64,
    /// Hash of its body, 32 hex digits.
    pub xxh3: String,
}

impl Entry {
    /// What tells this line from every other one.
    #[must_use]
    pub fn key(&self) -> Short {
        let batch = self.batch.as_ref().map_or("", BatchId::as_str);
        short(format!("{:?}\n{}\n{}\n{batch}", self.ev, self.shard, self.attempt).as_bytes())
    }

    /// The hash of a body as it stands in a line.
    #[must_use]
    pub fn hash_text(hash: [u8; 16]) -> String {
        hex(&hash)
    }
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal at `path`; nothing is opened yet.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the lines that are whole, one after the other. One that is no line of ours, such as one of a later version, is
    /// passed over.
    ///
    /// Tells how many were passed over.
    ///
    /// # Errors
    /// The operating system's, with the path. A journal that is not there has no lines.
    pub fn read(&self, mut each: impl FnMut(Entry)) -> io::Result<u64> {
        let mut passed_over = 0;
        let file = match fs_err::File::open(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(passed_over),
            file => file?,
        };
        let (mut reader, mut line) = (BufReader::new(file), Vec::new());
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            // A line without its end was torn by a crash: its act never began.
            let Some(whole) = line.strip_suffix(b"\n") else { return Ok(passed_over) };
            match serde_json::from_slice(whole) {
                Ok(entry) => each(entry),
                Err(cause) => {
                    tracing::warn!(%cause, "a line of batches.jsonl is none of ours");
                    passed_over += 1;
                }
            }
        }
    }

    /// Says so if the ledger of `layout` was lost, and is not merely to be begun: there is none, and something may have been
    /// paid for, as this journal tells, or a notice, or a result file.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], or the operating system's.
    pub fn nothing_lost(&self, layout: &Layout) -> Result<(), LedgerError> {
        let path = layout.ledger();
        if path.metadata().is_ok_and(|file| file.len() > 0) {
            return Ok(());
        }
        let mut accounts = Accounts::default();
        let told =
            |cause: io::Error| LedgerError::Io { path: self.path.display().to_string(), cause: cause.to_string() };
        let unread = self.read(|entry| accounts.hear(entry)).map_err(told)?;
        let check = match (accounts.living().count(), unread) {
            (0, 0) => match trace(layout).map_err(told)? {
                Some(trace) => format!("it is gone, and {} tells of a batch", trace.display()),
                None => return Ok(()),
            },
            (0, lines) => format!("it is gone, and {lines} lines of batches.jsonl cannot be read"),
            (1, _) => "it is gone, and batches.jsonl knows a batch".to_owned(),
            (many, _) => format!("it is gone, and batches.jsonl knows {many} batches"),
        };
        Err(LedgerError::Damaged { path: path.display().to_string(), check })
    }

    /// Appends lines and waits until they are on disk. A torn last line has to be cut before the first time.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn append(&self, entries: &[Entry]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        crash::point("journal.before");
        let mut file = append_private(&self.path)?;
        // One write, so that a crash tears at most the last line.
        file.write_all(&lines)?;
        file.sync_data()?;
        crash::point("journal.written");
        Ok(())
    }

    /// Cuts what a crash left of a last line, so that the next one begins on its own.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn mend(&self) -> io::Result<()> {
        if cut_torn_line(&self.path)? {
            tracing::warn!(path = %self.path.display(), "a torn last line was cut");
        }
        Ok(())
    }

    /// Makes the file's name survive a power cut.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn sync_name(&self) -> io::Result<()> {
        sync_folder(folder_of(&self.path))
    }
}

/// A file that no workspace has without a batch: a notice, or answers.
fn trace(layout: &Layout) -> io::Result<Option<PathBuf>> {
    for (folder, ending) in [(&layout.batch, "txt"), (&layout.completed, "txt"), (&layout.output, "jsonl")] {
        let entries = match fs_err::read_dir(folder) {
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == ending) && path.is_file() {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// How a try to have a shard answered stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It may exist.
    Doubt,
    /// It exists, and its books are open.
    Open,
    /// Its books are closed.
    Settled,
    /// Nothing ran, and nothing was paid.
    Nothing,
}

/// One try of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Its number.
    pub attempt: u32,
    /// Its name at the provider, if it is known.
    pub batch: Option<BatchId>,
    /// Its input file.
    pub file: FileId,
    /// How it stands.
    pub stand: Stand,
}

/// The shard of a batch of which nothing tells the shard: it was asked for by the scripts before this program, or all that is
/// left of it are its answers.
#[must_use]
pub fn shard_of(batch: &str) -> Tag {
    Tag(hash::hex_digits(batch.as_bytes(), TAG_LENGTH))
}

/// What is known of one shard without the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The run that paid.
    pub run: Tag,
    /// The shard.
    pub shard: Tag,
    /// When it was first to be paid for (unix milliseconds), or [`UNDATED`].
    pub at: Millis,
    /// Its lines; 0 = not told.
    pub lines: u32,
    /// Length of its body; 0 = not told.
    pub bytes: u64,
    /// Hash of its body.
    pub body_hash: Option<[u8; 16]>,
    /// Its tries, in their order.
    pub tries: Vec<Try>,
    /// Nothing more of it can be found.
    pub closed: bool,
}

impl Account {
    /// Whether something may have been paid for that nobody else accounts for.
    #[must_use]
    pub fn is_living(&self) -> bool {
        !self.closed && self.tries.iter().any(|one| one.stand != Stand::Nothing)
    }

    /// Whether a run of this program asked for it, so that its batches bear that run's tag.
    #[must_use]
    pub fn is_own(&self) -> bool {
        !self.tries.iter().filter_map(|one| one.batch.as_ref()).any(|batch| shard_of(batch.as_str()) == self.shard)
    }

    /// Whether a ledger lacks something of it; `look` tells where a try stands there, if anywhere. One that is settled here and
    /// not there says that it is an older copy: what it waits for was fetched long ago, and is gone at the provider.
    ///
    /// # Errors
    /// Those of `look`.
    pub fn is_lacked<E>(&self, mut look: impl FnMut(&Try) -> Result<Option<BatchState>, E>) -> Result<bool, E> {
        for one in self.tries.iter().filter(|one| !self.closed && one.stand != Stand::Nothing) {
            let was_fetched = one.stand == Stand::Settled;
            match look(one)? {
                Some(BatchState::Opening | BatchState::Open | BatchState::Ended) if was_fetched => return Ok(true),
                Some(_) => {}
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    fn hear(&mut self, entry: Entry) {
        let Entry { at, ev, attempt, file, batch, lines, bytes, xxh3, .. } = entry;
        self.at = match (self.at, at) {
            (UNDATED, told) | (told, UNDATED) => told,
            (known, told) => known.min(told),
        };
        self.lines = self.lines.max(lines);
        self.bytes = self.bytes.max(bytes);
        self.body_hash = self.body_hash.or_else(|| unhex(&xxh3));
        match ev {
            Event::Closed => self.closed = true,
            Event::Intent => drop(self.tried(attempt, file, None)),
            Event::Open => {
                let one = self.tried(attempt, file, batch);
                if one.stand == Stand::Doubt {
                    one.stand = Stand::Open;
                }
            }
            Event::Refused | Event::Void => self.tried(attempt, file, batch).stand = Stand::Nothing,
            Event::Settled => self.tried(attempt, file, batch).stand = Stand::Settled,
        }
    }

    /// The try that a line speaks of: the batch of that name, else the one of that number that has no name yet, else a new
    /// one.
    fn tried(&mut self, attempt: u32, file: FileId, batch: Option<BatchId>) -> &mut Try {
        let by_name = |one: &Try| batch.is_some() && one.batch == batch;
        let by_number = |one: &Try| one.attempt == attempt && (one.batch.is_none() || batch.is_none());
        let place = self.tries.iter().position(by_name).or_else(|| self.tries.iter().position(by_number));
        let place = place.unwrap_or_else(|| {
            self.tries.push(Try { attempt, batch: None, file, stand: Stand::Doubt });
            self.tries.len() - 1
        });
        let one = &mut self.tries[place];
        one.batch = one.batch.take().or(batch);
        one
    }
}

/// What is known of every shard without the ledger: one account each, a few hundred bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts(BTreeMap<Tag, Account>);

impl Accounts {
    /// Takes in what a line tells.
    pub fn hear(&mut self, entry: Entry) {
        let account = self.0.entry(entry.shard.clone()).or_insert_with(|| Account {
            run: entry.run.clone(),
            shard: entry.shard.clone(),
            at: entry.at,
            lines: 0,
            bytes: 0,
            body_hash: None,
            tries: Vec::new(),
            closed: false,
        });
        account.hear(entry);
    }

    /// Accounts of which something may have been paid for.
    pub fn living(&self) -> impl Iterator<Item = &Account> {
        self.0.values().filter(|account| account.is_living())
    }

    /// Every account.
    pub fn all(&self) -> impl Iterator<Item = &Account> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ev: Event, attempt: u32, batch: &str) -> Entry {
        Entry {
            at: 5,
            ev,
            run: Tag("run".into()),
            shard: Tag("shard".into()),
            attempt,
            file: FileId("file-1".into()),
            batch: (!batch.is_empty()).then(|| BatchId(batch.into())),
            lines: 4,
            bytes: 400,
            xxh3: "00".repeat(16),
        }
    }

    type Lines<'a> = &'a [(Event, u32, &'a str)];

    fn tries(lines: Lines<'_>) -> Vec<(u32, String, Stand)> {
        let mut accounts = Accounts::default();
        lines.iter().for_each(|(ev, attempt, batch)| accounts.hear(entry(*ev, *attempt, batch)));
        let name = |one: &Try| one.batch.as_ref().map_or("", BatchId::as_str).to_owned();
        accounts.all().flat_map(|account| &account.tries).map(|one| (one.attempt, name(one), one.stand)).collect()
    }

    #[test]
    fn lines_add_up_to_how_each_try_stands() {
        use Event::{Intent, Open, Refused, Settled, Void};
        let told = |attempt, batch: &str, stand| (attempt, batch.to_owned(), stand);
        let cases: [(Lines<'_>, Vec<_>); 8] = [
            (&[(Intent, 1, "")], vec![told(1, "", Stand::Doubt)]),
            (&[(Intent, 1, ""), (Open, 1, "a")], vec![told(1, "a", Stand::Open)]),
            (&[(Intent, 1, ""), (Open, 1, "a"), (Settled, 1, "a")], vec![told(1, "a", Stand::Settled)]),
            (&[(Intent, 1, ""), (Refused, 1, "")], vec![told(1, "", Stand::Nothing)]),
            (
                &[(Intent, 1, ""), (Open, 1, "a"), (Refused, 1, "a"), (Intent, 2, ""), (Open, 2, "b")],
                vec![told(1, "a", Stand::Nothing), told(2, "b", Stand::Open)],
            ),
            (
                &[(Intent, 1, ""), (Void, 1, ""), (Intent, 2, "")],
                vec![told(1, "", Stand::Nothing), told(2, "", Stand::Doubt)],
            ),
            // A second batch of one try, and the first one's end.
            (
                &[(Intent, 1, ""), (Open, 1, "a"), (Open, 1, "b"), (Settled, 1, "b")],
                vec![told(1, "a", Stand::Open), told(1, "b", Stand::Settled)],
            ),
            // A line told twice says nothing new.
            (&[(Open, 1, "a"), (Settled, 1, "a"), (Intent, 1, ""), (Open, 1, "a")], vec![told(1, "a", Stand::Settled)]),
        ];
        for (lines, expected) in cases {
            assert_eq!(tries(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn only_what_may_have_been_paid_for_lives() {
        use Event::{Closed, Intent, Open, Refused, Settled};
        let lives = |lines: Lines<'_>| {
            let mut accounts = Accounts::default();
            lines.iter().for_each(|(ev, attempt, batch)| accounts.hear(entry(*ev, *attempt, batch)));
            accounts.living().count() == 1
        };
        assert!(lives(&[(Intent, 1, "")]) && lives(&[(Open, 1, "a"), (Settled, 1, "a")]));
        assert!(!lives(&[(Intent, 1, ""), (Refused, 1, "")]));
        assert!(!lives(&[(Open, 1, "a"), (Settled, 1, "a"), (Closed, 1, "")]));
    }

    #[test]
    fn a_torn_last_line_is_ignored_and_cut() {
        let folder = tempfile::tempdir().expect("temp dir");
        let journal = Journal::at(&folder.path().join("batches.jsonl"));
        let read = || {
            let mut seen = Vec::new();
            journal.read(|entry| seen.push(entry.ev)).expect("readable");
            seen
        };
        assert_eq!(read(), []);
        journal.mend().expect("nothing to cut");
        journal.append(&[entry(Event::Intent, 1, ""), entry(Event::Open, 1, "a")]).expect("append");
        let mut file = append_private(journal.path()).expect("file");
        file.write_all(b"not ours\n{\"at\":5,\"ev\":\"settled\"").expect("torn");
        drop(file);
        assert_eq!(read(), [Event::Intent, Event::Open]);
        journal.mend().expect("cut");
        journal.append(&[entry(Event::Settled, 1, "a")]).expect("append");
        assert_eq!(read(), [Event::Intent, Event::Open, Event::Settled]);
    }
}
