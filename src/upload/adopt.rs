//! Doubt: a create was sent and nobody knows what became of it. Listing finds the batch, or the input file is deleted (the
//! fence), after which no late request can succeed, and a second listing decides.
//!
//! Never send again before that: the API has no idempotency key.

use std::collections::HashSet;
use std::time::Duration;

use crate::domain::batch::Intent;
use crate::domain::ids::BatchId;
use crate::kit::clock::{Clock, Millis, millis};
use crate::kit::crash;
use crate::kit::news::News;
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::provider::SharedProvider;
use crate::provider::failure::{Failure, Kind};
use crate::provider::patience::Unreachable;
use crate::provider::wire::Batch;

/// Pages of the batch list read at most for one listing: a million batches.
const MOST_PAGES: usize = 10_000;
/// How far beyond the input file's creation the list is read, in seconds.
const MARGIN_S: i64 = 3600;
/// Pause before the first listing: a create on its way has arrived by then.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// Shortest pause between two listings of a wait, whatever `settle` says.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// Our clock may have been put forward by so much while nobody waited; that must not shorten a wait.
const CLOCK_STEP: Millis = 24 * 3600 * 1000;

/// What doubt came to.
#[derive(Debug)]
pub enum Resolved {
    /// The batch exists.
    Adopted(Box<Batch>, Vec<BatchId>),
    /// Surely none exists and none can: the plan may be uploaded anew.
    Void,
    /// The provider itself said that this very try failed.
    Failed(Box<Batch>),
}

/// Whether `batch` is the one that `intent` was to create.
#[must_use]
pub fn is_match(batch: &Batch, intent: &Intent) -> bool {
    let named = |key: &str, value: &str| batch.metadata.get(key).is_some_and(|told| told == value);
    let by_name = named("run", intent.run.as_str())
        && named("shard", intent.shard_tag.as_str())
        && named("attempt", &intent.attempt.to_string());
    let by_file = batch.input_file.as_ref() == Some(&intent.input);
    // Failed batches of earlier tries may name the same file; only this very attempt counts then.
    if batch.status == "failed" { by_name } else { by_file || by_name }
}

/// Whether a batch may have run: only such a one can be adopted.
fn is_living(batch: &Batch) -> bool {
    batch.status != "failed"
}

/// The cursor of the next page, if it leads on and not back to where this listing was.
fn onward(passed: &mut HashSet<BatchId>, last: Option<BatchId>) -> Option<BatchId> {
    last.filter(|last| passed.insert(last.clone()))
}

/// In which order a list has shown its batches so far, as far as it tells their times.
#[derive(Debug, Default)]
struct Order {
    latest: Option<i64>,
    falls: bool,
    rises: bool,
}

impl Order {
    fn see(&mut self, batches: &[Batch]) {
        for time in batches.iter().map(|batch| batch.created_at).filter(|time| *time > 0) {
            let before = self.latest.replace(time).unwrap_or(time);
            (self.falls, self.rises) = (self.falls || time < before, self.rises || time > before);
        }
    }

    /// Whether what follows is older. No document promises it; a list that begins with its oldest batches would hide the one
    /// that is looked for behind them, and it would be paid for a second time.
    fn is_newest_first(&self) -> bool {
        self.falls && !self.rises
    }
}

/// Chooses among all batches of a listing: the oldest living match is adopted, others are strays.
#[must_use]
pub fn choose(batches: Vec<Batch>, intent: &Intent) -> Option<Resolved> {
    let (failed, mut living): (Vec<Batch>, Vec<Batch>) =
        batches.into_iter().filter(|batch| is_match(batch, intent)).partition(|batch| !is_living(batch));
    // The id decides within one second, so that every listing leads to the same choice.
    living.sort_by(|a, b| (a.created_at, a.id.as_str()).cmp(&(b.created_at, b.id.as_str())));
    living.dedup_by(|a, b| a.id == b.id);
    if living.is_empty() {
        return failed.into_iter().next().map(|batch| Resolved::Failed(Box::new(batch)));
    }
    let oldest = living.remove(0);
    Some(Resolved::Adopted(Box::new(oldest), living.into_iter().map(|batch| batch.id).collect()))
}

/// How much of a wait is left in this life. What passed between lives is believed but for a day, by which our clock may
/// have been put forward meanwhile; one that was put back lengthens nothing.
fn left_of(wait: Millis, doubted_at: Option<Millis>, now: Millis) -> Millis {
    let passed = doubted_at.map_or(0, |at| now.saturating_sub(at).saturating_sub(CLOCK_STEP));
    wait - passed.clamp(0, wait)
}

/// The two hands that resolve doubt.
#[derive(Clone)]
pub struct Doubt {
    /// The service.
    pub provider: SharedProvider,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// How long a listing may lag behind a create.
    pub settle: Duration,
    /// Where a deletion is no fence: how long the batch is looked for instead.
    pub wait_out: Option<Duration>,
    /// No definite answer for so long: given up for this life.
    pub give_up_after: Duration,
    /// Whether this very process has sent the create, and so with this key.
    pub own: bool,
    /// Name of the file that is left for a later start to tell its key by.
    pub witness: String,
    /// News for people.
    pub news: News,
}

