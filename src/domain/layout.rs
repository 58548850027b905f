//! Every name that this program gives to a file or a request, as pure functions.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::ids::ImageId;
use super::image::RelPath;
use super::recipe::IdStyle;

/// Longest `custom_id` in characters that is sent as it is. OpenAI states no limit; 512 is what metadata values allow.
const LONGEST_ID: usize = 512;
/// Longest file name in bytes on the file systems in use.
const LONGEST_NAME: usize = 255;
/// Hex digits of a suffix that tells apart what a name cannot.
const SUFFIX_DIGITS: usize = 8;

/// Between two pages of a text: form feed.
pub const PAGE_BREAK: u8 = b'\x0c';

/// A hash of bytes as lower-case hex, at least 32 digits: handed in, because this room knows no hash function.
pub type HexHash = fn(&[u8]) -> String;

/// Folders and files of a workspace; all absolute or relative to the current directory, as resolved by the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `batch/`: open batches, ledger.
    pub batch: PathBuf,
    /// `batch/completed/`.
    pub completed: PathBuf,
    /// `batch_return/`: raw result files.
    pub output: PathBuf,
    /// `batch_json_results/`: one JSON file a line.
    pub extraction: PathBuf,
    /// Mirror tree for texts; beside the image if unset.
    pub texts: Option<PathBuf>,
}

impl Layout {
    /// Folders whose files are never images of a corpus, whatever they are called: those that this program writes to.
    #[must_use]
    pub fn own_folders(&self) -> Vec<PathBuf> {
        let own = [&self.batch, &self.completed, &self.output, &self.extraction];
        own.into_iter().chain(self.texts.as_ref()).cloned().collect()
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.batch.join("ledger.sqlite")
    }

    /// The lock of the one process at work here.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.batch.join("ledger.lock")
    }

    /// The journal of intents and batch ids.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.batch.join("batches.jsonl")
    }

    /// Copies of the ledger.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.batch.join("backup")
    }

    /// Texts as they were before they were cleaned.
    #[must_use]
    pub fn before(&self) -> PathBuf {
        self.batch.join("before")
    }

    /// Pictures that were made ready, until their batch is settled.
    #[must_use]
    pub fn prepared(&self) -> PathBuf {
        self.batch.join("prepared")
    }

    /// Texts of single pages of files that have several, until the text of the file is made of them, and for when it is made again.
    #[must_use]
    pub fn pages(&self) -> PathBuf {
        self.batch.join("pages")
    }

    /// The text of one page of such a file.
    #[must_use]
    pub fn page_text(&self, image: ImageId) -> PathBuf {
        page_text(&self.pages(), image)
    }

    /// Notes of texts of people that are being written.
    #[must_use]
    pub fn drafts(&self) -> PathBuf {
        self.batch.join("drafts")
    }

    /// Spooled shards.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.batch.join("spool")
    }

    /// State of the built-in provider.
    #[must_use]
    pub fn local_provider(&self) -> PathBuf {
        self.batch.join("local")
    }

    /// Notice of an open batch.
    #[must_use]
    pub fn notice(&self, batch_id: &str) -> PathBuf {
        self.batch.join(format!("{}.txt", safe_component(batch_id)))
    }

    /// Notice of a settled batch.
    #[must_use]
    pub fn completed_notice(&self, batch_id: &str) -> PathBuf {
        self.completed.join(format!("{}.txt", safe_component(batch_id)))
    }

    /// The provider's output file, byte for byte.
    #[must_use]
    pub fn raw_output(&self, batch_id: &str) -> PathBuf {
        self.output.join(format!("{}.jsonl", safe_component(batch_id)))
    }

    /// The provider's error file, byte for byte.
    #[must_use]
    pub fn raw_errors(&self, batch_id: &str) -> PathBuf {
        self.output.join(format!("{}.errors.jsonl", safe_component(batch_id)))
    }

    /// Folder of a batch's per-line JSON files.
    #[must_use]
    pub fn results(&self, batch_id: &str) -> PathBuf {
        self.extraction.join(safe_component(batch_id))
    }
}

/// A provider's id as one path component: whatever it sends, it names a file in our folder and nothing else. Signs beside
/// letters, digits, `-` and `_` become `=` and two hex digits a byte, so that no two ids share a file; of a long one both
/// ends are kept, because such ids tell at their beginning what they have in common.
#[must_use]
pub fn safe_component(id: &str) -> String {
    const LONGEST: usize = 200;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let code = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("={byte:02X}") };
    let cleaned: String = id.bytes().map(code).collect();
    match cleaned.len() {
        0 => "=".to_owned(),
        1..=LONGEST => cleaned,
        // All of it is ASCII.
        length => format!("{}=={}", &cleaned[..LONGEST / 2 - 1], &cleaned[length - LONGEST / 2 + 1..]),
    }
}

