//! Raises the actors of a mode, bottom-up: every address exists before somebody needs it.

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};

use super::listing;
use super::mission::{Fault, Mission, Mode};
use super::terminus::{BatchTerminus, ShardTerminus, SpoolSeams};
use super::world::World;
use crate::clean::cleaner::{Cleaner, CleanerSeams};
use crate::clean::close::Sweeper;
use crate::clean::content::TextFrom;
use crate::clean::judge::Limits as JudgeLimits;
use crate::clean::polish::{PolishOptions, UnicodeForm};
use crate::clean::repetition::LoopLimits;
use crate::clean::rules::{LengthLimits, Rules};
use crate::clean::text_file::Existing;
use crate::domain::tokens::Countings;
use crate::encode::encoder::{Encoder, EncoderOptions};
use crate::encode::pack::Limits;
use crate::encode::workshop::{MEMORY_UNIT, Workshop};
use crate::extract::extractor::{Extractor, ExtractorSeams, Next, Source};
use crate::extract::fetch::{Fetcher, GONE_AFTER};
use crate::extract::write::ResultWriters;
use crate::kit::clock::millis;
use crate::kit::edge::{EdgeMeter, hand_over, recipient};
use crate::kit::random;
use crate::message::{BatchOpened, NoMoreBatches, NoMoreEnds, NoMoreShards, ShardSealed};
use crate::poll::options::{Looks, PollerOptions, PollerSeams};
use crate::poll::pace::Pace;
use crate::poll::poller::Poller;
use crate::provider::patience::Patience;
use crate::scan::copies::Finder;
use crate::scan::feed::FeedEnd;
use crate::scan::scanner::{Lot, Scanner, ScannerOptions};
use crate::settings::{self, Duplicates, Fence, Settings, Unicode, prices};
use crate::upload::afford::Purse;
use crate::upload::canary::{self, Canary, Way};
use crate::upload::send::{SendOptions, Sender};
use crate::upload::uploader::{Uploader, UploaderSeams};

/// How long after its request a create may begin its window at the latest.
const LATEST_START: Duration = Duration::from_secs(3600);
/// Letters of a pilot's seed.
const SEED: usize = 12;

/// Starts the actors of the mission's mode; tells how many ends are to be waited for.
pub(super) async fn raise(mission: &Mission, world: &World) -> Result<usize, Fault> {
    match &mission.mode {
        Mode::Run { .. } | Mode::Serve => {
            let (looks, end) = match mission.mode {
                Mode::Run { once: true } => (Looks::Once, FeedEnd::Opened),
                Mode::Serve => (Looks::UntilNoneIsOpen, FeedEnd::Stopped),
                _ => (Looks::UntilNoneIsOpen, FeedEnd::Settled),
            };
            let poller = back_half(mission, world, looks)?;
            let uploader = uploader(mission, world, (recipient(&poller), recipient(&poller)));
            front_half(mission, world, (recipient(&uploader), recipient(&uploader)), end).await?;
            Ok(6)
        }
        Mode::Pilot(_) => {
            let poller = back_half(mission, world, Looks::UntilNoneIsOpen)?;
            let uploader = uploader(mission, world, (recipient(&poller), recipient(&poller)));
            front_half(mission, world, (recipient(&uploader), recipient(&uploader)), FeedEnd::Opened).await?;
            Ok(6)
        }
        Mode::Upload => {
            let terminus = start(BatchTerminus::new(world.guard("terminus")));
            let uploader = uploader(mission, world, (recipient(&terminus), recipient(&terminus)));
            front_half(mission, world, (recipient(&uploader), recipient(&uploader)), FeedEnd::Opened).await?;
            Ok(4)
        }
        Mode::SpoolOnly(_) => {
            let terminus = start(spool_terminus(world)?);
            front_half(mission, world, (recipient(&terminus), recipient(&terminus)), FeedEnd::Planned).await?;
            Ok(3)
        }
        Mode::Collect => on_disk(mission, world, Source::OnDisk).await,
        Mode::Clean { rebuild, .. } => on_disk(mission, world, Source::Settled { rebuild: *rebuild }).await,
        Mode::Download { wait } | Mode::DownloadOne { wait, .. } => {
            let looks = if *wait { Looks::UntilNoneIsOpen } else { Looks::Once };
            let poller = back_half(mission, world, looks)?;
            let over: Recipient<NoMoreBatches> = recipient(&poller);
            let gone = |_| Fault::Died { who: "poller", why: "ended at once".to_owned() };
            hand_over(&over, NoMoreBatches, &EdgeMeter::default()).await.map_err(gone)?;
            Ok(3)
        }
    }
}

