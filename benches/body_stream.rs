//! A shard's body, made while it is sent, against pushing the ready-made JSONL file through the same client into the same
//! sink, in turns; beside them the body into nothing. The sink drops bytes on a loopback socket.
//!
//! `cargo bench --bench body_stream -- --images 300 --bytes 300000 --rounds 5`

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints its table")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use batchscribe::corpus::Corpus;
use batchscribe::encode::body;
use support::bodies::{File, Nothing, Source, corpus, makings, plan, push};

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

fn measured(work: impl FnOnce()) -> (f64, f64) {
    let (cpu, begun) = (support::cpu(), Instant::now());
    work();
    (support::seconds(begun.elapsed()), support::cpu() - cpu)
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
