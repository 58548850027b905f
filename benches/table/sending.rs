//! P1 to P3, P7 to P9, P17 and P18: from images to a socket.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;

use batchscribe::bench::figures::Spread;
use batchscribe::encode::body;

use crate::cases::stand_on;
use crate::rows::Row;
use crate::scene::{PROGRAM, Scene, Told, ratios, seen, spread};
use crate::support::bodies::{File, corpus, makings, plan};
use crate::verdict::Target;

/// Bodies sent one after the other in one measurement.
const TIMES: &str = "3";

/// P1, P2, P3, P9.
pub(crate) fn pushes(scene: &Scene) -> Vec<Row> {
    let (images, sink) = (scene.images(scene.sizes.body), scene.sink());
    let ready = scene.at("ready.jsonl");
    let from = corpus(&images);
    let plan = plan(&from, scene.sizes.body);
    let mut file = File(std::fs::File::create(&ready).expect("file"));
    body::run(&plan, &from, &makings(false), &mut file).expect("a body");
    let (ready, images) = (ready.display().to_string(), images.display().to_string());
    let count = scene.sizes.body.to_string();
    let per_gb = |told: &Told| told.cpu_s / (told.bytes / 1e9);
    let figures = |told: Told| vec![told.bytes / told.wall_s, per_gb(&told), told.second_cpu_s / told.cpu_s];
    let secure = &scene.secure().base_url;
    let measured = scene.turns([
        &mut || figures(scene.case("push-ready", &[&ready, sink, TIMES])),
        &mut || figures(scene.case("push-body", &[&images, &count, sink, TIMES])),
        &mut || figures(scene.case("memcpy", &[])),
        &mut || figures(scene.secure_case("push-ready", &[&ready, secure, TIMES])),
        &mut || figures(scene.secure_case("push-body", &[&images, &count, secure, TIMES])),
    ]);
    let [pushed, body, copied, secure_pushed, secure_body] = measured.as_slice() else { return Vec::new() };
    let absolute = |rounds, at| spread(rounds, at).map_or(f64::NAN, |figure| figure.median);
    let note = |body, pushed| {
        format!(
            "body {:.0} MB/s, {:.2} CPU s/GB; ready file {:.0} MB/s, {:.2} CPU s/GB; memory {:.3} CPU s/GB",
            absolute(body, 0) / 1e6,
            absolute(body, 1),
            absolute(pushed, 0) / 1e6,
            absolute(pushed, 1),
            absolute(copied, 1)
        )
    };
    let of_push = |pushed| {
        let ratio = ratios(pushed, copied, 1).map_or(f64::NAN, |figure| figure.median);
        format!("pushing the ready JSONL, of which nothing has to be made: {ratio:.1}")
    };
    let row = |id, what, target, figure| Row::new(id, what, "", target, figure);
    vec![
        row(
            "P1",
            "upload rate ÷ pushing the ready JSONL, hot cache",
            Target::at_least(0.75, 1.0),
            ratios(body, pushed, 0),
        )
        .noted(note(body, pushed)),
        row("P2", "its CPU ÷ CPU of that push, plain", Target::at_most(1.6, 1.15), ratios(body, pushed, 1)),
        row("P2", "its CPU ÷ CPU of that push, TLS", Target::at_most(1.4, 1.05), ratios(secure_body, secure_pushed, 1))
            .noted(note(secure_body, secure_pushed)),
        row(
            "P3",
            "CPU of a GB out ÷ CPU of copying a GB in memory",
            Target::at_most(6.0, 4.0),
            ratios(body, copied, 1),
        )
        .noted(of_push(pushed)),
        row("P3", "the same with TLS", Target::at_most(9.0, 6.5), ratios(secure_body, copied, 1))
            .noted(of_push(secure_pushed)),
        row("P9", "CPU of a body opened again ÷ first time", Target::at_most(1.1, 1.0), spread(body, 2)),
    ]
}

