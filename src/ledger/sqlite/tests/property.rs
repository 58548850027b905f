//! Random commands against the store and the model at once. After each the two must agree row by row, the balance must
//! close, what a refused command did must be gone, and a ledger opened anew must count the same.

use proptest::prelude::*;

use super::model::{LIMIT, Look, Model, Thought};
use super::*;
use crate::domain::batch::{BatchEnd, Refusal, Usage};
use crate::domain::image::Reason;
use crate::domain::money::Money;
use crate::domain::verdict::Verdict;
use crate::ledger::moves::{BatchState, ImageState, ShardState};
use crate::ledger::reader::Reader;
use crate::ledger::records::{
    Culprit, Ending, Enrolled, Hold, ImageVerdict, NewRun, RawFile, Remeasured, Standing, TextOwner,
};
use crate::ledger::sqlite::{money as sums, open};

#[derive(Clone, Debug)]
enum Command {
    Enrol(u8, i64, Look),
    CannotAsk(usize),
    AskAgain(Vec<usize>),
    Seal(Vec<usize>),
    Uploaded(usize, u8),
    Dissolve(usize, Option<usize>, bool),
    DissolveUnsent,
    Intend(usize),
    Opened(usize),
    NotCreated(usize),
    Fenced(usize),
    Voided(usize),
    Stray(usize),
    Ended(usize, BatchEnd, bool, Option<usize>),
    TurnedAway(usize),
    Fetched(usize),
    ResultsGone(usize),
    Verdict(usize, usize, Thought),
    Settle(usize),
    TakenBack(Box<Command>),
}

fn command() -> impl Strategy<Value = Command> {
    let look = prop_oneof![4 => Just(Look::Fine), 1 => Just(Look::Bad), 1 => Just(Look::Passed)];
    let thought =
        prop_oneof![Just(Thought::Good), Just(Thought::Cut), Just(Thought::NeverRan), Just(Thought::Hopeless)];
    let end = prop_oneof![
        3 => Just(BatchEnd::Completed),
        1 => Just(BatchEnd::Expired),
        1 => Just(BatchEnd::Refused),
        2 => Just(BatchEnd::TurnedAway),
        1 => Just(BatchEnd::Vanished)
    ];
    let shard = 0..64_usize;
    let batch = 0..64_usize;
    let plain = prop_oneof![
        6 => (0..8_u8, 0..3_i64, look).prop_map(|(name, stamp, look)| Command::Enrol(name, stamp, look)),
        1 => (0..64_usize).prop_map(Command::CannotAsk),
        1 => proptest::collection::vec(0..12_usize, 0..4).prop_map(Command::AskAgain),
        4 => proptest::collection::vec(0..64_usize, 0..4).prop_map(Command::Seal),
        4 => (shard.clone(), prop_oneof![9 => Just(0_u8), 1 => Just(1_u8)]).prop_map(|(shard, hash)| Command::Uploaded(shard, hash)),
        2 => (shard.clone(), proptest::option::of(0..4_usize), any::<bool>())
            .prop_map(|(shard, culprit, gone)| Command::Dissolve(shard, culprit, gone)),
        1 => Just(Command::DissolveUnsent),
        4 => shard.clone().prop_map(Command::Intend),
        4 => batch.clone().prop_map(Command::Opened),
        1 => batch.clone().prop_map(Command::NotCreated),
        1 => batch.clone().prop_map(Command::Fenced),
        1 => batch.clone().prop_map(Command::Voided),
        1 => shard.prop_map(Command::Stray),
        4 => (batch.clone(), end, any::<bool>(), proptest::option::of(1..4_usize))
            .prop_map(|(batch, end, files, line)| Command::Ended(batch, end, files, line)),
        2 => batch.clone().prop_map(Command::TurnedAway),
        3 => batch.clone().prop_map(Command::Fetched),
        1 => batch.clone().prop_map(Command::ResultsGone),
        5 => (batch.clone(), 0..4_usize, thought).prop_map(|(batch, line, thought)| Command::Verdict(batch, line, thought)),
        4 => batch.prop_map(Command::Settle),
    ];
    (plain, prop::bool::weighted(0.1))
        .prop_map(|(command, back)| if back { Command::TakenBack(Box::new(command)) } else { command })
}

