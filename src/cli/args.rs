//! The grammar of the command line; precedence and meaning are `settings`' affair.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use super::flags::*;
use crate::settings::Flag;

/// Transcribes folders of page images: every image ends in a text beside it, or in a named reason.
#[derive(Debug, Parser)]
#[command(name = "batchscribe", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb; without one, a short page is shown.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global flags")]
pub struct Global {
    /// Folder that holds settings, ledger and results [default: the current folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Settings file to read instead of batchscribe.toml in the workspace
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    pub config: Option<PathBuf>,
    /// Read no settings file
    #[arg(long, global = true)]
    pub no_config: bool,
    /// Set any setting, such as --set request.model=gpt-5.6-luna
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Answer every question with yes
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Never ask; a question that is not answered by --yes ends the program
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Machine-readable: one document, or one object a line for long verbs
    #[arg(long, global = true)]
    pub json: bool,
    /// Progress as lines, instead of a block that is redrawn
    #[arg(long, global = true)]
    pub plain: bool,
    /// Print only errors and data
    #[arg(long, short = 'q', global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// The log on stderr; twice for more
    #[arg(long, short = 'v', global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colour on stderr
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Time between two lines of progress where there is no terminal
    #[arg(long, global = true, value_name = "DURATION")]
    pub stats: Option<String>,
    /// Append the log to this file
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Form of the log
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// What is to be done. The same command again is the resume.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Do everything: scan, send, wait, collect, write texts, until nothing is left
    Run {
        /// Folder of images, with all subfolders [default: setting image_dir; where that was never walked, the one of the last run]
        image_dir: Option<PathBuf>,
        /// Ask at most this many images
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// What this workspace may cost in USD, such as 2 or 0.25; never crossed
        #[arg(long, value_name = "USD")]
        budget: Option<String>,
        /// Ask N pages first, chosen at random from all folders, and tell what the rest will be like and cost [default: setting
        /// run.pilot_images]
        #[arg(long, value_name = "N", num_args = 0..=1, conflicts_with_all = ["limit", "once"])]
        pilot: Option<Option<u32>>,
        /// Stop cleanly after this long, such as 90m
        #[arg(long, value_name = "DURATION")]
        max_duration: Option<String>,
        /// Where a new reading differs from a text of ours that nobody has edited: ours = it takes its place, keep = it does not, stop
        /// = nothing is asked where such texts are there; a person's text is kept in any case
        #[arg(long, value_name = "WHICH")]
        existing: Option<String>,
        /// One pass, for cron: send what is new, collect what is ready, leave
        #[arg(long)]
        once: bool,
        /// Only say what would be asked, and at what cost; nothing is sent or written
        #[arg(long, short = 'n')]
        dry_run: bool,
        /// What becomes of texts that are there
        #[command(flatten)]
        old: Old,
    },
    /// Run without a person until it is stopped: list the folder again and again, send what is new, collect what is ready, report
    /// progress to other programs over HTTP
    Serve(Serve),
    /// Let this computer start the program by itself
    Service {
        /// What to do
        #[command(subcommand)]
        what: Service,
    },
    /// What a run would ask and cost; opens no connection, writes nothing
    Plan {
        /// Folder of images, with all subfolders [default: setting image_dir; where that was never walked, the one of the last run]
        image_dir: Option<PathBuf>,
        /// List the images of one kind instead of the sums
        #[arg(long, value_enum, value_name = "WHICH")]
        list: Option<Planned>,
        /// End each path of the list with a NUL byte, and print nothing else, for xargs -0
        #[arg(long, short = '0', requires = "list")]
        null: bool,
    },
    /// The first half: scan, send, create the batches
    Upload {
        /// Folder of images, with all subfolders [default: setting image_dir; where that was never walked, the one of the last run]
        image_dir: Option<PathBuf>,
        /// Ask at most this many images
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// What this workspace may cost in USD, such as 2 or 0.25; never crossed
        #[arg(long, value_name = "USD")]
        budget: Option<String>,
        /// Write the JSONL files to this folder and send nothing
        #[arg(long, value_name = "DIR")]
        spool_only: Option<PathBuf>,
        /// Only say what would be asked, and at what cost; nothing is sent or written
        #[arg(long, short = 'n')]
        dry_run: bool,
        /// What becomes of texts that are there
        #[command(flatten)]
        old: Old,
    },
    /// The second half: look at every open batch, fetch what ended, write texts
    Download {
        /// Stay until no batch is open
        #[arg(long)]
        wait: bool,
        /// Look at this batch alone, by its name at the provider
        #[arg(long, value_name = "ID")]
        batch: Option<String>,
    },
    /// Clean the texts of a folder by rules; what stood there before is kept
    Clean(Clean),
    /// Put images back to be asked again, such as those that failed; the next run sends them
    Retry(Retry),
    /// Check texts for UTF-8, JSON and a schema; an unusable one of ours leaves its place, and its image is owed again
    Validate(Validate),
    /// Write texts and what is known of them in a format for other programs
    Export(Export),
    /// Stop batches at the provider; what ran stays billed and is still fetched
    Cancel(Cancel),
    /// One screen; with an image or batch: what is known of it
    Status {
        /// An image's path or a batch's id
        what: Option<String>,
        /// List images with what became of them
        #[arg(long, value_enum, value_name = "WHICH")]
        list: Option<Listed>,
        /// End each path of the list with a NUL byte, and print nothing else, for xargs -0
        #[arg(long, short = '0', requires = "list")]
        null: bool,
        /// Show it again and again until nothing is owed or in flight
        #[arg(long, conflicts_with_all = ["what", "list"])]
        watch: bool,
        /// End with 4 while work is owed or in flight
        #[arg(long)]
        exit_code: bool,
    },
    /// What was paid for what: tokens and cost of answers and batches, as the provider reported them
    Bill {
        /// What each row is
        #[arg(long, value_enum, default_value_t = Billed::Run, value_name = "WHAT")]
        by: Billed,
    },
    /// Write report.html, report.csv and report.json: what was asked, what came of it, what it cost
    Report {
        /// Folder of the three files [default: the workspace]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Image and text side by side in the browser: read, judge, correct, ask again
    Review(Review),
    /// Does the balance close? Ledger, texts and saved answers are compared
    Audit(Audit),
    /// Build the ledger again from saved files, or from the provider's batch list
    Recover {
        /// Folder of images, named as it was for `run`
        image_dir: Option<PathBuf>,
        /// Ask the provider as well: its batches, their files, answers that were never fetched
        #[arg(long)]
        from_account: bool,
        /// A run of the account whose batches belong here, where nothing in the workspace names it
        #[arg(long, value_name = "ID", requires = "from_account")]
        run: Option<String>,
        /// Only say what would be brought back from this disk; nothing is written
        #[arg(long, short = 'n', conflicts_with = "from_account")]
        dry_run: bool,
    },
    /// Take over a workspace of the scripts that came before this program; sends no request
    Import(Import),
    /// The built-in Batch API server on a port
    Emulate(Emulate),
    /// Measure each stage and the whole pipeline on this computer, with made-up pages on this disk
    Bench(Bench),
    /// Write batchscribe.toml and prompt.txt, to be edited
    Init {
        /// Folder [default: the workspace]
        dir: Option<PathBuf>,
    },
    /// What is missing on this computer, in plain words
    Doctor {
        /// Ask the provider, too
        #[arg(long)]
        online: bool,
        /// Write a ZIP for a bug report: settings without secrets, versions, these answers, counts; no key, text or image name
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
        /// The last lines of show.log_file as well; they may name images
        #[arg(long, requires = "bundle")]
        with_log: bool,
    },
    /// Keep a key in its file, try it out, see where keys are looked for
    Keys {
        /// What to do
        #[command(subcommand)]
        what: Keys,
    },
    /// The settings in force, and where they come from
    Config {
        /// What to show
        #[command(subcommand)]
        what: Config,
    },
    /// Shell completions on stdout
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages to a folder
    Man {
        /// Folder, such as ~/.local/share/man/man1
        dir: PathBuf,
    },
    /// The long page of a verb, or the meaning of an error such as E204
    Help {
        /// A verb, such as run or keys set; or an error code
        topic: Vec<String>,
    },
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("the form is KEY=VALUE, such as request.detail=low")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Global {
    /// The settings that these flags stand for, in the order of precedence among themselves.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let set = self.set.iter().map(|(key, value)| flag("--set", key, value));
        let stats = self.stats.iter().map(|stats| flag("--stats", "show.stats", stats));
        let log = self.log_file.iter().map(|file| flag("--log-file", "show.log_file", &file.to_string_lossy()));
        set.chain(stats).chain(log).collect()
    }
}

impl Verb {
    /// Whether it works for long and tells its progress.
    #[must_use]
    pub fn is_long(&self) -> bool {
        match self {
            Self::Run { .. } | Self::Serve(_) | Self::Upload { .. } | Self::Download { .. } | Self::Import(_) => true,
            // A tree is cleaned in one go, and told of in one document.
            Self::Clean(clean) => clean.dir.is_none(),
            _ => false,
        }
    }

