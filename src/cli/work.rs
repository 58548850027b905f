//! What `run`, `upload` and `download` have in common: everything is checked before anything is sent.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::domain::recipe::Recipe;
use crate::emulator::Server;
use crate::kit::atomic_file::private_folder;
use crate::kit::clock::Stopwatch;
use crate::kit::stop::{StopSwitch, stop_switch};
use crate::ledger::lock::{LockError, WorkspaceLock};
use crate::pipeline;
use crate::pipeline::mission::{Mission, Mode, Outcome, Tally};
use crate::settings::keys::{self, Key};
use crate::settings::texts::{self, Prompt};
use crate::settings::{Address, Engine, Problem, ProviderKind, Settings};

use super::args::Old;
use super::attend::{Attendant, Charge, Ended, Leaving};
use super::consent::{self, Doing};
use super::context::Context;
use super::events::Start;
use super::exit::{Exit, Fail, cannot_write};
use super::finish::{self, Telling};
use super::local::{self, Wanted};
use super::progress::Terms;
use super::screen::Screen;
use super::stale::{put_back, same_recipe, which};
use super::stream::{Stream, Writer};
use super::{expiry, folder, in_the_way, logs, notices, pages, stale, words};

/// One of the three verbs.
pub(super) struct Job {
    /// Its name.
    pub(super) verb: &'static str,
    /// What the pipeline is to do.
    pub(super) mode: Mode,
    /// What becomes of texts that are there already.
    pub(super) old: Old,
}

impl Job {
    /// Whether images may leave this process.
    fn sends(&self) -> bool {
        matches!(self.mode, Mode::Run { .. } | Mode::Serve | Mode::Pilot(_) | Mode::Upload)
    }

    /// Whether it is over where the folder holds no image; a server waits for the first.
    fn begins_at_images(&self) -> bool {
        self.asks() && self.mode != Mode::Serve
    }

    /// Whether requests are made from images.
    fn asks(&self) -> bool {
        !matches!(self.mode, Mode::Download { .. } | Mode::DownloadOne { .. } | Mode::Collect | Mode::Clean { .. })
    }

    /// Whether a provider is spoken to at all.
    fn needs_provider(&self) -> bool {
        !self.mode.is_offline()
    }
}

/// What a mission is made from.
pub(super) struct Begun {
    pub(super) settings: Settings,
    image_root: PathBuf,
    prompt: Prompt,
    pub(super) key: Option<Key>,
    /// Held until the end: dropping it stops the built-in server.
    server: Option<Server>,
    /// Let go of last.
    lock: WorkspaceLock,
}

impl Begun {
    /// The first line of `--json`.
    pub(super) fn start(&self, job: &Job) -> Result<Start, Problem> {
        let recipe = texts::recipe(&self.settings, &self.prompt.text)?;
        Ok(Start::of(job.verb, &self.settings, Some(&recipe).filter(|_| job.asks())))
    }

    /// A piece of work for the pipeline.
    pub(super) fn mission(
        &self,
        context: &Context,
        mode: Mode,
        stop: StopSwitch,
        tally: watch::Sender<Tally>,
    ) -> Result<Mission, Problem> {
        let settings = &self.settings;
        let recipe = texts::recipe(settings, &self.prompt.text)?;
        Ok(Mission {
            mode,
            settings: settings.clone(),
            layout: settings.layout(),
            image_root: self.image_root.clone(),
            image_dir_given: settings.image_dir_given.clone(),
            base_url: settings.api_url.base().to_owned(),
            key: self.key.as_ref().map(|key| key.secret.clone()),
            key_source: self.key.as_ref().map(|key| key.source.clone()).unwrap_or_default(),
            deep: texts::deep_recipe(settings, &recipe)?,
            recipe,
            stop,
            clock: context.clock.clone(),
            tally,
            listener: None,
        })
    }
}

