//! A shard's body, made while it is sent, against pushing the ready-made JSONL file through the same client into the same
//! sink, in turns; beside them the body into nothing. The sink drops bytes on a loopback socket.
//!
//! `cargo bench --bench body_stream -- --images 300 --bytes 300000 --rounds 5`

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints its table")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use batchscribe::corpus::Corpus;
use batchscribe::corpus::local::{LocalCorpus, LocalOptions, Pages, TextsLocation};
use batchscribe::domain::ids::{ImageId, RecipeId, ShardId, Tag};
use batchscribe::domain::image::{Format, RelPath};
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

fn main() {
    let (images, bytes, rounds) =
        (support::argument("images", 300), support::argument("bytes", 300_000), support::argument("rounds", 5));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
    support::corpus(&folder.path().join("in"), images, bytes);
    let corpus: Arc<dyn Corpus> = Arc::new(corpus(&folder.path().join("in")));
    let plan = Arc::new(plan(&*corpus, images));
    let ready = folder.path().join("ready.jsonl");
    let mut file = File(std::fs::File::create(&ready).expect("file"));
    body::run(&plan, &*corpus, &makings(false), &mut file).expect("a body");
    let sink = sink();
    let gb = plan.shard.bytes as f64 / 1e9;
    println!("{images} images of {bytes} bytes, a body of {:.0} MB, {rounds} rounds in turns", gb * 1e3);

    let mut table: [Vec<(f64, f64)>; 4] = Default::default();
    for _ in 0..=rounds {
        let nothing = || drop(body::run(&plan, &*corpus, &makings(false), &mut Nothing));
        table[0].push(measured(nothing));
        table[1].push(measured(|| push(&sink, Source::File(ready.clone()), plan.shard.bytes)));
        let source = |hash| Source::Body(Arc::clone(&plan), Arc::clone(&corpus), hash);
        table[2].push(measured(|| push(&sink, source(false), plan.shard.bytes)));
        table[3].push(measured(|| push(&sink, source(true), plan.shard.bytes)));
    }
    let names = ["body into nothing", "ready file → client", "body → client", "body → client, images hashed"];
    let mut medians = Vec::new();
    for (name, mut rounds) in names.into_iter().zip(table) {
        // The first round warms the caches up.
        rounds.remove(0);
        let wall = support::median(rounds.iter().map(|round| round.0).collect());
        let cpu = support::median(rounds.iter().map(|round| round.1).collect());
        println!("{name:<30} {:>7.0} MB/s   {:.2} CPU s/GB", gb * 1e3 / wall, cpu / gb);
        medians.push((wall, cpu));
    }
    let ratio = |at: usize| (medians[1].0 / medians[at].0, medians[at].1 / medians[1].1);
    for at in [2, 3] {
        let (rate, cpu) = ratio(at);
        println!("{} ÷ ready file: rate {rate:.2}, CPU {cpu:.2} (sink included in both)", names[at]);
    }
    println!("peak memory {:.0} MB", support::peak_mb());
}

fn makings(hash_images: bool) -> Makings {
    Makings::new(hash_images, 1)
}

fn measured(work: impl FnOnce()) -> (f64, f64) {
    let (cpu, begun) = (support::cpu(), Instant::now());
    work();
    (support::seconds(begun.elapsed()), support::cpu() - cpu)
}

enum Source {
    File(PathBuf),
    Body(Arc<Plan>, Arc<dyn Corpus>, bool),
}

/// Sends `length` bytes through the client of the program; the source runs on a thread of its own, as it does there.
fn push(base_url: &str, source: Source, length: u64) {
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

struct Nothing;

impl Lane for Nothing {
    fn push(&mut self, chunk: Bytes) -> bool {
        !chunk.is_empty()
    }
}

struct File(std::fs::File);

impl Lane for File {
    fn push(&mut self, chunk: Bytes) -> bool {
        self.0.write_all(&chunk).is_ok()
    }
}

/// A server that drops what it is sent, and calls it a file.
fn sink() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    format!("http://{address}/v1")
}

fn serve(stream: TcpStream) {
    let mut reader = BufReader::with_capacity(1 << 18, stream.try_clone().expect("handle"));
    let mut length = 0u64;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).expect("a body");
    let body = r#"{"id":"file-1","object":"file","created_at":1,"filename":"bench.jsonl","status":"processed"}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all((head + body).as_bytes()).expect("answered");
}

fn corpus(root: &Path) -> LocalCorpus {
    let options = LocalOptions {
        valid_endings: vec![".png".into()],
        excluded_folders: Vec::new(),
        max_image_bytes: u64::MAX,
        max_pixels: u64::MAX,
        preparation: Preparation::default(),
        pages: Pages::Each,
        texts: TextsLocation::Beside,
        mark: Mark::new(root).expect("randomness"),
    };
    LocalCorpus::new(root.to_path_buf(), options)
}

fn plan(corpus: &dyn Corpus, images: usize) -> Plan {
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
