use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::ids::{BatchId, ImageId};
use crate::domain::image::RelPath;
use crate::domain::money::Money;
use crate::kit::clock::utc;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::Spent;

/// An image that was never asked: most is unknown of it.
fn owed(page: u32) -> Row {
    let image = ImageResult {
        id: ImageId(7),
        root: b"/nowhere".to_vec(),
        path: RelPath { folder: "böx".into(), name: b"a.tif".to_vec(), page },
        state: ImageState::Owed,
        reason: None,
        flags: Vec::new(),
        review: None,
        attempts: 0,
        asked: 0,
        gaps: 0,
        text: None,
        text_hash: None,
        last: None,
        spent: Spent::default(),
    };
    (image, None)
}

/// One whose answer was taken.
fn done(page: u32, flags: &[&str], text: &str) -> Row {
    let (image, _) = owed(page);
    let image = ImageResult {
        state: ImageState::Done,
        flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        review: Some("good".to_owned()),
        attempts: 2,
        asked: 2,
        gaps: 1,
        text: Some("txt".to_owned()),
        last: Some(LastAsked {
            model: "gpt".to_owned(),
            recipe: [2; 16],
            batch: Some(BatchId("batch_1".to_owned())),
            settled_at: Some(1_795_336_202_000),
        }),
        spent: Spent {
            usage: Some(Usage { prompt: 983, cached: 3, output: 40, reasoning: 5_000_000_000 }),
            cost: Some(Money::from_micros(240)),
        },
        ..image
    };
    (image, Some(PageText { text: text.to_owned(), ours: true, changed: 0 }))
}

fn failed_row() -> Row {
    let (image, _) = done(1, &["loop"], "");
    let spent = Spent { cost: None, ..image.spent };
    (ImageResult { state: ImageState::Failed, reason: Some("loop".to_owned()), text: None, spent, ..image }, None)
}

fn file(rows: impl IntoIterator<Item = Row>) -> Vec<u8> {
    let mut to = Vec::new();
    let mut table = Table::begin(&mut to).expect("a head");
    rows.into_iter().for_each(|row| table.row(row).expect("a row"));
    table.end().expect("an end");
    to
}

fn reader(file: Vec<u8>) -> SerializedFileReader<Bytes> {
    SerializedFileReader::new(Bytes::from(file)).expect("a file of Parquet")
}

/// A cell as a line of JSON tells it.
fn told(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => json!(truth),
        Field::Long(number) => json!(number),
        Field::Double(number) => json!(number),
        Field::Str(words) => json!(words),
        Field::TimestampMillis(at) => json!(utc(*at)),
        Field::ListInternal(list) => list.elements().iter().map(told).collect(),
        other => panic!("{other:?} is of no type that was declared"),
    }
}

fn read_back(file: Vec<u8>) -> Vec<Value> {
    let rows = RowIter::from_file_into(Box::new(reader(file)));
    let object = |row: parquet::record::Row| -> Map<String, Value> {
        row.get_column_iter().map(|(name, field)| (name.clone(), told(field))).collect()
    };
    rows.map(|row| Value::Object(object(row.expect("a row")))).collect()
}

fn lines_of(rows: &[Row]) -> Vec<Value> {
    rows.iter().map(|(image, text)| lines::line(image, text.as_ref())).collect()
}

#[test]
fn a_row_says_what_its_line_of_json_says() {
    let rows = [
        owed(1),
        done(1, &[], ""),
        done(2, &["too_short"], "日本 😀\n\u{1}"),
        failed_row(),
        done(3, &["loop", "too_long", "chatter"], "a\r\nb"),
        owed(2),
    ];
    let lines = lines_of(&rows);
    assert_eq!(read_back(file(rows)), lines);
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), lines[0].as_object().map_or(0, Map::len), "{names:?}");
}

#[test]
fn types_are_those_that_readers_know() {
    let reader = reader(file([]));
    assert_eq!((reader.metadata().file_metadata().num_rows(), reader.num_row_groups()), (0, 0), "no image, no row");
    let schema = reader.metadata().file_metadata().schema_descr();
    let kinds: Vec<String> = schema
        .columns()
        .iter()
        .map(|column| {
            let logical = column.logical_type_ref().map_or_else(String::new, |logical| format!(" {logical:?}"));
            format!("{} {}{logical}", column.path().string(), column.physical_type())
        })
        .collect();
    assert_eq!(kinds.len(), COLUMNS.len());
    for kind in [
        "page INT64",
        "flags.list.element BYTE_ARRAY String",
        "text BYTE_ARRAY String",
        "edited BOOLEAN",
        "cost_usd DOUBLE",
    ] {
        assert!(kinds.iter().any(|told| told == kind), "{kind}: {kinds:?}");
    }
    let at = kinds.iter().find(|kind| kind.starts_with("finished_at ")).expect("a column");
    assert!(at.contains("INT64") && at.contains("is_adjusted_to_u_t_c: true") && at.contains("MILLIS"), "{at}");
}

#[test]
fn what_is_held_is_bounded_by_rows_and_by_bytes() {
    let rows =
        (0..).map(|n: u32| if n.is_multiple_of(3) { owed(n) } else { done(n, &["a", "b"][..n as usize % 3], "x") });
    let rows: Vec<Row> = rows.take(ROWS + 1).collect();
    let lines = lines_of(&rows);
    let many = file(rows);
    let groups = |file: &[u8]| -> Vec<i64> {
        reader(file.to_vec()).metadata().row_groups().iter().map(|group| group.num_rows()).collect()
    };
    assert_eq!(groups(&many), [ROWS as i64, 1]);
    assert_eq!(read_back(many), lines, "lists and nulls stay in their rows where chunks and groups meet");
    let half = "y".repeat(BYTES / 2);
    let long = file((1..=5).map(|page| done(page, &[], &half)));
    assert_eq!(groups(&long), [2, 2, 1]);
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_as_one_wherever_it_happens() {
    let rows = || (1..=40).map(|page| done(page, &["loop"], &format!("{page}").repeat(page as usize * 40)));
    let length = file(rows()).len();
    assert_eq!(file(rows()), file(rows()), "the same rows, the same bytes");
    let write = |room: usize| {
        let mut table = Table::begin(Full(room))?;
        rows().try_for_each(|row| table.row(row))?;
        table.end()
    };
    for room in (0..length).step_by(97).chain([length - 1]) {
        let cause = failed(write(room).expect_err("it does not fit"));
        assert_eq!(cause.kind(), io::ErrorKind::StorageFull, "after {room} bytes: {cause}");
    }
    write(length).expect("it just fits");
}
