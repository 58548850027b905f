//! Scores the embedded recogniser against pages whose text is known.
//!
//! `cargo bench --bench ocr_accuracy -- --pages DIR --truth DIR [--only SUBSTRING] [--longest-side N,N]
//! [--fit MODEL,MODEL] [--show]` reads every image under the first folder that has `<truth>/<path>.txt`, each as it would be
//! sent: once for each value of `encode.longest_side`, and once for each model with `encode.fit` at `detail = "high"`; as it is
//! if neither is given. Without folders it takes `tests/data/pages`
//! and `tests/data/truth`. Printed: kB sent, character error rate (edits / characters of the truth), word recall
//! (words of the truth found, in any order), line error rate (edits / characters where each line of the truth
//! is compared with the best place in the text read), seconds. The truth's own reading order is not always
//! right and it leaves out letterheads and margins: a page with many character errors, but few line errors and
//! most words found, was read well.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads the clock and prints its table")]

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::time::Instant;

use batchscribe::corpus::media::{Sniffed, sniff};
use batchscribe::domain::metrics::edits;
use batchscribe::domain::recipe::{Preparation, WayOut};
use batchscribe::emulator::engine::ocr::Recogniser;
use batchscribe::encode::prepare::{Order, prepare};
use batchscribe::settings::models::Models;

/// What a page is, by the start of its path: the sources of the corpus the engine is tuned with.
const KINDS: [(&str, &str); 20] = [
    ("ehri/", "type"),
    ("fondue-en/", "print"),
    ("hooker/", "handwriting"),
    ("ocrd-assets/kant", "fraktur"),
    ("ocrd-gt/aepinus", "fraktur"),
    ("ocrd-gt/bebel", "print"),
    ("ocrd-gt/clauren", "fraktur"),
    ("ocrd-gt/herder", "fraktur"),
    ("ocrd-gt/laube", "fraktur"),
    ("stanford/by_ingrid_guimaraes/PageX-LettreX/SC0033B_s4_b01_f14_i084", "handwriting"),
    ("stanford/by_yagmur_ozturk/Page11-12", "handwriting"),
    ("stanford/", "type"),
    ("tapuscorpus/", "type"),
    ("tesseract-test/8071", "multi-column"),
    ("tesseract-test/", "print"),
    ("print/", "print"),
    ("type/", "type"),
    ("multi-column/", "multi-column"),
    ("fraktur/", "fraktur"),
    ("handwriting/", "handwriting"),
];

/// Kinds that are summed up together: what the engine is for, and what it can be asked to try.
const GROUPS: [&[&str]; 2] =
    [&["print", "type", "multi-column"], &["print", "type", "multi-column", "fraktur", "unknown"]];

/// The command line.
struct Arguments {
    pages: PathBuf,
    truth: PathBuf,
    only: Option<String>,
    /// What is done to the pages, and what it is called.
    ways: Vec<(String, Preparation)>,
    show: bool,
}

/// How well one page, or a group of pages, was read.
#[derive(Clone, Copy, Default)]
struct Score {
    pages: usize,
    sent: usize,
    edits: usize,
    line_edits: usize,
    characters: usize,
    words_found: usize,
    words: usize,
    cpu_seconds: f64,
    wall_seconds: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments(std::env::args_os().skip(1))?;
    let mut pages = Vec::new();
    files_under(&arguments.pages, &mut pages)?;
    pages.sort();

    let recogniser = Recogniser::load()?;
    for (name, how) in &arguments.ways {
        println!("{name}");
        read_all(&arguments, &recogniser, &pages, *how)?;
    }
    if let Some(kilobytes) = process_figure("/proc/self/status", peak_kilobytes) {
        println!("peak memory {:.0} MB", kilobytes / 1024.0);
    }
    Ok(())
}

