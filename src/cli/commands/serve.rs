//! `serve`: works without a person until a signal: lists the folder again and again, sends what is new, collects what is ready,
//! and tells other programs how it stands.

mod again;
mod orders;
mod steward;

use std::io;
use std::sync::Arc;

use self::again::{Again, Meanwhile, Tries, after};
use self::orders::Orders;
use self::steward::{Charge, Steward};
use super::status;
use crate::cli::args::{Old, Serve};
use crate::cli::context::Context;
use crate::cli::events::Events;
use crate::cli::exit::{Exit, Fail};
use crate::cli::finish::{self, Telling};
use crate::cli::logs::{self, Log};
use crate::cli::progress;
use crate::cli::screen::Screen;
use crate::cli::stream::{Stream, Writer};
use crate::cli::work::{self, Begun, Job};
use crate::cli::{attend, consent, expiry, notices, pages, words};
use crate::kit::clock::{Millis, Stopwatch, io_pause, millis};
use crate::kit::random;
use crate::kit::runtime::Runtime;
use crate::kit::throttle::Secret;
use crate::ledger::place::Place;
use crate::ops::explain;
use crate::ops::notify::Event;
use crate::ops::review::{BesidePipelines, EachByItself, Notebook};
use crate::pipeline;
use crate::pipeline::mission::{Happens, Listener, Mission, Mode, Outcome};
use crate::serve::board::Terms;
use crate::serve::door::Door;
use crate::serve::events::Hub;
use crate::serve::health::Phase;
use crate::serve::supervisor::Supervisor;
use crate::serve::{self, Board, Flagged, Server, ServerOptions};
use crate::settings::keys;
use crate::settings::{Batch, InForce, Problem, Settings, texts};
use crate::web::{Dashboard, InTheWay, Pages};

/// Serves.
pub(super) fn serve(context: &Context, flags: &Serve) -> Result<Exit, Fail> {
    if let Some(kind) = flags.print_unit {
        return super::service::print(context, kind);
    }
    let watch = Stopwatch::start();
    let settings = context.settings()?;
    let log = logs::start(&context.global, &settings)?;
    if flags.read_only {
        return watch_only(context, &settings);
    }
    let job = Job { verb: "serve", mode: Mode::Serve, old: Old { keep_old: flags.keep_old, redo: None } };
    let begun = work::begin(context, settings, &job)?;
    let settings = &begun.settings;
    let board = Board::new(context.clock.clone(), settings.layout().ledger(), terms(settings));
    let place = Place::default();
    let notebook = Box::new(BesidePipelines::new(settings.clone(), context.clock.clone(), place.clone()));
    let in_force = InForce::new(settings.clone());
    let (server, invitations) = open(context, &in_force, &board, notebook)?;
    let late = expiry::tell(context, settings)?;
    let (stream, writer) = context.stream(begun.start(&job)?.followed_by(late))?.unzip();
    let orders = Orders::default();
    let terms = progress::Terms::of(settings);
    let screen = Screen::new(&context.out, &context.clock, settings.show.stats, stream.clone(), terms);
    let steward = Steward::begin(Charge {
        orders: orders.clone(),
        board: board.clone(),
        screen: screen.that_says_nothing_twice(),
        events: context.events.clone(),
        clock: context.clock.clone(),
        invitations,
        in_force: in_force.clone(),
        metrics_file: settings.serve.metrics_file.clone(),
        supervisor: Supervisor::of(|name| context.environment.get(name).map(str::to_owned), std::process::id()),
    })?;
    let listener = follower(stream, context.events.clone(), board.hub().clone());
    let mut rounds = Rounds { context, begun, in_force, board, place, orders, log, listener, tries: Tries::default() };
    let last = rounds.work();
    let Rounds { begun, board, orders, .. } = rounds;
    let tally = board.tally();
    steward.end();
    writer.into_iter().for_each(Writer::end);
    drop(server);
    let key_source = begun.key.as_ref().map(|key| key.source.clone()).unwrap_or_default();
    let told = Telling { settings: &begun.settings, key_source: &key_source, watch };
    let exit = match last {
        Ok(outcome) => finish::finish(context, &Mode::Serve, &outcome, &tally, orders.ended(), &told),
        Err(fail) => Err(fail),
    };
    // The lock is let go of when all is said.
    drop(begun);
    exit
}