/// The `custom_id` of an image: `given` (the corpus as the user wrote it) joined with the path below it.
///
/// Style path: `/` and `\` become `|`. A path that holds such a sign in a name, is not UTF-8, holds control characters or is
/// too long gets `~` and eight hex digits of its hash, so that no two paths share an id.
#[must_use]
pub fn custom_id(style: IdStyle, given: &[u8], path: &RelPath, hash: HexHash) -> String {
    let whole = whole_path(given, path);
    match style {
        IdStyle::Opaque => {
            // The first page has the id of the file, as a file of one page has.
            let named = if path.page > 1 { [&whole[..], page_mark(path.page).as_bytes()].concat() } else { whole };
            format!("p{}", &hash(&named)[..26])
        }
        IdStyle::Path => {
            let text = String::from_utf8_lossy(&whole);
            let id: String = text.chars().map(|c| if is_separator(c) { '|' } else { c }).collect();
            let page = page_mark(path.page);
            let room = LONGEST_ID - page.len();
            let clear = matches!(text, Cow::Borrowed(_))
                && !text.contains(['|', '\\'])
                && !text.contains(char::is_control)
                && !ends_like_a_page(&text)
                && id.chars().count() <= room;
            let of_file =
                if clear { id } else { with_suffix(&clip_chars(&id, room - SUFFIX_DIGITS - 1), &whole, hash) };
            of_file + &page
        }
    }
}

/// What tells the pages of a file apart, from the second on.
fn page_mark(page: u32) -> String {
    if page > 1 { format!("#{page}") } else { String::new() }
}

/// Whether a file's own name could be taken for a page of another file.
fn ends_like_a_page(name: &str) -> bool {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
    digits.len() < name.len() && digits.ends_with('#')
}

fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\')
}

fn whole_path(given: &[u8], path: &RelPath) -> Vec<u8> {
    let given = given.strip_prefix(b"./").unwrap_or(given);
    let given = given.strip_suffix(b"/").unwrap_or(given);
    if given.is_empty() || given == b"." {
        return path.joined();
    }
    [given, b"/", &path.joined()].concat()
}

fn clip_chars(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { '_' } else { c }).take(most).collect()
}

fn with_suffix(text: &str, hashed: &[u8], hash: HexHash) -> String {
    format!("{text}~{}", &hash(hashed)[..SUFFIX_DIGITS])
}

/// File name of a line's JSON file: `<custom_id>.json`, cut at a character boundary if it were too long or illegal.
#[must_use]
pub fn result_name(custom_id: &str, hash: HexHash) -> String {
    const EXTENSION: &str = ".json";
    let cleaned: String = custom_id.chars().map(|c| if c == '/' || c == '\0' { '_' } else { c }).collect();
    let legal = cleaned == custom_id && !cfg!(windows) && !custom_id.is_empty();
    if legal && cleaned.len() + EXTENSION.len() <= LONGEST_NAME {
        return cleaned + EXTENSION;
    }
    let portable: String = cleaned.chars().map(portable_char).collect();
    let room = LONGEST_NAME - EXTENSION.len() - SUFFIX_DIGITS - 1;
    let changed = portable != custom_id || portable.len() + EXTENSION.len() > LONGEST_NAME;
    if !changed {
        return portable + EXTENSION;
    }
    with_suffix(clip_bytes(&portable, room), custom_id.as_bytes(), hash) + EXTENSION
}

fn portable_char(c: char) -> char {
    if cfg!(windows) && (matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*') || c.is_control()) {
        '_'
    } else {
        c
    }
}

