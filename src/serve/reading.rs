//! From tally and ledger to metrics: each name with what feeds it.

use std::collections::BTreeMap;
use std::path::Path;

use super::metrics::{Kind, Metric, number, render};
use crate::domain::money::{Funds, Money};
use crate::kit::clock::Millis;
use crate::kit::histogram::Histogram;
use crate::kit::news::Outcomes;
use crate::kit::traffic::Sums;
use crate::ledger::LedgerError;
use crate::ledger::moves::BatchState;
use crate::ledger::reader::{QueueRow, Reader, UsageSum};
use crate::ledger::records::Standing;
use crate::pipeline::mission::Tally;

/// Counts that only ever grow while the process lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    sent_bytes: u64,
    batches_opened: u64,
    answers: u64,
    /// Microseconds by edge.
    waits: BTreeMap<&'static str, u64>,
    traffic: Sums,
    outcomes: Outcomes,
}

impl Counts {
    pub(super) fn of(tally: &Tally) -> Self {
        Self {
            sent_bytes: tally.sent_bytes,
            batches_opened: tally.batches_opened,
            answers: tally.answers,
            waits: tally.waits.iter().copied().collect(),
            traffic: tally.traffic.clone(),
            outcomes: tally.outcomes.clone(),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.sent_bytes += other.sent_bytes;
        self.batches_opened += other.batches_opened;
        self.answers += other.answers;
        for (edge, micros) in &other.waits {
            *self.waits.entry(edge).or_default() += micros;
        }
        self.traffic.add(&other.traffic);
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += count;
        }
    }
}

/// What the ledger says; nothing where it cannot be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) standing: Option<Standing>,
    funds: Option<Funds>,
    usage: Option<UsageSum>,
    batches: Vec<(BatchState, u64)>,
    oldest: Option<Millis>,
    queues: Vec<QueueRow>,
    durations: Option<Histogram>,
    unpriced: Option<u64>,
}

impl Reading {
    /// Asks the ledger at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self::read(path).unwrap_or_else(|error| {
            tracing::debug!(%error, "the ledger tells no metrics");
            Self::default()
        })
    }

    fn read(path: &Path) -> Result<Self, LedgerError> {
        let reader = Reader::open(path)?;
        Ok(Self {
            standing: Some(reader.standing()?),
            funds: Some(reader.funds()?),
            usage: Some(reader.usage()?),
            batches: reader.batch_counts()?,
            oldest: reader.oldest_open()?,
            queues: reader.queues()?,
            durations: Some(reader.durations()?),
            unpriced: Some(reader.unpriced_images()?),
        })
    }
}

/// What is shown beside what the ledger says.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) standing: Option<Standing>,
    pub(super) last_look: Option<Millis>,
    pub(super) arriving: u64,
    pub(super) counts: &'a Counts,
    pub(super) leases: &'a [(&'static str, u64)],
    pub(super) limit: Option<Money>,
    pub(super) max_enqueued: Option<u64>,
    pub(super) is_ready: bool,
    pub(super) now: Millis,
}

/// All metrics as text.
pub(super) fn text(scene: &Scene<'_>, reading: &Reading) -> String {
    let metrics = [
        of_work(scene),
        of_traffic(scene.counts),
        of_batches(scene, reading),
        of_money(scene, reading),
        of_process(scene),
    ]
    .concat();
    render(&metrics)
}

fn of_work(scene: &Scene<'_>) -> Vec<Metric> {
    let mut images = Metric::new(Kind::Gauge, "images", "Images found, by what became of them.");
    if let Some(now) = &scene.standing {
        for (state, count) in [
            ("owed", now.owed),
            ("in_flight", now.packed),
            ("done", now.done),
            ("rough", now.rough),
            ("failed", now.failed),
            ("skipped", now.skipped),
        ] {
            images = images.of("state", state, number(count));
        }
    }
    let counts = scene.counts;
    let mut outcomes = Metric::new(
        Kind::Counter,
        "image_outcomes_total",
        "Verdicts on answers by this process, with the reason where an answer was not taken.",
    );
    for ((verdict, reason), count) in &counts.outcomes {
        let labels = vec![("verdict", (*verdict).to_owned()), ("reason", (*reason).to_owned())];
        outcomes = outcomes.of_all(labels, number(*count));
    }
    let total = |name, help, count| Metric::new(Kind::Counter, name, help).plain(number(count));
    vec![
        images,
        Metric::new(Kind::Gauge, "images_arriving", "Files that may still be on their way, at the last listing.")
            .plain(number(scene.arriving)),
        total("answers_total", "Answers judged by this process.", counts.answers),
        outcomes,
        total("batches_opened_total", "Batches opened by this process.", counts.batches_opened),
        total("upload_bytes_total", "Bytes of request files sent by this process.", counts.sent_bytes),
    ]
}

