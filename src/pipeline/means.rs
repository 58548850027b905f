//! What a mission needs of its settings: whose money it is, where the images lie, what the service is. The actors share it,
//! and the verbs without actors see images, account and service as they do.

use std::sync::Arc;

use super::mission::{Fault, Mission, Mode};
use crate::corpus::Corpus;
use crate::corpus::arrivals::Arrivals;
use crate::corpus::local::{LocalCorpus, LocalOptions, TextsLocation};
use crate::encode::line::Framer;
use crate::kit::atomic_file::Mark;
use crate::kit::hash;
use crate::kit::traffic::Traffic;
use crate::ledger::records::{Allowed, NewRun};
use crate::provider::SharedProvider;
use crate::provider::http::Options as HttpOptions;
use crate::provider::openai::OpenAi;
use crate::settings::{ProviderKind, Settings};

/// What a verb without actors needs to see images, account and provider as the actors would.
pub struct Means {
    /// Where the images lie.
    pub corpus: Arc<dyn Corpus>,
    /// The service.
    pub provider: SharedProvider,
    /// Whose money it is, and the settings in force.
    pub run: NewRun,
    /// What the ledger allows an image.
    pub allowed: Allowed,
}

/// The means of a mission; nothing is begun, and nothing sent.
///
/// # Errors
/// A URL or a key that no request can be made with, or a workspace without randomness.
pub fn means(mission: &Mission) -> Result<Means, Fault> {
    let died = |cause: serde_json::Error| Fault::Died { who: "start", why: cause.to_string() };
    let framer = Framer::new(&mission.recipe, mission.image_dir_given.as_bytes()).map_err(died)?;
    let mark = Mark::new(&mission.layout.batch).map_err(Fault::Disk)?;
    Ok(Means {
        corpus: corpus(mission, &framer, mark),
        provider: provider(mission)?.0,
        run: new_run(mission),
        allowed: allowed(mission),
    })
}

/// What the settings allow an image and a model.
pub(super) fn allowed(mission: &Mission) -> Allowed {
    let retry = &mission.settings.retry;
    Allowed {
        attempts: retry.max_attempts,
        returns: retry.max_returns,
        deep_clean: mission.settings.clean.deep_clean,
        enqueued_tokens: mission.settings.batch.max_enqueued_tokens,
        max_cost: mission.settings.run.max_cost,
    }
}

/// What is written of the life that works off this mission.
pub(super) fn new_run(mission: &Mission) -> NewRun {
    let (base_url, identity) = account(&mission.settings, &mission.base_url);
    NewRun {
        base_url,
        identity,
        settings: mission.settings.to_json(),
        day: day(mission),
        offline: mission.mode.is_offline(),
    }
}

/// The images.
pub(super) fn corpus(mission: &Mission, framer: &Framer, mark: Mark) -> Arc<dyn Corpus> {
    Arc::new(LocalCorpus::new(mission.image_root.clone(), corpus_options(mission, framer, mark)))
}

/// The service, over the network, and the counts of what it is asked.
pub(super) fn provider(mission: &Mission) -> Result<(SharedProvider, Traffic), Fault> {
    let service = OpenAi::new(&http_options(mission)).map_err(Fault::Provider)?;
    let traffic = service.traffic();
    Ok((Arc::new(service), traffic))
}

/// Whose money these settings spend: base URL, and BLAKE3 of organisation and project, never of the key. The built-in provider
/// listens on another port in every life, and is the same account all the same.
#[must_use]
pub fn account(settings: &Settings, base_url: &str) -> (String, String) {
    let provider = &settings.provider;
    let identity = format!(
        "{}\n{}",
        provider.organization.as_deref().unwrap_or_default(),
        provider.project.as_deref().unwrap_or_default()
    );
    let base_url = match provider.name {
        ProviderKind::Local => "local",
        ProviderKind::OpenAi => base_url,
    };
    (base_url.to_owned(), hash::hex_digits(identity.as_bytes(), 32))
}

fn day(mission: &Mission) -> String {
    let now = jiff::Timestamp::from_millisecond(mission.clock.now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    now.strftime("%Y-%m-%d").to_string()
}

fn corpus_options(mission: &Mission, framer: &Framer, mark: Mark) -> LocalOptions {
    let layout = &mission.layout;
    LocalOptions {
        valid_endings: mission.settings.valid_image_types.clone(),
        excluded_folders: layout.own_folders(),
        max_image_bytes: max_image_bytes(mission, framer),
        max_pixels: mission.settings.encode.max_pixels,
        preparation: mission.recipe.preparation(),
        pages: mission.settings.encode.pages,
        texts: layout.texts.clone().map_or(TextsLocation::Beside, TextsLocation::Mirror),
        mark,
        arrivals: (mission.mode == Mode::Serve).then(|| Arrivals::new(mission.clock.clone())),
    }
}

/// The largest image whose line still fits into a shard, whatever its path.
pub(super) fn max_image_bytes(mission: &Mission, framer: &Framer) -> u64 {
    framer.largest_image(mission.settings.most_shard_bytes())
}

fn http_options(mission: &Mission) -> HttpOptions {
    let provider = &mission.settings.provider;
    HttpOptions {
        base_url: mission.settings.base_with_query(&mission.base_url),
        key: mission.key.clone(),
        key_header: provider.key_header.as_written(),
        organization: provider.organization.clone(),
        project: provider.project.clone(),
        stall_timeout: mission.settings.retry.stall_timeout,
        user_agent: concat!("batchscribe/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}
