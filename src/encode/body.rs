//! The only maker of a shard's bytes: for the network, for the spool file, for tests.
//!
//! One blocking task per open body: image after image, prefix, the file in chunks of 126 KiB straight into base64, suffix.
//! The stamp is checked on the open handle before the first byte and after the last one, so a file that changes meanwhile
//! ends the body by name and never passes for what was planned.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::line::{Framer, escaped};
use super::prepared::PreparedFiles;
use crate::corpus::{Corpus, beneath, rough};
use crate::domain::image::Reason;
use crate::domain::shard::{Plan, PlanLine, Prepared};
use crate::kit::base64::{CHUNK_IN, CHUNK_OUT, Encoder};
use crate::kit::bodies::{BodyDone, BodyError, LANE_CHUNKS, Spoiler};
use crate::kit::crash;
use crate::kit::hash::{self, BodyHasher, ShortHasher};

/// Takes the chunks of a body; `false` once nobody wants them any more.
pub trait Lane {
    /// Waits for room and hands a chunk over.
    fn push(&mut self, chunk: Bytes) -> bool;
}

impl Lane for tokio::sync::mpsc::Sender<Bytes> {
    fn push(&mut self, chunk: Bytes) -> bool {
        self.blocking_send(chunk).is_ok()
    }
}

impl Lane for Sender<Bytes> {
    fn push(&mut self, chunk: Bytes) -> bool {
        self.send(chunk).is_ok()
    }
}

/// Makes the bytes of `plan`, all of them or an error that names the file.
///
/// # Errors
/// The [`BodyError`] that ended it; the bytes pushed so far are fewer than announced then.
pub fn run(plan: &Plan, corpus: &dyn Corpus, makings: &Makings, lane: &mut dyn Lane) -> Result<BodyDone, BodyError> {
    let framer = Framer::new(&plan.recipe, &plan.given).map_err(|cause| BodyError::Broken(cause.to_string()))?;
    let raw = makings.buffer();
    let image = makings.hash_images.then(ShortHasher::default);
    let mut maker = Maker { makings, lane, out: makings.buffer(), raw, body: BodyHasher::default(), image, pushed: 0 };
    let mut contents = Vec::new();
    for line in &plan.lines {
        let start = maker.written();
        guarded(line, || maker.line(line, &framer, corpus))?;
        debug_assert_eq!(maker.written() - start, line.bytes, "announced and written length of a line");
        contents.extend(maker.content_of(line).map(|hash| (line.image, hash)));
    }
    maker.flush()?;
    if maker.pushed != plan.shard.bytes {
        return Err(BodyError::Broken(format!("{} bytes came out of a plan of {}", maker.pushed, plan.shard.bytes)));
    }
    crash::point("body.last_chunk");
    Ok(BodyDone { hash: maker.body.finish(), contents })
}

/// A panic at one image ends the body by its name, and the image for good: the plan is made again without it.
fn guarded(line: &PlanLine, make: impl FnOnce() -> Result<(), BodyError>) -> Result<(), BodyError> {
    // Whatever the panic left half done is dropped with the body.
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| {
        let what = "this program failed at it".to_owned();
        let (image, path, now) = (line.image, line.path.shown(), Err(Reason::ProgramError));
        Err(BodyError::Spoiled(Box::new(Spoiler { image, path, what, now })))
    })
}

/// Most buffers that are ever in use for each body: its lane, the one being filled, the one read into, and what the HTTP
/// client and the socket still hold of it and of the body before it. All of them are kept.
const BUFFERS: usize = LANE_CHUNKS + 12;

/// A read of fewer bytes costs more than the chunk that it would fill up.
const LEAST_IN: usize = 16 * 1024;

/// What bodies are made with; all bodies of a process share one.
#[derive(Clone, Debug)]
pub struct Makings {
    base64: Encoder,
    hash_images: bool,
    prepared: Option<PreparedFiles>,
    home: Sender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

impl Makings {
    /// Makings for `bodies` bodies at once; `hash_images` takes BLAKE3 of each image while it streams.
    #[must_use]
    pub fn new(hash_images: bool, bodies: usize) -> Self {
        let (home, spare) = bounded(bodies.max(1) * BUFFERS);
        Self { base64: Encoder::new(), hash_images, prepared: None, home, spare }
    }

    /// The same, which finds prepared pictures among `files`.
    #[must_use]
    pub fn with_prepared(self, files: PreparedFiles) -> Self {
        Self { prepared: Some(files), ..self }
    }

    /// The prepared pictures.
    #[must_use]
    pub fn prepared(&self) -> Option<&PreparedFiles> {
        self.prepared.as_ref()
    }

