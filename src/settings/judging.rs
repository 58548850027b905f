//! Settings of judging, cleaning and writing texts.

use std::path::PathBuf;

use crate::domain::recipe::IdStyle;

/// How texts are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unicode {
    /// Canonical composition.
    Nfc,
    /// As the model wrote it.
    Keep,
}

/// `[clean]`
#[derive(Clone, Debug, PartialEq)]
pub struct Clean {
    /// How texts are normalised.
    pub unicode: Unicode,
    /// What an assistant says around a text is taken off at its edges, and inside makes it rough.
    pub strip_chatter: bool,
    /// Rules that are switched off.
    pub skip_rules: Vec<String>,
    /// Rough texts are owed for deep cleaning at once.
    pub deep_clean: bool,
    /// Model of deep cleaning; None means `request.model`.
    pub deep_clean_model: Option<String>,
    /// Prompt of deep cleaning; None means the built-in one.
    pub deep_prompt_file: Option<PathBuf>,
    /// Percent of words that deep cleaning may change.
    pub deep_changed_words: f64,
}

impl Clean {
    /// Every rule that is switched off, by whichever setting.
    #[must_use]
    pub fn skipped_rules(&self) -> Vec<String> {
        let chatter = ["chatter", "prompt_echo"].into_iter().filter(|_| !self.strip_chatter).map(str::to_owned);
        self.skip_rules.iter().cloned().chain(chatter).collect()
    }
}

/// `[judge]`: thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judge {
    /// Copies at the end of a text that make a loop.
    pub loop_copies: u32,
    /// Characters that they fill.
    pub loop_characters: u32,
    /// Deflated size by size, at most.
    pub loop_deflate_ratio: f64,
    /// Share of the lines that are one line.
    pub loop_line_share: f64,
    /// Share of dark pixels below which a page counts as blank.
    pub blank_ink: f64,
    /// Letters from which on an answer counts as text for a blank page.
    pub blank_letters: u32,
    /// Part of the folder's median below which a text is flagged.
    pub length_short: f64,
    /// Times the folder's median above which it is.
    pub length_long: f64,
    /// Pages from which on there is a median.
    pub length_pages: u32,
}

/// Which part of an answer is the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextFrom {
    /// The content as it is.
    Content,
    /// A string member of the JSON object.
    Field(String),
}

/// `[text]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Which part of an answer is the text.
    pub from: TextFrom,
    /// Texts of ours that stand already stay, whatever a new reading says.
    pub keep_existing: bool,
    /// A text that is there where one would be written ends a run before it begins.
    pub stop_at_existing: bool,
    /// Mirror tree for texts; None means beside the image.
    pub out_dir: Option<PathBuf>,
    /// How custom ids are made.
    pub custom_id: IdStyle,
}
