//! An image: a file of the corpus, or one page of it.

use serde::{Deserialize, Serialize};

use super::ids::ImageId;

pub use super::found::{Fate, Found};

/// What identifies a file's content without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub bytes: u64,
    /// Modification time, milliseconds since the Unix epoch.
    pub mtime_ms: i64,
}

/// Size in pixels as the header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Pixels {
    /// All of them.
    #[must_use]
    pub fn count(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// What is asked of a file of several pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Each by itself.
    Each,
    /// The first alone.
    First,
    /// Nothing: such a file is refused.
    Refuse,
}

/// A format of images: the first four are taken by the API as they are (source: `batch-api` reference, images: PNG, JPEG, WebP,
/// still GIF), the others are converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG, MPO's first picture included.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// GIF.
    Gif,
    /// TIFF or BigTIFF.
    Tiff,
    /// JPEG 2000, with or without its container.
    Jp2,
    /// Windows bitmap.
    Bmp,
    /// Portable bitmap, grey map or pixmap.
    Pnm,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 8] =
        [Self::Jpeg, Self::Png, Self::Webp, Self::Gif, Self::Tiff, Self::Jp2, Self::Bmp, Self::Pnm];

    /// Whether the API takes it.
    #[must_use]
    pub fn goes_as_it_is(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Webp | Self::Gif)
    }

    /// Whether a file may hold several pages.
    #[must_use]
    pub fn may_have_pages(self) -> bool {
        self == Self::Tiff
    }

    /// Media type, for the data URL.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Tiff => "image/tiff",
            Self::Jp2 => "image/jp2",
            Self::Bmp => "image/bmp",
            Self::Pnm => "image/x-portable-anymap",
        }
    }

    /// The word kept in the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Tiff => "tiff",
            Self::Jp2 => "jp2",
            Self::Bmp => "bmp",
            Self::Pnm => "pnm",
        }
    }

    /// The format behind a word of the ledger.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

/// What has to be done to a picture before it can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// Nothing: its bytes are sent.
    Nothing,
    /// It lies on its side, or on its head, and says so.
    Turning,
    /// Its format, its colours or its depth are none that the API is known to take, or it moves.
    Converting,
}

impl Needs {
    /// The word kept in the ledger; none where nothing is needed.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Turning => Some("turning"),
            Self::Converting => Some("converting"),
        }
    }

    /// What is behind a word of the ledger.
    #[must_use]
    pub fn from_word(word: Option<&str>) -> Option<Self> {
        [Self::Nothing, Self::Turning, Self::Converting].into_iter().find(|needs| needs.word() == word)
    }
}

/// What the header of an image file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looks {
    /// What its first bytes say it is.
    pub format: Format,
    /// What has to be done to it.
    pub needs: Needs,
    /// Size of each page as it will be seen, in their order; one for most files.
    pub pages: Vec<Pixels>,
}

impl Looks {
    /// An image of one page that is sent as it is.
    #[must_use]
    pub fn plain(format: Format, pixels: Pixels) -> Self {
        Self { format, needs: Needs::Nothing, pages: vec![pixels] }
    }

    /// Size of a page, from 1.
    #[must_use]
    pub fn of_page(&self, page: u32) -> Option<Pixels> {
        self.pages.get(usize::try_from(page).ok()?.checked_sub(1)?).copied()
    }

    /// Pixels of the largest page.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.pages.iter().map(|page| page.count()).max().unwrap_or(0)
    }
}

/// Path of a file below the corpus root, and which page of it: bytes, because names need not be UTF-8; `/` between the parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath {
    /// Folder below the root, empty for the root itself.
    pub folder: Vec<u8>,
    /// File name.
    pub name: Vec<u8>,
    /// Page of the file, from 1.
    pub page: u32,
}

impl RelPath {
    /// Folder and name in one.
    #[must_use]
    pub fn joined(&self) -> Vec<u8> {
        if self.folder.is_empty() {
            return self.name.clone();
        }
        [&self.folder[..], b"/", &self.name[..]].concat()
    }

    /// For people: lossy, and without control or bidi characters that could rewrite a terminal line.
    /// From page 2 on with the page behind it.
    #[must_use]
    pub fn shown(&self) -> String {
        let path = shown(&self.joined());
        if self.page > 1 { format!("{path}#{}", self.page) } else { path }
    }

    /// Another page of the same file.
    #[must_use]
    pub fn with_page(&self, page: u32) -> Self {
        Self { page, ..self.clone() }
    }
}

