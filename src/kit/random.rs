//! Randomness for names: tags that never meet, suffixes of temporary files; for keys of doors; and for pauses.
//!
//! It comes from the operating system. A simulation gives its thread a [`seed`] instead, so that the same day can be had
//! again.

use std::cell::Cell;

thread_local! {
    /// State of the generator of a thread that was seeded.
    static SEEDED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on what this thread calls random follows from `seed` alone; `None` gives it the system's randomness back.
/// For simulations: names that are made from a seed meet those of the next simulation with that seed.
pub fn seed(seed: Option<u64>) {
    SEEDED.set(seed);
}

fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    let Some(mut state) = SEEDED.get() else { return getrandom::fill(bytes) };
    for eight in bytes.chunks_mut(8) {
        eight.copy_from_slice(&split_mix(&mut state).to_le_bytes()[..eight.len()]);
    }
    SEEDED.set(Some(state));
    Ok(())
}

/// The next number of Steele, Lea and Flood's SplitMix64 (OOPSLA 2014, "Fast Splittable Pseudorandom Number Generators").
#[must_use]
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Letters of a tag: no vowels, so that no word appears; 12 of 29 carry 58 bits.
const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz0123456789";

/// `length` random letters and digits.
///
/// # Errors
/// The operating system's, if it has no randomness to give.
pub fn letters(length: usize) -> std::io::Result<String> {
    let mut bytes = vec![0u8; length];
    fill(&mut bytes).map_err(|cause| std::io::Error::other(cause.to_string()))?;
    // 256 is no multiple of 29; the bias of some percent is harmless, these are names and not keys.
    Ok(bytes.into_iter().map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).collect())
}

/// 256 bits as hex digits, which nobody can guess: the key of a door.
///
/// # Errors
/// The operating system's, if it has no randomness to give.
pub fn secret() -> std::io::Result<String> {
    let mut bytes = [0u8; 32];
    fill(&mut bytes).map_err(|cause| std::io::Error::other(cause.to_string()))?;
    Ok(super::hash::hex(&bytes))
}

/// A number in `0.0..1.0` for jitter; 0.5 where the system has no randomness.
#[must_use]
pub fn unit() -> f64 {
    let mut bytes = [0u8; 4];
    if fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_thread_says_the_same_again() {
        let told = |number| {
            seed(Some(number));
            let told = (letters(12).expect("letters"), unit(), letters(3).expect("letters"));
            seed(None);
            told
        };
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
        assert_ne!(secret().expect("a secret"), secret().expect("another"));
        assert_ne!(letters(12).expect("letters"), letters(12).expect("letters"), "the system's own");
    }
}
