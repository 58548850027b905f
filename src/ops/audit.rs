//! Does the balance close? The ledger's rows are counted again, texts are compared with their hashes, and every line of
//! the saved result files is looked for among the saved answers.

use std::io;

use crate::domain::layout::Layout;
use crate::kit::hash;
use crate::ledger::LedgerError;
use crate::ledger::journal::{Accounts, Journal};
use crate::ledger::moves::BatchState;
use crate::ledger::reader::{CopyCount, DoneText, Reader};
use crate::ledger::records::Standing;

use super::raw_files::{self, Expected};
use super::text_file;

/// Rows asked for at once.
const PAGE: u32 = 512;
/// Examples kept of each kind of finding.
const EXAMPLES: usize = 20;

/// One kind of finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What does not hold, in words.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The first ones.
    pub examples: Vec<String>,
}

/// What an audit came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Counts by reading every row.
    pub counted: Standing,
    /// Texts of ours that were read and compared.
    pub texts: u64,
    /// Texts that people have edited: kept, and no finding.
    pub edited: u64,
    /// Images that are copies of others.
    pub copies: CopyCount,
    /// Result files that were read.
    pub raw_files: u64,
    /// Lines in them.
    pub raw_lines: u64,
    /// What does not hold; empty: everything does.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.findings.is_empty() && self.counted.closes()
    }

    /// Notes one thing that does not hold.
    pub(super) fn note(&mut self, what: &str, example: String) {
        let at = match self.findings.iter().position(|finding| finding.what == what) {
            Some(at) => at,
            None => {
                self.findings.push(Finding { what: what.to_owned(), count: 0, examples: Vec::new() });
                self.findings.len() - 1
            }
        };
        let finding = &mut self.findings[at];
        finding.count += 1;
        if finding.examples.len() < EXAMPLES {
            finding.examples.push(example);
        }
    }
}

/// Audits a workspace; writes nothing.
///
/// # Errors
/// The ledger's, if it cannot be read; everything else is a finding.
pub fn audit(reader: &Reader, layout: &Layout) -> Result<Report, LedgerError> {
    let own = reader.audit()?;
    let mut report = Report { counted: own.counted, copies: reader.copy_count()?, ..Report::default() };
    for finding in own.findings {
        report.note("the ledger contradicts itself", finding);
    }
    texts(reader, layout, &mut report)?;
    batches(reader, layout, &mut report)?;
    journal(reader, layout, &mut report)?;
    Ok(report)
}

fn texts(reader: &Reader, layout: &Layout, report: &mut Report) -> Result<(), LedgerError> {
    let mut after = None;
    loop {
        let page = reader.texts(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.image);
        for text in &page {
            compare(text, layout, report);
        }
    }
}

fn compare(text: &DoneText, layout: &Layout, report: &mut Report) {
    let shown = || text.path.shown();
    match text_file::open(layout, &text.root, &text.path, &text.kind).and_then(text_file::hash_of) {
        Ok(_) if text.kind == "kept" => report.edited += 1,
        // What a person put there need not be a file, nor be ours to read.
        Err(cause) if text.kind == "kept" && cause.kind() != io::ErrorKind::NotFound => report.edited += 1,
        Ok(hash) => {
            report.texts += 1;
            // A person's edit is a right, no damage: it is counted and kept.
            report.edited += u64::from(hash != text.hash);
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => report.note("a text is gone", shown()),
        Err(cause) => report.note("a text cannot be read", format!("{}: {cause}", shown())),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    hash::hex(&hash::short(bytes))
}

fn batches(reader: &Reader, layout: &Layout, report: &mut Report) -> Result<(), LedgerError> {
    let strangers = reader.foreign_lines()?;
    let mut after = None;
    loop {
        let page = reader.batches(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.no);
        let read = page.iter().filter(|batch| matches!(batch.state, BatchState::Fetched | BatchState::Settled));
        for (batch, id) in read.filter_map(|batch| Some((batch, batch.id.as_ref()?))) {
            let settled = batch.state == BatchState::Settled;
            let (output, errors) = (batch.output, batch.errors);
            let foreign = strangers.get(&batch.no).copied().unwrap_or_default();
            raw_files::check(&Expected { id: id.as_str(), settled, output, errors, foreign }, layout, report);
        }
    }
}

/// Every batch that the journal tells of.
fn journal(reader: &Reader, layout: &Layout, report: &mut Report) -> Result<(), LedgerError> {
    let mut accounts = Accounts::default();
    if let Err(cause) = Journal::at(&layout.journal()).read(|entry| accounts.hear(entry)) {
        report.note("the journal cannot be read", cause.to_string());
    }
    for account in accounts.living() {
        if reader.lacks(account)? {
            report.note("the journal tells of paid work that the ledger lacks", format!("shard {}", account.shard));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ImageId;
    use crate::domain::image::RelPath;
    use crate::kit::atomic_file::{self, Access, Durability};

    fn layout(root: &std::path::Path) -> Layout {
        Layout {
            batch: root.join("batch"),
            completed: root.join("batch/completed"),
            output: root.join("batch_return"),
            extraction: root.join("batch_json_results"),
            texts: None,
        }
    }

    fn text(root: &std::path::Path, name: &str, kind: &str, content: &[u8]) -> DoneText {
        DoneText {
            image: ImageId(1),
            root: root.as_os_str().as_encoded_bytes().to_vec(),
            path: RelPath { folder: Vec::new(), name: name.into(), page: 1 },
            kind: kind.to_owned(),
            hash: hash::short(content),
        }
    }

    #[test]
    fn texts_are_ours_edited_or_gone() {
        let folder = tempfile::tempdir().expect("temp dir");
        let root = folder.path();
        let write = |name: &str, text: &[u8]| {
            atomic_file::write(&root.join(name), text, Access::Umask, Durability::Derived).expect("text");
        };
        write("a.jpg.txt", b"ours\n");
        write("b.jpg.txt", b"changed by hand\n");
        write("c.jpg.txt.api", b"rough\n");
        let mut report = Report::default();
        let layout = layout(root);
        compare(&text(root, "a.jpg", "txt", b"ours\n"), &layout, &mut report);
        compare(&text(root, "b.jpg", "txt", b"ours\n"), &layout, &mut report);
        compare(&text(root, "b.jpg", "kept", b"theirs\n"), &layout, &mut report);
        compare(&text(root, "c.jpg", "api", b"rough\n"), &layout, &mut report);
        assert_eq!((report.texts, report.edited, report.closes()), (3, 2, true));
        compare(&text(root, "d.jpg", "txt", b"gone\n"), &layout, &mut report);
        let gone = Finding { what: "a text is gone".into(), count: 1, examples: vec!["d.jpg".into()] };
        assert_eq!(report.findings, [gone]);
        assert!(!report.closes());
    }
}