fn terms(settings: &Settings) -> Terms {
    let Batch { max_poll_interval, max_enqueued_tokens, .. } = settings.batch;
    Terms { longest_pause: max_poll_interval, limit: settings.run.max_cost, max_enqueued: max_enqueued_tokens }
}

/// Nothing but the window: another process may work here.
fn watch_only(context: &Context, settings: &Settings) -> Result<Exit, Fail> {
    let board = Board::new(context.clock.clone(), settings.layout().ledger(), terms(settings));
    board.enter(Phase::Watching);
    // Nothing is changed, so nobody writes.
    let notebook = Box::new(EachByItself::new(settings.clone(), context.clock.clone()));
    let (_server, invitations) = open(context, &InForce::new(settings.clone()), &board, notebook)?;
    let invite = || invitations.told().into_iter().for_each(|line| context.out.tell(&line));
    attend::wait_for_signal(|| board.beat(), invite)?;
    Ok(Exit::Done)
}

/// What the pages tell of a server that is held.
fn in_the_way(phase: Phase) -> Option<InTheWay> {
    match phase {
        Phase::Held { why, advice, until } => Some(InTheWay { why, advice, until }),
        Phase::Starting | Phase::Working | Phase::Stopping | Phase::Watching => None,
    }
}

/// Opens the window, and says where it is.
fn open(
    context: &Context,
    in_force: &InForce,
    board: &Board,
    notebook: Box<dyn Notebook>,
) -> Result<(Server, Invitations), Fail> {
    let settings = in_force.now();
    let listen = settings.serve.listen;
    let (of_status, clock) = (in_force.clone(), context.clock.clone());
    let token = token(&settings)?.map(Secret::new).map(Arc::new);
    if token.as_ref().is_some_and(|token| !token.is_long()) {
        context.out.warn(
            "the token has fewer than 32 characters: after five wrong ones from an address the right one is refused there, too, for a minute",
        );
    }
    let read_only = board.phase() == Phase::Watching;
    let of_pages = board.clone();
    let pages = Pages::new(in_force.clone(), context.clock.clone(), notebook)
        .read_only(read_only)
        .held_by(move || in_the_way(of_pages.phase()));
    let dashboard = Dashboard::new(pages, token.clone())?;
    let (mounted, counting) = (dashboard.clone(), dashboard.clone());
    let server = serve::start(ServerOptions {
        listen,
        door: Door { names: settings.serve.host_names.clone(), token, clock: context.clock.clone() },
        board: board.clone(),
        status: Arc::new(move |flagged| document(&of_status.now(), flagged, clock.now())),
        flagged: Arc::new(move || {
            let dashboard = counting.clone();
            Box::pin(async move { dashboard.flagged().await.map(|(images, at)| Flagged { images, at }) })
        }),
        mounts: vec![Arc::new(move |config| mounted.mount(config))],
    });
    let server = server.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => no_address(format!("another program listens on {listen} already")),
        io::ErrorKind::AddrNotAvailable => no_address(format!("{listen} is no address of this computer")),
        io::ErrorKind::PermissionDenied => no_address(format!("this user may not listen on {listen}")),
        _ => cause.into(),
    })?;
    let url = format!("http://{}", server.addr);
    if context.out.json {
        context.out.data(&context.events.listening(&url))?;
    } else {
        context.out.data(&format!("listening on {url}"))?;
    }
    let invitations = Invitations { dashboard, url };
    invitations.told().into_iter().for_each(|line| context.out.say(&line));
    Ok((server, invitations))
}