/// Does the work of one of the three verbs.
pub(super) fn work(context: &Context, job: Job) -> Result<Exit, Fail> {
    let watch = Stopwatch::start();
    let mut settings = context.settings()?;
    let layout = settings.layout();
    logs::start(&context.global, &settings)?;
    let told = |error| finish::ledger(&error);
    match pages::ledger(&layout).map_err(told)? {
        Some(reader) if job.asks() => folder::go_on_with_folder(&mut settings, &reader).map_err(told)?,
        Some(reader) => folder::take_folder(&mut settings, &reader).map_err(told)?,
        None if !job.asks() => return nothing_begun(context, &settings, &job, watch),
        None => {}
    }
    let begun = begin(context, settings, &job)?;
    let (outcome, (ended, tally, _leaving)) = carry_out(context, &begun, &job)?;
    let Begun { settings, key, server, lock, .. } = begun;
    if ended.signals > 1 {
        // It would finish the pages that it has begun; its next start asks them again.
        let _lives_on = std::mem::ManuallyDrop::new(server);
    } else {
        drop(server);
    }
    let standing = outcome.standing;
    if standing.found > 0 && standing.owed + standing.packed == 0 {
        stale::end_orders(context, &settings)?;
    }
    drop(lock);
    let key_source = key.map(|key| key.source).unwrap_or_default();
    let told = Telling { settings: &settings, key_source: &key_source, watch };
    let told = finish::finish(context, &job.mode, &outcome, &tally, ended, &told);
    if job.verb == "run" && ended.signals == 0 {
        notices::of_end(&context.out, &settings, &told, &standing);
    }
    told
}

/// Everything that is checked, asked, locked and started before the pipeline; nothing is left behind by a call that could not
/// begin.
pub(super) fn begin(context: &Context, mut settings: Settings, job: &Job) -> Result<Begun, Fail> {
    let layout = settings.layout();
    let image_root = folder::image_root(&settings)?;
    let prompt = prompt(&settings, job)?;
    let key = if job.needs_provider() { key(context, &settings)? } else { None };
    introduce(context, &settings, job, &prompt);
    if !job.old.keep_old && job.old.redo.is_none() {
        same_recipe(&settings, &prompt)?;
    }
    let recipe = texts::recipe(&settings, &prompt.text)?;
    // Where an earlier run has begun, its images are in the ledger, whatever the folder holds today.
    if job.begins_at_images() && layout.ledger().metadata().is_err() {
        consent::has_images(&settings, &image_root, &recipe)?;
    }
    if job.asks() {
        in_the_way::look(&settings, &image_root, &recipe, &job.old)?;
    }
    if job.sends() {
        // Who uploads alone may have the texts written elsewhere.
        if job.mode != Mode::Upload {
            in_the_way::texts_have_a_place(&settings, &image_root, &recipe)?;
        }
        consent::has_prices(&settings, &recipe)?;
        let redo = job.old.redo.map(which);
        let now = context.clock.now();
        let pilot = if let Mode::Pilot(images) = job.mode { Some(images) } else { None };
        let doing = Doing { settings: &settings, root: &image_root, recipe: &recipe, redo, now, pilot };
        if job.mode == Mode::Serve { consent::given(context, &doing)? } else { consent::ask(context, &doing)? }
    }
    if !job.sends() && job.needs_provider() {
        consent::ask_for_what_is_open(context, &settings)?;
    }
    private_folder(&layout.batch).map_err(|cause| cannot_write(&cause))?;
    let lock = lock(&layout.lock(), job.verb)?;
    for folder in [&layout.completed, &layout.output, &layout.extraction] {
        private_folder(folder).map_err(|cause| cannot_write(&cause))?;
    }
    if let Some(redo) = job.old.redo {
        put_back(context, &settings, redo, &prompt)?;
    }
    picked_up(context, &settings);
    let server = if job.needs_provider() { own_server(&mut settings)? } else { None };
    Ok(Begun { settings, image_root, prompt, key, server, lock })
}