    /// The settings that this verb's own flags stand for.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        let mut add = |name: &str, key: &str, value: Option<String>| {
            flags.extend(value.map(|value| flag(name, key, &value)));
        };
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        match self {
            Self::Run { image_dir, limit, budget, pilot, max_duration, existing, .. } => {
                add("IMAGE_DIR", "image_dir", path(image_dir));
                add("--limit", "run.limit", limit.map(|limit| limit.to_string()));
                add("--budget", "run.max_cost", budget.clone());
                add("--pilot", "run.pilot_images", pilot.flatten().map(|images| images.to_string()));
                add("--max-duration", "run.max_duration", max_duration.clone());
                add("--existing", "text.existing", existing.clone());
            }
            Self::Service { what: Service::Print { image_dir, .. } } => add("IMAGE_DIR", "image_dir", path(image_dir)),
            Self::Serve(Serve { image_dir, listen, .. }) => {
                add("IMAGE_DIR", "image_dir", path(image_dir));
                add("--listen", "serve.listen", listen.clone());
            }
            Self::Upload { image_dir, limit, budget, .. } => {
                add("IMAGE_DIR", "image_dir", path(image_dir));
                add("--limit", "run.limit", limit.map(|limit| limit.to_string()));
                add("--budget", "run.max_cost", budget.clone());
            }
            Self::Recover { image_dir, .. } | Self::Plan { image_dir, .. } => {
                add("IMAGE_DIR", "image_dir", path(image_dir))
            }
            Self::Import(import) => add("--corpus-root", "image_dir", path(&import.corpus_root)),
            _ => {}
        }
        flags
    }
}