/// Any bytes of a name as safe text for people.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if commands(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a sign is no sign but an order: to a terminal (C0, C1), or to turn or break the line (bidi, separators).
#[must_use]
pub fn commands(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Why an image failed or was skipped: the words of the ledger, the reports and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The file cannot be opened or read.
    Unreadable,
    /// The file has no bytes.
    EmptyFile,
    /// Its first bytes are of no image.
    NotAnImage,
    /// Its header cannot be true.
    Damaged,
    /// A limit of the settings or of the provider is exceeded.
    TooLarge,
    /// Its tokens exceed the provider's queue.
    OverAllowance,
    /// An image, but of a format that is not sent.
    UnsupportedFormat,
    /// It changed again and again while it was read.
    KeepsChanging,
    /// It is no longer where it was.
    Missing,
    /// The provider refused the image itself.
    ImageRefused,
    /// The model refused.
    Refused,
    /// The provider's filter stopped the answer.
    ContentFilter,
    /// The answer was cut at the token limit.
    Truncated,
    /// All output tokens were reasoning.
    ReasoningAteBudget,
    /// No text came for the page.
    Empty,
    /// The text runs away in a repetition.
    Loop,
    /// The answer says that the page is blank and the page says that it is not, or the other way round.
    BlankConflict,
    /// The answer is no JSON although JSON was asked for.
    JsonInvalid,
    /// The answer is JSON, but not of the schema.
    SchemaMismatch,
    /// Deep cleaning lost or added words.
    DeepRejected,
    /// The provider answered with an error that names neither image nor run.
    ProviderError,
    /// The provider never ran the request, window after window.
    NeverRan,
    /// The results are gone at the provider; they may have been paid for.
    ResultsGone,
    /// This program failed at the image or at its answer.
    ProgramError,
    /// A text that is not ours lies beside the image already.
    TextPresent,
    /// Hidden, system or temporary file, link, or no regular file.
    Excluded,
}

impl Reason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 26] = [
        Self::Unreadable,
        Self::EmptyFile,
        Self::NotAnImage,
        Self::Damaged,
        Self::TooLarge,
        Self::OverAllowance,
        Self::UnsupportedFormat,
        Self::KeepsChanging,
        Self::Missing,
        Self::ImageRefused,
        Self::Refused,
        Self::ContentFilter,
        Self::Truncated,
        Self::ReasoningAteBudget,
        Self::Empty,
        Self::Loop,
        Self::BlankConflict,
        Self::JsonInvalid,
        Self::SchemaMismatch,
        Self::DeepRejected,
        Self::ProviderError,
        Self::NeverRan,
        Self::ResultsGone,
        Self::ProgramError,
        Self::TextPresent,
        Self::Excluded,
    ];

    /// The word in ledger, reports and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::EmptyFile => "empty_file",
            Self::NotAnImage => "not_an_image",
            Self::Damaged => "damaged",
            Self::TooLarge => "too_large",
            Self::OverAllowance => "over_allowance",
            Self::UnsupportedFormat => "unsupported_format",
            Self::KeepsChanging => "changed",
            Self::Missing => "missing_file",
            Self::ImageRefused => "image_refused",
            Self::Refused => "refused",
            Self::ContentFilter => "content_filter",
            Self::Truncated => "truncated",
            Self::ReasoningAteBudget => "reasoning_ate_budget",
            Self::Empty => "empty",
            Self::Loop => "loop",
            Self::BlankConflict => "blank_conflict",
            Self::JsonInvalid => "json_invalid",
            Self::SchemaMismatch => "schema_mismatch",
            Self::DeepRejected => "deep_rejected",
            Self::ProviderError => "provider_error",
            Self::NeverRan => "missing",
            Self::ResultsGone => "results_gone",
            Self::ProgramError => "program_error",
            Self::TextPresent => "text_present",
            Self::Excluded => "excluded",
        }
    }

    /// The reason behind a word of the ledger.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

/// One image that is owed, with what is needed to ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedImage {
    /// Its row.
    pub id: ImageId,
    /// Where it lies.
    pub path: RelPath,
    /// Length and time as measured.
    pub stamp: Stamp,
    /// What it is.
    pub format: Format,
    /// What has to be done to it before it is sent.
    pub needs: Needs,
    /// Size in pixels.
    pub pixels: Pixels,
    /// The counted try that this will be, from 1.
    pub attempt: u32,
    /// Whether it was never packed before: a first reading seals its plan as soon as nothing else is owed.
    pub first: bool,
    /// What was wrong with the last answer, if one was.
    pub after: Option<Reason>,
    /// A model that a person ordered.
    pub model: Option<String>,
    /// Hash of the rough text that is sent in the place of the image, for a deep cleaning.
    pub rough: Option<[u8; 16]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_their_reasons() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_word(reason.word()), Some(reason));
        }
    }

    #[test]
    fn names_cannot_rewrite_a_terminal_line() {
        assert_eq!(shown(b"a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(shown("x\u{202e}gpj.exe".as_bytes()), "x\u{fffd}gpj.exe");
    }
}
