//! A body and where it goes: through the client of the program, into a file, into nothing.

#![allow(dead_code, reason = "each bench uses its part")]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use batchscribe::corpus::Corpus;
use batchscribe::corpus::local::{LocalCorpus, LocalOptions, TextsLocation};
use batchscribe::domain::ids::{ImageId, RecipeId, ShardId, Tag};
use batchscribe::domain::image::{Format, Pages, RelPath};
use batchscribe::domain::recipe::{AnswerFormat, IdStyle, Kind, Parameters, Preparation, Recipe};
use batchscribe::domain::shard::{Plan, PlanLine, ShardFacts, ShardState};
use batchscribe::encode::body::{self, Lane, Makings};
use batchscribe::encode::line::Framer;
use batchscribe::kit::atomic_file::Mark;
use batchscribe::kit::base64::CHUNK_OUT;
use batchscribe::kit::bodies::LANE_CHUNKS;
use batchscribe::provider::http::Options;
use batchscribe::provider::openai::OpenAi;
use batchscribe::provider::{Provider as _, UploadBody};
use bytes::Bytes;
use tokio::sync::mpsc;

/// What bodies are made with.
pub(crate) fn makings(hash_images: bool) -> Makings {
    Makings::new(hash_images, 1)
}

/// Where the bytes of an upload come from.
pub(crate) enum Source {
    /// A file that was made before.
    File(PathBuf),
    /// The body itself; whether each image is hashed.
    Body(Arc<Plan>, Arc<dyn Corpus>, bool),
}

/// Sends `length` bytes through the client of the program; the source runs on a thread of its own, as it does there.
pub(crate) fn push(base_url: &str, source: Source, length: u64) {
    let options = Options {
        base_url: base_url.to_owned(),
        key: None,
        key_header: "Authorization: Bearer".into(),
        organization: None,
        project: None,
        stall_timeout: Duration::from_secs(60),
        user_agent: "bench".into(),
    };
    let (mut lane, receiver) = mpsc::channel(LANE_CHUNKS);
    let maker = std::thread::spawn(move || match source {
        Source::Body(plan, corpus, hash) => {
            body::run(&plan, &*corpus, &makings(hash), &mut lane).expect("a body");
        }
        Source::File(path) => {
            let mut file = std::fs::File::open(path).expect("file");
            loop {
                let mut chunk = vec![0; CHUNK_OUT];
                let read = file.read(&mut chunk).expect("read");
                chunk.truncate(read);
                if read == 0 || !lane.push(Bytes::from(chunk)) {
                    return;
                }
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let provider = OpenAi::new(&options).expect("client");
        provider.upload_file("bench.jsonl", UploadBody { length, lane: receiver }).await.expect("uploaded");
    });
    maker.join().expect("the maker ends");
}

/// Drops a body.
pub(crate) struct Nothing;

impl Lane for Nothing {
    fn push(&mut self, chunk: Bytes) -> bool {
        !chunk.is_empty()
    }
}

/// Writes a body to a file.
pub(crate) struct File(pub(crate) std::fs::File);

impl Lane for File {
    fn push(&mut self, chunk: Bytes) -> bool {
        self.0.write_all(&chunk).is_ok()
    }
}

/// The images below `root`.
pub(crate) fn corpus(root: &Path) -> LocalCorpus {
    let options = LocalOptions {
        valid_endings: vec![".png".into()],
        excluded_folders: Vec::new(),
        max_image_bytes: u64::MAX,
        max_pixels: u64::MAX,
        preparation: Preparation::default(),
        pages: Pages::Each,
        texts: TextsLocation::Beside,
        mark: Mark::new(root).expect("randomness"),
        arrivals: None,
    };
    LocalCorpus::new(root.to_path_buf(), options)
}

/// A plan of the first `images` images that `support::corpus` made.
pub(crate) fn plan(corpus: &dyn Corpus, images: usize) -> Plan {
    let parameters = Parameters {
        preparation: None,
        system: None,
        detail: "high".into(),
        max_output_tokens: Some(4000),
        reasoning_effort: None,
        temperature: None,
        answer_format: AnswerFormat::Text,
    };
    let recipe = Recipe {
        id: None,
        kind: Kind::Read,
        id_style: IdStyle::Path,
        step: 1,
        model: "bench".into(),
        endpoint: "/v1/chat/completions".into(),
        prompt: "Transcribe this page.".into(),
        parameters,
    };
    let framer = Framer::new(&recipe, b"in").expect("JSON");
    let line = |n: usize| {
        let path = RelPath {
            folder: format!("tray_{:04}", n / 250).into_bytes(),
            name: format!("page{n:06}.png").into_bytes(),
            page: 1,
        };
        let stamp = corpus.measure(&path).expect("an image").stamp;
        let bytes = framer.frame(&path, Format::Png).line_bytes(stamp.bytes);
        PlanLine {
            image: ImageId(n as i64),
            pos: n as u32 + 1,
            bytes,
            path,
            stamp,
            format: Format::Png,
            prepared: None,
            attempt: 1,
            rough: None,
        }
    };
    let lines: Vec<PlanLine> = (0..images).map(line).collect();
    let shard = ShardFacts {
        id: ShardId(1),
        tag: Tag("bench".into()),
        run: Tag("bench".into()),
        state: ShardState::Sealed,
        lines: images as u32,
        bytes: lines.iter().map(|line| line.bytes).sum(),
        est_tokens: 1,
        worst: None,
        recipe: RecipeId(1),
        endpoint: "/v1/chat/completions".into(),
        input: None,
        body_hash: None,
        not_before: 0,
        next_attempt: 1,
    };
    Plan { shard, recipe, given: b"in".to_vec(), root: Vec::new(), lines }
}
