//! A corpus of made-up pages and the answers to them: the same seed, the same bytes.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use image::{ImageFormat, RgbImage};

use super::ground::{Ground, IMAGES};
use crate::kit::random::split_mix;

/// Images in one folder: about what a box of an archive holds.
const A_FOLDER: u64 = 250;
/// Words of one answer, so that a result line has about 2 kB, as a page of print has.
const WORDS: u64 = 220;
/// What the words of the answers are made of.
const SYLLABLES: [&str; 24] = [
    "ba", "der", "ing", "ſen", "to", "lich", "uns", "par", "ish", "re", "gis", "ter", "of", "and", "wife", "tau",
    "fet", "von", "März", "wit", "neſ", "ge", "am", "mit",
];
/// Most syllables of a word.
const MOST_SYLLABLES: u64 = 4;

/// Where the image of this number lies below the corpus.
#[must_use]
pub fn name(number: u64) -> String {
    format!("tray_{:05}/page{number:07}.png", number / A_FOLDER)
}

/// Writes `images` pages of `bytes` bytes each, and a result file that answers for each of them; `false` if it was left
/// because `go_on` said so.
///
/// # Errors
/// The operating system's, with the path.
pub fn make(ground: &Ground, images: u64, bytes: usize, seed: u64, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
    let root = ground.images();
    fs_err::create_dir_all(&root)?;
    for number in 0..images {
        let target = root.join(name(number));
        if number % A_FOLDER == 0
            && let Some(folder) = target.parent()
        {
            if !go_on() {
                return Ok(false);
            }
            fs_err::create_dir_all(folder)?;
        }
        fs_err::write(&target, page(seed ^ number, bytes)?)?;
    }
    results(&ground.results(), images, seed).map(|()| true)
}

/// A small picture of its own, lengthened behind its end, where decoders stop; noise, so that no file system makes it small.
fn page(seed: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut state = seed;
    let picture = RgbImage::from_fn(24, 32, |_, _| {
        let [red, green, blue, ..] = split_mix(&mut state).to_le_bytes();
        image::Rgb([red, green, blue])
    });
    let mut file = io::Cursor::new(Vec::with_capacity(bytes));
    picture.write_to(&mut file, ImageFormat::Png).map_err(io::Error::other)?;
    let mut file = file.into_inner();
    while file.len() < bytes {
        let noise = split_mix(&mut state).to_le_bytes();
        file.extend_from_slice(&noise[..noise.len().min(bytes - file.len())]);
    }
    Ok(file)
}

/// Writes a result file as a provider gives it: one line an image, in their order. Source of the form: `batch-api` reference
/// §2.
///
/// # Errors
/// The operating system's, with the path.
pub fn results(target: &Path, images: u64, seed: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, fs_err::File::create(target)?);
    for number in 0..images {
        let id = format!("\"{IMAGES}/{}\"", name(number)).replace('/', "|");
        file.write_all(answer(number, &id, seed).as_bytes())?;
    }
    file.into_inner().map_err(|cause| cause.into_error())?.sync_all()
}

/// A result line; `id` is a JSON string.
pub(super) fn answer(number: u64, id: &str, seed: u64) -> String {
    let content = serde_json::Value::from(text(seed ^ number.rotate_left(32)));
    let alike = "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}]";
    let usage = "{\"prompt_tokens\":1630,\"completion_tokens\":412,\"total_tokens\":2042}";
    let mut line = String::with_capacity(3_000);
    // Memory takes whatever is written.
    let _infallible = writeln!(
        line,
        "{{\"id\":\"batch_req_{number:024x}\",\"custom_id\":{id},\"response\":{{\"status_code\":200,\
         \"request_id\":\"{number:032x}\",\"body\":{{\"id\":\"chatcmpl-{number:024x}\",\"object\":\"chat.completion\",\
         \"created\":1700000000,\"model\":\"made-up\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
         \"content\":{content},{alike},\"usage\":{usage}}}}},\"error\":null}}"
    );
    line
}

/// Lines of words, and numbers here and there. They repeat about as little as the words of a true page, of whose windows of
/// eight bytes a few in a hundred stand further up as well: how dear an answer is to judge depends on that.
fn text(seed: u64) -> String {
    let mut state = seed;
    let mut text = String::with_capacity(2_000);
    for word in 0..WORDS {
        let drawn = split_mix(&mut state);
        let end = if word % 11 == 10 { '\n' } else { ' ' };
        if drawn.is_multiple_of(20) {
            // Memory takes whatever is written.
            let _infallible = write!(text, "{}", drawn >> 48);
        } else {
            for place in 0..1 + (drawn >> 8) % MOST_SYLLABLES {
                text.push_str(SYLLABLES[(drawn >> (16 + 8 * place)) as usize % SYLLABLES.len()]);
            }
        }
        text.push(end);
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::content::{Reading, TextFrom};
    use crate::clean::judge::{Limits, Question, judge};
    use crate::clean::polish::PolishOptions;
    use crate::domain::answer::Answer;
    use crate::domain::ids::ImageId;
    use crate::domain::image::RelPath;
    use crate::domain::verdict::Verdict;
    use crate::extract::parse;

    #[test]
    fn the_same_seed_is_the_same_page_of_that_length() {
        let made = |seed, bytes| page(seed, bytes).expect("memory");
        assert_eq!(made(1, 5_000), made(1, 5_000));
        assert_ne!(made(1, 5_000), made(2, 5_000));
        assert_eq!(made(1, 5_001).len(), 5_001);
        // A page is never shorter than its picture.
        let whole = made(1, 0);
        assert_eq!(image::load_from_memory(&whole).expect("a picture").height(), 32);
        assert!(made(1, 5_000).starts_with(&whole));
    }

    #[test]
    fn every_answer_is_accepted_and_names_its_image() {
        let (from, polish, limits) = (TextFrom::Content, PolishOptions::default(), Limits::default());
        for number in 0..200 {
            let line = answer(number, "\"images|page.png\"", 7);
            assert!((1_500..4_000).contains(&line.len()), "{}", line.len());
            let read = parse::read(line.trim_end().as_bytes()).expect("a result line");
            assert_eq!(read.custom_id, "images|page.png");
            let path = RelPath { folder: b"tray_00000".to_vec(), name: b"page.png".to_vec(), page: 1 };
            let answer = Answer { image: ImageId(1), path, attempt: 1, outcome: read.outcome, usage: read.usage };
            let reading = Reading { json: false, schema: None, from: &from, polish: &polish, prompt: "Transcribe." };
            assert_eq!(judge(&answer, &Question::alone(reading, &limits)).verdict, Verdict::Accept, "{answer:?}");
        }
    }
}