/// The words of a command line with every `--set` behind the verb: the parser keeps those of one side alone, and no setting
/// may be lost in silence.
pub fn gathered(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let (mut others, mut settings) = (Vec::new(), Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            settings.push(word);
            break;
        }
        if word == "--set" {
            settings.push(word);
            settings.extend(words.next());
        } else if word.as_encoded_bytes().starts_with(b"--set=") {
            settings.push(word);
        } else {
            others.push(word);
        }
    }
    others.into_iter().chain(settings).chain(words).collect()
}

/// What the command line says of colours, before it is parsed: help, and what is wrong with the line itself, are told by then. A value
/// that is none says nothing.
#[must_use]
pub fn color_of(words: &[OsString]) -> Color {
    let before = words.split(|word| word == "--").next().unwrap_or_default();
    let glued = before.iter().filter_map(|word| word.to_str()?.strip_prefix("--color="));
    let apart = before.windows(2).filter(|pair| pair[0] == "--color").filter_map(|pair| pair[1].to_str());
    glued.chain(apart).find_map(|value| Color::from_str(value, false).ok()).unwrap_or(Color::Auto)
}

fn flag(name: &str, key: &str, value: &str) -> Flag {
    Flag { flag: name.to_owned(), key: key.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let line = ["batchscribe", "run", "in", "--limit", "20", "--set", "request.model=a=b", "--stats", "5s"];
        let cli = Cli::try_parse_from(line).expect("parses");
        let mut flags = cli.global.flags();
        flags.extend(cli.verb.expect("a verb").flags());
        let seen: Vec<_> = flags.iter().map(|f| (f.flag.as_str(), f.key.as_str(), f.value.as_str())).collect();
        let expected = [
            ("--set", "request.model", "a=b"),
            ("--stats", "show.stats", "5s"),
            ("IMAGE_DIR", "image_dir", "in"),
            ("--limit", "run.limit", "20"),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn settings_on_both_sides_of_the_verb_all_count() {
        let words = "batchscribe --set a=1 --yes --set=b=2 run --set c=3 in --limit 4 -- --set";
        let gathered = gathered(words.split(' ').map(OsString::from));
        let expected = "batchscribe --yes run in --limit 4 --set a=1 --set=b=2 --set c=3 -- --set";
        assert_eq!(gathered, expected.split(' ').map(OsString::from).collect::<Vec<_>>());
        let cli = Cli::try_parse_from(&gathered[..gathered.len() - 2]).expect("parses");
        let keys: Vec<&str> = cli.global.set.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "b", "c"]);
        let half = super::gathered(["batchscribe", "--set"].map(OsString::from));
        assert!(Cli::try_parse_from(half).is_err());
    }

    #[test]
    fn colours_are_known_before_the_line_is_parsed() {
        let of = |line: &str| color_of(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("batchscribe --color never --help"), Color::Never);
        assert_eq!(of("batchscribe run --help --color=never"), Color::Never);
        assert_eq!(of("batchscribe run --color=always --nonsense"), Color::Always);
        for line in ["batchscribe --help", "batchscribe run -- --color never", "batchscribe --color", "b --color=odd"] {
            assert_eq!(of(line), Color::Auto, "{line}");
        }
    }

    #[test]
    fn global_flags_stand_on_either_side_of_the_verb() {
        for line in [["batchscribe", "--json", "audit"], ["batchscribe", "audit", "--json"]] {
            assert!(Cli::try_parse_from(line).expect("parses").global.json);
        }
    }
}