impl Doubt {
    /// Resolves the doubt about `intent`.
    ///
    /// # Errors
    /// The ledger's; a refusal of the key; a provider that gives no definite answer for too long; a key that sees nothing of
    /// what the create was sent with. The shard stays `opening` then.
    pub async fn resolve(&self, intent: &Intent) -> Result<Resolved, DoubtError> {
        self.ledger.doubted(intent.no).await?;
        crash::point("doubt.recorded");
        if let Some(wait) = self.wait_out.filter(|_| !intent.fenced) {
            return self.wait_out(intent, wait).await;
        }
        let is_fence = if intent.fenced {
            // Another life's key has set it; what is listed with this one counts only if it sees the same.
            self.is_ours(intent).await?
        } else {
            self.clock.sleep(FIRST_PAUSE.min(self.settle)).await;
            if let Some(found) = self.find(intent).await? {
                return Ok(found);
            }
            crash::point("doubt.listed");
            self.fence(intent).await?
        };
        if is_fence {
            self.clock.sleep(self.settle).await;
        }
        let found = self.find(intent).await?;
        crash::point("doubt.listed_again");
        match found {
            Some(found) => Ok(found),
            None if is_fence => Ok(Resolved::Void),
            None => Err(DoubtError::NotSeen),
        }
    }

    /// Lists, and chooses among what the ledger does not know: a batch of an earlier try, or a stray that waits to be read, is
    /// not what this try has opened.
    async fn find(&self, intent: &Intent) -> Result<Option<Resolved>, DoubtError> {
        let listed = self.listing(intent).await?;
        let known = self.ledger.named_batches(intent.shard).await?;
        Ok(choose(listed.into_iter().filter(|batch| !known.contains(&batch.id)).collect(), intent))
    }

    /// Looks for the batch until the window of a create that arrived late is over; only then nothing can come of it any
    /// more. A new start goes on with the wait.
    async fn wait_out(&self, intent: &Intent, wait: Duration) -> Result<Resolved, DoubtError> {
        let pause = self.settle.max(SHORTEST_LOOK);
        let mut last_look = self.clock.now();
        let mut left = left_of(millis(wait), intent.doubted_at, last_look);
        self.clock.sleep(FIRST_PAUSE.min(self.settle)).await;
        let mut is_ours = false;
        loop {
            if let Some(found) = self.find(intent).await? {
                return Ok(found);
            }
            // Once is enough: a life has one key.
            is_ours = is_ours || self.is_ours(intent).await?;
            if !is_ours {
                return Err(DoubtError::NotSeen);
            }
            let now = self.clock.now();
            // A clock that is put forward between two looks shortens the wait by no more than one of them.
            left -= (now - std::mem::replace(&mut last_look, now)).clamp(0, 2 * millis(pause));
            if left <= 0 {
                self.leave_witness(intent).await?;
                // Nobody names this file again; its deletion proves nothing here and is only tidy.
                if let Err(failure) = self.provider.delete_file(&intent.input).await {
                    tracing::warn!(file = %intent.input, %failure, "a leftover stays at the provider");
                }
                self.ledger.fenced(intent.no).await?;
                return Ok(Resolved::Void);
            }
            self.clock.sleep(pause).await;
        }
    }

    /// All batches not older than the input file; a listing with any error in it did not happen.
    async fn listing(&self, intent: &Intent) -> Result<Vec<Batch>, DoubtError> {
        if crash::without("list") {
            return Ok(Vec::new());
        }
        self.patiently(async || self.pages(intent).await).await
    }

    async fn pages(&self, intent: &Intent) -> Result<Vec<Batch>, Failure> {
        let mut found: Vec<Batch> = Vec::new();
        let mut after: Option<BatchId> = None;
        let (mut passed, mut order) = (HashSet::new(), Order::default());
        for _ in 0..MOST_PAGES {
            let page = self.provider.list_batches(after.as_ref()).await?;
            let last = page.batches.last().map(|batch| batch.id.clone());
            order.see(&page.batches);
            let too_old = |batch: &Batch| batch.created_at > 0 && batch.created_at < intent.input_created - MARGIN_S;
            let all_old = !page.batches.is_empty() && page.batches.iter().all(too_old);
            found.extend(page.batches.into_iter().filter(|batch| is_match(batch, intent)));
            if !page.has_more || (all_old && order.is_newest_first()) {
                return Ok(found);
            }
            match onward(&mut passed, last) {
                Some(next) => after = Some(next),
                // A list that repeats itself proves no absence, but what it shows is there.
                None if found.iter().any(is_living) => return Ok(found),
                None => return Err(self.endless()),
            }
        }
        Err(self.endless())
    }

    /// Half a listing proves nothing: a batch that it does not show would be created and paid for a second time.
    fn endless(&self) -> Failure {
        Failure::new(Kind::Doubt, self.provider.host(), "the list of batches repeats itself or has no end")
    }
}

