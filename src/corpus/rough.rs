//! Texts of ours as they lie beside the images, rough ones above all: read only where they are what we wrote.

use std::io::{self, ErrorKind, Read as _};

use super::Corpus;
use crate::domain::image::RelPath;
use crate::kit::folder::{Folder, Sort};
use crate::kit::hash::{Short, short};

/// Longest rough text that is read: what an answer may be long.
const LONGEST: u64 = 32 << 20;

/// The rough text of an image, if it is the one whose hash is `ours`; `None` if it is gone, or a person was there.
///
/// # Errors
/// The operating system's.
pub fn read(corpus: &dyn Corpus, image: &RelPath, ours: Short) -> io::Result<Option<String>> {
    let Some(folder) = corpus.text_folder(image)? else { return Ok(None) };
    Ok(ours_in(&folder, &corpus.rough_name(image), ours)?.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// The text of this name, rough or not, if it is the one whose hash is `ours`; `None` if it is gone, or a person was there.
///
/// # Errors
/// The operating system's.
pub fn ours_in(folder: &Folder, name: &[u8], ours: Short) -> io::Result<Option<Vec<u8>>> {
    match folder.facts(name) {
        Ok(facts) if facts.sort == Sort::File => {}
        Ok(_) => return Ok(None),
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    }
    let mut bytes = Vec::new();
    folder.file(&[name])?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok((short(&bytes) == ours).then_some(bytes))
}
