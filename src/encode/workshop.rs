//! Where pictures are made ready: read once, turned, shrunk or converted on the pool, and put into a file of ours.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read as _, Seek as _};
use std::sync::Arc;

use super::prepare::{self, Order, Unpreparable};
use super::prepared::PreparedFiles;
use crate::corpus::{Corpus, beneath};
use crate::domain::image::{Format, Needs, OwedImage, Reason};
use crate::domain::recipe::Preparation;
use crate::domain::shard::Prepared;
use crate::kit::budget::Budget;
use crate::kit::crash;
use crate::kit::hash::{self, ShortHasher};
use crate::kit::pool::Pool;

/// Bytes of one unit of the memory budget.
pub const MEMORY_UNIT: u64 = 4096;
/// Bytes for each pixel while a picture is decoded, shrunk, turned and written: one for grey and for black and white, up to eight for
/// colours.
const BYTES_PER_PIXEL: u64 = 6;
/// The same for samples of 16 bits: four of them, as they are stored, beside what they become.
const BYTES_PER_DEEP_PIXEL: u64 = 12;
/// Bytes of a pixel beyond which its samples have more than 8 bits: four of them have no more.
const DEEP: u64 = 4;
/// The same for JPEG 2000, whose decoder works on numbers of four bytes.
const BYTES_PER_JP2_PIXEL: u64 = 12;
/// Bytes of a file read at once for its hash.
const CHUNK: usize = 256 << 10;

/// A picture that is ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// Its file, and what is in it.
    pub prepared: Prepared,
    /// Share of dark pixels.
    pub ink: Option<f64>,
}

/// Why a picture is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It never will be.
    #[error("{0:?}")]
    Ended(Reason),
    /// Its file cannot be written here.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// What pictures are made ready with.
#[derive(Clone)]
pub struct Workshop {
    /// Where the images lie.
    pub corpus: Arc<dyn Corpus>,
    /// Where they are worked on.
    pub pool: Pool,
    /// Memory for decoded pixels, in units of [`MEMORY_UNIT`].
    pub memory: Budget,
    /// Units in all: what needs more is not decoded.
    pub most_memory: u64,
    /// The files of what is ready.
    pub files: PreparedFiles,
    /// Most pixels that are decoded.
    pub max_pixels: u64,
    /// Most bytes of a result.
    pub max_bytes: u64,
    /// Whether the hash of the original is taken.
    pub hash_images: bool,
}

impl Workshop {
    /// Makes one picture ready. Waits for memory first.
    ///
    /// # Errors
    /// [`NotReady`].
    pub async fn make(self, image: OwedImage, how: Preparation) -> Result<Ready, NotReady> {
        let units = units(&image);
        if units > self.most_memory {
            tracing::warn!(path = %image.path.shown(), "takes more memory than shard.max_memory has");
            return Err(NotReady::Ended(Reason::TooLarge));
        }
        // Closed only when the program ends at once: the image is still owed then, and what is said here is not recorded.
        let lease = self.memory.lease(u32::try_from(units).unwrap_or(u32::MAX)).await;
        let lease = lease.map_err(|closed| io::Error::other(closed.to_string()))?;
        let pool = self.pool.clone();
        let made = pool.run(move || {
            let made = self.work(&image, how);
            drop(lease);
            made
        });
        made.await.unwrap_or(Err(NotReady::Ended(Reason::ProgramError)))
    }

