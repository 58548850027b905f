//! P10 to P13: many images, small ones: nothing but names and facts is at work.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use batchscribe::bench::figures::Spread;

use crate::cases::stand_on;
use crate::rows::Row;
use crate::scene::{PROGRAM, Scene, clean, ratios, seen, spread};
use crate::support;
use crate::verdict::Target;

/// How long the first body is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// P10: `find` prints what a scan has to know. A scan whose ledger knows every file asks for the same; the first one, beside
/// it, reads the first bytes of each file, too.
pub(crate) fn scan(scene: &Scene) -> Vec<Row> {
    let root = small(scene, scene.sizes.scan);
    let find = format!("find {} -type f -printf '%s %T@ %p\\n' > /dev/null", root.display());
    let words = root.display().to_string();
    let walk = |known: &str| {
        let told = scene.case("walk", &[&words, known]);
        assert_eq!(told.items as usize, scene.sizes.scan, "every file was found");
        vec![told.cpu_s]
    };
    let measured = scene.turns([
        &mut || vec![seen(Command::new("sh").args(["-c", &find])).expect("find").cpu_s],
        &mut || walk("known"),
        &mut || walk("strange"),
    ]);
    let [find, again, first] = measured.as_slice() else { return Vec::new() };
    let each = |rounds| spread(rounds, 0).map_or(f64::NAN, |cpu| cpu.median * 1e6 / scene.sizes.scan as f64);
    let note = format!(
        "CPU of a file: find {:.2} µs, scan {:.2} µs, first scan, which reads the first bytes, {:.2} µs",
        each(find),
        each(again),
        each(first)
    );
    let what = "scan with size and time, files known: CPU ÷ find -printf";
    vec![Row::new("P10", what, "", Target::at_most(1.3, 0.8), ratios(again, find, 0)).noted(note)]
}

/// P11 and P13: a large corpus is walked into the ledger of a workspace, then the verb `upload` begins on it.
pub(crate) fn large(scene: &Scene) -> Vec<Row> {
    let (root, sink) = (many(scene), scene.sink());
    let mut enrolled = Vec::new();
    let mut opened = Vec::new();
    for round in 0..=scene.rounds {
        let ground = stand_on(&scene.emptied("large"), &root);
        let watch = Watch::before(sink);
        let told = scene.case("enrol", &[&ground.display().to_string(), &watch.base_url]);
        assert_eq!(told.items as usize, scene.sizes.many, "every image was enrolled");
        let first = first_body(&ground, &root, &watch);
        if round > 0 {
            enrolled.push(vec![told.cpu_s, told.peak_bytes / 1e6]);
            opened.push(first);
        }
    }
    let first: Option<Vec<f64>> = opened.into_iter().collect();
    vec![
        Row::new(
            "P11",
            "scan and enrol of the large corpus: CPU",
            "s",
            Target::at_most(10.0, 6.0),
            spread(&enrolled, 0),
        ),
        Row::new("P11", "its peak memory", "MB", Target::at_most(96.0, 64.0), spread(&enrolled, 1)),
        Row::new(
            "P13",
            "resume of the large ledger until the first body opens",
            "s",
            Target::at_most(2.0, 0.7),
            first.and_then(Spread::of),
        )
        .noted(status(scene, &root)),
    ]
}

/// P12, and what an image costs in a small and in a large ledger.
pub(crate) fn commits(scene: &Scene) -> Vec<Row> {
    let run = |images: usize, counted: usize| {
        let folder = scene.emptied("commits").display().to_string();
        let told = scene.case("commits", &[&folder, &images.to_string(), &counted.to_string()]);
        vec![told.items / told.wall_s, told.cpu_s / told.items * 1e6, told.second_cpu_s / counted as f64 * 1e6]
    };
    let (few, many) = (scene.sizes.many / 100, scene.sizes.many);
    let measured = scene.turns([&mut || run(many / 10, many / 10), &mut || run(few, few), &mut || run(many, few)]);
    let [usual, small, large] = measured.as_slice() else { return Vec::new() };
    let note = |at| {
        let each = |rounds| spread(rounds, at).map_or(f64::NAN, |cpu| cpu.median);
        format!(
            "CPU of an image: {:.2} µs among the first {few}, {:.2} µs as one of the last of {many}",
            each(small),
            each(large)
        )
    };
    // The depth of the trees of a ledger grows with it, a little.
    let target = Target::at_most(1.5, 1.1);
    vec![
        Row::new(
            "P12",
            "durable commits of shards of 400 images",
            "images/s",
            Target::at_least(20_000.0, 50_000.0),
            spread(usual, 0),
        ),
        Row::new("P12", "CPU of sealing an image, large ÷ small ledger", "", target, ratios(large, small, 1))
            .noted(note(1)),
        Row::new("P12", "CPU of enrolling an image, large ÷ small ledger", "", target, ratios(large, small, 2))
            .noted(note(2)),
    ]
}

