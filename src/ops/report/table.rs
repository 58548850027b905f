//! The table: a row for each image or page of one, for spreadsheets.

use std::io::{self, Read as _, Write};

use crate::domain::image::{RelPath, shown};
use crate::domain::layout::Layout;
use crate::domain::money::Money;
pub use crate::kit::clock::utc;
use crate::kit::hash::{self, Short, ShortHasher};
use crate::ledger::reader::ImageResult;
use crate::ops::text_file;

/// The columns. Further ones may come behind them; none is renamed.
pub(super) const COLUMNS: [&str; 21] = [
    "path",
    "page",
    "folder",
    "state",
    "reason",
    "flags",
    "review",
    "chars",
    "lines",
    "tokens_in",
    "tokens_out",
    "tokens_reasoning",
    "cost_usd",
    "attempts",
    "returns",
    "model",
    "recipe",
    "batch",
    "finished_at",
    "text_file",
    "raw_file",
];
/// By which a spreadsheet knows UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Length of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Length {
    /// Unicode scalar values.
    pub(super) chars: u64,
    /// Lines; the last one needs no end.
    pub(super) lines: u64,
}

/// The table while it is written.
pub(super) struct Table<W: Write>(csv::Writer<W>);

impl<W: Write> Table<W> {
    /// Writes the head.
    pub(super) fn begin(mut to: W) -> io::Result<Self> {
        to.write_all(BYTE_ORDER_MARK)?;
        let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to);
        table.write_record(COLUMNS)?;
        Ok(Self(table))
    }

    /// Writes a row.
    pub(super) fn row(&mut self, layout: &Layout, image: &ImageResult, length: Option<Length>) -> io::Result<()> {
        Ok(self.0.write_record(cells(layout, image, length).iter().map(|cell| harmless(cell)))?)
    }

    /// Writes what is left.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn cells(layout: &Layout, image: &ImageResult, length: Option<Length>) -> [String; COLUMNS.len()] {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let ImageResult { path, spent, last, .. } = image;
    let usage = spent.usage;
    let batch = last.as_ref().and_then(|last| last.batch.as_ref());
    [
        shown(&path.with_page(1).joined()),
        path.page.to_string(),
        shown(&path.folder),
        image.state.word().to_owned(),
        image.reason.clone().unwrap_or_default(),
        image.flags.join(" "),
        image.review.clone().unwrap_or_default(),
        number(length.map(|length| length.chars)),
        number(length.map(|length| length.lines)),
        number(usage.map(|usage| usage.prompt)),
        number(usage.map(|usage| usage.output)),
        number(usage.map(|usage| usage.reasoning)),
        usage.and(spent.cost).map(dollars).unwrap_or_default(),
        image.attempts.to_string(),
        image.gaps.to_string(),
        last.as_ref().map(|last| last.model.clone()).unwrap_or_default(),
        last.as_ref().map(|last| hash::hex(&last.recipe)).unwrap_or_default(),
        batch.map(|batch| batch.0.clone()).unwrap_or_default(),
        last.as_ref().and_then(|last| last.settled_at).map(utc).unwrap_or_default(),
        text_name(image).map(|name| shown(&name)).unwrap_or_default(),
        batch.map(|batch| file_name(layout, &batch.0)).unwrap_or_default(),
    ]
}

/// Name of a batch's saved answers.
fn file_name(layout: &Layout, batch: &str) -> String {
    layout.raw_output(batch).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Where the text of an image lies, below the folder of texts.
pub(super) fn text_name(image: &ImageResult) -> Option<Vec<u8>> {
    let kind = image.text.as_deref().filter(|kind| *kind != "page")?;
    let name = text_file::name(&image.path, kind);
    Some(RelPath { folder: image.path.folder.clone(), name, page: 1 }.joined())
}

/// Dollars to the last digit: pages cost less than a microdollar may tell, and the sum of the column is the bill's.
fn dollars(cost: Money) -> String {
    let (whole, part) = (cost.picos() / 1_000_000_000_000, cost.picos() % 1_000_000_000_000);
    let text = format!("{whole}.{part:012}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{cell}") } else { cell.to_owned() }
}

/// A text that was looked at, and whether a person has changed it since it was written.
#[derive(Debug, Default)]
pub(super) struct LookedAt {
    place: Option<(Vec<u8>, RelPath)>,
    is_changed: bool,
}

impl LookedAt {
    /// Length of the text that stands beside an image; the image is flagged if a person has changed it. The pages of one file
    /// share a text: it is counted for the first of them, and they come one after the other.
    pub(super) fn next(&mut self, layout: &Layout, image: &mut ImageResult) -> Option<Length> {
        let kind = image.text.as_deref().filter(|kind| *kind != "page")?;
        let place = Some((image.root.clone(), image.path.with_page(1)));
        let mut length = None;
        if kind == "api" || self.place != place {
            let looked =
                text_file::open(layout, &image.root, &image.path, kind).ok().and_then(|text| measured(text).ok());
            let is_ours = |hash| kind == "kept" || Some(hash) == image.text_hash;
            self.is_changed = looked.is_some_and(|(_, hash)| !is_ours(hash));
            self.place = place.filter(|_| kind != "api");
            length = looked.map(|(length, _)| length).filter(|_| image.path.page == 1);
        }
        if self.is_changed {
            text_file::flag_edited(&mut image.flags);
        }
        length
    }
}