fn read_all(
    arguments: &Arguments,
    recogniser: &Recogniser,
    pages: &[PathBuf],
    how: Preparation,
) -> Result<(), Box<dyn Error>> {
    let mut totals: Vec<(&str, Score)> = Vec::new();
    let heads = ["CER %", "lines %", "words %", "kB", "CPU s", "wall s"];
    println!(
        "{:>7} {:>7} {:>7} {:>6} {:>6} {:>6}  {:<12} page",
        heads[0], heads[1], heads[2], heads[3], heads[4], heads[5], "kind"
    );
    for page in pages {
        let relative = page.strip_prefix(&arguments.pages)?.to_string_lossy().into_owned();
        if arguments.only.as_ref().is_some_and(|only| !relative.contains(only)) {
            continue;
        }
        let Ok(truth) = fs::read_to_string(arguments.truth.join(format!("{relative}.txt"))) else { continue };
        let kind = kind(&relative);
        match score(recogniser, &sent(page, how)?, &truth, arguments.show) {
            Ok(score) => {
                println!("{}  {kind:<12} {relative}", row(&score));
                add(&mut totals, kind, score);
            }
            Err(refusal) => println!("{:>44}  {kind:<12} {relative}: {refusal}", "not read"),
        }
    }
    print_totals(&totals);
    Ok(())
}

/// What is sent of a file: the pictures of its pages, each as it is or made ready.
fn sent(file: &Path, how: Preparation) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let stored = fs::read(file)?;
    let Sniffed::Image(looks) = sniff(&mut Cursor::new(&stored), stored.len() as u64)? else {
        return Ok(vec![stored]);
    };
    let mut pictures = Vec::new();
    for (page, pixels) in (1..).zip(&looks.pages) {
        if how.way(looks.format, looks.needs, *pixels) == WayOut::AsItIs {
            pictures.push(stored.clone());
            continue;
        }
        let order = Order { page, how, max_pixels: 200_000_000, max_bytes: u64::MAX };
        pictures.push(prepare(BufReader::new(Cursor::new(&stored)), &order)?.bytes);
    }
    Ok(pictures)
}

fn print_totals(totals: &[(&str, Score)]) {
    println!();
    for (kind, total) in totals {
        println!("{}  {kind:<12} {} pages", row(total), total.pages);
    }
    for kinds in GROUPS {
        let mut sum = Score::default();
        totals.iter().filter(|(kind, _)| kinds.contains(kind)).for_each(|(_, total)| sum.add(*total));
        println!("{}  {}: {} pages", row(&sum), kinds.join(", "), sum.pages);
    }
}

fn arguments(words: impl Iterator<Item = OsString>) -> Result<Arguments, Box<dyn Error>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut found =
        Arguments { pages: data.join("pages"), truth: data.join("truth"), only: None, ways: Vec::new(), show: false };
    let mut words = words;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{} needs a value", word.display()));
        match word.to_str() {
            Some("--pages") => found.pages = value()?.into(),
            Some("--truth") => found.truth = value()?.into(),
            Some("--only") => found.only = Some(value()?.to_string_lossy().into_owned()),
            Some("--longest-side") => {
                for side in value()?.to_string_lossy().split(',') {
                    let how = Preparation { longest_side: side.parse()?, ..Preparation::default() };
                    found.ways.push((format!("encode.longest_side = {side}"), how));
                }
            }
            Some("--fit") => {
                for model in value()?.to_string_lossy().split(',') {
                    let sight = Models::built_in().sight(model, "high");
                    let fit = Some(sight.ok_or_else(|| format!("nobody knows how {model} counts images"))?);
                    found.ways.push((format!("encode.fit, {model}"), Preparation { fit, ..Preparation::default() }));
                }
            }
            Some("--show") => found.show = true,
            // Cargo adds this to every bench.
            Some("--bench") => {}
            _ => return Err(format!("unknown argument {}", word.display()).into()),
        }
    }
    if found.ways.is_empty() {
        found.ways.push(("as they are".to_owned(), Preparation::default()));
    }
    Ok(found)
}

