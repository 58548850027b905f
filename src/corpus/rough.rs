//! Rough texts as they lie beside the images: read only where they are what we wrote.

use std::io::{self, ErrorKind, Read as _};

use super::Corpus;
use crate::domain::image::RelPath;
use crate::kit::folder::Sort;
use crate::kit::hash::{Short, short};

/// Longest rough text that is read: what an answer may be long.
const LONGEST: u64 = 32 << 20;

/// The rough text of an image, if it is the one whose hash is `ours`; `None` if it is gone, or a person was there.
///
/// # Errors
/// The operating system's.
pub fn read(corpus: &dyn Corpus, image: &RelPath, ours: Short) -> io::Result<Option<String>> {
    let Some(folder) = corpus.text_folder(image)? else { return Ok(None) };
    let name = corpus.rough_name(image);
    match folder.facts(&name) {
        Ok(facts) if facts.sort == Sort::File => {}
        Ok(_) => return Ok(None),
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    }
    let mut bytes = Vec::new();
    folder.file(&[&name])?.take(LONGEST).read_to_end(&mut bytes)?;
    if short(&bytes) != ours {
        return Ok(None);
    }
    Ok(String::from_utf8(bytes).ok())
}