    fn buffer(&self) -> Pooled {
        let bytes = self.spare.try_recv().unwrap_or_else(|_| vec![0; CHUNK_OUT]);
        Pooled { bytes, filled: 0, home: self.home.clone() }
    }
}

/// A buffer that goes back when it is dropped. Fresh ones for every chunk, freed on another thread, would leave the
/// allocator's heaps in shreds, and memory would creep up over the hours.
struct Pooled {
    /// [`CHUNK_OUT`] of them, whatever is in it: to clear it for each chunk would cost as much as encoding does.
    bytes: Vec<u8>,
    /// How many of them are meant.
    filled: usize,
    home: Sender<Vec<u8>>,
}

impl Pooled {
    /// Appends what there is room for.
    fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    /// The same in base64.
    fn append_encoded(&mut self, bytes: &[u8], engine: &Encoder) {
        self.filled += engine.write(bytes, &mut self.bytes[self.filled..]);
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        // Where there are enough at home already, this one is freed.
        let _unwanted = self.home.try_send(std::mem::take(&mut self.bytes));
    }
}

struct Maker<'a> {
    makings: &'a Makings,
    lane: &'a mut dyn Lane,
    out: Pooled,
    raw: Pooled,
    body: BodyHasher,
    image: Option<ShortHasher>,
    pushed: u64,
}

impl Maker<'_> {
    fn written(&self) -> u64 {
        self.pushed + self.out.filled as u64
    }

    fn line(&mut self, line: &PlanLine, framer: &Framer, corpus: &dyn Corpus) -> Result<(), BodyError> {
        let frame = framer.frame(&line.path, line.format);
        if let Some(hash) = line.rough {
            let text = rough_text(line, hash, corpus)?;
            if frame.around(text.len() as u64) != line.bytes {
                return Err(edited(line));
            }
            self.append(&frame.prefix)?;
            self.append(text.as_bytes())?;
            return self.append(&frame.suffix);
        }
        if let Some(prepared) = &line.prepared {
            self.append(&frame.prefix)?;
            self.prepared_of(prepared).map_err(|fault| match fault {
                Fault::File(cause) => lost(line, &cause, corpus),
                Fault::GivenUp => BodyError::GivenUp,
            })?;
            return self.append(&frame.suffix);
        }
        if frame.line_bytes(line.stamp.bytes) != line.bytes {
            // The walk measured the file anew while its line lay in an open plan: the plan is about another file.
            return Err(spoiled(line, &io::Error::from(ErrorKind::UnexpectedEof), corpus));
        }
        self.append(&frame.prefix)?;
        self.image_of(line, corpus).map_err(|fault| match fault {
            Fault::File(cause) => spoiled(line, &cause, corpus),
            Fault::GivenUp => BodyError::GivenUp,
        })?;
        self.append(&frame.suffix)
    }

    fn image_of(&mut self, line: &PlanLine, corpus: &dyn Corpus) -> Result<(), Fault> {
        let (mut file, found) = corpus.open(&line.path)?;
        if found != line.stamp {
            return Err(changed());
        }
        self.encode(&mut file, line.stamp.bytes)?;
        if beneath::stamp(&file)? != line.stamp {
            return Err(changed());
        }
        Ok(())
    }

    /// A prepared picture, which is what it was when the plan was sealed or nothing at all.
    fn prepared_of(&mut self, prepared: &Prepared) -> Result<(), Fault> {
        let files = self.makings.prepared.as_ref().ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        let mut file = files.open(&prepared.file)?;
        if file.metadata()?.len() != prepared.bytes {
            return Err(changed());
        }
        let of_originals = self.image.replace(ShortHasher::default());
        let encoded = self.encode(&mut file, prepared.bytes);
        let hash = std::mem::replace(&mut self.image, of_originals).map(|mut hasher| hasher.finish());
        encoded?;
        if hash.map(|hash| hash::hex(&hash)).as_ref() != Some(&prepared.blake3_128) {
            return Err(changed());
        }
        Ok(())
    }

    /// Hash of the image that a line is about, if it was taken.
    fn content_of(&mut self, line: &PlanLine) -> Option<[u8; 16]> {
        match &line.prepared {
            Some(prepared) => prepared.source_blake3_128.as_deref().and_then(hash::unhex),
            None if line.rough.is_some() => None,
            None => self.image.as_mut().map(ShortHasher::finish),
        }
    }

    fn encode(&mut self, file: &mut File, bytes: u64) -> Result<(), Fault> {
        let mut left = bytes;
        while left > 0 {
            // Chunks are filled across lines: each one that is handed over wakes up the client, and costs a call to the socket.
            let (wanted, room) = (usize::try_from(left).unwrap_or(CHUNK_IN).min(CHUNK_IN), self.room_for());
            let want = if room < wanted && room < LEAST_IN { wanted } else { wanted.min(room) };
            file.read_exact(&mut self.raw.bytes[..want])?;
            self.make_room(want.div_ceil(3) * 4).map_err(|_| Fault::GivenUp)?;
            self.out.append_encoded(&self.raw.bytes[..want], &self.makings.base64);
            if let Some(hasher) = &mut self.image {
                hasher.update(&self.raw.bytes[..want]);
            }
            left -= want as u64;
        }
        Ok(())
    }

    /// Appends what may be longer than a chunk: a prompt may be.
    fn append(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        bytes.chunks(CHUNK_OUT).try_for_each(|part| {
            self.make_room(part.len())?;
            self.out.append(part);
            Ok(())
        })
    }

    /// Bytes of an image for which there is room in the chunk that is being filled: a multiple of three.
    fn room_for(&self) -> usize {
        (CHUNK_OUT - self.out.filled) / 4 * 3
    }

    fn make_room(&mut self, bytes: usize) -> Result<(), BodyError> {
        if self.out.filled + bytes > CHUNK_OUT { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), BodyError> {
        if self.out.filled == 0 {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.out, self.makings.buffer());
        self.body.update(chunk.as_ref());
        self.pushed += chunk.filled as u64;
        if self.lane.push(Bytes::from_owner(chunk)) {
            crash::point("body.chunk");
            Ok(())
        } else {
            Err(BodyError::GivenUp)
        }
    }
}

