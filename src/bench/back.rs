//! The second half, stage by stage: from a result file to texts.

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::figures::Sample;
use super::front::client;
use super::ground::{Ground, length, sample};
use super::meter::Meter;
use super::stage::Stage;
use crate::clean::content::{Reading, TextFrom};
use crate::clean::judge::{Limits, Question, judge};
use crate::clean::polish::PolishOptions;
use crate::clean::text_file::{self, Begun, Existing, Written};
use crate::domain::answer::{Answer, MOST_TOGETHER};
use crate::domain::ids::{FileId, ImageId};
use crate::domain::image::RelPath;
use crate::domain::layout;
use crate::domain::verdict::Verdict;
use crate::encode::line::full_hash;
use crate::extract::fetch::Fetcher;
use crate::extract::parse;
use crate::extract::write::{ResultFolder, ResultWriters};
use crate::kit::atomic_file::{Mark, private_folder};
use crate::kit::clock::{Clock, Stopwatch};
use crate::kit::disks::Disks;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::folder::Folder;
use crate::kit::lines;
use crate::kit::pool::Pool;
use crate::kit::runtime::Runtime;
use crate::kit::stop::stop_switch;
use crate::settings::texts::BUILT_IN_PROMPT;

/// Answers of one batch.
const A_BATCH: usize = 400;
/// Batches that are read at once, as in a run.
const PLACES: usize = 2;

/// Fetches the result file, reads its lines and judges every answer; nothing of it is kept.
pub(super) fn download(ground: &Ground) -> io::Result<Sample> {
    let settings = ground.settings(&[])?;
    let (switch, stop) = stop_switch();
    let fetcher = Fetcher {
        provider: Arc::new(client(ground.server()?, &settings)?),
        pool: Pool::new("work", 0)?,
        clock: Clock::wall(),
        stop,
        give_up_after: Duration::from_secs(10),
        gone_after: Duration::ZERO,
    };
    let (target, runtime) = (ground.scratch().join("raw.jsonl"), Runtime::new()?);
    let mut meter = Meter::default();
    let fetched = meter.window(|| runtime.wait(fetcher.fetch(&FileId("results".into()), &target)));
    let fetched = fetched.map_err(|cause| io::Error::other(cause.to_string()))?;
    drop(switch);
    let mut answers = 0;
    let mut reader = BufReader::with_capacity(256 * 1024, fs_err::File::open(&target)?);
    meter.window(|| -> io::Result<()> {
        loop {
            let chunk = raw_lines(&mut reader, MOST_TOGETHER)?;
            if chunk.is_empty() {
                return Ok(());
            }
            answers += chunk.len() as u64;
            for judged in fetcher.pool.map(chunk, |line| judged(&parsed(&line)?)) {
                judged.map_err(io::Error::other)??;
            }
        }
    })?;
    Ok(sample(Stage::Download, answers, fetched.bytes, &meter, &[]))
}

/// Writes the JSON file and the text of every answer, as a run does: two batches at once, the JSON files of each in a folder of
/// its own, texts complete or absent, each of their folders synced once a chunk.
pub(super) fn write(ground: &Ground) -> io::Result<Sample> {
    let texts = ground.texts();
    private_folder(&ground.scratch())?;
    private_folder(&texts)?;
    let hands = Hands {
        pool: Pool::new("work", 0)?,
        results: ResultWriters::start(|| ExitGuard::unheard("results"))?,
        json: ground.scratch().join("json"),
        texts: Folder::open(&texts)?,
        mark: Mark::new(&texts)?,
    };
    let (mut meter, mut answers, mut waited) = (Meter::default(), 0, 0);
    let mut reader = BufReader::with_capacity(256 * 1024, fs_err::File::open(ground.results())?);
    for round in 0.. {
        let written = meter.window(|| hands.round(round, &mut reader))?;
        if written.0 == 0 {
            break;
        }
        answers += written.0;
        waited += written.1;
    }
    let bytes = length(&ground.results())?;
    Ok(sample(Stage::Write, answers, bytes, &meter, &[("result_wait", waited)]))
}

/// A text that is written, and the name that it will bear.
type Unnamed = (Vec<u8>, Written<Arc<Folder>>);

/// What answers are written with.
struct Hands {
    pool: Pool,
    results: ResultWriters,
    /// Where the JSON files go.
    json: PathBuf,
    texts: Folder,
    mark: Mark,
}