/// Length and BLAKE3 of a text.
fn measured(mut text: impl io::Read) -> io::Result<(Length, Short)> {
    let (mut length, mut hasher) = (Length::default(), ShortHasher::default());
    let (mut chunk, mut last) = (vec![0; 16 * 1024], b'\n');
    loop {
        let read = text.read(&mut chunk)?;
        if read == 0 {
            length.lines += u64::from(last != b'\n');
            return Ok((length, hasher.finish()));
        }
        hasher.update(&chunk[..read]);
        for byte in &chunk[..read] {
            length.chars += u64::from(byte & 0xc0 != 0x80);
            length.lines += u64::from(*byte == b'\n');
        }
        last = chunk[read - 1];
    }
}

/// The first signs of the text beside an image, and whether there are more.
pub(super) fn beginning(layout: &Layout, image: &ImageResult, most: usize) -> Option<(String, bool)> {
    let kind = image.text.as_deref().filter(|kind| *kind != "page")?;
    let text = text_file::open(layout, &image.root, &image.path, kind).ok()?;
    let mut bytes = Vec::new();
    // A sign has at most four bytes.
    text.take(4 * most as u64 + 4).read_to_end(&mut bytes).ok()?;
    let whole = String::from_utf8_lossy(&bytes);
    let begun: String = whole.chars().take(most).collect();
    let more = begun.len() < whole.len();
    Some((begun, more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::batch::Usage;
    use crate::domain::ids::{BatchId, ImageId};
    use crate::ledger::moves::ImageState;
    use crate::ledger::reader::{LastAsked, Spent};

    fn layout() -> Layout {
        let folder = |name: &str| std::path::PathBuf::from("/w").join(name);
        Layout {
            batch: folder("batch"),
            completed: folder("batch/completed"),
            output: folder("batch_return"),
            extraction: folder("batch_json_results"),
            texts: None,
        }
    }

    fn image() -> ImageResult {
        ImageResult {
            id: ImageId(1),
            root: b"/nowhere".to_vec(),
            path: RelPath { folder: b"=box".to_vec(), name: b"a,b.png".to_vec(), page: 1 },
            state: ImageState::Done,
            reason: None,
            flags: vec!["loop".to_owned(), "too_long".to_owned()],
            review: None,
            attempts: 2,
            asked: 2,
            gaps: 0,
            text: Some("txt".to_owned()),
            text_hash: Some([1; 16]),
            last: Some(LastAsked {
                model: "gpt".to_owned(),
                recipe: [2; 16],
                batch: Some(BatchId("batch_1".to_owned())),
                settled_at: Some(1_795_336_202_000),
            }),
            spent: Spent {
                usage: Some(Usage { prompt: 983, cached: 0, output: 40, reasoning: 0 }),
                cost: Some(Money::from_micros(240)),
            },
        }
    }

    fn written(image: &ImageResult) -> Vec<String> {
        let mut to = Vec::new();
        let mut table = Table::begin(&mut to).expect("head");
        table.row(&layout(), image, Some(Length { chars: 7, lines: 1 })).expect("row");
        table.end().expect("end");
        String::from_utf8(to).expect("UTF-8").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_row_that_a_spreadsheet_takes_as_it_is() {
        let lines = written(&image());
        assert!(lines[0].starts_with("\u{feff}path,page,folder,"), "{}", lines[0]);
        let expected = "\"'=box/a,b.png\",1,'=box,done,,loop too_long,,7,1,983,40,0,0.00024,2,0,gpt,\
            02020202020202020202020202020202,batch_1,2026-11-22T08:30:02Z,\"'=box/a,b.png.txt\",batch_1.jsonl";
        assert_eq!(lines[1], expected);
    }

    #[test]
    fn what_is_not_known_is_an_empty_cell() {
        let unpriced = ImageResult { spent: Spent { cost: None, ..image().spent }, ..image() };
        assert!(written(&unpriced)[1].contains(",983,40,0,,2,0,"), "no price");
        let never = ImageResult { spent: Spent::default(), last: None, text: None, ..image() };
        assert!(written(&never)[1].ends_with(",7,1,,,,,2,0,,,,,,"), "never asked");
    }

    #[test]
    fn money_to_the_last_digit() {
        let told =
            [0, 1, 240_000_000, 2_000_000_000_000, 1_500_000_000_000].map(|picos| dollars(Money::from_picos(picos)));
        assert_eq!(told, ["0", "0.000000000001", "0.00024", "2", "1.5"]);
    }

    #[test]
    fn signs_and_lines() {
        let length = |text: &str| measured(text.as_bytes()).expect("a text").0;
        assert_eq!(length(""), Length { chars: 0, lines: 0 });
        assert_eq!(length("ä\nb"), Length { chars: 3, lines: 2 });
        assert_eq!(length("a\n"), Length { chars: 2, lines: 1 });
    }
}