/// Why doubt could not be resolved now.
#[derive(Debug, thiserror::Error)]
pub enum DoubtError {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The provider rejects us.
    #[error(transparent)]
    Provider(#[from] Failure),
    /// There was no definite answer for too long.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// With this key the provider shows nothing of what was there when the create was sent: it may be another project's.
    #[error("nothing of what a create in doubt was sent with is seen with this key")]
    NotSeen,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BatchNo, FileId, ShardId, Tag};

    fn intent() -> Intent {
        Intent {
            no: BatchNo(1),
            attempt: 2,
            run: Tag("run".into()),
            shard_tag: Tag("shard".into()),
            shard: ShardId(1),
            input: FileId("file-1".into()),
            input_created: 1000,
            body_hash: [0; 16],
            fenced: false,
            doubted_at: None,
        }
    }

    fn batch(id: &str, status: &str, file: &str, attempt: &str, created_at: i64) -> Batch {
        let metadata = [("run", "run"), ("shard", "shard"), ("attempt", attempt)];
        Batch {
            id: BatchId(id.into()),
            status: status.into(),
            input_file: Some(FileId(file.into())),
            output_file: None,
            error_file: None,
            created_at,
            expires_at: None,
            counts: None,
            refusals: Vec::new(),
            metadata: metadata.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            usage: None,
            model: None,
            raw: serde_json::Value::Null,
        }
    }

    fn chosen(batches: Vec<Batch>) -> String {
        match choose(batches, &intent()) {
            None => "none".into(),
            Some(Resolved::Adopted(batch, strays)) => format!("{} + {}", batch.id, strays.len()),
            Some(Resolved::Failed(batch)) => format!("failed {}", batch.id),
            Some(Resolved::Void) => "void".into(),
        }
    }

    #[test]
    fn a_cursor_that_leads_nowhere_ends_no_listing() {
        let id = |name: &str| Some(BatchId(name.into()));
        let mut passed = HashSet::new();
        assert_eq!(onward(&mut passed, id("a")), id("a"));
        assert_eq!(onward(&mut passed, id("b")), id("b"));
        assert_eq!(onward(&mut passed, id("a")), None, "a ring");
        assert_eq!(onward(&mut passed, None), None);
    }

    #[test]
    fn only_a_list_that_shows_it_is_newest_first() {
        let shown = |pages: &[&[i64]]| {
            let mut order = Order::default();
            for times in pages {
                let batches: Vec<Batch> = times.iter().map(|time| batch("a", "completed", "f", "1", *time)).collect();
                order.see(&batches);
            }
            order.is_newest_first()
        };
        assert!(shown(&[&[9, 9, 0, 7], &[7, 3]]));
        for pages in [&[&[9_i64][..]][..], &[&[9, 9]], &[&[0, 0]], &[&[1, 2]], &[&[9, 7], &[8]], &[&[1], &[2], &[1]]] {
            assert!(!shown(pages), "{pages:?}");
        }
    }

    #[test]
    fn a_wait_goes_on_after_a_restart_whatever_was_done_to_the_clock() {
        let (hour, wait) = (3_600_000, 25 * 3_600_000);
        for (doubted_at, now, left) in [
            (None, 100, 25),
            (Some(100), 100, 25),
            // A day may be a clock that was put forward; what is beyond it has passed.
            (Some(0), 24, 25),
            (Some(0), 30, 19),
            (Some(0), 48, 1),
            (Some(0), 49, 0),
            (Some(0), 1_000_000, 0),
            // Put back by a day, or by years.
            (Some(24), 0, 25),
            (Some(1_000_000), 0, 25),
        ] {
            let told = left_of(wait, doubted_at.map(|at| at * hour), now * hour);
            assert_eq!(told, left * hour, "{doubted_at:?} {now}");
        }
        assert_eq!(left_of(wait, Some(Millis::MIN), Millis::MAX), 0);
        assert_eq!(left_of(wait, Some(Millis::MAX), Millis::MIN), wait);
    }

    #[test]
    fn the_oldest_living_match_is_adopted() {
        let cases = [
            (vec![], "none"),
            (vec![batch("a", "in_progress", "file-9", "9", 5)], "none"),
            (vec![batch("a", "in_progress", "file-1", "9", 5)], "a + 0"),
            (vec![batch("a", "validating", "file-9", "2", 5)], "a + 0"),
            (vec![batch("b", "in_progress", "file-1", "2", 9), batch("a", "completed", "file-1", "2", 5)], "a + 1"),
            (vec![batch("a", "failed", "file-1", "1", 5)], "none"),
            (vec![batch("a", "failed", "file-1", "2", 5)], "failed a"),
            (vec![batch("a", "failed", "file-1", "2", 5), batch("b", "in_progress", "file-1", "2", 9)], "b + 0"),
        ];
        for (batches, expected) in cases {
            assert_eq!(chosen(batches.clone()), expected, "{batches:?}");
        }
    }
}