impl Hands {
    /// Reads as many batches as there are places for and writes them side by side; tells how many answers they had, and for how
    /// many microseconds the result-writing threads were waited for.
    fn round(&self, round: usize, reader: &mut impl io::BufRead) -> io::Result<(u64, u64)> {
        let mut batches = Vec::with_capacity(PLACES);
        for place in 0..PLACES {
            batches.push((round * PLACES + place, raw_lines(reader, A_BATCH)?));
        }
        batches.retain(|(_, lines)| !lines.is_empty());
        let answers = batches.iter().map(|(_, lines)| lines.len() as u64).sum();
        let waited = self.pool.map(batches, |(number, lines)| self.batch(number, lines));
        let waited: Vec<u64> =
            waited.into_iter().map(|waited| waited.map_err(io::Error::other)?).collect::<io::Result<_>>()?;
        Ok((answers, waited.into_iter().sum()))
    }

    fn batch(&self, number: usize, lines: Vec<Vec<u8>>) -> io::Result<u64> {
        let name = format!("batch_{number:05}");
        let folder = self.results.folder(&self.json, name.as_bytes(), number as i64)?;
        let (mut lines, mut waited) = (lines.into_iter(), 0);
        for chunk in
            (0..).map(|_| lines.by_ref().take(MOST_TOGETHER).collect::<Vec<_>>()).take_while(|chunk| !chunk.is_empty())
        {
            waited += self.write(&folder, chunk)?;
        }
        folder.publish()?;
        Ok(waited)
    }

    /// Reads, writes and judges a chunk.
    fn write(&self, json: &ResultFolder, chunk: Vec<Vec<u8>>) -> io::Result<u64> {
        let mut files = json.chunk(chunk.len());
        let mut lines = Vec::with_capacity(chunk.len());
        let mut waited = 0;
        for raw in chunk {
            let line = parsed(&raw)?;
            let name = layout::result_name(&line.custom_id, full_hash).into_bytes();
            let watch = Stopwatch::start();
            files.write(name, raw)?;
            waited += watch.micros();
            lines.push(line);
        }
        let watch = Stopwatch::start();
        files.wait()?;
        waited += watch.micros();
        let folder =
            lines.first().map(|line| layout::text_name(line.custom_id.as_bytes(), full_hash)).unwrap_or_default();
        let texts = self.pool.map(lines, |line| judged(&line).map(|text| (line.custom_id, text)));
        let texts = texts.into_iter().map(|text| text.map_err(io::Error::other)?).collect::<io::Result<_>>()?;
        let folder = self.texts.make_below(&[&folder])?;
        self.place(&Arc::new(folder), texts)?;
        Ok(waited)
    }

    /// Places the texts of a chunk, each an id and what is written. They lie in one folder, so one thread writes them.
    fn place(&self, folder: &Arc<Folder>, texts: Vec<(String, String)>) -> io::Result<()> {
        let disks = Disks::new(texts.len());
        let mut unnamed: Vec<Unnamed> = Vec::with_capacity(texts.len());
        for (id, text) in texts {
            let name = layout::text_name(id.as_bytes(), full_hash);
            let begun = text_file::begin(folder, &name, text.as_bytes(), None, Existing::Replace, &self.mark)?;
            let Begun::Written(mut written) = begun else { continue };
            disks.close(written.file())?;
            unnamed.push((name, written));
        }
        disks.sync()?;
        unnamed.into_iter().try_for_each(|(name, written)| written.publish(&name).map(drop))?;
        folder.sync()
    }
}

/// Up to `most` lines.
fn raw_lines(reader: &mut impl io::BufRead, most: usize) -> io::Result<Vec<Vec<u8>>> {
    let (mut read, mut line) = (Vec::with_capacity(most), Vec::new());
    while read.len() < most && lines::next(reader, &mut line)?.is_some() {
        read.push(std::mem::take(&mut line));
    }
    Ok(read)
}

fn parsed(line: &[u8]) -> io::Result<parse::Line> {
    parse::read(line).ok_or_else(|| io::Error::other("a line that is no result"))
}

/// The text of an answer, all of which are good ones.
fn judged(line: &parse::Line) -> io::Result<String> {
    let (from, polish, limits) = (TextFrom::Content, PolishOptions::default(), Limits::default());
    let path = RelPath { folder: Vec::new(), name: line.custom_id.clone().into_bytes(), page: 1 };
    let answer = Answer { image: ImageId(1), path, attempt: 1, outcome: line.outcome.clone(), usage: line.usage };
    let reading = Reading { json: false, schema: None, from: &from, polish: &polish, prompt: BUILT_IN_PROMPT };
    let judgement = judge(&answer, &Question::alone(reading, &limits));
    match judgement {
        judgement if judgement.verdict == Verdict::Accept => Ok(judgement.text.unwrap_or_default()),
        judgement => Err(io::Error::other(format!("{}: {:?}", line.custom_id, judgement.verdict))),
    }
}