/// The ways into the pages.
struct Invitations {
    dashboard: Dashboard,
    url: String,
}

impl Invitations {
    /// How one gets in now, as a line for people; with randomness that fails nobody does.
    fn told(&self) -> Option<String> {
        let link = self.dashboard.invitation();
        let link = link.inspect_err(|cause| tracing::warn!(%cause, "there is no link to the pages")).ok()?;
        Some(match link {
            Some(link) => format!("Pages: {}{link}   (works once; SIGUSR1 prints a new one)", self.url),
            None => format!("Pages: {}/   (they ask for the token)", self.url),
        })
    }
}

fn no_address(sentence: String) -> Fail {
    Fail::usage(Problem::new("", sentence).hint("choose another one with --listen; port 0 takes a free port"))
}

/// What requests have to carry.
fn token(settings: &Settings) -> Result<Option<String>, Problem> {
    settings.serve.token_file.as_deref().map(keys::token).transpose()
}

/// What `/api/v1/status` says.
fn document(settings: &Settings, flagged: Flagged, now: Millis) -> Result<String, String> {
    let reader = pages::ledger(&settings.layout()).map_err(|error| error.to_string())?;
    let reader = reader.ok_or_else(|| "nothing was begun yet".to_owned())?;
    status::whole_but_flags(settings, &reader, flagged, now).map_err(|error| error.to_string())
}

/// Tells what happens to whoever listens: the standard output with `--json`, and the events over HTTP.
fn follower(stream: Option<Stream>, events: Events, hub: Hub) -> Listener {
    Listener::new(move |what| {
        if hub.is_heard() {
            events.hear(what).into_iter().for_each(|line| hub.tell(&line));
        }
        match &stream {
            Some(stream) => stream.hear(what),
            None if matches!(what, Happens::Run { .. }) => drop(events.hear(what)),
            None => {}
        }
    })
}

/// One mission after another.
struct Rounds<'a> {
    context: &'a Context,
    begun: Begun,
    /// What the pages and the status tell of.
    in_force: InForce,
    board: Board,
    /// Where the pages find the keeper.
    place: Place,
    orders: Orders,
    log: Log,
    /// Told of whatever happens.
    listener: Listener,
    tries: Tries,
}

