//! P14 to P16: result lines into files, and waiting.

use std::path::PathBuf;
use std::process::Command;

use batchscribe::bench::figures::{Sample, Spread};
use batchscribe::bench::ground::Ground;
use batchscribe::bench::pages;

use crate::cases::stand_on;
use crate::rows::Row;
use crate::scene::{PROGRAM, Scene, clean, ratios, seen, spread};
use crate::servers::Server;
use crate::support;
use crate::verdict::Target;

/// Batches that are looked at.
const BATCHES: &str = "250";
/// Times that their list is read in one measurement.
const TIMES: &str = "200";
/// How long a waiting run is watched, in seconds.
const WATCHED: &str = "20";

/// P14 and P15: lines read, judged and written by the program; read and written as the origin does; merely written.
pub(crate) fn lines(scene: &Scene) -> Vec<Row> {
    let ground = answers(scene);
    let results = ground.results();
    let ours = || {
        ground.clear().expect("room");
        let before = support::children_cpu();
        let begun = std::time::Instant::now();
        let mut command = Command::new(PROGRAM);
        let output = clean(command.args(["bench", "--stage", "write", "--inside"]).arg(&ground.folder))
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let sample: Sample = serde_json::from_slice(&output.stdout).expect("figures");
        assert_eq!(sample.items as usize, scene.sizes.lines, "every line was written");
        vec![
            support::children_cpu() - before,
            support::seconds(begun.elapsed()),
            sample.peak_bytes.unwrap_or(0) as f64 / 1e6,
        ]
    };
    let origin = || {
        let out = scene.fresh("answers/origin");
        let mut command = Command::new("python3");
        let told =
            seen(command.arg(script("extract.py")).arg(&results).arg(&out)).map(|told| vec![told.cpu_s, told.wall_s]);
        told.unwrap_or_default()
    };
    let merely = || {
        let out = scene.fresh("answers/merely");
        let told = scene.case("files", &[&results.display().to_string(), &out.display().to_string()]);
        vec![told.cpu_s]
    };
    let measured = scene.turns([&mut { origin }, &mut { ours }, &mut { merely }]);
    let [origin, ours, merely] = measured.as_slice() else { return Vec::new() };
    let rows = [
        ("result lines into JSON and text: origin's CPU ÷ ours", Target::at_least(2.2, 4.0)),
        ("the same: origin's wall ÷ ours", Target::at_least(1.5, 3.5)),
    ];
    let mut told: Vec<Row> = rows
        .into_iter()
        .enumerate()
        .map(|(at, (what, target))| Row::new("P14", what, "", target, ratios(origin, ours, at)))
        .collect();
    told.push(Row::new("P14", "peak memory", "MB", Target::at_most(48.0, 24.0), spread(ours, 2)));
    let per_line =
        |rounds: &[Vec<f64>]| spread(rounds, 0).map_or(f64::NAN, |cpu| cpu.median * 1e6 / scene.sizes.lines as f64);
    let absolute = [origin, ours, merely].map(|rounds| per_line(rounds));
    let note = format!(
        "CPU of a line: origin {:.0} µs, ours {:.0} µs, merely the files {:.0} µs",
        absolute[0], absolute[1], absolute[2]
    );
    let whole = ours.iter().zip(merely).map(|(ours, merely)| ours[0] / merely[0]);
    told.push(
        Row::new(
            "P15",
            "CPU ÷ merely making the same files the same way",
            "",
            Target::at_most(1.9, 1.3),
            Spread::of(whole),
        )
        .noted(note),
    );
    told
}

/// P16: one look at the list, and a run that waits.
pub(crate) fn waiting(scene: &Scene) -> Vec<Row> {
    // One of its own: others left open batches at the sink that everybody uses.
    let server = Server::sink();
    let measured = scene.turns([&mut || {
        let told = scene.case("polls", &[&server.base_url, BATCHES, TIMES]);
        let looks = TIMES.parse::<f64>().expect("a number");
        vec![told.second_cpu_s / looks * 1e6, told.cpu_s / looks / 60.0 * 100.0]
    }]);
    let figure = |at| measured.first().and_then(|rounds| spread(rounds, at));
    let idle = || {
        let ground = stand_on(&scene.fresh("idle"), &scene.images(scene.sizes.runs[0]));
        let told = scene.case("idle", &[&ground.display().to_string(), scene.sink(), WATCHED]);
        told.cpu_s / told.wall_s * 100.0
    };
    let idle = Spread::of((0..scene.rounds.min(3)).map(|_| idle()));
    vec![
        Row::new("P16", "one look at one batch: CPU", "µs", Target::at_most(200.0, 80.0), figure(0)),
        Row::new(
            "P16",
            "250 open batches looked at each minute: part of a core",
            "%",
            Target::at_most(0.2, 0.08),
            figure(1),
        ),
        Row::new("P16", "a run that waits for its batches: part of a core", "%", Target::at_most(0.2, 0.08), idle),
    ]
}

/// A result file of as many lines, without images.
fn answers(scene: &Scene) -> Ground {
    let ground = Ground { folder: scene.fresh("answers"), server: None };
    std::fs::create_dir_all(ground.images()).expect("folder");
    pages::results(&ground.results(), scene.sizes.lines as u64, 1).expect("written");
    ground
}

/// A script that works as the origin does.
pub(crate) fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/origin").join(name)
}
