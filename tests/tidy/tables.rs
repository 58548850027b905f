//! What the house allows. A row that has to change is a decision; say why in the commit.

/// Rooms, and the rooms that each may import. Arrows point down only.
pub(crate) const IMPORTS: [(&str, &[&str]); 21] = [
    ("main", &["cli"]),
    ("cli", &["bench", "serve", "web", "settings", "ops", "pipeline", "emulator", "ledger", "kit", "domain"]),
    // It measures the stages by themselves, and so knows them as the pipeline does; nobody but the command line knows it.
    ("bench", &["pipeline", "settings", "encode", "extract", "clean", "ledger", "provider", "corpus", "kit", "domain"]),
    // Pages and their API over what the verbs know and do.
    ("web", &["settings", "ops", "ledger", "corpus", "encode", "kit", "domain"]),
    // It shows what the pipeline and the ledger tell, and changes neither.
    ("serve", &["pipeline", "ledger", "kit", "domain"]),
    ("ops", &["settings", "ledger", "provider", "corpus", "kit", "domain"]),
    (
        "pipeline",
        &[
            "settings", "scan", "encode", "upload", "poll", "extract", "clean", "message", "ledger", "provider",
            "corpus", "kit", "domain",
        ],
    ),
    ("scan", &["corpus", "ledger", "message", "kit", "domain"]),
    ("encode", &["corpus", "ledger", "message", "kit", "domain"]),
    ("upload", &["provider", "ledger", "message", "kit", "domain"]),
    ("poll", &["provider", "ledger", "message", "kit", "domain"]),
    ("extract", &["provider", "ledger", "message", "kit", "domain"]),
    ("clean", &["provider", "corpus", "ledger", "message", "kit", "domain"]),
    ("emulator", &["kit", "domain"]),
    ("settings", &["kit", "domain"]),
    ("ledger", &["kit", "domain"]),
    ("provider", &["kit", "domain"]),
    ("corpus", &["kit", "domain"]),
    ("message", &["kit", "domain"]),
    ("kit", &["domain"]),
    ("domain", &[]),
];

/// Single files that may import more than their room: the file, the room it may import, why.
pub(crate) const EXCEPTIONS: [(&str, &str, &str); 3] = [
    ("emulator/direct.rs", "provider", "it is the provider trait, straight on the emulator's core"),
    ("ops/plan.rs", "encode", "an image is too large for a plan where it is too large for a run"),
    ("ops/report/picture.rs", "encode", "a page is shown as it would be sent"),
];

/// Guest packages, and where below `src/` each is at home: files, or folders with a trailing slash.
pub(crate) const GUESTS: [(&str, &[&str]); 30] = [
    (
        "actix",
        &[
            SCANNER,
            ENCODER,
            UPLOADER,
            POLLER,
            EXTRACTOR,
            CLEANER,
            "message.rs",
            "kit/edge.rs",
            "pipeline/",
            "emulator/server.rs",
        ],
    ),
    ("actix_web", &["emulator/", "serve/", "web/", "kit/http_thread.rs"]),
    (
        "tokio",
        &[
            SCANNER,
            ENCODER,
            UPLOADER,
            POLLER,
            EXTRACTOR,
            CLEANER,
            "kit/",
            "pipeline/",
            "ledger/",
            "provider/",
            "corpus/",
            "emulator/",
            "serve/",
            // What it measures is spoken to through these lanes.
            "bench/front.rs",
            "bench/whole.rs",
            "encode/body.rs",
            "encode/bodies.rs",
            // Wakes the Encoder when prepared files have gone.
            "encode/prepared.rs",
            "encode/spool.rs",
            "extract/fetch.rs",
            "upload/admit.rs",
            "upload/afford.rs",
            "upload/canary.rs",
            "upload/resolve.rs",
            "upload/send.rs",
            // Signals, the timer of max_duration, and the watch that progress comes through.
            "cli/attend.rs",
            "cli/signals.rs",
            "cli/work.rs",
            "cli/commands/serve/",
        ],
    ),
    // The engine that asks another server is a client of its own: what it sends is none of the pipeline's affair.
    ("reqwest", &["provider/http.rs", "provider/http/", "emulator/engine/upstream.rs"]),
    ("rustls", &["main.rs", "provider/http.rs", "provider/http/reach.rs", "emulator/engine/upstream.rs"]),
    // What the client itself asks which proxy is on the way.
    ("hyper_util", &["provider/http/reach.rs"]),
    ("rusqlite", &["ledger/"]),
    ("rayon", &["kit/pool.rs"]),
    (
        "crossbeam_channel",
        &["encode/body.rs", "encode/spool.rs", "extract/write.rs", "emulator/server.rs", "emulator/engine/upstream.rs"],
    ),
    // The emulator decodes with an engine of its own, so that a mistake cannot hide on both sides.
    ("base64", &["kit/base64.rs", "emulator/engine/request.rs"]),
    // What no decoder of the image package reads, and what it writes no better.
    ("hayro_jpeg2000", &["encode/prepare/"]),
    ("hayro_ccitt", &["encode/prepare/"]),
    ("zune_jpeg", &["encode/prepare/"]),
    ("weezl", &["encode/prepare/"]),
    ("moxcms", &["encode/prepare/"]),
    ("fast_image_resize", &["encode/prepare/"]),
    ("blake3", &["kit/hash.rs"]),
    ("xxhash_rust", &["kit/hash.rs"]),
    ("ring", &["kit/hash.rs"]),
    ("getrandom", &["kit/random.rs"]),
    ("secrecy", &["settings/", "provider/http.rs", "pipeline/", "cli/", "ops/doctor.rs"]),
    ("toml", &["settings/", "emulator/"]),
    ("clap", &["cli/"]),
    ("csv", &["ops/report/", "ops/export/"]),
    ("parquet", &["ops/export/columns.rs"]),
    ("zip", &["ops/export/archive.rs", "ops/bundle.rs"]),
    ("minijinja", &["ops/report/", "web/page.rs"]),
    ("console", &["cli/"]),
    ("tracing_subscriber", &["main.rs", "cli/"]),
    ("rten", &["emulator/"]),
];

