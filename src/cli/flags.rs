//! The flags of single verbs; the grammar itself is in `args`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

mod setup;

pub use self::setup::{Config, Described, Keys};
use crate::bench::stage::Stage;

/// Flags of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Compare the texts of two runs (by name), or of two recipes (by the first digits that `status FILE` shows), the older one
    /// first: pages that both have answered
    #[arg(long, num_args = 2, value_names = ["OLDER", "NEWER"])]
    pub compare: Option<Vec<String>>,
    /// Texts that people have typed, by the images' paths and .txt: which of the two is nearer
    #[arg(long, value_name = "DIR", requires = "compare")]
    pub truth: Option<PathBuf>,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Folder of images, with all subfolders
    pub image_dir: Option<PathBuf>,
    /// Where to listen [default: setting serve.listen]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Only show progress; another process may be at work here
    #[arg(long)]
    pub read_only: bool,
    /// Go on although the recipe changed: texts of the old one stay
    #[arg(long)]
    pub keep_old: bool,
    /// Print the file or command that starts this program by itself, as `service print` does, and end
    #[arg(long, value_enum, value_name = "FOR", conflicts_with = "read_only")]
    pub print_unit: Option<Manager>,
}

/// What `service` does.
#[derive(Debug, Subcommand)]
pub enum Service {
    /// Print the file or the command that lets something else start `serve`, for this workspace, to be looked through and put in its place
    Print {
        /// What starts it
        manager: Manager,
        /// Folder of images [default: setting image_dir]
        image_dir: Option<PathBuf>,
    },
}

/// What starts programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Manager {
    /// Linux
    Systemd,
    /// macOS
    Launchd,
    /// Windows
    Taskscheduler,
    /// A cluster: a job that starts the next one
    Slurm,
    /// A container
    Compose,
}

/// What becomes of texts that are there already.
#[derive(Clone, Copy, Debug, Args)]
pub struct Old {
    /// Go on although the recipe changed: texts of the old one stay
    #[arg(long, conflicts_with = "redo")]
    pub keep_old: bool,
    /// Ask again: pages whose text another recipe made, that failed, or all; old texts stay until the new ones come. An order that was broken off goes on
    #[arg(long, value_enum, value_name = "WHICH")]
    pub redo: Option<Redo>,
}

impl Old {
    /// Nothing is asked, so nothing becomes of them.
    pub(super) const KEPT: Self = Self { keep_old: true, redo: None };
}

/// What `--redo` asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Redo {
    /// Pages whose text another recipe made.
    Stale,
    /// Pages that failed.
    Failed,
    /// Every page that was ever asked.
    All,
}

/// What `status --list` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// Images that ended without a text.
    Failed,
    /// Images whose last answer has flags.
    Flagged,
    /// Images with a rough text.
    Rough,
    /// Images whose text a person has edited, or wrote.
    Edited,
}

/// What the rows of a `bill` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Billed {
    /// The runs.
    Run,
    /// The models.
    Model,
    /// The folders of the images.
    Folder,
    /// First answers, second ones, and so on.
    Attempt,
    /// The batches.
    Batch,
}

/// What `plan --list` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Planned {
    /// Images that would be asked.
    Owed,
    /// Images that would not be asked, with the reason.
    Skipped,
    /// Images whose text another recipe made.
    Stale,
    /// Images whose texts would be one file where a drive ignores case or Unicode forms.
    Collisions,
}

/// Flags of `cancel`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["batch", "all"]))]
pub struct Cancel {
    /// This batch, by its name at the provider
    #[arg(long, value_name = "ID")]
    pub batch: Option<String>,
    /// Every batch of this workspace that is open; the name of the run is asked for
    #[arg(long)]
    pub all: bool,
    /// Only say what would be cancelled
    #[arg(long, short = 'n')]
    pub dry_run: bool,
}

/// Flags of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Folder of images and their texts, with all subfolders; texts that this workspace has asked for are left. Without it the
    /// saved answers of this workspace are judged again, and their texts written
    pub dir: Option<PathBuf>,
    /// Afterwards, rough texts are owed for deep cleaning; the next run or upload sends them, and names the price first
    #[arg(long, conflicts_with = "dir")]
    pub deep: bool,
    /// Write the JSON file of every result line again, too
    #[arg(long, conflicts_with = "dir")]
    pub rebuild: bool,
    /// Only list what would be changed in DIR; without it, only count which texts would change
    #[arg(long, short = 'n', conflicts_with_all = ["deep", "rebuild"])]
    pub dry_run: bool,
}

/// Flags of `retry`. Without a condition it means the images that failed.
#[derive(Debug, Args)]
pub struct Retry {
    /// Images for which this holds: code=E501, reason=refused, flag=too_short, state=failed|rough|done; `a|b` is one or the
    /// other, several --where all have to hold
    #[arg(long = "where", value_name = "COND")]
    pub conditions: Vec<String>,
    /// Images whose path below the image folder is like this, such as 'box-03/*.png'; a text that a person has edited is put
    /// back only if its image is named exactly
    #[arg(long, value_name = "GLOB")]
    pub path: Option<String>,
    /// Ask this model instead
    #[arg(long, value_name = "M")]
    pub model: Option<String>,
    /// Only say what would be asked again
    #[arg(long, short = 'n')]
    pub dry_run: bool,
}