/// Extractor and Cleaner, for answers that are on disk already.
async fn on_disk(mission: &Mission, world: &World, source: Source) -> Result<usize, Fault> {
    let cleaner = start(cleaner(mission, world));
    let extractor = start(extractor(mission, world, &cleaner, source)?);
    let over: Recipient<NoMoreEnds> = recipient(&extractor);
    let gone = |_| Fault::Died { who: "extractor", why: "ended at once".to_owned() };
    hand_over(&over, NoMoreEnds, &EdgeMeter::default()).await.map_err(gone)?;
    Ok(2)
}

/// The one place where actors are started.
#[expect(clippy::disallowed_methods, reason = "the one place where actors are started")]
fn start<A: actix::Actor<Context = actix::Context<A>>>(actor: A) -> Addr<A> {
    actor.start()
}

async fn front_half(
    mission: &Mission,
    world: &World,
    next: (Recipient<ShardSealed>, Recipient<NoMoreShards>),
    end: FeedEnd,
) -> Result<(), Fault> {
    let settings = &mission.settings;
    let options = EncoderOptions {
        limits: Limits {
            lines: settings.max_images_per_batch.min(settings.provider.max_lines) as usize,
            bytes: settings.most_shard_bytes(),
            tokens: settings.shard.max_shard_tokens.unwrap_or(0),
            money: None,
            age_ms: millis(settings.shard.seal_age),
        },
        counting: countings(settings),
        charges: prices::charges(settings),
        ceiling: world.ceiling.clone(),
        run: world.run,
        recipes: world.recipes.clone(),
        given: world.given.clone(),
        corpus: Arc::clone(&world.corpus),
        pool: world.work.clone(),
        eager: matches!(end, FeedEnd::Opened | FeedEnd::Planned),
        workshop: workshop(mission, world),
        news: world.news.clone(),
        stop: world.stop.clone(),
        ahead: (way(settings) == Way::ByBatch && !matches!(mission.mode, Mode::SpoolOnly(_)))
            .then_some(canary::BATCH_LINES),
    };
    let encoder = start(Encoder::new(
        options,
        world.ledger.clone(),
        mission.clock.clone(),
        next,
        world.meters.upload.clone(),
        world.faults.clone(),
        world.guard("encoder"),
    ));
    let options = ScannerOptions {
        corpus: world.corpus_id,
        end,
        limit: settings.run.limit.unwrap_or(0),
        lots: lots(mission)?,
        copies: (settings.encode.duplicates == Duplicates::Once)
            .then(|| Finder::new(&world.corpus, &world.ledger, &world.work, &world.recipes)),
    };
    start(Scanner::new(
        options,
        (listing::walk(world).await?, listing::rescan(mission, world)),
        world.ledger.clone(),
        world.stop.clone().or(world.feed_stop.watcher()),
        (recipient(&encoder), recipient(&encoder)),
        world.meters.encode.clone(),
        Arc::clone(&world.passed_over),
        world.faults.clone(),
        world.guard("scanner"),
    ));
    Ok(())
}

/// How prompt tokens are estimated under these settings.
fn countings(settings: &Settings) -> Countings {
    let models = settings.models.clone();
    Arc::new(move |model, detail| models.counting(model, detail))
}

/// Where pictures are made ready.
fn workshop(mission: &Mission, world: &World) -> Workshop {
    let settings = &mission.settings;
    Workshop {
        corpus: Arc::clone(&world.corpus),
        pool: world.work.clone(),
        memory: world.memory.clone(),
        most_memory: settings.shard.max_memory / MEMORY_UNIT,
        files: world.prepared.clone(),
        max_pixels: settings.encode.max_pixels,
        max_bytes: world.max_image_bytes,
        hash_images: settings.encode.hash_images,
    }
}