/// What `status` takes on a ledger of so many images, each of which has its text.
fn status(scene: &Scene, root: &Path) -> String {
    let ground = stand_on(&scene.emptied("large"), root);
    let workspace = ground.join("scratch");
    std::fs::create_dir_all(workspace.join("batch")).expect("folder");
    seen(Command::new(PROGRAM).args(["bench", "--stage", "ledger", "--inside"]).arg(&ground)).expect("a ledger");
    std::fs::rename(workspace.join("ledger.sqlite"), workspace.join("batch/ledger.sqlite")).expect("another place");
    let look = || {
        let mut command = Command::new(PROGRAM);
        let output = clean(command.args(["status", "--no-config", "--json", "--workspace"]).arg(&workspace)).output();
        let told: serde_json::Value = serde_json::from_slice(&output.expect("it starts").stdout).expect("a document");
        assert_eq!(told["images"]["done"], scene.sizes.many, "every image has its text");
        let told = seen(&mut command).expect("a screen");
        vec![told.wall_s, told.cpu_s]
    };
    let measured = scene.turns([&mut { look }]);
    let figure = |at| measured.first().and_then(|rounds| spread(rounds, at)).map_or(f64::NAN, |figure| figure.median);
    format!("status when all {} are done: {:.3} s, CPU {:.3} s", scene.sizes.many, figure(0), figure(1))
}

/// As many images of a few hundred bytes.
fn small(scene: &Scene, count: usize) -> PathBuf {
    let root = scene.at(&format!("small-{count}"));
    if !root.is_dir() {
        support::corpus(&root, count, 0);
    }
    root
}

/// The large corpus: each of the small images under several names, since a million files are a heavy thing to make.
fn many(scene: &Scene) -> PathBuf {
    let (from, root) = (small(scene, scene.sizes.scan), scene.at("many"));
    if root.is_dir() {
        return root;
    }
    for number in 0..scene.sizes.many {
        let image = number % scene.sizes.scan;
        let target = root.join(format!("box_{:04}/page{number:07}.png", number / 250));
        if number % 250 == 0 {
            std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
        }
        let source = from.join(format!("tray_{:04}/page{image:06}.png", image / 250));
        std::fs::hard_link(source, target).expect("link");
    }
    root
}

/// Seconds from the start of the program to the head of its first upload; it is ended then. None if none comes.
fn first_body(ground: &Path, root: &Path, watch: &Watch) -> Option<f64> {
    let begun = Instant::now();
    let mut command = Command::new(PROGRAM);
    command.args(["upload", "--no-config", "--yes", "--workspace"]).arg(ground.join("scratch")).arg(root);
    for set in [
        "provider.name=openai".to_owned(),
        format!("api_url={}/chat/completions", watch.base_url),
        "run.canary=off".to_owned(),
    ] {
        command.args(["--set", &set]);
    }
    // As the case before it was called, so that the recipe and the folder are the same.
    command.args(["--set", &format!("text.out_dir={}", ground.join("scratch/texts").display())]);
    let mut child = clean(&mut command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let first = watch.heard.recv_timeout(PATIENCE).ok().map(|at| (at - begun).as_secs_f64());
    drop(child.kill());
    drop(child.wait());
    first
}

/// Stands in front of a server, hands everything through, and tells when the first upload comes by.
struct Watch {
    base_url: String,
    /// Tells when.
    heard: mpsc::Receiver<Instant>,
}

impl Watch {
    fn before(server: &str) -> Self {
        let behind = server.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (tell, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (behind, tell) = (behind.clone(), tell.clone());
                std::thread::spawn(move || through(client, &behind, &tell));
            }
        });
        Self { base_url: format!("http://{address}/v1"), heard }
    }
}

fn through(mut client: TcpStream, behind: &str, tell: &mpsc::Sender<Instant>) {
    let Ok(mut server) = TcpStream::connect(behind) else { return };
    let (mut back, mut to) = (server.try_clone().expect("handle"), client.try_clone().expect("handle"));
    std::thread::spawn(move || {
        drop(std::io::copy(&mut back, &mut to));
        drop(to.shutdown(Shutdown::Both));
    });
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = client.read(&mut chunk) {
        if chunk[..read].starts_with(b"POST /v1/files ") {
            let _nobody_may_listen_any_more = tell.send(Instant::now());
        }
        if server.write_all(&chunk[..read]).is_err() {
            return;
        }
    }
    drop(server.shutdown(Shutdown::Both));
}