impl Rounds<'_> {
    /// Works until somebody stops it, or nothing more can be done here.
    fn work(&mut self) -> Result<Outcome, Fail> {
        loop {
            self.board.enter(Phase::Working);
            let began = self.context.clock.now();
            let outcome = self.mission(Mode::Serve, None)?;
            if self.orders.is_over() {
                return Ok(outcome);
            }
            if self.orders.take_reload() {
                self.reload();
                continue;
            }
            let Some(fault) = &outcome.fault else { return Ok(outcome) };
            let again = after(fault);
            let fail = self.told(&outcome);
            if again == Again::Never {
                return Err(fail);
            }
            let pause = self.tries.pause(self.context.clock.now() - began, random::unit());
            let last = self.held(again, &fail, &outcome, self.context.clock.now() + millis(pause))?;
            if self.orders.is_over() {
                return Ok(last.unwrap_or(Outcome { fault: None, stopped: true, ..outcome }));
            }
            if self.orders.take_reload() {
                self.tries.forget();
                self.reload();
            }
            self.fresh_key();
        }
    }

    fn mission(&self, mode: Mode, until: Option<Millis>) -> Result<Outcome, Fail> {
        let stop = self.orders.mission(until);
        let mission = self.begun.mission(self.context, mode, stop, self.board.progress())?;
        let mission = Mission { listener: Some(self.listener.clone()), ..mission };
        let outcome = pipeline::run_at(mission, &self.place);
        if let Some(run) = &outcome.run {
            self.context.events.of_run(run);
        }
        self.board.mission_over();
        Ok(outcome)
    }

    /// Why a mission ended, as the user reads it.
    fn told(&self, outcome: &Outcome) -> Fail {
        let key_source = self.begun.key.as_ref().map(|key| key.source.clone()).unwrap_or_default();
        let told = Telling { settings: &self.begun.settings, key_source: &key_source, watch: Stopwatch::start() };
        match &outcome.fault {
            Some(fault) => finish::fault_told(fault, &told),
            None => Fail::Told(Vec::new(), Exit::Unexpected),
        }
    }

    /// Something is in the way: it is told, and waited for; what was paid for is collected meanwhile. Gives what that came to.
    fn held(&self, again: Again, fail: &Fail, outcome: &Outcome, until: Millis) -> Result<Option<Outcome>, Fail> {
        let Fail::Told(problems, exit) = fail else { return Ok(None) };
        // What is told on the terminal is told on the pages.
        let problem = problems.first().map(explain::hinted);
        let (why, advice) = problem.map_or_else(|| ("stopped".to_owned(), Vec::new()), |it| (it.sentence, it.hints));
        let (until, meanwhile) = match again {
            Again::Later(meanwhile) => (Some(until), meanwhile),
            Again::WhenAsked(meanwhile) => (None, meanwhile),
            Again::Never => return Ok(None),
        };
        for problem in problems {
            self.context.out.error(problem);
        }
        let when = until.map_or("SIGHUP or the next start tries again".to_owned(), |until| {
            format!("tried again at {}, or on SIGHUP", words::utc(until))
        });
        self.context.out.say(&format!("Held: {when}."));
        self.board.enter(Phase::Held { why, advice, until });
        let settings = &self.begun.settings;
        notices::aside(settings, Event::NeedsYou, *exit, problems.first(), &outcome.standing);
        let collected = match meanwhile {
            Meanwhile::Collect => Some(self.mission(Mode::Download { wait: true }, until)?),
            Meanwhile::Rest => None,
        };
        self.rest(until)?;
        Ok(collected)
    }

    /// Waits until it is time, or somebody calls.
    fn rest(&self, until: Option<Millis>) -> Result<(), Fail> {
        let runtime = Runtime::new()?;
        let clock = &self.context.clock;
        runtime.wait(async {
            while !self.orders.is_called() && until.is_none_or(|until| clock.now() < until) {
                io_pause(crate::cli::screen::FRAME).await;
            }
        });
        Ok(())
    }

    /// A key that was changed meanwhile is taken; one that is gone is told by the next try.
    fn fresh_key(&mut self) {
        match work::key(self.context, &self.begun.settings) {
            Ok(key) => self.begun.key = key,
            Err(problem) => self.context.out.error(&problem),
        }
    }

    /// Reads the settings again; a mistake in them changes nothing.
    fn reload(&mut self) {
        let out = &self.context.out;
        let new = match self.context.settings() {
            Ok(new) => new,
            Err(fail) => {
                if let Fail::Told(problems, _) = fail {
                    problems.iter().for_each(|problem| out.error(problem));
                }
                out.warn("the settings stay as they were");
                return;
            }
        };
        let (settings, taken, left) = self.begun.settings.taking_over(&new);
        let agreed = texts::prompt(&settings)
            .and_then(|prompt| texts::recipe(&settings, &prompt.text))
            .and_then(|recipe| consent::has_prices(&settings, &recipe))
            .and_then(|()| self.log.agree(&self.context.global, &settings));
        if let Err(problem) = agreed {
            out.error(&problem);
            out.warn("the settings stay as they were");
            return;
        }
        let listed = |keys: &[&str]| if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
        out.say(&format!("Settings read again; changed: {}.", listed(&taken)));
        if !left.is_empty() {
            out.warn(&format!("changed, and taken over by the next start alone: {}", listed(&left)));
        }
        self.board.agree(terms(&settings));
        self.in_force.agree(settings.clone());
        self.begun.settings = settings;
        self.fresh_key();
    }
}