    fn work(&self, image: &OwedImage, how: Preparation) -> Result<Ready, NotReady> {
        let (mut file, found) = self.corpus.open(&image.path).map_err(|cause| NotReady::Ended(unread(&cause)))?;
        if found != image.stamp {
            return Err(NotReady::Ended(Reason::KeepsChanging));
        }
        let Self { max_pixels, max_bytes, .. } = *self;
        let order = Order { page: image.path.page, how, max_pixels, max_bytes };
        let made = prepare::prepare(BufReader::new(&mut file), &order).map_err(|why| told(image, &why))?;
        let source = if self.hash_images { Some(hash_of(&mut file)) } else { None };
        let source = source.transpose().map_err(|cause| NotReady::Ended(unread(&cause)))?;
        // What was decoded may be half of another picture by now.
        match beneath::stamp(&file) {
            Ok(stamp) if stamp == image.stamp => {}
            _ => return Err(NotReady::Ended(Reason::KeepsChanging)),
        }
        let name = self.files.write(image.id, made.format, &made.bytes)?;
        crash::point("prepare.written");
        let prepared = Prepared {
            file: name,
            format: made.format,
            bytes: made.bytes.len() as u64,
            width: made.pixels.width,
            height: made.pixels.height,
            turned: made.turned,
            shrunk: made.shrunk,
            blake3_128: hash::hex(&hash::short(&made.bytes)),
            source_blake3_128: source.map(|hash| hash::hex(&hash)),
        };
        Ok(Ready { prepared, ink: made.ink })
    }
}

/// Memory that one picture takes, in units: its file and its pixels.
fn units(image: &OwedImage) -> u64 {
    let file = image.stamp.bytes / u64::from(image.path.page.max(1));
    let pixels = image.pixels.count();
    let each = match image.format {
        Format::Jp2 => BYTES_PER_JP2_PIXEL,
        // A PNG is converted for its 16 bits, or because it moves.
        Format::Png if image.needs == Needs::Converting => BYTES_PER_DEEP_PIXEL,
        Format::Tiff | Format::Pnm if file > pixels.saturating_mul(DEEP) => BYTES_PER_DEEP_PIXEL,
        _ => BYTES_PER_PIXEL,
    };
    pixels.saturating_mul(each).saturating_add(file).div_ceil(MEMORY_UNIT).max(1)
}

fn unread(cause: &io::Error) -> Reason {
    match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Reason::Missing,
        _ => Reason::Unreadable,
    }
}

fn told(image: &OwedImage, why: &Unpreparable) -> NotReady {
    tracing::warn!(path = %image.path.shown(), %why, "cannot be made ready");
    NotReady::Ended(match why {
        Unpreparable::Damaged(_) => Reason::Damaged,
        Unpreparable::Unsupported(_) => Reason::UnsupportedFormat,
        Unpreparable::TooLarge(_) => Reason::TooLarge,
        Unpreparable::Unreadable(cause) => unread(cause),
    })
}

/// BLAKE3 of a file from its beginning.
fn hash_of(file: &mut File) -> io::Result<hash::Short> {
    file.rewind()?;
    let mut hasher = ShortHasher::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&chunk[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ImageId;
    use crate::domain::image::{Pixels, RelPath, Stamp};

    #[test]
    fn samples_of_16_bits_take_the_memory_that_they_have() {
        const PIXELS: u64 = 1000 * 800;
        let taken = |format, needs, bytes| {
            let image = OwedImage {
                id: ImageId(1),
                path: RelPath { folder: Vec::new(), name: b"a".to_vec(), page: 1 },
                stamp: Stamp { bytes, mtime_ms: 1 },
                format,
                needs,
                pixels: Pixels { width: 1000, height: 800 },
                attempt: 1,
                first: true,
                after: None,
                model: None,
                rough: None,
            };
            units(&image) * MEMORY_UNIT
        };
        // In one strip: the file, six bytes of each pixel as stored, and three of what they become.
        let plain = PIXELS * 6 + 200;
        assert!(taken(Format::Tiff, Needs::Converting, plain) >= plain + PIXELS * (6 + 3));
        assert!(
            taken(Format::Png, Needs::Converting, 90_000) >= 90_000 + PIXELS * (6 + 3),
            "however well it is packed"
        );
        let (eight_bits, two_shades) = (PIXELS * 3 + 200, PIXELS / 80);
        assert!(taken(Format::Tiff, Needs::Converting, eight_bits) <= eight_bits + PIXELS * 6 + MEMORY_UNIT);
        assert!(taken(Format::Tiff, Needs::Converting, two_shades) <= two_shades + PIXELS * 6 + MEMORY_UNIT);
    }
}
