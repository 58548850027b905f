//! What reads the pages behind the emulator.

#[cfg(feature = "ocr")]
pub mod ocr;
