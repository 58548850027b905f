//! How an image is to be turned, as its EXIF says. Broken EXIF says nothing: the picture beside it may be sound.

use std::io::{self, Read, Seek};

use super::window::Window;
use crate::domain::image::Pixels;

/// What cameras and some writers of WebP put before the TIFF structure that EXIF is.
const PREFIX: &[u8; 6] = b"Exif\0\0";
/// The tag of the orientation, in EXIF as in TIFF.
pub(super) const ORIENTATION: u16 = 0x0112;

/// How the stored pixels become the upright picture. Source: EXIF 2.32, tag 0x0112.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u8);

impl Turn {
    /// The picture is stored upright.
    pub const NONE: Self = Self(1);

    /// The turn of an orientation, which is one of 1 to 8.
    #[must_use]
    pub fn from_exif(orientation: u64) -> Option<Self> {
        u8::try_from(orientation).ok().filter(|number| matches!(number, 1..=8)).map(Self)
    }

    /// The orientation, 1 to 8.
    #[must_use]
    pub fn exif(self) -> u8 {
        self.0
    }

    /// The size of the upright picture.
    #[must_use]
    pub fn upright(self, stored: Pixels) -> Pixels {
        if self.0 < 5 { stored } else { Pixels { width: stored.height, height: stored.width } }
    }
}

/// The turn of the EXIF that lies from `start` to before `end`, with or without its prefix.
pub(super) fn turn<R: Read + Seek>(window: &mut Window<'_, R>, start: u64, end: u64) -> io::Result<Turn> {
    Ok(orientation(window, start, end)?.unwrap_or(Turn::NONE))
}

fn orientation<R: Read + Seek>(window: &mut Window<'_, R>, start: u64, end: u64) -> io::Result<Option<Turn>> {
    let is_prefixed = window.bytes::<6>(start)?.as_ref() == Some(PREFIX);
    let start = if is_prefixed { start + PREFIX.len() as u64 } else { start };
    let Some([a, b, magic @ .., p, q, r, s]) = window.bytes::<8>(start)? else { return Ok(None) };
    let order = match [a, b, magic[0], magic[1]] {
        [b'I', b'I', 42, 0] => Order::Little,
        [b'M', b'M', 0, 42] => Order::Big,
        _ => return Ok(None),
    };
    let directory = start + u64::from(order.long([p, q, r, s]));
    if directory + 2 > end {
        return Ok(None);
    }
    let Some(count) = window.bytes::<2>(directory)? else { return Ok(None) };
    for n in 0..u64::from(order.short(count)) {
        let at = directory + 2 + 12 * n;
        if at + 12 > end {
            break;
        }
        let Some([t, u, k, l, _, _, _, _, value @ ..]) = window.bytes::<12>(at)? else { break };
        if order.short([t, u]) == ORIENTATION {
            // A short is what the standard wants, a long is what some write.
            let is_long = order.short([k, l]) == 4;
            let value = if is_long { order.long(value) } else { u32::from(order.short([value[0], value[1]])) };
            return Ok(Turn::from_exif(value.into()));
        }
    }
    Ok(None)
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The lowest first.
    Little,
    /// The highest first.
    Big,
}

impl Order {
    pub(super) fn short(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn long(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn long8(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(bytes: &[u8], end: u64) -> Turn {
        let mut source = Cursor::new(bytes);
        let mut window = Window::open(&mut source).expect("a slice has no errors");
        turn(&mut window, 0, end).expect("a slice has no errors")
    }

    const SMALL: &[u8] =
        b"II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0abc\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

    #[test]
    fn the_orientation_is_found_in_both_orders_with_and_without_prefix() {
        let end = |bytes: &[u8]| bytes.len() as u64;
        assert_eq!(read(SMALL, end(SMALL)).exif(), 6);
        let prefixed = [PREFIX, SMALL].concat();
        assert_eq!(read(&prefixed, end(&prefixed)).exif(), 6);
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0";
        assert_eq!(read(big, end(big)).exif(), 3);
        let long = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x08";
        assert_eq!(read(long, end(long)).exif(), 8);
    }

    #[test]
    fn what_is_broken_turns_nothing() {
        for cut in 1..SMALL.len() {
            let kept = &SMALL[..SMALL.len() - cut];
            let expected = if cut <= 4 { 6 } else { 1 };
            assert_eq!(read(kept, kept.len() as u64).exif(), expected, "{cut} bytes fewer");
            assert_eq!(read(SMALL, kept.len() as u64).exif(), expected, "{cut} bytes fewer are its own");
        }
        let mut nine = SMALL.to_vec();
        nine[30] = 9;
        assert_eq!(read(&nine, nine.len() as u64), Turn::NONE);
    }

    #[test]
    fn a_picture_on_its_side_is_as_wide_as_it_was_high() {
        let stored = Pixels { width: 3, height: 2 };
        for orientation in 1..=8 {
            let upright = Turn::from_exif(orientation).expect("one of eight").upright(stored);
            assert_eq!(upright.width, if orientation < 5 { 3 } else { 2 }, "{orientation}");
        }
        assert_eq!(Turn::from_exif(0).or(Turn::from_exif(9)).or(Turn::from_exif(262)), None);
    }
}
