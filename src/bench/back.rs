//! The second half, stage by stage: from a result file to texts.

use std::io::{self, BufReader};
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
use crate::domain::answer::Answer;
use crate::domain::ids::{FileId, ImageId};
use crate::domain::image::RelPath;
use crate::domain::layout;
use crate::domain::verdict::Verdict;
use crate::encode::line::full_hash;
use crate::extract::fetch::Fetcher;
use crate::extract::write::{ResultFolder, ResultWriters};
use crate::extract::{lines, parse};
use crate::kit::atomic_file::{Mark, private_folder};
use crate::kit::clock::{Clock, Stopwatch};
use crate::kit::disks::Disks;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::folder::Folder;
use crate::kit::pool::Pool;
use crate::kit::runtime::Runtime;
use crate::kit::stop::stop_switch;
use crate::settings::texts::BUILT_IN_PROMPT;

/// Answers that are judged and written at once, as in a run.
const CHUNK: usize = 256;
/// Texts in one folder.
const A_FOLDER: usize = 250;

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
            let chunk = chunk(&mut reader)?;
            if chunk.is_empty() {
                return Ok(());
            }
            answers += chunk.len() as u64;
            for judged in fetcher.pool.map(chunk, |(_, line)| judged(&line)) {
                judged.map_err(io::Error::other)??;
            }
        }
    })?;
    Ok(sample(Stage::Download, answers, fetched.bytes, &meter, &[]))
}

/// Writes the JSON file and the text of every answer, as a run does: texts complete or absent, each folder synced once a chunk.
pub(super) fn write(ground: &Ground) -> io::Result<Sample> {
    let texts = ground.texts();
    private_folder(&ground.scratch())?;
    private_folder(&texts)?;
    let hands = Hands {
        pool: Pool::new("work", 0)?,
        json: ResultWriters::start(|| ExitGuard::unheard("results"))?.folder(&ground.scratch(), b"json", 0)?,
        texts: Folder::open(&texts)?,
        mark: Mark::new(&texts)?,
    };
    let (mut meter, mut answers, mut waited) = (Meter::default(), 0, 0);
    let mut reader = BufReader::with_capacity(256 * 1024, fs_err::File::open(ground.results())?);
    loop {
        let chunk = chunk(&mut reader)?;
        if chunk.is_empty() {
            let bytes = length(&ground.results())?;
            meter.window(|| hands.json.publish())?;
            return Ok(sample(Stage::Write, answers, bytes, &meter, &[("result_wait", waited)]));
        }
        let first = answers;
        answers += chunk.len() as u64;
        waited += meter.window(|| hands.write(first, chunk))?;
    }
}

/// A result line, and what was read in it.
type Read = (Vec<u8>, parse::Line);

/// A text that is written, and the name that it will bear.
type Unnamed = (Vec<u8>, Written<Arc<Folder>>);

/// What answers are written with.
struct Hands {
    pool: Pool,
    json: ResultFolder,
    texts: Folder,
    mark: Mark,
}

impl Hands {
    /// Writes and judges a chunk; tells how many microseconds the result-writing thread was waited for.
    fn write(&self, first: u64, chunk: Vec<Read>) -> io::Result<u64> {
        let mut files = self.json.chunk(chunk.len());
        let mut lines = Vec::with_capacity(chunk.len());
        let mut waited = 0;
        for (raw, line) in chunk {
            let name = layout::result_name(&line.custom_id, full_hash).into_bytes();
            let watch = Stopwatch::start();
            files.write(name, raw)?;
            waited += watch.micros();
            lines.push(line);
        }
        let texts = self.pool.map(lines, |line| judged(&line).map(|text| (line.custom_id, text)));
        let texts = texts.into_iter().map(|text| text.map_err(io::Error::other)?).collect::<io::Result<_>>()?;
        let watch = Stopwatch::start();
        files.wait()?;
        waited += watch.micros();
        let folder = format!("tray_{:05}", first / A_FOLDER as u64).into_bytes();
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

/// Up to a chunk of lines, each with what it says.
fn chunk(reader: &mut impl io::BufRead) -> io::Result<Vec<(Vec<u8>, parse::Line)>> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut line = Vec::new();
    while chunk.len() < CHUNK && lines::next(reader, &mut line)?.is_some() {
        let read = parse::read(&line).ok_or_else(|| io::Error::other("a line that is no result"))?;
        chunk.push((std::mem::take(&mut line), read));
    }
    Ok(chunk)
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
