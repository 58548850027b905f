//! The whole pipeline, as `run` does it, against a server in another process that answers at once.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

use super::figures::Sample;
use super::ground::{Ground, IMAGES, sample};
use super::meter::Meter;
use super::stage::Stage;
use crate::kit::atomic_file::private_folder;
use crate::kit::clock::Clock;
use crate::kit::stop::stop_switch;
use crate::pipeline;
use crate::pipeline::mission::{Mission, Mode, Outcome, Tally};
use crate::settings::texts;

/// Time between two looks at open batches: a server that answers at once is not waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the corpus to its end.
pub(super) fn pipeline(ground: &Ground) -> io::Result<Sample> {
    let (mut meter, tally) = (Meter::default(), watch::Sender::new(Tally::default()));
    let mission = mission(ground, Mode::Run { once: false }, tally.clone())?;
    let outcome = meter.window(|| pipeline::run(mission));
    let done = judged(&outcome)?;
    let bytes = tally.borrow().sent_bytes;
    Ok(sample(Stage::Pipeline, done, bytes, &meter, &outcome.waits))
}

/// A mission on the corpus of `ground`, with its server as the provider.
///
/// # Errors
/// The operating system's, or what is wrong with the settings.
pub fn mission(ground: &Ground, mode: Mode, tally: watch::Sender<Tally>) -> io::Result<Mission> {
    let every = format!("{}ms", LOOK_EVERY.as_millis());
    let settings = ground.settings(&[
        ("batch.poll_interval", every.clone()),
        ("batch.max_poll_interval", every),
        ("run.canary", "off".to_owned()),
        ("text.out_dir", ground.texts().display().to_string()),
    ])?;
    let layout = settings.layout();
    for folder in [&layout.batch, &layout.completed, &layout.output, &layout.extraction, &ground.texts()] {
        private_folder(folder)?;
    }
    let recipe = ground.recipe(&settings)?;
    let deep = texts::deep_recipe(&settings, &recipe).map_err(|problem| io::Error::other(problem.to_string()))?;
    Ok(Mission {
        mode,
        layout,
        image_root: dunce::canonicalize(ground.images())?,
        image_dir_given: IMAGES.to_owned(),
        base_url: ground.server()?.to_owned(),
        key: None,
        key_source: String::new(),
        recipe,
        deep,
        stop: stop_switch().0,
        clock: Clock::wall(),
        tally,
        listener: None,
        settings,
    })
}

/// How many images have their text; an error unless all of them have.
fn judged(outcome: &Outcome) -> io::Result<u64> {
    let standing = &outcome.standing;
    match &outcome.fault {
        Some(fault) => Err(io::Error::other(format!("the run ended early: {fault:?}"))),
        None if standing.done == standing.found => Ok(standing.done),
        None => Err(io::Error::other(format!("of {} images {} have their text", standing.found, standing.done))),
    }
}
