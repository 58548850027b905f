//! P4 to P6: the same work as the scripts before this program do it, with the official client.

use std::path::Path;
use std::process::Command;

use batchscribe::bench::figures::Spread;

use crate::answers::script;
use crate::rows::Row;
use crate::scene::{PROGRAM, Scene, Told, ratios, seen, spread};
use crate::servers::Server;
use crate::verdict::Target;

const WHAT: [&str; 2] = ["build and upload: origin's wall ÷ ours", "build and upload: origin's CPU ÷ ours"];
const SECURE: [&str; 2] = ["the same with TLS: origin's wall ÷ ours", "the same with TLS: origin's CPU ÷ ours"];
const CYCLE: [&str; 2] = ["whole cycle: origin's wall ÷ ours", "whole cycle: origin's CPU ÷ ours"];
const UPLOAD_TARGETS: [Target; 2] = [Target::at_least(8.0, 16.0), Target::at_least(7.0, 13.0)];
const SECURE_TARGETS: [Target; 2] = [Target::at_least(4.5, 8.0), Target::at_least(6.0, 9.0)];
const CYCLE_TARGETS: [Target; 2] = [Target::at_least(8.0, 15.0), Target::at_least(6.0, 10.0)];

/// P4 and P5.
pub(crate) fn uploads(scene: &Scene) -> Vec<Row> {
    if let Some(why) = missing() {
        let mut rows = not_measured("P4", WHAT, UPLOAD_TARGETS, &why);
        rows.extend(not_measured("P5", SECURE, SECURE_TARGETS, &why));
        return rows;
    }
    let images = scene.images(scene.sizes.origin);
    let (secure, plain) = (scene.secure(), scene.sink());
    let origin = |url: &str| {
        let out = scene.fresh("origin-work");
        let mut command = Command::new("python3");
        command.arg(script("upload.py")).args([&images, &out]).arg(url);
        command
    };
    let ours = |url: &str| ours("upload", &images, &scene.fresh("our-work"), url);
    let measured = scene.turns([
        &mut || figures(&seen(&mut origin(plain))),
        &mut || figures(&seen(&mut ours(plain))),
        &mut || figures(&seen(secure.trusted_by(&mut origin(&secure.base_url)))),
        &mut || figures(&seen(secure.trusted_by(&mut ours(&secure.base_url)))),
    ]);
    let (plain, secure) = measured.split_at(2);
    let mut rows = compared("P4", WHAT, UPLOAD_TARGETS, plain);
    rows.extend(compared("P5", SECURE, SECURE_TARGETS, secure));
    rows
}

/// P6; each run has a server of its own, which answers by what it saw of each line's beginning.
pub(crate) fn cycles(scene: &Scene) -> Vec<Row> {
    if let Some(why) = missing() {
        return not_measured("P6", CYCLE, CYCLE_TARGETS, &why);
    }
    let images = scene.images(scene.sizes.origin);
    let cycle = |command: &mut Command, texts: &Path, server: &Server| {
        let mut told = figures(&seen(command));
        assert_eq!(files(texts), scene.sizes.origin, "every image has its text");
        told.push(server.cpu() / told[0] * 100.0);
        told
    };
    let origin = || {
        let (out, server) = (scene.fresh("origin-work"), Server::answering());
        let mut command = Command::new("python3");
        cycle(command.arg(script("cycle.py")).args([&images, &out]).arg(&server.base_url), &out.join("texts"), &server)
    };
    let ours = || {
        let (work, server) = (scene.fresh("our-work"), Server::answering());
        let mut command = ours("run", &images, &work, &server.base_url);
        for set in ["batch.poll_interval=50ms", "batch.max_poll_interval=50ms"] {
            command.args(["--set", set]);
        }
        cycle(&mut command, &work.join("texts"), &server)
    };
    let measured = scene.turns([&mut { origin }, &mut { ours }]);
    let mut rows = compared("P6", CYCLE, CYCLE_TARGETS, &measured);
    let [origin, ours] = measured.as_slice() else { return rows };
    let busy = |rounds| spread(rounds, 2).map_or(f64::NAN, |share| share.median);
    if let Some(row) = rows.last_mut() {
        let server = format!("; the server was busy for {:.0} % and {:.0} % of the walls", busy(origin), busy(ours));
        row.note.push_str(&server);
    }
    rows
}

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Why nothing can be measured.
fn missing() -> Option<String> {
    let asked = Command::new("python3").args(["-c", "import openai"]).output();
    match asked {
        Err(_) => Some("python3 is missing".to_owned()),
        Ok(told) if !told.status.success() => Some("python package openai is missing".to_owned()),
        Ok(_) => None,
    }
}

fn ours(verb: &str, images: &Path, work: &Path, url: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args([verb, "--no-config", "--yes", "--workspace"]).arg(work).arg(images);
    let texts = format!("text.out_dir={}", work.join("texts").display());
    for set in ["provider.name=openai", &format!("api_url={url}/chat/completions"), "run.canary=off", &texts] {
        command.args(["--set", set]);
    }
    command
}

fn figures(told: &Result<Told, String>) -> Vec<f64> {
    told.as_ref().map(|told| vec![told.wall_s, told.cpu_s]).unwrap_or_else(|why| panic!("it failed: {why}"))
}

fn compared(id: &'static str, what: [&'static str; 2], targets: [Target; 2], measured: &[Vec<Vec<f64>>]) -> Vec<Row> {
    let [origin, ours] = measured else { return Vec::new() };
    let ratio = |at: usize| -> Option<Spread> { ratios(origin, ours, at) };
    let absolute = |rounds: &[Vec<f64>], at| spread(rounds, at).map_or(f64::NAN, |figure| figure.median);
    let note = |at| format!("origin {:.2} s, ours {:.2} s", absolute(origin, at), absolute(ours, at));
    (0..)
        .zip(what)
        .zip(targets)
        .map(|((at, what), target)| Row::new(id, what, "", target, ratio(at)).noted(note(at)))
        .collect()
}

fn not_measured(id: &'static str, what: [&'static str; 2], targets: [Target; 2], why: &str) -> Vec<Row> {
    what.into_iter().zip(targets).map(|(what, target)| Row::missing(id, what, target, why)).collect()
}