fn id(place: usize) -> i64 {
    i64::try_from(place + 1).expect("small")
}

/// Commands are drawn blindly. Nearly all are turned to a row on which they are legal, or to the command that would lead
/// there, so that long lives are seen; the rest stays blind, so that refusals are seen.
fn aimed(model: &Model, command: &Command) -> Command {
    use Command as C;
    let shard = |state| places(&model.shards, |shard| shard.state == state);
    let batch = |state| places(&model.batches, |batch| batch.state == state);
    let owed = || places(&model.images, |image| image.state == ImageState::Owed);
    let fenced = || places(&model.batches, |batch| batch.state == BatchState::Opening && batch.fenced);
    let away = || places(&model.batches, |batch| batch.state == BatchState::Ended && batch.end == BatchEnd::TurnedAway);
    let ended = || places(&model.batches, |batch| matches!(batch.state, BatchState::Ended | BatchState::Fetched));
    let turned = |at: usize, legal: Vec<usize>, make: &dyn Fn(usize) -> C, before: C| {
        let blind = at.is_multiple_of(16);
        if legal.is_empty() && !blind { aimed(model, &before) } else { make(pick(at, &legal)) }
    };
    let (sealed, uploaded) = (|| shard(ShardState::Sealed), || shard(ShardState::Uploaded));
    let over = |at| C::Ended(at, BatchEnd::Completed, true, None);
    match command.clone() {
        C::Enrol(..) | C::AskAgain(_) | C::DissolveUnsent => command.clone(),
        C::TakenBack(inner) => C::TakenBack(Box::new(aimed(model, &inner))),
        C::CannotAsk(at) => C::CannotAsk(pick(at, &owed())),
        C::Seal(draws) if owed().is_empty() => C::Enrol(u8::try_from(draws.len()).unwrap_or(0), 7, Look::Fine),
        C::Seal(draws) => {
            let mut images: Vec<_> = draws.iter().map(|draw| pick(*draw, &owed())).collect();
            images.sort_unstable();
            images.dedup();
            C::Seal(images)
        }
        C::Uploaded(at, hash) => turned(at, sealed(), &|at| C::Uploaded(at, hash), C::Seal(vec![at, at + 1, at + 2])),
        C::Dissolve(at, who, gone) => turned(at, sealed(), &|at| C::Dissolve(at, who, gone), C::Seal(vec![at, at + 1])),
        C::Intend(at) => turned(at, uploaded(), &C::Intend, C::Uploaded(at, 0)),
        C::Opened(at) => turned(at, batch(BatchState::Opening), &C::Opened, C::Intend(at)),
        C::NotCreated(at) => turned(at, batch(BatchState::Opening), &C::NotCreated, C::Intend(at)),
        C::Fenced(at) => turned(at, batch(BatchState::Opening), &C::Fenced, C::Intend(at)),
        C::Voided(at) => turned(at, fenced(), &C::Voided, C::Fenced(at)),
        C::Stray(at) => turned(at, shard(ShardState::Spent), &C::Stray, C::Opened(at)),
        C::Ended(at, end, files, line) => {
            turned(at, batch(BatchState::Open), &|at| C::Ended(at, end, files, line), C::Opened(at))
        }
        C::TurnedAway(at) => turned(at, away(), &C::TurnedAway, C::Ended(at, BatchEnd::TurnedAway, false, None)),
        C::Fetched(at) => turned(at, batch(BatchState::Ended), &C::Fetched, over(at)),
        C::ResultsGone(at) => turned(at, batch(BatchState::Ended), &C::ResultsGone, over(at)),
        C::Verdict(at, line, thought) => turned(at, ended(), &|at| C::Verdict(at, line, thought), over(at)),
        C::Settle(at) => turned(at, ended(), &C::Settle, over(at)),
    }
}