/// What a pilot is drawn with.
fn lots(mission: &Mission) -> Result<Option<Lot>, Fault> {
    let Mode::Pilot(images) = mission.mode else { return Ok(None) };
    let seed = random::letters(SEED).map_err(Fault::Disk)?;
    Ok(Some(Lot { seed, images: images as usize }))
}

fn uploader(
    mission: &Mission,
    world: &World,
    next: (Recipient<BatchOpened>, Recipient<NoMoreBatches>),
) -> Addr<Uploader> {
    let settings = &mission.settings;
    let sender = Sender {
        options: SendOptions {
            jsonl_file_base: settings.jsonl_file_base.clone(),
            description: settings.description.clone(),
            window: settings.provider.window.clone(),
            results_expire_after: settings.batch.results_expire_after,
            give_up_after: settings.run.give_up_after,
            settle: settings.provider.settle,
            wait_for_file: settings.provider.wait_for_file,
            wait_out: (settings.provider.fence == Fence::Wait)
                .then(|| settings.provider.window_length() + LATEST_START),
            recipes: world.recipes.clone(),
            charges: prices::charges(settings),
            answers_come: matches!(mission.mode, Mode::Run { once: false } | Mode::Serve | Mode::Pilot(_)),
        },
        provider: Arc::clone(&world.provider),
        ledger: world.ledger.clone(),
        bodies: Arc::clone(&world.bodies),
        layout: mission.layout.clone(),
        clock: mission.clock.clone(),
        stop: world.stop.clone(),
        news: world.news.clone(),
        patience: Patience::new(mission.clock.clone(), settings.run.give_up_after),
        queue_told: Arc::default(),
        ceiling: world.ceiling.clone(),
        canary: Arc::new(Canary::new(way(settings))),
        purse: Purse::default(),
    };
    let seams = UploaderSeams {
        sender,
        slots: world.slots.clone(),
        stop: world.stop.clone(),
        only_new: matches!(mission.mode, Mode::Pilot(_)),
        // Nobody gives a slot back where nobody polls, and one pass waits for none: the rest waits in the ledger for the next
        // start. One pass still looks at what is open.
        drain_when_full: match mission.mode {
            Mode::Upload => Some(mission.stop.clone()),
            Mode::Run { once: true } => Some(world.feed_stop.clone()),
            _ => None,
        },
    };
    start(Uploader::new(seams, next, world.meters.poll.clone(), world.faults.clone(), world.guard("uploader")))
}

fn way(settings: &Settings) -> Way {
    match settings.run.canary {
        settings::Canary::Sync => Way::Directly,
        settings::Canary::Batch => Way::ByBatch,
        settings::Canary::Off => Way::Not,
    }
}

fn back_half(mission: &Mission, world: &World, looks: Looks) -> Result<Addr<Poller>, Fault> {
    let cleaner = start(cleaner(mission, world));
    let extractor = start(extractor(mission, world, &cleaner, Source::Ended)?);
    let options = PollerOptions {
        pace: Pace {
            first_ms: millis(mission.settings.batch.poll_interval),
            longest_ms: millis(mission.settings.batch.max_poll_interval),
        },
        looks,
        only: mission.mode.only(),
        give_up_after: mission.settings.run.give_up_after,
    };
    let seams = PollerSeams {
        provider: Arc::clone(&world.provider),
        ledger: world.ledger.clone(),
        clock: mission.clock.clone(),
        stop: world.stop.clone(),
        news: world.news.clone(),
        slots: world.slots.clone(),
        layout: mission.layout.clone(),
    };
    let next = (recipient(&extractor), recipient(&extractor));
    let (meter, faults) = (world.meters.extract.clone(), world.faults.clone());
    Ok(start(Poller::new(options, seams, next, meter, faults, world.guard("poller"))))
}

