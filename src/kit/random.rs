//! Randomness for names: tags that never meet, suffixes of temporary files.

/// Letters of a tag: no vowels, so that no word appears; 12 of 29 carry 58 bits.
const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz0123456789";

/// `length` random letters and digits.
///
/// # Errors
/// The operating system's, if it has no randomness to give.
pub fn letters(length: usize) -> std::io::Result<String> {
    let mut bytes = vec![0u8; length];
    getrandom::fill(&mut bytes).map_err(|cause| std::io::Error::other(cause.to_string()))?;
    // 256 is no multiple of 29; the bias of some percent is harmless, these are names and not keys.
    Ok(bytes.into_iter().map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).collect())
}

/// A number in `0.0..1.0` for jitter; 0.5 where the system has no randomness.
#[must_use]
pub fn unit() -> f64 {
    let mut bytes = [0u8; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
