//! The saved result files of one batch: does each line have its own saved answer?

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;

use crate::domain::layout::{self, Layout};

use super::audit::{Report, hex};

/// Longest line that is read, as in `extract`.
const LONGEST_LINE: u64 = 32 << 20;

#[derive(Deserialize)]
struct Line {
    custom_id: String,
}

/// Checks both result files of a batch; tells how many there are. Answers are looked for once the batch is settled.
pub(super) fn check(id: &str, settled: bool, layout: &Layout, report: &mut Report) -> u64 {
    let results = layout.results(id);
    let mut found = 0;
    for path in [layout.raw_output(id), layout.raw_errors(id)] {
        match lines(&path, report, |line, report| look(&path, line, settled.then_some(results.as_path()), report)) {
            Ok(()) => found += 1,
            // Which of the two files a batch has is the provider's affair.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => report.note("a result file cannot be read", format!("{}: {cause}", path.display())),
        }
    }
    report.raw_files += found;
    found
}

fn lines(path: &Path, report: &mut Report, mut each: impl FnMut(&[u8], &mut Report)) -> io::Result<()> {
    let mut file = BufReader::new(fs_err::File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            report.raw_lines += 1;
            each(line.trim_ascii(), report);
        }
    }
}

fn look(path: &Path, line: &[u8], results: Option<&Path>, report: &mut Report) {
    let number = report.raw_lines;
    let Ok(Line { custom_id }) = serde_json::from_slice(line) else {
        report.note("a line of a result file is no answer", format!("{}, about line {number}", path.display()));
        return;
    };
    let Some(results) = results else { return };
    let answer = results.join(layout::result_name(&custom_id, hex));
    if answer.metadata().is_err() {
        report.note("a line of a result file has no answer of its own", answer.display().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::atomic_file::{self, Access, Durability, private_folder};

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
        assert_eq!(check("batch_1", true, &layout, &mut report), 1);
        assert_eq!(report.raw_lines, 3);
        let found: Vec<_> = report.findings.iter().map(|finding| (finding.what.as_str(), finding.count)).collect();
        let expected =
            [("a line of a result file has no answer of its own", 1), ("a line of a result file is no answer", 1)];
        assert_eq!(found, expected);
        assert_eq!(check("batch_2", true, &layout, &mut report), 0);
    }
}