fn extractor(mission: &Mission, world: &World, cleaner: &Addr<Cleaner>, source: Source) -> Result<Extractor, Fault> {
    let seams = ExtractorSeams {
        fetcher: Fetcher {
            provider: Arc::clone(&world.provider),
            pool: world.work.clone(),
            clock: mission.clock.clone(),
            stop: world.stop.clone(),
            give_up_after: mission.settings.run.give_up_after,
            gone_after: mission.settings.provider.settle.max(GONE_AFTER),
        },
        ledger: world.ledger.clone(),
        layout: mission.layout.clone(),
        pool: world.work.clone(),
        writers: ResultWriters::start(|| world.guard("results")).map_err(Fault::Disk)?,
        slots: world.slots.clone(),
        news: world.news.clone(),
        source,
        only: mission.mode.only(),
    };
    let next = Next { answers: recipient(cleaner), read: recipient(cleaner), over: recipient(cleaner) };
    let faults = world.faults.clone();
    Ok(Extractor::new(seams, next, world.meters.clean.clone(), faults, world.guard("extractor")))
}

fn cleaner(mission: &Mission, world: &World) -> Cleaner {
    let sweeper = Sweeper {
        provider: Arc::clone(&world.provider),
        ledger: world.ledger.clone(),
        layout: mission.layout.clone(),
        bodies: Arc::clone(&world.bodies),
        corpus: Arc::clone(&world.corpus),
        // What is read without a provider is left there, too.
        keep_remote: mission.settings.run.keep_remote || mission.mode.is_offline(),
    };
    let seams = CleanerSeams {
        ledger: world.ledger.clone(),
        corpus: Arc::clone(&world.corpus),
        pool: world.work.clone(),
        sweeper,
        stop: world.stop.clone(),
        news: world.news.clone(),
        rules: Arc::new(rules(&mission.settings, world)),
        mark: world.mark.clone(),
        recipes: world.recipes.clone(),
        began: mission.clock.now(),
        asks: mission.mode.feeds(),
        most_rejected: mission.settings.run.max_failures_percent.filter(|_| !mission.mode.is_offline()),
        again: matches!(mission.mode, Mode::Clean { .. }).then(|| Arc::clone(&world.rejudged)),
    };
    Cleaner::new(seams, world.faults.clone(), world.guard("cleaner"))
}

/// How texts are cleaned.
pub(super) fn polish_options(settings: &Settings) -> PolishOptions {
    let form = match settings.clean.unicode {
        Unicode::Nfc => UnicodeForm::Nfc,
        Unicode::Keep => UnicodeForm::Keep,
    };
    PolishOptions { form, skip: settings.clean.skipped_rules() }
}

/// How answers are judged and cleaned.
fn rules(settings: &Settings, world: &World) -> Rules {
    let (judge, clean) = (&settings.judge, &settings.clean);
    Rules {
        polish: polish_options(settings),
        limits: JudgeLimits {
            repetition: LoopLimits {
                copies: judge.loop_copies as usize,
                characters: judge.loop_characters as usize,
                deflate_ratio: judge.loop_deflate_ratio,
                line_share: judge.loop_line_share,
            },
            blank_ink: judge.blank_ink,
            blank_letters: judge.blank_letters as usize,
        },
        length: LengthLimits { short: judge.length_short, long: judge.length_long, pages: judge.length_pages as usize },
        existing: if settings.text.keep_existing { Existing::Keep } else { Existing::Replace },
        from: match &settings.text.from {
            settings::TextFrom::Content => TextFrom::Content,
            settings::TextFrom::Field(name) => TextFrom::Field(name.clone()),
        },
        deep_changed_words: clean.deep_changed_words,
        ladder: world.recipes.ladder().clone(),
        attempts: settings.retry.max_attempts,
    }
}

fn spool_terminus(world: &World) -> Result<ShardTerminus, Fault> {
    let no_spool = || Fault::Died { who: "spool", why: "no spool folder".to_owned() };
    let seams = SpoolSeams {
        ledger: world.ledger.clone(),
        corpus: Arc::clone(&world.corpus),
        pool: world.body_pool.clone(),
        spool: world.spool.clone().ok_or_else(no_spool)?,
        stop: world.stop.clone(),
        news: world.news.clone(),
        makings: world.makings.clone(),
    };
    Ok(ShardTerminus::new(seams, world.faults.clone(), world.guard("spool-only")))
}