/// There is nothing to fetch where nothing was sent.
fn nothing_begun(context: &Context, settings: &Settings, job: &Job, watch: Stopwatch) -> Result<Exit, Fail> {
    context.out.say(&words::nothing_begun(&context.workspace));
    nothing_to_do(context, settings, job.verb, watch)
}

/// The lines of `--json` of a verb that finds nothing to do.
pub(super) fn nothing_to_do(
    context: &Context,
    settings: &Settings,
    verb: &'static str,
    watch: Stopwatch,
) -> Result<Exit, Fail> {
    if context.out.json {
        context.out.data(&context.events.start(&Start::of(verb, settings, None), false))?;
        finish::as_it_stands(context, settings, watch)?;
    }
    Ok(Exit::Done)
}

/// The prompt; `download` asks nothing, so a prompt that is gone does not stop it.
fn prompt(settings: &Settings, job: &Job) -> Result<Prompt, Problem> {
    if !job.asks() {
        let built_in = Prompt { text: texts::BUILT_IN_PROMPT.to_owned(), built_in: true };
        return Ok(texts::prompt(settings).unwrap_or(built_in));
    }
    let prompt = texts::prompt(settings)?;
    // A schema that cannot be used is told here, before anything begins.
    texts::recipe(settings, &prompt.text)?;
    Ok(prompt)
}

/// The key, where one is needed: the built-in provider takes none, a server on this computer may go without.
pub(super) fn key(context: &Context, settings: &Settings) -> Result<Option<Key>, Problem> {
    if settings.provider.name == ProviderKind::Local {
        return Ok(None);
    }
    match keys::find(settings, &context.environment)? {
        None if !settings.api_url.is_loopback() => Err(keys::missing(settings, &context.environment)),
        key => Ok(key),
    }
}

pub(super) fn lock(path: &Path, verb: &str) -> Result<WorkspaceLock, Problem> {
    WorkspaceLock::take(path, verb).map_err(|error| match error {
        LockError::Held { pid, host, since, verb } => {
            let host = words::safe(&host);
            let since = if since == 0 { "an unknown time".to_owned() } else { words::utc(since) };
            Problem::new("E401", format!("another batchscribe works here (pid {pid} on {host}, since {since})"))
                .detail(format!("it is doing `{}`", words::safe(&verb)))
                .hint("wait until it has ended; batchscribe status  shows how far it is")
        }
        LockError::Io { path, cause } => cannot_write(&io::Error::new(cause.kind(), format!("{path}: {cause}"))),
    })
}

/// The built-in provider where it is the one; it ends with the value.
pub(super) fn own_server(settings: &mut Settings) -> Result<Option<Server>, Fail> {
    if settings.provider.name != ProviderKind::Local {
        return Ok(None);
    }
    let server = local::start(Wanted::for_run(settings))?;
    settings.api_url = Address::below(&server.base_url());
    Ok(Some(server))
}

/// What the verbs without actors need of the provider and the images, as these settings name them.
pub(super) fn means(
    context: &Context,
    settings: &Settings,
    image_root: PathBuf,
    recipe: Recipe,
    key: Option<&Key>,
) -> Result<pipeline::Means, Fail> {
    let mission = mission(context, settings, image_root, recipe, key)?;
    let key_source = mission.key_source.clone();
    let told = finish::Telling { settings, key_source: &key_source, watch: Stopwatch::start() };
    pipeline::means(&mission).map_err(|fault| finish::fault_told(&fault, &told))
}