fn of_traffic(counts: &Counts) -> Vec<Metric> {
    let Sums { requests: asked, times, received } = &counts.traffic;
    let mut requests = Metric::new(
        Kind::Counter,
        "provider_requests_total",
        "Requests to the provider by this process, by what they asked for and what came of them.",
    );
    for ((op, code), count) in asked {
        requests = requests.of_all(vec![("op", (*op).to_owned()), ("code", code.word())], number(*count));
    }
    let mut seconds =
        Metric::new(Kind::Histogram, "provider_request_seconds", "Time until the head of the provider's answer.");
    for (op, times) in times {
        seconds = seconds.times(&vec![("op", (*op).to_owned())], times);
    }
    let help = "Bytes of result files that came to this process.";
    vec![requests, seconds, Metric::new(Kind::Counter, "download_bytes_total", help).plain(number(*received))]
}

fn of_batches(scene: &Scene<'_>, reading: &Reading) -> Vec<Metric> {
    let mut batches = Metric::new(Kind::Gauge, "batches", "Batches in the ledger, by where they stand.");
    for (state, count) in &reading.batches {
        batches = batches.of("status", state.word(), number(*count));
    }
    let mut queue = Metric::new(Kind::Gauge, "queue_tokens", "Estimated tokens that are enqueued at the provider.");
    let mut limits = Metric::new(
        Kind::Gauge,
        "queue_tokens_limit",
        "Tokens that may be enqueued, as set or once the provider said so.",
    );
    for row in &reading.queues {
        queue = queue.of("model", row.model.clone(), number(row.used));
        if let Some(limit) = scene.max_enqueued.or(row.limit) {
            limits = limits.of("model", row.model.clone(), number(limit));
        }
    }
    let mut tokens = Metric::new(Kind::Counter, "tokens_total", "Tokens of ended batches, as the provider told them.");
    if let Some(UsageSum { usage, .. }) = &reading.usage {
        let directions = [("in", usage.prompt), ("out", usage.output)];
        for (direction, count) in directions {
            tokens = tokens.of("direction", direction, number(count));
        }
    }
    let mut durations = Metric::new(
        Kind::Histogram,
        "batch_duration_seconds",
        "How long batches took from their creation to their end.",
    );
    if let Some(times) = &reading.durations {
        durations = durations.times(&Vec::new(), times);
    }
    let age = |at: Millis| seconds(scene.now.saturating_sub(at).max(0));
    vec![
        batches,
        durations,
        Metric::new(Kind::Gauge, "oldest_batch_age_seconds", "Age of the oldest open batch; 0 if none is open.")
            .plain(scene.standing.map(|_| reading.oldest.map_or(0.0, age))),
        Metric::new(Kind::Gauge, "last_poll_timestamp_seconds", "When the provider last told of open batches.")
            .plain(scene.last_look.map(seconds)),
        queue,
        limits,
        tokens,
    ]
}

fn of_money(scene: &Scene<'_>, reading: &Reading) -> Vec<Metric> {
    let funds = reading.funds.as_ref();
    vec![
        Metric::new(Kind::Counter, "cost_usd_total", "What ended batches cost, where the price is known.")
            .plain(funds.map(|funds| funds.spent.usd())),
        Metric::new(Kind::Gauge, "cost_reserved_usd", "What open batches may cost at most.")
            .plain(funds.map(|funds| funds.reserved.usd())),
        Metric::new(Kind::Gauge, "cost_unknown_images", "Images of batches whose price is unknown.")
            .plain(reading.unpriced.map(number)),
        Metric::new(Kind::Gauge, "cost_limit_usd", "What the workspace may cost (run.max_cost).")
            .plain(scene.limit.map(Money::usd)),
    ]
}

