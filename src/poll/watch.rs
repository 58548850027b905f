//! What becomes of a batch that is waited for, look by look. No actor, no clock: the caller tells how much time has passed.

use super::look::Told;
use super::status;
use crate::domain::batch::{BatchEnd, KEPT_AT_MOST, OpenBatch};
use crate::kit::budget::Lease;
use crate::kit::clock::Millis;
use crate::ledger::records::Ending;

/// A batch that is gone at its provider for so long has vanished.
const VANISHED_AFTER: Millis = 3600 * 1000;
/// Answers that were counted, and whose file is not named within so long, will not be found any more.
const NAMED_WITHIN: Millis = 3600 * 1000;
/// Nor where the batch was opened so long ago: it ends within a day.
const NAMED_AT_MOST: Millis = 48 * 3600 * 1000;

/// A batch that is waited for.
pub(super) struct Watched {
    pub(super) batch: OpenBatch,
    pub(super) slot: Lease,
    pub(super) due: Millis,
    pub(super) looked: bool,
    /// For how long it has been gone at the provider.
    pub(super) gone_ms: Millis,
    /// For how long it has ended without the files that its counts speak of.
    pub(super) unnamed_ms: Option<Millis>,
}

/// Whether a batch is out of this key's sight and young enough to be there all the same.
pub(super) fn is_hidden(watched: &Watched, told: Option<&Told>, now: Millis) -> bool {
    matches!(told, Some(Told::Hidden)) && now - watched.batch.opened_at < KEPT_AT_MOST
}

/// What one look at a batch concludes; `passed` is the time since the look before it.
pub(super) fn conclusion(watched: &mut Watched, told: Option<Told>, passed: Millis, now: Millis) -> Option<Ending> {
    if is_hidden(watched, told.as_ref(), now) {
        return None;
    }
    match told? {
        Told::Known(batch) => {
            watched.gone_ms = 0;
            let ending = status::read(&batch)?;
            if !status::lacks_files(&batch, &ending) {
                return Some(ending);
            }
            let unnamed_ms = watched.unnamed_ms.map_or(0, |so_far| so_far + passed);
            watched.unnamed_ms = Some(unnamed_ms);
            // Who looks once in a while, as from cron, looks for the first time each time: then its age decides.
            let is_old = now - watched.batch.opened_at >= NAMED_AT_MOST;
            // They may be paid for, so only a person asks again.
            (unnamed_ms >= NAMED_WITHIN || is_old).then_some(Ending { end: BatchEnd::Vanished, ..ending })
        }
        Told::Gone | Told::Hidden => {
            watched.gone_ms += passed;
            (watched.gone_ms >= VANISHED_AFTER).then(status::vanished)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BatchId, BatchNo, FileId, ShardId};
    use crate::kit::budget::Budget;

    const HOUR: Millis = 3600 * 1000;

    fn watched() -> Watched {
        let batch = OpenBatch {
            no: BatchNo(1),
            id: BatchId("batch_1".into()),
            shard: ShardId(1),
            lines: 1,
            opened_at: 0,
            input: FileId("file-1".into()),
        };
        Watched { batch, slot: Budget::new(1).overdraw(1), due: 0, looked: false, gone_ms: 0, unnamed_ms: None }
    }

    #[test]
    fn what_is_gone_for_an_hour_has_vanished() {
        let mut watched = watched();
        for _quarter in 0..3 {
            assert_eq!(conclusion(&mut watched, Some(Told::Gone), HOUR / 4, HOUR), None);
        }
        let end = conclusion(&mut watched, Some(Told::Gone), HOUR / 4, HOUR).map(|ending| ending.end);
        assert_eq!(end, Some(BatchEnd::Vanished));
    }

    #[test]
    fn an_end_without_the_files_of_its_answers_is_none_for_an_hour() {
        let batch = |output: Option<&str>| {
            let output = output.map_or(serde_json::Value::Null, |output| output.into());
            let counts = serde_json::json!({"total": 4, "completed": 4, "failed": 0});
            let told = serde_json::json!({"id": "batch_1", "status": "completed", "request_counts": counts,
                "output_file_id": output, "error_file_id": "errors"});
            Some(Told::Known(Box::new(crate::provider::wire::Batch::from_json(told).expect("a batch"))))
        };
        let mut watched = watched();
        for _look in 0..4 {
            assert_eq!(conclusion(&mut watched, batch(None), HOUR / 4, HOUR), None);
        }
        let end = conclusion(&mut watched, batch(None), HOUR / 4, HOUR).expect("an end");
        assert_eq!((end.end, end.errors), (BatchEnd::Vanished, Some(FileId("errors".into()))), "what is there is read");
        let mut seen_once = self::watched();
        assert_eq!(conclusion(&mut seen_once, batch(None), HOUR, 47 * HOUR), None);
        let end = conclusion(&mut self::watched(), batch(None), HOUR, 48 * HOUR).map(|ending| ending.end);
        assert_eq!(end, Some(BatchEnd::Vanished), "looked at once a day");
        let named = conclusion(&mut watched, batch(Some("output")), HOUR / 4, HOUR).expect("an end");
        assert_eq!((named.end, named.output), (BatchEnd::Completed, Some(FileId("output".into()))));
    }

    #[test]
    fn what_is_out_of_sight_is_not_given_up_before_no_key_could_bring_it_back() {
        let mut watched = watched();
        for _day in 0..30 {
            assert_eq!(conclusion(&mut watched, Some(Told::Hidden), 24 * HOUR, 24 * HOUR), None);
        }
        assert!(is_hidden(&watched, Some(&Told::Hidden), 24 * HOUR));
        let later = 32 * 24 * HOUR;
        assert!(!is_hidden(&watched, Some(&Told::Hidden), later));
        assert_eq!(conclusion(&mut watched, Some(Told::Hidden), HOUR / 2, later), None);
        assert!(conclusion(&mut watched, Some(Told::Hidden), HOUR / 2, later).is_some());
    }
}