fn places<T>(rows: &[T], wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    (0..rows.len()).filter(|at| wanted(&rows[*at])).collect()
}

fn pick(draw: usize, legal: &[usize]) -> usize {
    if draw.is_multiple_of(16) || legal.is_empty() { draw / 16 } else { legal[draw % legal.len()] }
}

/// The model's half of a command.
fn imagined(model: &mut Model, command: &Command) -> bool {
    match command {
        Command::Enrol(name, stamp, look) => model.enrol(*name, *stamp, *look),
        Command::CannotAsk(image) => model.cannot_ask(*image),
        Command::AskAgain(images) => model.ask_again(images),
        Command::Seal(images) => model.seal(images),
        Command::Uploaded(shard, hash) => model.uploaded(*shard, *hash),
        Command::Dissolve(shard, culprit, gone) => model.dissolve(*shard, *culprit, *gone),
        Command::DissolveUnsent => model.dissolve_unsent(),
        Command::Intend(shard) => model.intend(*shard),
        Command::Opened(batch) => model.opened(*batch),
        Command::NotCreated(batch) => model.not_created(*batch),
        Command::Fenced(batch) => model.fenced(*batch),
        Command::Voided(batch) => model.voided(*batch),
        Command::Stray(shard) => model.stray(*shard),
        Command::Ended(batch, end, files, line) => model.ended(*batch, *end, *files, *line),
        Command::TurnedAway(batch) => model.turned_away(*batch),
        Command::Fetched(batch) => model.fetched(*batch),
        Command::ResultsGone(batch) => model.results_gone(*batch),
        Command::Verdict(batch, line, thought) => model.verdict(*batch, *line, *thought),
        Command::Settle(batch) => model.settle(*batch),
        Command::TakenBack(_) => false,
    }
}

/// The store's half of a command about images and shards; the model, as it was before, tells which image a line means.
fn done(desk: &mut Desk, model: &Model, step: usize, command: &Command) -> Result<(), LedgerError> {
    let corpus = desk.corpus;
    match command {
        Command::Enrol(name, stamp, look) => {
            let fate = match look {
                Look::Fine => owed(),
                Look::Bad => Fate::Failed(Reason::Damaged),
                Look::Passed => Fate::Skipped(Reason::Excluded),
            };
            let file = found(&name.to_string(), *stamp, fate);
            let known = desk.store.are_known(corpus, &[(file.path.clone(), file.stamp)]).expect("asked");
            desk.store.enrol(corpus, &[file]).map(|enrolled| {
                let unchanged = Enrolled { unchanged: 1, ..Enrolled::default() };
                assert!(known == [false] || enrolled == unchanged, "{command:?} of a known file: {enrolled:?}");
            })
        }
        Command::CannotAsk(image) => desk.store.cannot_ask(ImageId(id(*image)), Reason::TooLarge),
        Command::AskAgain(images) => {
            let images: Vec<_> = images.iter().map(|image| ImageId(id(*image))).collect();
            desk.store.ask_again(&images, None).map(drop)
        }
        Command::Seal(images) => {
            let images: Vec<_> = images.iter().map(|image| id(*image)).collect();
            let plan = NewShard { charge: Some(money::charge()), ..desk.plan_of(step, &images) };
            desk.store.seal(&plan).map(drop)
        }
        Command::Uploaded(shard, hash) => {
            desk.store.uploaded(ShardId(id(*shard)), &FileId(format!("file-{step}")), 5, [*hash; 16])
        }
        Command::Dissolve(shard, culprit, gone) => {
            let images = model.shards.get(*shard).map(|shard| shard.images.as_slice()).unwrap_or_default();
            let culprit = culprit.filter(|_| !images.is_empty()).map(|line| {
                let image = images[line % images.len()];
                let stamp = Stamp { bytes: 10, mtime_ms: model.images[image].stamp + 10 };
                let now = if *gone { Err(Reason::Missing) } else { Ok(Remeasured { stamp, fate: owed() }) };
                Culprit { image: ImageId(id(image)), now }
            });
            desk.store.dissolve(ShardId(id(*shard)), culprit.as_ref())
        }
        Command::DissolveUnsent => {
            let other = desk.store.begin_run(&NewRun { identity: "other".into(), ..new_run() })?;
            desk.store.dissolve_unsent(other.id, 99).map(drop)
        }
        Command::Intend(shard) => match desk.store.intend(ShardId(id(*shard)))? {
            Admission::Granted(_) => Ok(()),
            other => Err(LedgerError::Stale(format!("{other:?}"))),
        },
        Command::Stray(shard) => {
            let name = format!("stray-{step}");
            desk.store.stray(ShardId(id(*shard)), &FileId(name.clone()), &BatchId(name)).map(drop)
        }
        other => done_to_batch(&mut desk.store, model, step, other),
    }
}