/// Why the bytes of one image did not come.
enum Fault {
    File(io::Error),
    GivenUp,
}

impl From<io::Error> for Fault {
    fn from(cause: io::Error) -> Self {
        Self::File(cause)
    }
}

/// The rough text of a line as it is sent.
fn rough_text(line: &PlanLine, hash: [u8; 16], corpus: &dyn Corpus) -> Result<String, BodyError> {
    match rough::read(corpus, &line.path, hash) {
        Ok(Some(text)) => Ok(escaped(&text)),
        Ok(None) => Err(edited(line)),
        Err(cause) => {
            let what = format!("its rough text cannot be read: {cause}");
            let (image, path, now) = (line.image, line.path.shown(), Err(Reason::Unreadable));
            Err(BodyError::Spoiled(Box::new(Spoiler { image, path, what, now })))
        }
    }
}

/// A person was at the rough text: it is not sent anywhere.
fn edited(line: &PlanLine) -> BodyError {
    let what = "its rough text is no longer the one that was to be cleaned".to_owned();
    let (image, path, now) = (line.image, line.path.shown(), Err(Reason::Missing));
    BodyError::Spoiled(Box::new(Spoiler { image, path, what, now }))
}

fn changed() -> Fault {
    Fault::File(io::Error::new(ErrorKind::UnexpectedEof, "changed while it was read"))
}

/// A prepared picture that is not there any more, or not whole: it is made again, from an image that is looked at anew.
fn lost(line: &PlanLine, cause: &io::Error, corpus: &dyn Corpus) -> BodyError {
    let BodyError::Spoiled(spoiler) = spoiled(line, cause, corpus) else { return BodyError::GivenUp };
    BodyError::Spoiled(Box::new(Spoiler { what: format!("its prepared picture {}", spoiler.what), ..*spoiler }))
}

fn spoiled(line: &PlanLine, cause: &io::Error, corpus: &dyn Corpus) -> BodyError {
    let what = match cause.kind() {
        ErrorKind::UnexpectedEof => "changed while it was read".to_owned(),
        ErrorKind::NotFound => "is no longer there".to_owned(),
        _ => format!("cannot be read: {cause}"),
    };
    let now = corpus.measure(&line.path).map_err(|again| match again.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Reason::Missing,
        _ => Reason::Unreadable,
    });
    BodyError::Spoiled(Box::new(Spoiler { image: line.image, path: line.path.shown(), what, now }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ImageId;
    use crate::domain::image::{Format, RelPath, Stamp};

    #[test]
    fn a_panic_at_one_image_spoils_the_plan_by_its_name() {
        let path = RelPath { folder: b"tray".to_vec(), name: b"touchy.png".to_vec(), page: 1 };
        let stamp = Stamp { bytes: 1, mtime_ms: 1 };
        let line = PlanLine {
            image: ImageId(7),
            pos: 1,
            bytes: 9,
            path,
            stamp,
            format: Format::Png,
            prepared: None,
            attempt: 1,
            rough: None,
        };
        let ended = guarded(&line, || panic!("expected by this test"));
        let Err(BodyError::Spoiled(spoiler)) = ended else { panic!("{ended:?}") };
        assert_eq!((spoiler.image, spoiler.path.as_str()), (ImageId(7), "tray/touchy.png"));
        assert_eq!(spoiler.now, Err(Reason::ProgramError));
        assert_eq!(guarded(&line, || Ok(())), Ok(()));
    }
}