/// Flags of `review`.
#[derive(Debug, Args)]
pub struct Review {
    /// Show the pages of the last `run --pilot` alone
    #[arg(long, conflicts_with = "sample")]
    pub pilot: bool,
    /// Texts chosen at random that are shown after the doubtful ones
    #[arg(long, value_name = "N", default_value_t = crate::web::SAMPLE)]
    pub sample: usize,
    /// Look only: nothing can be changed
    #[arg(long)]
    pub read_only: bool,
    /// Only print the link
    #[arg(long)]
    pub no_open: bool,
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub listen: SocketAddr,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Folder that the scripts worked in [default: the workspace]
    pub dir: Option<PathBuf>,
    /// Where the images lie now [default: setting image_dir]
    #[arg(long, value_name = "DIR")]
    pub corpus_root: Option<PathBuf>,
    /// Build texts that the scripts had cut off again, from the saved answers
    #[arg(long)]
    pub rebuild_texts: bool,
    /// Only tell what would be taken over
    #[arg(long, short = 'n')]
    pub dry_run: bool,
}

/// Flags of `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// JSON Schema that every JSON text has to fit [default: setting request.schema_file]
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// What all texts are [default: JSON where JSON was asked for]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<TextFormat>,
    /// Only list what is unusable
    #[arg(long, short = 'n')]
    pub dry_run: bool,
}

/// What texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextFormat {
    /// One JSON value, read strictly.
    Json,
    /// Plain text: UTF-8 is all that is checked.
    Text,
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The format
    #[arg(value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Write to this file; for alto, page, tei and hocr, to this folder [default: the standard output, for forms of lines]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Only images that ended like this, as in `retry`: code=E503, reason=refused, flag=too_short, state=done; a|b means one or the
    /// other, several --where all have to hold
    #[arg(long = "where", value_name = "COND")]
    pub conditions: Vec<String>,
    /// For iiif: the address below which the images will be found by their paths
    #[arg(long, value_name = "URL", value_parser = address)]
    pub base: Option<String>,
}

fn address(text: &str) -> Result<String, &'static str> {
    crate::ops::export::base_address(text).ok_or("an address begins with https:// or http://, and has no ? or #")
}

/// Forms of `export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON lines: every image or page with state, text, model and cost.
    Jsonl,
    /// Parquet: the same rows as columns with types; in builds with the feature parquet.
    Parquet,
    /// The table of the report, for spreadsheets.
    Csv,
    /// A ZIP archive of the texts, with a list of their checksums.
    TxtZip,
    /// A tree of ALTO files, one a page: lines without positions.
    Alto,
    /// A tree of PAGE-XML files, one a page: one region with the text.
    Page,
    /// A tree of TEI P5 files, one a page: paragraphs with line beginnings, and the page as a surface.
    Tei,
    /// A tree of hOCR files, one a page: paragraphs and lines without positions.
    Hocr,
    /// A IIIF Presentation 3 manifest: a canvas a page, the text as an annotation; needs --base.
    Iiif,
    /// JSON-LD for Tropy's File > Import: an item a file, the text as a note.
    Tropy,
    /// JSON lines: every request with its recipe, answer and text; each recipe in full once.
    Provenance,
}

/// Flags of `emulate`.
#[derive(Debug, Args)]
pub struct Emulate {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:7050", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// ocr, echo, or the URL of an OpenAI-compatible server [default: setting provider.engine]
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<String>,
    /// Write what would be charged to this file
    #[arg(long, value_name = "FILE")]
    pub bill: Option<PathBuf>,
    /// Keep files and batches here [default: batch/local in the workspace]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Faults to simulate, as TOML
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Time that each line takes, such as 50ms
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub line_delay: Option<std::time::Duration>,
    /// Bytes a second that uploads may take, such as "10 MB"
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub upload_rate: Option<u64>,
}

fn duration(text: &str) -> Result<std::time::Duration, &'static str> {
    crate::settings::units::duration(text).ok_or("a duration is written 250ms, 60s or 10m")
}

fn size(text: &str) -> Result<u64, &'static str> {
    crate::settings::units::bytes(text)
        .filter(|bytes| *bytes > 0)
        .ok_or("a size is written 4096, \"150 MB\" or \"256 MiB\"")
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Measure this stage alone; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_parser = stages())]
    pub stage: Vec<Stage>,
    /// Images of the made-up corpus
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub images: u64,
    /// Bytes of each
    #[arg(long, value_name = "SIZE", default_value = "300 KB", value_parser = size)]
    pub bytes: u64,
    /// What the corpus is made from: the same number, the same pages
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How often each stage is measured, in turns; one more warms up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Upload to this server, such as http://127.0.0.1:7050/v1, instead of to one that drops what it is sent
    #[arg(long, value_name = "URL")]
    pub sink: Option<String>,
    /// Compare with an earlier result, as --json printed it
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// One round of one stage in this folder: how the verb calls itself
    #[arg(long, value_name = "DIR", hide = true, requires = "stage")]
    pub inside: Option<PathBuf>,
    /// The server of that stage
    #[arg(long, value_name = "URL", hide = true, requires = "inside")]
    pub server: Option<String>,
    /// Be the server that drops what it is sent, until the standard input ends
    #[arg(long, value_name = "FILE", hide = true)]
    pub be_sink: Option<PathBuf>,
}

fn stages() -> impl TypedValueParser<Value = Stage> {
    PossibleValuesParser::new(Stage::ALL.map(Stage::name)).map(|name| Stage::named(&name).unwrap_or(Stage::Pipeline))
}