/// P7 and P8: the whole verb `upload`, with scan and ledger.
pub(crate) fn runs(scene: &Scene) -> Vec<Row> {
    let sink = scene.sink();
    let run = |count: usize| {
        let ground = stand_on(&scene.emptied("upload"), &scene.images(count));
        let told = scene.case("upload-run", &[&ground.display().to_string(), sink]);
        assert_eq!(told.items as usize, count, "every image was found");
        vec![told.peak_bytes / 1e6, told.disk_bytes / told.bytes * 100.0]
    };
    let [few, many] = scene.sizes.runs;
    let measured = scene.turns([&mut || run(few), &mut || run(many)]);
    let [small, large] = measured.as_slice() else { return Vec::new() };
    let growth = small.iter().zip(large).map(|(small, large)| large[0] - small[0]);
    vec![
        Row::new("P7", "peak memory of an upload run", "MB", Target::at_most(64.0, 32.0), spread(large, 0)),
        Row::new(
            "P7",
            "its growth from the small to the large corpus",
            "MB",
            Target::at_most(8.0, 2.0),
            Spread::of(growth),
        ),
        Row::new("P8", "bytes written to disk ÷ bytes uploaded", "%", Target::at_most(1.0, 0.1), spread(large, 1)),
    ]
}

/// P17: what the kernel is called for.
pub(crate) fn calls(scene: &Scene) -> Vec<Row> {
    let (what, target) = ("calls that write to the socket, a GB out", Target::at_most(10_000.0, 4_000.0));
    let missing = |why: &str| vec![Row::missing("P17", what, target, why)];
    if Command::new("strace").arg("-V").output().is_err() {
        return missing("strace is missing");
    }
    let trace = scene.at("calls.txt");
    let ground = stand_on(&scene.fresh("calls"), &scene.images(scene.sizes.body));
    let figures = RefCell::new(Vec::new());
    for _ in 0..scene.rounds {
        std::fs::create_dir_all(ground.join("scratch")).expect("folder");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-c", "-U", "calls,name", "-e", "trace=writev,sendto,sendmsg,sendfile", "-o"]);
        command.arg(&trace).arg(PROGRAM).args(["bench", "--stage", "upload", "--server", scene.sink(), "--inside"]);
        let output = command.arg(&ground).output().expect("it starts");
        if !output.status.success() {
            return missing(&format!("strace failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let sample: serde_json::Value = serde_json::from_slice(&output.stdout).expect("figures");
        let text = std::fs::read_to_string(&trace).expect("a count");
        let calls: f64 = text
            .lines()
            .filter_map(|line| line.split_once(|c: char| c.is_whitespace()).map(|_| line))
            .filter(|line| ["writev", "sendto", "sendmsg", "sendfile"].iter().any(|name| line.ends_with(name)))
            .filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok())
            .sum();
        figures.borrow_mut().push(calls / (sample["bytes"].as_f64().expect("bytes") / 1e9));
    }
    vec![Row::new("P17", what, "", target, Spread::of(figures.into_inner()))]
}

/// P18: files that nobody has read since they were written.
pub(crate) fn cold(scene: &Scene) -> Vec<Row> {
    let (what, target) = ("cold cache, 4 bodies: wall ÷ xargs cat > /dev/null", Target::at_most(1.3, 0.8));
    if !cfg!(target_os = "linux") {
        return vec![Row::missing("P18", what, target, "this system cannot be asked to forget files")];
    }
    let images = scene.images(scene.sizes.origin);
    let ground = stand_on(&scene.fresh("cold"), &images);
    std::fs::create_dir_all(ground.join("scratch")).expect("folder");
    let script = format!("find {} -type f -print0 | xargs -0 cat > /dev/null", images.display());
    let cat = || {
        forget(&images);
        vec![seen(Command::new("sh").args(["-c", &script])).expect("find and cat").wall_s]
    };
    let upload = || {
        forget(&images);
        let mut command = Command::new(PROGRAM);
        command.args(["bench", "--stage", "upload", "--server", scene.sink(), "--inside"]).arg(&ground);
        vec![seen(&mut command).expect("an upload").wall_s]
    };
    let measured = scene.turns([&mut { cat }, &mut { upload }]);
    let [cat, upload] = measured.as_slice() else { return Vec::new() };
    vec![Row::new("P18", what, "", target, ratios(upload, cat, 0))]
}

/// Asks the kernel to forget the pages of every file; names and inodes it keeps.
fn forget(root: &Path) {
    let mut folders: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("list").flatten() {
            if entry.file_type().expect("a kind").is_dir() {
                folders.push(entry.path());
                continue;
            }
            let file = std::fs::File::open(entry.path()).expect("file");
            // Only what is on disk can be forgotten.
            file.sync_all().expect("synced");
            #[cfg(target_os = "linux")]
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("a hint");
        }
    }
}