fn of_process(scene: &Scene<'_>) -> Vec<Metric> {
    let mut waits = Metric::new(
        Kind::Counter,
        "edge_wait_seconds_total",
        "Time that stages waited for the next one, by connection.",
    );
    for (edge, micros) in &scene.counts.waits {
        waits = waits.of("edge", *edge, number(*micros) / 1e6);
    }
    let mut leases = Metric::new(
        Kind::Gauge,
        "lease_used",
        "What is held of each budget: open batches, bodies being sent, bytes of decoded and of prepared images.",
    );
    for (budget, held) in scene.leases {
        leases = leases.of("budget", *budget, number(*held));
    }
    vec![
        waits,
        leases,
        Metric::new(Kind::Gauge, "ready", "1 if nothing is in the way of the work, as /health/readyz tells.")
            .plain(if scene.is_ready { 1.0 } else { 0.0 }),
        Metric::new(Kind::Gauge, "build_info", "Always 1; the version of the program.").of(
            "version",
            env!("CARGO_PKG_VERSION"),
            1.0,
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "the format knows floats alone; milliseconds of an age are exact")]
fn seconds(ms: Millis) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::traffic::{Code, Traffic};

    #[test]
    fn only_what_is_known_is_shown() {
        let counts = Counts::default();
        let scene = Scene {
            standing: None,
            last_look: None,
            arriving: 0,
            counts: &counts,
            leases: &[],
            limit: None,
            max_enqueued: None,
            is_ready: false,
            now: 0,
        };
        let shown = text(&scene, &Reading::default());
        for absent in [
            "images{",
            "image_",
            "cost_",
            "last_poll",
            "queue",
            "tokens_total",
            "oldest",
            "provider",
            "batch_dur",
            "lease",
        ] {
            assert!(!shown.contains(&format!("batchscribe_{absent}")), "{absent} in {shown}");
        }
        assert!(shown.contains("batchscribe_ready 0\n"), "{shown}");
    }

    /// The names of ours that a text speaks of.
    fn names(text: &str) -> std::collections::BTreeSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("batchscribe_")).collect()
    }

    #[test]
    fn what_is_known_has_its_name() {
        let traffic = Traffic::default();
        traffic.begin("ask").ends(Code::Status(429));
        traffic.received(12);
        let tally = Tally {
            answers: 3,
            waits: vec![("clean_wait", 1_500_000)],
            traffic: traffic.sums(),
            outcomes: [(("accept", ""), 2), (("reject", "refused"), 1)].into(),
            ..Tally::default()
        };
        let counts = Counts::of(&tally);
        let funds = Funds { spent: Money::from_micros(250_000), ..Funds::default() };
        let reading = Reading {
            funds: Some(funds),
            batches: vec![(BatchState::Open, 2)],
            oldest: Some(1_000),
            unpriced: Some(4),
            ..Reading::default()
        };
        let scene = Scene {
            standing: Some(Standing { found: 9, done: 9, ..Standing::default() }),
            last_look: Some(61_500),
            arriving: 1,
            counts: &counts,
            leases: &[("bodies", 2)],
            limit: Money::parse("2"),
            max_enqueued: None,
            is_ready: true,
            now: 62_000,
        };
        let shown = text(&scene, &reading);
        for line in [
            "images{state=\"done\"} 9",
            "images_arriving 1",
            "answers_total 3",
            "batches{status=\"open\"} 2",
            "oldest_batch_age_seconds 61",
            "last_poll_timestamp_seconds 61.5",
            "cost_usd_total 0.25",
            "cost_reserved_usd 0",
            "cost_limit_usd 2",
            "image_outcomes_total{verdict=\"accept\",reason=\"\"} 2",
            "image_outcomes_total{verdict=\"reject\",reason=\"refused\"} 1",
            "provider_requests_total{op=\"ask\",code=\"429\"} 1",
            "provider_request_seconds_count{op=\"ask\"} 1",
            "download_bytes_total 12",
            "lease_used{budget=\"bodies\"} 2",
            "cost_unknown_images 4",
            "edge_wait_seconds_total{edge=\"clean_wait\"} 1.5",
        ] {
            assert!(shown.lines().any(|shown| shown == format!("batchscribe_{line}")), "{line} not in {shown}");
        }
        let model = |model: &str, limit| QueueRow {
            model: model.to_owned(),
            used: 7,
            limit,
            held_until: 0,
            tokens_a_line: 1.0,
            batch_ms: None,
        };
        let reading = Reading { queues: vec![model("a", Some(90_000)), model("b", None)], ..reading };
        let limits = |max_enqueued| {
            let shown = text(&Scene { max_enqueued, ..scene }, &reading);
            let limits = shown.lines().filter_map(|line| line.strip_prefix("batchscribe_queue_tokens_limit"));
            limits.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(limits(None), ["{model=\"a\"} 90000"]);
        assert_eq!(limits(Some(5_000)), ["{model=\"a\"} 5000", "{model=\"b\"} 5000"], "the settings decide");
        let alerts = names(include_str!("../../docs/prometheus-alerts.yml"));
        assert!(alerts.len() > 5 && alerts.is_subset(&names(&shown)), "{alerts:?}");
    }
}