const SCANNER: &str = "scan/scanner.rs";
const ENCODER: &str = "encode/encoder.rs";
const UPLOADER: &str = "upload/uploader.rs";
const POLLER: &str = "poll/poller.rs";
const EXTRACTOR: &str = "extract/extractor.rs";
const CLEANER: &str = "clean/cleaner.rs";

/// Statics, which are globals: file and name.
pub(crate) const STATICS: [(&str, &str); 13] = [
    ("kit/clock.rs", "HASTE"),
    ("kit/crash.rs", "ORDER"),
    ("kit/crash.rs", "VISITS"),
    // A thread's own, and set by whoever simulates on that thread: randomness has no handle to be handed in by.
    ("kit/random.rs", "SEEDED"),
    // A thread's own, and nobody can tell whether they are there: what was found out last of a prompt, and room to deflate in.
    ("clean/asked.rs", "LAST"),
    ("clean/repetition.rs", "DEFLATER"),
    // Constant tables and the weights, which are data of the program.
    ("clean/letters.rs", "ALPHABETIC"),
    ("clean/letters.rs", "ALPHANUMERIC"),
    ("ops/explain.rs", "PAGES"),
    ("settings/limits.rs", "KEYS"),
    ("emulator/engine/ocr/weights.rs", "DETECTOR"),
    ("emulator/engine/ocr/weights.rs", "RECOGNISER"),
    ("emulator/engine/ocr/weights.rs", "ALPHABET"),
];

/// What production code does not say, and what it says instead.
pub(crate) const BANNED: [(&str, &str); 7] = [
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "use tracing"),
    (".unwrap()", "return the error; where it cannot fail, `unwrap_or…` with the reason"),
    ("#[allow(", "#[expect(…, reason = \"…\")], which reports when it is no longer needed"),
    ("#![allow(", "#![expect(…, reason = \"…\")], which reports when it is no longer needed"),
    ("thread_local!", "hand the value in"),
];

/// Where a banned word stands all the same.
pub(crate) const ALLOWED: [(&str, &str); 3] = [
    // The system's randomness has no handle; a simulation replaces it for its own thread and nobody else's.
    ("kit/random.rs", "thread_local!"),
    // Remembered for the next answer of the same batch, which any thread of the pool may judge.
    ("clean/asked.rs", "thread_local!"),
    ("clean/repetition.rs", "thread_local!"),
];

/// The questions that each room's first page answers.
pub(crate) const QUESTIONS: [&str; 6] = ["Job", "In", "Out", "Owns", "Bound", "If it crashes here"];

/// Lines of the longest file, tests apart.
pub(crate) const FILE_LINES: usize = 400;
/// Lines of the longest function.
pub(crate) const FUNCTION_LINES: usize = 60;
/// Lines of the longest handler of an actor; handlers keep books, others decide.
pub(crate) const HANDLER_LINES: usize = 40;
/// Share of lines that are documentation, in percent.
pub(crate) const DOC_PERCENT: std::ops::RangeInclusive<f64> = 8.0..=30.0;
/// `expect` in 1,000 production lines.
pub(crate) const EXPECTS: f64 = 3.0;
