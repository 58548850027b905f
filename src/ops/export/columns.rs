//! Parquet: the rows of the JSON lines, under the same names, as columns with types. The format keeps a column of many rows
//! together, so rows are held until a group of them is full; the index of the groups stays in memory until the end.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result as Written};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::lines::{self, SCHEMA};
use super::texts::{Of, PageText};
use super::{Error, Source, Told};
use crate::domain::batch::Usage;
use crate::domain::image::shown;
use crate::kit::hash;
use crate::ledger::reader::{ImageResult, LastAsked};

/// Rows of a full group. Readers skip by groups, and want thousands of rows in each.
const ROWS: usize = 16_384;
/// Bytes of texts in a full group, the last of them apart.
const BYTES: usize = 8 << 20;
/// Rows whose cells of a column are gathered at once.
const CHUNK: usize = 1_024;

/// An image or page, and its text.
type Row = (ImageResult, Option<PageText>);

/// The type of a column, and where its cells come from. `None` is what is not known: null, never zero.
enum Column {
    Whole(fn(&Row) -> Option<u64>),
    Real(fn(&Row) -> Option<f64>),
    Truth(fn(&Row) -> Option<bool>),
    Words(fn(&Row) -> Option<String>),
    /// Unix milliseconds.
    Moment(fn(&Row) -> Option<i64>),
    List(fn(&Row) -> &[String]),
}

impl Column {
    /// Its line of the schema, in the words of the format: see "Logical Types" of the Parquet specification.
    fn declared(&self, name: &str) -> String {
        match self {
            Self::Whole(_) => format!("OPTIONAL INT64 {name};"),
            Self::Real(_) => format!("OPTIONAL DOUBLE {name};"),
            Self::Truth(_) => format!("OPTIONAL BOOLEAN {name};"),
            Self::Words(_) => format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
            Self::Moment(_) => format!("OPTIONAL INT64 {name} (TIMESTAMP(MILLIS,true));"),
            Self::List(_) => format!(
                "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED BYTE_ARRAY element (STRING); }} }}"
            ),
        }
    }
}

/// The columns: the names of a line of JSON, in its order.
const COLUMNS: [(&str, Column); 21] = [
    ("schema", Column::Whole(|_| Some(u64::from(SCHEMA)))),
    ("path", Column::Words(|(image, _)| Some(shown(&image.path.with_page(1).joined())))),
    ("page", Column::Whole(|(image, _)| Some(u64::from(image.path.page)))),
    ("state", Column::Words(|(image, _)| Some(image.state.word().to_owned()))),
    ("reason", Column::Words(|(image, _)| image.reason.clone())),
    ("flags", Column::List(|(image, _)| &image.flags)),
    ("review", Column::Words(|(image, _)| image.review.clone())),
    (TEXT, Column::Words(|(_, text)| text.as_ref().map(|text| text.text.clone()))),
    ("edited", Column::Truth(|(_, text)| text.as_ref().map(|text| !text.ours))),
    ("text_file", Column::Words(|(image, _)| Of::result(image).file().map(|file| shown(&file.joined())))),
    ("model", Column::Words(|row| last(row).map(|last| last.model.clone()))),
    ("recipe", Column::Words(|row| last(row).map(|last| hash::hex(&last.recipe)))),
    ("batch", Column::Words(|row| last(row)?.batch.as_ref().map(|batch| batch.0.clone()))),
    ("finished_at", Column::Moment(|row| last(row)?.settled_at)),
    ("attempts", Column::Whole(|(image, _)| Some(u64::from(image.attempts)))),
    ("returns", Column::Whole(|(image, _)| Some(u64::from(image.gaps)))),
    ("tokens_in", Column::Whole(|row| usage(row).map(|usage| usage.prompt))),
    ("tokens_cached", Column::Whole(|row| usage(row).map(|usage| usage.cached))),
    ("tokens_out", Column::Whole(|row| usage(row).map(|usage| usage.output))),
    ("tokens_reasoning", Column::Whole(|row| usage(row).map(|usage| usage.reasoning))),
    ("cost_usd", Column::Real(|row| usage(row).and(row.0.spent.cost).map(|cost| lines::dollars(cost.picos())))),
];
/// The column that is nearly all of the file.
const TEXT: &str = "text";

fn last((image, _): &Row) -> Option<&LastAsked> {
    image.last.as_ref()
}

fn usage((image, _): &Row) -> Option<Usage> {
    image.spent.usage
}

