//! The whole pipeline in this process against the emulator with engine echo: images a second, CPU, peak memory, and where
//! the waiting was. The emulator's share is included: it runs in the same process.
//!
//! `cargo bench --bench pipeline_offline -- --images 2000 --bytes 50000`

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints its table")]

mod support;

use std::sync::Arc;
use std::time::Instant;

use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::{self, ServerOptions};
use batchscribe::kit::clock::Clock;
use batchscribe::kit::stop::stop_switch;
use batchscribe::pipeline::mission::{Mission, Mode, Tally};
use batchscribe::settings::{Environment, Flag, Sources, resolve, texts};

fn main() {
    let (images, bytes) = (support::argument("images", 2000), support::argument("bytes", 50_000));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
    let workspace = folder.path().join("work");
    support::corpus(&workspace.join("in"), images, bytes);
    let server =
        emulator::start(ServerOptions::new(folder.path().join("server"), Arc::new(Echo::new()))).expect("server");
    let keys = [
        ("provider.name", "openai".to_owned()),
        ("api_url", format!("{}/chat/completions", server.base_url())),
        ("batch.poll_interval", "50ms".to_owned()),
        ("batch.max_poll_interval", "50ms".to_owned()),
        ("image_dir", "in".to_owned()),
    ];
    let flags = keys.into_iter().map(|(key, value)| Flag { flag: "--set".into(), key: key.into(), value }).collect();
    let sources = Sources {
        workspace: workspace.clone(),
        current_dir: workspace.clone(),
        config: None,
        no_config: true,
        flags,
        environment: Environment::default(),
    };
    let settings = resolve(&sources).expect("settings").settings;
    let recipe = texts::recipe(&settings, "Transcribe.").expect("recipe");
    let (cpu, begun) = (support::cpu(), Instant::now());
    let outcome = batchscribe::pipeline::run(Mission {
        mode: Mode::Run { once: false },
        layout: settings.layout(),
        image_root: workspace.join("in"),
        image_dir_given: "in".into(),
        base_url: server.base_url(),
        key: None,
        key_source: String::new(),
        deep: texts::deep_recipe(&settings, &recipe).expect("recipe"),
        recipe,
        stop: stop_switch().0,
        clock: Clock::wall(),
        tally: tokio::sync::watch::Sender::new(Tally::default()),
        listener: None,
        settings,
    });
    let (took, used) = (support::seconds(begun.elapsed()), support::cpu() - cpu);
    assert_eq!(outcome.standing.done, images as u64, "{:?}", outcome.fault);
    println!("{images} images of {bytes} bytes: {:.0} images/s", images as f64 / took);
    println!("CPU {:.2} s per 1,000 images, peak memory {:.0} MB", used / images as f64 * 1e3, support::peak_mb());
    for (edge, micros) in outcome.waits {
        println!("  waited {:>8.3} s  {edge}", micros as f64 / 1e6);
    }
}