fn clip_bytes(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A file's name with the page, from the second on: what the rough text of a page is named after.
#[must_use]
pub fn page_name(name: &[u8], page: u32) -> Vec<u8> {
    [name, page_mark(page).as_bytes()].concat()
}

/// The text of one page of a file that has several, in the folder for such texts.
#[must_use]
pub fn page_text(folder: &Path, image: ImageId) -> PathBuf {
    folder.join(format!("{image}.txt"))
}

/// Name of the file that an export makes of a page, `ending` included: that of the image, the page from the second on, `ending`.
/// Where another page's name could be the same, or it would be too long, it gets a suffix, as a custom id does.
#[must_use]
pub fn export_name(image_name: &[u8], page: u32, ending: &str, hash: HexHash) -> Vec<u8> {
    let named = page_name(image_name, page);
    let text = String::from_utf8_lossy(image_name);
    if named.len() + ending.len() <= LONGEST_NAME && !ends_like_a_page(&text) {
        return [&named[..], ending.as_bytes()].concat();
    }
    let behind = page_mark(page) + ending;
    let stem = clip_bytes(&text, LONGEST_NAME - behind.len() - SUFFIX_DIGITS - 1);
    (with_suffix(stem, image_name, hash) + &behind).into_bytes()
}

/// What the name of a rough text has behind that of the text.
pub const ROUGH_ENDING: &str = ".api";

/// Name of an image's text: `<image file name>.txt`; names that would be too long are cut and get a hash.
#[must_use]
pub fn text_name(image_name: &[u8], hash: HexHash) -> Vec<u8> {
    // Room for `.txt.api`, so that both kinds of text bear the same stem.
    const ROOM: usize = LONGEST_NAME - ".txt.api".len();
    if image_name.len() <= ROOM {
        return [image_name, b".txt"].concat();
    }
    let text = String::from_utf8_lossy(image_name);
    let stem = clip_bytes(&text, ROOM - SUFFIX_DIGITS - 1);
    format!("{}.txt", with_suffix(stem, image_name, hash)).into_bytes()
}

/// Whether `path` lies in one of the working folders, which are never walked.
#[must_use]
pub fn is_working_folder(layout: &Layout, path: &Path) -> bool {
    let texts = layout.texts.as_deref();
    [&layout.batch, &layout.completed, &layout.output, &layout.extraction]
        .into_iter()
        .map(PathBuf::as_path)
        .chain(texts)
        .any(|folder| path == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> String {
        format!("{:064x}", bytes.iter().fold(7u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte)))
            .chars()
            .rev()
            .collect()
    }

    fn path(folder: &str, name: &str) -> RelPath {
        RelPath { folder: folder.into(), name: name.into(), page: 1 }
    }

    fn id(given: &str, folder: &str, name: &str) -> String {
        custom_id(IdStyle::Path, given.as_bytes(), &path(folder, name), hash)
    }

    #[test]
    fn ids_are_paths_with_pipes() {
        assert_eq!(id("rolls", "tray_1", "page3986.png"), "rolls|tray_1|page3986.png");
        assert_eq!(id(".", "", "a.jpg"), "a.jpg");
        assert_eq!(id("./in/", "x", "a.jpg"), "in|x|a.jpg");
        assert_eq!(id("/archive", "x", "a.jpg"), "|archive|x|a.jpg");
    }

    #[test]
    fn two_paths_never_share_an_id() {
        let pipe = id(".", "", "a|b.jpg");
        assert_eq!(id(".", "a", "b.jpg"), "a|b.jpg");
        assert!(pipe.starts_with("a|b.jpg~"), "{pipe}");
        assert!(id(".", "", "a\nb.jpg").starts_with("a_b.jpg~"));
        let page = |name: &str, page: u32| custom_id(IdStyle::Path, b".", &path("", name).with_page(page), hash);
        assert_eq!((page("a.tif", 1), page("a.tif", 2)), ("a.tif".into(), "a.tif#2".into()));
        assert!(page("a.tif#2", 1).starts_with("a.tif#2~"), "{}", page("a.tif#2", 1));
        assert_eq!(page(&"x".repeat(600), 12).chars().count(), LONGEST_ID);
        let opaque = |page: u32| custom_id(IdStyle::Opaque, b".", &path("", "a.tif").with_page(page), hash);
        assert_ne!(opaque(1), opaque(2));
        assert_eq!(id(".", "", &"x".repeat(600)).chars().count(), LONGEST_ID);
    }

    #[test]
    fn opaque_ids_fit_the_strictest_provider() {
        let id = custom_id(IdStyle::Opaque, b".", &path("a", "b.jpg"), hash);
        assert_eq!(id.len(), 27);
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric()));
    }

    #[test]
    fn names_fit_the_file_system() {
        assert_eq!(
            result_name("a|b.png", hash),
            if cfg!(windows) { result_name("a|b.png", hash) } else { "a|b.png.json".into() }
        );
        let long = "ö".repeat(200);
        assert!(result_name(&long, hash).len() <= LONGEST_NAME);
        assert!(result_name("../x", hash).starts_with(".._x~"));
        assert_eq!(text_name(b"page.1.jpg", hash), b"page.1.jpg.txt");
        assert!(text_name(&[b'x'; 255], hash).len() <= LONGEST_NAME - 4);
    }

    #[test]
    fn exported_pages_never_share_a_name() {
        let name =
            |image: &str, page| String::from_utf8(export_name(image.as_bytes(), page, ".xml", hash)).expect("text");
        assert_eq!((name("a.tif", 1), name("a.tif", 2)), ("a.tif.xml".into(), "a.tif#2.xml".into()));
        assert!(name("a.tif#2", 1).starts_with("a.tif#2~"), "{}", name("a.tif#2", 1));
        let long = "ö".repeat(126);
        assert!(name(&long, 1).len() <= LONGEST_NAME && name(&long, 12).ends_with("#12.xml"));
        assert_ne!(name(&long, 1), name(&format!("{long}x"), 1));
    }

    #[test]
    fn a_provider_id_never_leaves_its_folder() {
        assert_eq!(safe_component("batch_6a5f"), "batch_6a5f");
        assert_eq!(safe_component("../etc/passwd"), "=2E=2E=2Fetc=2Fpasswd");
        assert_eq!(safe_component(".."), "=2E=2E");
        assert_eq!(safe_component(""), "=");
        let long = |end: &str| safe_component(&format!("{}{end}", "é".repeat(300)));
        assert!(long("1").len() <= 200 && long("1") != long("2"));
    }
}