fn done_to_batch(store: &mut SqliteStore, model: &Model, step: usize, command: &Command) -> Result<(), LedgerError> {
    let no = |batch: &usize| BatchNo(id(*batch));
    let name = || format!("batch-{step}");
    let raw = RawFile { bytes: 1, sha256: [1; 32] };
    match command {
        Command::Opened(batch) => store.opened(no(batch), &BatchId(name()), None, false).map(drop),
        Command::NotCreated(batch) => {
            let refusal = Refusal { code: String::new(), message: String::new(), line: None };
            store.not_created(no(batch), &refusal, Hold::Until(5))
        }
        Command::Fenced(batch) => store.fenced(no(batch)),
        Command::Voided(batch) => store.voided(no(batch)),
        Command::Ended(batch, end, files, line) => {
            let line = line.and_then(|line| u32::try_from(line).ok());
            let refusal = Some(Refusal { code: String::new(), message: String::new(), line });
            let output = files.then(|| FileId(name()));
            let named = line.into_iter().collect();
            let usage = files.then_some(Usage { prompt: 10, output: 1, ..Usage::default() });
            let ending = Ending { end: *end, output, errors: None, usage, model: None, refusal, named };
            store.ended(no(batch), &ending).map(drop)
        }
        Command::TurnedAway(batch) => store.turned_away(no(batch), Hold::Until(5)),
        Command::Fetched(batch) => store.fetched(no(batch), Some(raw), None),
        Command::ResultsGone(batch) => store.results_gone(no(batch)),
        Command::Verdict(batch, line, thought) => {
            let images = model.batches.get(*batch).map(|batch| model.shards[batch.shard].images.as_slice());
            let image = images.map_or(0, |images| images[line % images.len()]);
            store.verdicts(no(batch), &[verdict(image, *thought)]).map(drop)
        }
        Command::Settle(batch) => store.settle(no(batch)).map(drop),
        _ => Ok(()),
    }
}

fn verdict(image: usize, thought: Thought) -> ImageVerdict {
    let verdict = match thought {
        Thought::Good => Verdict::Accept,
        Thought::Cut => Verdict::AskAgain { reason: Reason::Truncated, counted: true },
        Thought::NeverRan => Verdict::AskAgain { reason: Reason::ProviderError, counted: false },
        Thought::Hopeless => Verdict::Reject(Reason::Refused),
    };
    let text = Some((TextOwner::Ours, [2; 16])).filter(|_| thought == Thought::Good);
    ImageVerdict { text, ..ImageVerdict::bare(ImageId(id(image)), verdict) }
}