/// A mission of these settings that nobody watches or stops yet.
pub(super) fn mission(
    context: &Context,
    settings: &Settings,
    image_root: PathBuf,
    recipe: Recipe,
    key: Option<&Key>,
) -> Result<Mission, Fail> {
    let (stop, _) = stop_switch();
    Ok(Mission {
        mode: Mode::Download { wait: false },
        settings: settings.clone(),
        layout: settings.layout(),
        image_root,
        image_dir_given: settings.image_dir_given.clone(),
        base_url: settings.api_url.base().to_owned(),
        key: key.map(|key| key.secret.clone()),
        key_source: key.map(|key| key.source.clone()).unwrap_or_default(),
        deep: texts::deep_recipe(settings, &recipe)?,
        recipe,
        stop,
        clock: context.clock.clone(),
        tally: watch::Sender::new(Tally::default()),
        listener: None,
    })
}

/// Says in a line or two who reads the pages.
fn introduce(context: &Context, settings: &Settings, job: &Job, prompt: &Prompt) {
    let out = &context.out;
    if !job.sends() {
        return;
    }
    match (settings.provider.name, &settings.provider.engine) {
        (ProviderKind::Local, Engine::Ocr) => {
            let why = if settings.provider.named { "The" } else { "No key found: the" };
            out.say(&format!(
                "{why} built-in engine reads the pages on this computer. Nothing leaves it. It is made for clear"
            ));
            out.say("print and type; handwriting and Fraktur need a real model (batchscribe init).");
        }
        (ProviderKind::Local, Engine::Echo) => {
            out.say("The echo engine answers without reading: its texts are made up, for trying things out.");
        }
        (ProviderKind::Local, Engine::Url(url)) => {
            let url = words::safe(url);
            let sent = if settings.receiver().is_some() { "; every page is sent there" } else { "" };
            out.say(&format!("{} at {url} reads the pages{sent}.", settings.request.model));
        }
        (ProviderKind::OpenAi, _) => {
            let prompt = match (&settings.prompt_file, prompt.built_in) {
                (Some(path), false) => path.display().to_string(),
                _ => "the built-in prompt".to_owned(),
            };
            out.say(&format!(
                "{} at {} reads the pages, with {prompt}.",
                settings.request.model,
                settings.api_url.host()
            ));
        }
    }
}

/// Says what an earlier process left to go on with: nobody has to wonder whether the same command begins anew.
fn picked_up(context: &Context, settings: &Settings) {
    // A ledger that cannot be read is told by the pipeline.
    let Ok(Some(reader)) = pages::ledger(&settings.layout()) else { return };
    let Ok(standing) = reader.standing() else { return };
    let open = standing.batches_open + standing.batches_ended;
    if open > 0 {
        let batches = words::count(open, "batch is", "batches are");
        let pages = words::count(standing.packed, "page", "pages");
        let owed = if standing.owed > 0 { format!(", {} still to be asked", standing.owed) } else { String::new() };
        context.out.say(&format!("Going on: {batches} under way with {pages}{owed}; none is paid for again."));
    }
}

/// What the attendant tells at the end of a run.
type Attended = (Ended, Tally, Leaving);

/// Runs the pipeline on this thread while another one attends it.
fn carry_out(context: &Context, begun: &Begun, job: &Job) -> Result<(Outcome, Attended), Fail> {
    let settings = &begun.settings;
    let (stop, _) = stop_switch();
    let late = if job.needs_provider() { expiry::tell(context, settings)? } else { None };
    let (stream, writer) = context.stream(begun.start(job)?.followed_by(late))?.unzip();
    let (attendant, progress) = Attendant::begin(Charge {
        stop: stop.clone(),
        clock: context.clock.clone(),
        max_duration: settings.run.max_duration,
        screen: Screen::new(&context.out, &context.clock, settings.show.stats, stream.clone(), Terms::of(settings)),
    })?;
    let mission = begun.mission(context, job.mode.clone(), stop, progress)?;
    let outcome = pipeline::run(Mission { listener: stream.as_ref().map(Stream::listener), ..mission });
    let attended = attendant.end();
    if let Some(run) = &outcome.run {
        context.events.of_run(run);
    }
    // What is told afterwards, such as the summary, comes after every line.
    writer.into_iter().for_each(Writer::end);
    Ok((outcome, attended))
}
