//! The saved result files of one batch: are they what was saved, and does each line have its own saved answer?

use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::domain::layout::{self, Layout};

use crate::kit::lines;
use crate::ledger::records::RawFile;

use super::audit::{Report, hex};

#[derive(Deserialize)]
struct Line {
    custom_id: String,
}

/// What is checked of one batch.
pub(super) struct Expected<'a> {
    /// Its name at the provider.
    pub(super) id: &'a str,
    /// Answers are looked for once the batch is settled.
    pub(super) settled: bool,
    /// The file of answers as it was saved.
    pub(super) output: Option<RawFile>,
    /// The file of errors as it was saved.
    pub(super) errors: Option<RawFile>,
    /// Lines that name no image of ours, as they were counted when the files were read: kept raw, and nothing else.
    pub(super) foreign: u64,
}

/// Checks both result files of a batch.
pub(super) fn check(batch: &Expected<'_>, layout: &Layout, report: &mut Report) {
    let results = layout.results(batch.id);
    let results = batch.settled.then_some(results.as_path());
    let mut foreign = batch.foreign;
    for (path, saved) in [(layout.raw_output(batch.id), batch.output), (layout.raw_errors(batch.id), batch.errors)] {
        match read(&path, report, |line, report| look(&path, line, results, &mut foreign, report)) {
            Ok(lies) => {
                report.raw_files += 1;
                if let Some(saved) = saved {
                    compare(&path, saved, lies, report);
                }
            }
            // Which of the two files a batch has is the provider's affair.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                if saved.is_some() {
                    report.note("a result file is gone", path.display().to_string());
                }
            }
            Err(cause) => report.note("a result file cannot be read", cause.to_string()),
        }
    }
}

fn compare(path: &Path, saved: RawFile, lies: RawFile, report: &mut Report) {
    let path = path.display();
    if saved.bytes != lies.bytes {
        let example = format!("{path}: {} bytes, {} were saved", lies.bytes, saved.bytes);
        report.note("a result file has another length than what was saved", example);
    } else if saved.sha256 != lies.sha256 {
        report.note("a result file has another content than what was saved", format!("{path} (SHA-256)"));
    }
}

/// Reads all lines; tells what the file is.
fn read(path: &Path, report: &mut Report, mut each: impl FnMut(&[u8], &mut Report)) -> io::Result<RawFile> {
    let told = lines::each(path, |line| -> io::Result<()> {
        report.raw_lines += 1;
        each(line.bytes, report);
        Ok(())
    });
    told.map(|(bytes, sha256)| RawFile { bytes, sha256 })
}

fn look(path: &Path, line: &[u8], results: Option<&Path>, foreign: &mut u64, report: &mut Report) {
    let number = report.raw_lines;
    let Ok(Line { custom_id }) = serde_json::from_slice(line) else {
        report.note("a line of a result file is no answer", format!("{}, about line {number}", path.display()));
        return;
    };
    let Some(results) = results else { return };
    let answer = results.join(layout::result_name(&custom_id, hex));
    if answer.metadata().is_ok() {
        return;
    }
    if *foreign > 0 {
        *foreign -= 1;
    } else {
        report.note("a line of a result file has no answer of its own", answer.display().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::atomic_file::{self, Access, Durability, private_folder};
    use crate::kit::hash::Sha256;

    #[test]
    fn every_line_has_its_answer() {
        let folder = tempfile::tempdir().expect("temp dir");
        let root = folder.path();
        let layout = Layout {
            batch: root.join("batch"),
            completed: root.join("batch/completed"),
            output: root.join("raw"),
            extraction: root.join("answers"),
            texts: None,
        };
        let write = |path: &Path, text: &str| {
            private_folder(atomic_file::folder_of(path)).expect("folder");
            atomic_file::write(path, text.as_bytes(), Access::Private, Durability::Derived).expect("file");
        };
        let raw = "{\"custom_id\":\"x|a.jpg\"}\n\n{\"custom_id\":\"b.jpg\"}\nnot json\n";
        write(&layout.raw_output("batch_1"), raw);
        write(&layout.results("batch_1").join("x|a.jpg.json"), "{}");
        let mut report = Report::default();
        let batch = |id, output| Expected { id, settled: true, output, errors: None, foreign: 0 };
        check(&batch("batch_1", None), &layout, &mut report);
        assert_eq!((report.raw_files, report.raw_lines), (1, 3));
        let found: Vec<_> = report.findings.iter().map(|finding| (finding.what.as_str(), finding.count)).collect();
        let expected =
            [("a line of a result file has no answer of its own", 1), ("a line of a result file is no answer", 1)];
        assert_eq!(found, expected);
        check(&batch("batch_2", None), &layout, &mut report);
        assert_eq!((report.raw_files, report.findings.len()), (1, 2));
        let other = RawFile { bytes: raw.len() as u64, sha256: [7; 32] };
        for (id, saved, what) in [
            ("batch_1", other, "a result file has another content than what was saved"),
            ("batch_1", RawFile { bytes: 3, ..other }, "a result file has another length than what was saved"),
            ("batch_2", other, "a result file is gone"),
        ] {
            check(&batch(id, Some(saved)), &layout, &mut report);
            assert!(report.findings.iter().any(|finding| finding.what == what), "{what}");
        }
        let mut same = Report::default();
        let mut hasher = Sha256::default();
        hasher.update(b"{\"custom_id\":\"x|a.jpg\"}\n");
        write(&layout.raw_output("batch_3"), "{\"custom_id\":\"x|a.jpg\"}\n");
        write(&layout.results("batch_3").join("x|a.jpg.json"), "{}");
        check(&batch("batch_3", Some(RawFile { bytes: 24, sha256: hasher.finish() })), &layout, &mut same);
        assert_eq!(same.findings, []);
    }
}