fn files_under(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files_under(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn kind(relative: &str) -> &'static str {
    KINDS.iter().find(|(start, _)| relative.starts_with(start)).map_or("unknown", |(_, kind)| kind)
}

/// The score of one page, or the sentence it was refused with.
fn score(recogniser: &Recogniser, pictures: &[Vec<u8>], truth: &str, show: bool) -> Result<Score, String> {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let mut text = String::new();
    for picture in pictures {
        text += &recogniser.read(picture).map_err(|refusal| refusal.to_string())?.text;
        text.push('\n');
    }
    let (cpu_seconds, wall_seconds) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    if show {
        println!("---\n{text}\n---");
    }
    let lines = truth.lines().map(folded);
    let (read, truth) = (folded(&text), folded(truth));
    let line_edits = lines.map(|line| edits_at_best_place(&read, &line)).sum();
    let (words_found, words) = words_found(&read, &truth);
    let (read, truth): (Vec<char>, Vec<char>) = (read.chars().collect(), truth.chars().collect());
    let edits = edits(&read, &truth);
    Ok(Score {
        pages: 1,
        sent: pictures.iter().map(Vec::len).sum(),
        edits,
        line_edits,
        characters: truth.len(),
        words_found,
        words,
        cpu_seconds,
        wall_seconds,
    })
}

/// What is left once conventions of transcribers are taken away: white space, dashes, quotes, long s,
/// marks for superscript (`^`), struck (`⟦⟧`), underlined (`_`) and illegible (`~~~`) words.
fn folded(text: &str) -> String {
    let plain = text.replace("~~~", " ").replace("~~", " ");
    let characters = plain.chars().filter(|character| !matches!(character, '^' | '⟦' | '⟧' | '_' | '\u{feff}'));
    let folded: String = characters
        .map(|character| match character {
            'ſ' => 's',
            '–' | '—' | '−' | '‐' | '‑' | '¬' | '⸗' | '⹀' => '-',
            '“' | '”' | '„' | '«' | '»' | '″' => '"',
            '‘' | '’' | '‚' | '′' | '`' | '´' => '\'',
            other => other,
        })
        .collect();
    let decomposed =
        folded.replace("a\u{364}", "ä").replace("o\u{364}", "ö").replace("u\u{364}", "ü").replace('…', "...");
    decomposed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many of the truth's words were read, each as often as it stands there; and how many there are.
fn words_found(read: &str, truth: &str) -> (usize, usize) {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in words(read) {
        *left.entry(word).or_default() += 1;
    }
    let (mut found, mut all) = (0, 0);
    for word in words(truth) {
        all += 1;
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            found += 1;
        }
    }
    (found, all)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The fewest edits from any stretch of `read` to `line`.
fn edits_at_best_place(read: &str, line: &str) -> usize {
    // As in `edits`, but a match may begin and end anywhere in `read` at no cost.
    let line: Vec<char> = line.chars().collect();
    let mut row: Vec<usize> = (0..=line.len()).collect();
    let mut best = row[line.len()];
    for left in read.chars() {
        let mut diagonal = std::mem::replace(&mut row[0], 0);
        for (column, right) in line.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
        best = best.min(row[line.len()]);
    }
    best
}

impl Score {
    fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.sent += other.sent;
        self.edits += other.edits;
        self.line_edits += other.line_edits;
        self.characters += other.characters;
        self.words_found += other.words_found;
        self.words += other.words;
        self.cpu_seconds += other.cpu_seconds;
        self.wall_seconds += other.wall_seconds;
    }
}

fn add<'a>(totals: &mut Vec<(&'a str, Score)>, kind: &'a str, score: Score) {
    match totals.iter_mut().find(|(name, _)| *name == kind) {
        Some((_, total)) => total.add(score),
        None => totals.push((kind, score)),
    }
}

/// One line of figures; bytes and seconds are a page's mean.
fn row(score: &Score) -> String {
    let share = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    let pages = score.pages.max(1) as f64;
    format!(
        "{:7.1} {:7.1} {:7.1} {:6.0} {:6.2} {:6.2}",
        share(score.edits, score.characters),
        share(score.line_edits, score.characters),
        share(score.words_found, score.words),
        score.sent as f64 / 1000.0 / pages,
        score.cpu_seconds / pages,
        score.wall_seconds / pages
    )
}

/// CPU seconds of this process so far, from Linux's own books; 0 elsewhere.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15, user and system time in ticks of 10 ms; the name in field 2 may hold spaces.
    let ticks = |stat: &str| {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    process_figure("/proc/self/stat", ticks).unwrap_or(0.0) / 100.0
}

fn peak_kilobytes(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn process_figure(file: &str, figure: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    figure(&fs::read_to_string(file).ok()?)
}
