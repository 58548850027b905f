//! The lines of one batch, tied to its images: the way back from an id to an image is a look-up here and nothing else.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};

use super::parse::Line;
use super::write::{ResultFolder, ResultWriters};
use super::{parse, write};
use crate::domain::answer::{Answer, MOST_TOGETHER};
use crate::domain::batch::EndedBatch;
use crate::domain::layout::{self, Layout};
use crate::domain::shard::{Plan, PlanLine};
use crate::kit::hash;
use crate::kit::lines;
use crate::kit::path_bytes;

/// Bytes of result lines in one message.
pub const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Custom ids of one batch, and where its per-line files go.
pub(super) struct Book {
    lines: HashMap<String, PlanLine>,
    /// Where their files go, if they are written.
    folder: Option<ResultFolder>,
}

/// Some answers of it.
#[derive(Default)]
pub(super) struct Chunk {
    /// Those that name an image of ours.
    pub(super) answers: Vec<Answer>,
    /// How many name none.
    pub(super) unknown: u32,
    /// Whether the file is over.
    pub(super) last: bool,
}

impl Book {
    /// The book of a batch; with `writers` the lines are written as files, too.
    pub(super) fn new(
        plan: &Plan,
        layout: &Layout,
        batch: &EndedBatch,
        writers: Option<&ResultWriters>,
    ) -> io::Result<Self> {
        let style = plan.recipe.id_style;
        let id = |line: &PlanLine| layout::custom_id(style, &plan.given, &line.path, full_hash);
        let lines = plan.lines.iter().map(|line| (id(line), line.clone())).collect();
        let path = layout.results(batch.id.as_str());
        let name = path_bytes::from_name(path.file_name().unwrap_or_default());
        let folder = |writers: &ResultWriters| writers.folder(&layout.extraction, &name, batch.no.0);
        Ok(Self { lines, folder: writers.map(folder).transpose()? })
    }

    /// Every line was read: the files of all of them appear.
    pub(super) fn close(&self) -> io::Result<()> {
        self.folder.as_ref().map_or(Ok(()), ResultFolder::publish)
    }

    /// Reads up to a chunk of lines, writes their files, ties them to their images. The way back from an id to an image
    /// is this look-up and nothing else; an unknown id names no path.
    pub(super) fn read_chunk(&self, reader: &mut BufReader<File>) -> io::Result<Chunk> {
        let mut chunk = Chunk::default();
        let mut files = self.folder.as_ref().map(|folder| folder.chunk(MOST_TOGETHER));
        let (mut line, mut bytes) = (Vec::new(), 0);
        while chunk.answers.len() < MOST_TOGETHER && bytes < CHUNK_BYTES {
            let Some(cut) = lines::next(reader, &mut line)? else {
                chunk.last = true;
                break;
            };
            bytes += line.len();
            let read = if cut { None } else { guarded(parse::read, &line) };
            let Some((read, planned)) =
                read.and_then(|read| Some((self.lines.get(&read.custom_id)?, read))).map(|(p, r)| (r, p))
            else {
                chunk.unknown += 1;
                continue;
            };
            if let Some(files) = &mut files {
                let name = layout::result_name(&read.custom_id, full_hash).into_bytes();
                files.write(name, std::mem::take(&mut line))?;
            }
            let (outcome, usage) = (read.outcome, read.usage);
            let (image, path, attempt) = (planned.image, planned.path.clone(), planned.attempt);
            chunk.answers.push(Answer { image, path, attempt, outcome, usage });
        }
        files.map_or(Ok(()), write::Chunk::wait)?;
        Ok(chunk)
    }
}

/// Reads a line; a panic costs this line and no other. It lies in the raw file, and reading it again would panic again.
fn guarded(read: fn(&[u8]) -> Option<Line>, line: &[u8]) -> Option<Line> {
    std::panic::catch_unwind(|| read(line)).unwrap_or_else(|_| {
        tracing::error!(bytes = line.len(), "reading a result line panicked; it is kept raw");
        None
    })
}

fn full_hash(bytes: &[u8]) -> String {
    hash::hex_digits(bytes, 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_at_one_line_costs_this_line() {
        let touchy = |line: &[u8]| if line == b"{}" { panic!("expected by this test") } else { parse::read(line) };
        assert_eq!(guarded(touchy, b"{}"), None);
        assert_eq!(guarded(touchy, b"{\"custom_id\":\"a\"}").map(|line| line.custom_id).as_deref(), Some("a"));
    }
}