/// One command in both worlds; a taken back or refused one must leave no trace in either.
fn step(desk: &mut Desk, model: &mut Model, number: usize, command: &Command) -> Result<(), TestCaseError> {
    let (command, back) = match command {
        Command::TakenBack(inner) => (inner.as_ref(), true),
        plain => (plain, false),
    };
    let command = &aimed(model, command);
    let mut next = model.clone();
    let expected = imagined(&mut next, command);
    desk.store.begin().expect("begin");
    desk.store.savepoint().expect("savepoint");
    let told = done(desk, model, number, command);
    prop_assert_eq!(told.is_ok(), expected, "{:?} told {:?}", command, &told);
    prop_assert!(matches!(told, Ok(()) | Err(LedgerError::Stale(_))), "{:?}", told);
    let keep = expected && !back;
    desk.store.release(keep).expect("release");
    desk.store.commit().expect("commit");
    if keep {
        *model = next;
    }
    agree(desk, model)
}

/// A desk whose limit is met by some days and not by others.
fn poor(mut desk: Desk) -> Desk {
    desk.store.allowed.max_cost = Some(Money::from_micros(LIMIT));
    desk
}

fn agree(desk: &Desk, model: &Model) -> Result<(), TestCaseError> {
    let standing = desk.store.standing();
    prop_assert!(standing.closes(), "{:?}", standing);
    prop_assert_eq!(standing, model.standing());
    let derived = open::standing(&desk.store.connection).expect("counts");
    prop_assert_eq!(
        Standing { shards_returned: standing.shards_returned, queue_left: standing.queue_left, ..derived },
        standing
    );
    let spent = desk.store.books.spent;
    prop_assert_eq!(spent, sums::spent(&desk.store.connection).expect("sums"));
    let funds = sums::funds(&desk.store).expect("sums");
    prop_assert_eq!([funds.spent, funds.reserved].map(Money::micros_up), model.funds());
    let sql = "SELECT name, mtime_ms, state, reason, asked, gaps, shard_id FROM image ORDER BY id";
    let mut statement = desk.store.connection.prepare_cached(sql).expect("sql");
    let rows = statement.query_map([], |row| {
        let name: Vec<u8> = row.get(0)?;
        let state: (String, Option<String>) = (row.get(2)?, row.get(3)?);
        Ok((
            name,
            row.get::<_, i64>(1)?,
            state,
            row.get::<_, u32>(4)?,
            row.get::<_, u32>(5)?,
            row.get::<_, Option<i64>>(6)?,
        ))
    });
    let rows: Vec<_> = rows.expect("rows").collect::<Result<_, _>>().expect("images");
    let imagined: Vec<_> = model
        .images
        .iter()
        .map(|image| {
            let state = (image.state.word().to_owned(), image.reason.map(|reason| reason.word().to_owned()));
            let name = image.name.to_string().into_bytes();
            (name, image.stamp, state, image.asked, image.gaps, image.shard.map(id))
        })
        .collect();
    prop_assert_eq!(rows, imagined);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn store_and_model_agree(commands in proptest::collection::vec(command(), 1..120)) {
        let (mut desk, mut model) = (poor(Desk::in_memory()), Model::default());
        for (number, command) in commands.iter().enumerate() {
            step(&mut desk, &mut model, number, command)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ledger_opened_anew_is_the_same(
        commands in proptest::collection::vec((command(), prop::bool::weighted(0.1)), 1..60)
    ) {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.sqlite");
        let (mut desk, mut model) = (poor(Desk::at(&path)), Model::default());
        for (number, (command, dies)) in commands.iter().enumerate() {
            if *dies {
                // Not closed in order: dropped like a process that was killed, and opened by the next one.
                desk = poor(Desk::at(&path));
                model.reopened();
                agree(&desk, &model)?;
            }
            step(&mut desk, &mut model, number, command)?;
        }
        let findings = Reader::open(&path).expect("reader").audit().expect("audit").findings;
        prop_assert!(findings.is_empty(), "{:?}", findings);
    }
}