/// Writes a row for every image of the ledger.
pub(super) fn write(source: &Source<'_>, to: &mut (dyn Write + Send)) -> Result<Told, Error> {
    let mut table = Table::begin(to).map_err(failed)?;
    let told = lines::each(source, &mut |image, text| Ok(table.row((image, text)).map_err(failed)?))?;
    table.end().map_err(failed)?;
    Ok(told)
}

/// The file while it is written.
struct Table<W: Write + Send> {
    file: SerializedFileWriter<W>,
    /// Rows of the group to come.
    held: Vec<Row>,
    /// Bytes of their texts.
    bytes: usize,
}

impl<W: Write + Send> Table<W> {
    fn begin(to: W) -> Written<Self> {
        let columns: Vec<String> = COLUMNS.iter().map(|(name, column)| column.declared(name)).collect();
        let schema = parse_message_type(&format!("message image {{ {} }}", columns.join(" ")))?;
        let file = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties()))?;
        Ok(Self { file, held: Vec::new(), bytes: 0 })
    }

    fn row(&mut self, row: Row) -> Written<()> {
        self.bytes += row.1.as_ref().map_or(0, |text| text.text.len());
        self.held.push(row);
        if self.held.len() >= ROWS || self.bytes >= BYTES { self.group() } else { Ok(()) }
    }

    /// Writes what is held as a group.
    fn group(&mut self) -> Written<()> {
        let mut group = self.file.next_row_group()?;
        for (_, column) in &COLUMNS {
            let Some(mut writer) = group.next_column()? else { break };
            for rows in self.held.chunks(CHUNK) {
                match column {
                    Column::Whole(cell) => {
                        put(writer.typed::<Int64Type>(), rows.iter().map(|row| cell(row).map(whole)))?;
                    }
                    Column::Moment(cell) => put(writer.typed::<Int64Type>(), rows.iter().map(cell))?,
                    Column::Real(cell) => put(writer.typed::<DoubleType>(), rows.iter().map(cell))?,
                    Column::Truth(cell) => put(writer.typed::<BoolType>(), rows.iter().map(cell))?,
                    Column::Words(cell) => {
                        put(writer.typed::<ByteArrayType>(), rows.iter().map(|row| cell(row).map(bytes)))?
                    }
                    Column::List(cell) => put_lists(writer.typed::<ByteArrayType>(), rows.iter().map(cell))?,
                }
            }
            writer.close()?;
        }
        group.close()?;
        self.held.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Writes what is left, and the index.
    fn end(mut self) -> Written<()> {
        if !self.held.is_empty() {
            self.group()?;
        }
        self.file.close()?;
        Ok(())
    }
}

/// Snappy, which every reader knows. No two texts are alike, so a dictionary of them or their least and greatest are of no use;
/// nor is an index of pages, in groups as small as these, worth the memory it takes until the end.
fn properties() -> WriterProperties {
    let text = || ColumnPath::from(TEXT);
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_column_dictionary_enabled(text(), false)
        .set_column_statistics_enabled(text(), EnabledStatistics::None)
        .build()
}

/// Writes cells, each there (level 1) or null (level 0).
fn put<T: DataType>(column: &mut ColumnWriterImpl<'_, T>, cells: impl Iterator<Item = Option<T::T>>) -> Written<()> {
    let (mut values, mut levels) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    column.write_batch(&values, Some(&levels), None)?;
    Ok(())
}

/// Writes lists. An empty one has no value and level 0; of others the first value begins a row (repetition 0), and the rest
/// go on with it (1).
fn put_lists<'a>(
    column: &mut ColumnWriterImpl<'_, ByteArrayType>,
    lists: impl Iterator<Item = &'a [String]>,
) -> Written<()> {
    let (mut values, mut levels, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for list in lists {
        levels.push(i16::from(!list.is_empty()));
        repetitions.push(0);
        for _ in list.iter().skip(1) {
            levels.push(1);
            repetitions.push(1);
        }
        values.extend(list.iter().map(|value| ByteArray::from(value.as_str())));
    }
    column.write_batch(&values, Some(&levels), Some(&repetitions))?;
    Ok(())
}

/// The format has no unsigned type that every reader knows; no count of tokens comes near the end of this one.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn bytes(words: String) -> ByteArray {
    words.into_bytes().into()
}

/// What the operating system said, as it said it: a full disk is told as one.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
