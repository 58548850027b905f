//! Hashes, each with its one use: XXH3-128 for a body (it costs nothing beside the copy), BLAKE3 for identity, SHA-256 for
//! raw files, because their figure leaves the house.

use xxhash_rust::xxh3::Xxh3;

/// First 16 bytes of BLAKE3, as the ledger keeps them (`b3sum -l 16`).
pub type Short = [u8; 16];

/// Short BLAKE3 of `bytes`.
#[must_use]
pub fn short(bytes: &[u8]) -> Short {
    truncate(&blake3::hash(bytes))
}

fn truncate(hash: &blake3::Hash) -> Short {
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    first
}

/// `digits` lower-case hex digits of the BLAKE3 of `bytes`: the suffix that tells apart what a name cannot.
#[must_use]
pub fn hex_digits(bytes: &[u8], digits: usize) -> String {
    let mut hex = blake3::hash(bytes).to_hex().to_string();
    hex.truncate(digits);
    hex
}

/// Whether two secrets are the same. Their hashes are compared: how long that takes tells nothing of them.
#[must_use]
pub fn are_same_secrets(told: &str, secret: &str) -> bool {
    short(told.as_bytes()) == short(secret.as_bytes())
}

/// Lower-case hex of any bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// The 16 bytes behind 32 hex digits.
#[must_use]
pub fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let digits = text.as_bytes();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Running short BLAKE3, of an image while it streams by.
#[derive(Debug, Default)]
pub struct ShortHasher(blake3::Hasher);

impl ShortHasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of everything added; the hasher begins anew.
    pub fn finish(&mut self) -> Short {
        let hash = truncate(&self.0.finalize());
        self.0.reset();
        hash
    }
}

/// Running XXH3-128 of a body.
#[derive(Default)]
pub struct BodyHasher(Xxh3);

impl std::fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyHasher")
    }
}

impl BodyHasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of everything added, big-endian as `xxh128sum` prints it.
    #[must_use]
    pub fn finish(&self) -> [u8; 16] {
        self.0.digest128().to_be_bytes()
    }
}

/// Running SHA-256 of a raw result file.
#[derive(Clone)]
pub struct Sha256(ring::digest::Context);

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl Sha256 {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of everything added.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let digest = self.0.finish();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(hex(&short(b"")), "af1349b9f5f9a1a6a0404dea36dcc949");
        assert_eq!(hex_digits(b"", 8), "af1349b9");
        assert_eq!(hex(&BodyHasher::default().finish()), "99aa06d3014798d86001c324468d497f");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(&Sha256::default().finish()), empty);
    }

    #[test]
    fn a_running_hash_begins_anew() {
        let mut hasher = ShortHasher::default();
        hasher.update(b"page");
        assert_eq!(hasher.finish(), short(b"page"));
        assert_eq!(hasher.finish(), short(b""));
    }
}
