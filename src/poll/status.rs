//! What a batch object says about the end of its batch. An unknown status is a running one.

use crate::domain::batch::{BatchEnd, Refusal};
use crate::domain::ids::FileId;
use crate::kit::crash;
use crate::ledger::records::Ending;
use crate::provider::policy::{Blame, blame};
use crate::provider::wire::Batch;

/// How the batch ended, if it has.
#[must_use]
pub fn read(batch: &Batch) -> Option<Ending> {
    let refusal = weightiest(&batch.refusals);
    let end = match batch.status.as_str() {
        "completed" => BatchEnd::Completed,
        "expired" => BatchEnd::Expired,
        "cancelled" | "canceled" => BatchEnd::Cancelled,
        "failed" if refusal.as_ref().is_some_and(|why| blame(why) == Blame::Moment) => BatchEnd::TurnedAway,
        "failed" => BatchEnd::Refused,
        _ => return None,
    };
    // One reason of many that speaks of the settings, or of no line at all, makes all lines blameless.
    let of_all = batch.refusals.iter().any(|why| why.line.is_none() || blame(why) == Blame::Run);
    let named = batch.refusals.iter().filter_map(|why| why.line.filter(|_| !of_all)).collect();
    // Requests are no answers, and one file is not two.
    let result = |file: &Option<FileId>| file.clone().filter(|file| batch.input_file.as_ref() != Some(file));
    let errors = result(&batch.error_file).filter(|file| batch.output_file.as_ref() != Some(file));
    Some(Ending {
        end,
        output: result(&batch.output_file).filter(|_| end != BatchEnd::Expired || !crash::without("expired")),
        errors,
        usage: batch.usage,
        model: batch.model.clone(),
        refusal,
        named,
    })
}

/// The refusal that decides: one of the moment, else one of the run, else the first. One of the run loses its line: every
/// line has that fault, and the one it names is no worse than the others.
fn weightiest(refusals: &[Refusal]) -> Option<Refusal> {
    let of = |wanted: Blame| refusals.iter().find(|refusal| blame(refusal) == wanted);
    let of_run = || of(Blame::Run).map(|refusal| Refusal { line: None, ..refusal.clone() });
    of(Blame::Moment).cloned().or_else(of_run).or_else(|| refusals.first().cloned())
}

/// Whether the counts say that there are answers, and no file is named that they could stand in. Some servers tell the end of a
/// batch before they show its files; one that was taken at its word would be asked, and paid for, once more.
#[must_use]
pub fn lacks_files(batch: &Batch, ending: &Ending) -> bool {
    let has_results = matches!(ending.end, BatchEnd::Completed | BatchEnd::Expired | BatchEnd::Cancelled);
    let Some((_, completed, failed)) = batch.counts.filter(|_| has_results) else { return false };
    // Failures may stand in the output file as well, where servers have no other.
    ending.output.is_none() && (completed > 0 || (failed > 0 && ending.errors.is_none()))
}

/// A batch that its own provider no longer knows.
#[must_use]
pub fn vanished() -> Ending {
    Ending {
        end: BatchEnd::Vanished,
        output: None,
        errors: None,
        usage: None,
        model: None,
        refusal: None,
        named: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::BatchId;
    use std::collections::BTreeMap;

    fn batch(status: &str, refusals: &[(&str, &str)]) -> Batch {
        let refusal = |(code, message): &(&str, &str)| Refusal {
            code: (*code).to_owned(),
            message: (*message).to_owned(),
            line: None,
        };
        Batch {
            id: BatchId("batch_1".into()),
            status: status.into(),
            input_file: None,
            output_file: None,
            error_file: None,
            created_at: 0,
            expires_at: None,
            counts: None,
            refusals: refusals.iter().map(refusal).collect(),
            metadata: BTreeMap::new(),
            usage: None,
            model: None,
            raw: serde_json::Value::Null,
        }
    }

    #[test]
    fn only_known_ends_are_ends() {
        let end = |status: &str, refusals: &[(&str, &str)]| read(&batch(status, refusals)).map(|ending| ending.end);
        for running in ["validating", "in_progress", "finalizing", "cancelling", "", "pre_schedule", "scheduling"] {
            assert_eq!(end(running, &[]), None, "{running}");
        }
        assert_eq!(end("completed", &[]), Some(BatchEnd::Completed));
        assert_eq!(end("expired", &[]), Some(BatchEnd::Expired));
        assert_eq!(end("cancelled", &[]), Some(BatchEnd::Cancelled));
        assert_eq!(end("failed", &[]), Some(BatchEnd::Refused));
        assert_eq!(end("failed", &[("model_not_found", "no")]), Some(BatchEnd::Refused));
        assert_eq!(end("failed", &[("token_limit_exceeded", "")]), Some(BatchEnd::TurnedAway));
        assert_eq!(end("failed", &[("", "Enqueued token limit reached for gpt-4o-mini")]), Some(BatchEnd::TurnedAway));
        assert_eq!(end("failed", &[("invalid_request", "Cannot find file file-1, or …")]), Some(BatchEnd::TurnedAway));
        assert_eq!(end("failed", &[("too_many_tasks", "")]), Some(BatchEnd::Refused), "a full file, no full queue");
    }

    #[test]
    fn files_are_lacking_where_counts_say_that_there_are_answers() {
        let file = |name: Option<&str>| name.map(|name| FileId(name.into()));
        let lacks = |status: &str, counts, output, errors| {
            let (output_file, error_file) = (file(output), file(errors));
            let batch = Batch { counts, output_file, error_file, ..batch(status, &[]) };
            lacks_files(&batch, &read(&batch).expect("an end"))
        };
        for status in ["completed", "expired", "cancelled"] {
            assert!(lacks(status, Some((4, 4, 0)), None, None), "{status}");
            assert!(lacks(status, Some((4, 3, 1)), None, Some("e")), "{status}");
            assert!(lacks(status, Some((4, 0, 4)), None, None), "{status}");
            assert!(!lacks(status, Some((4, 0, 4)), None, Some("e")), "{status}");
            assert!(!lacks(status, Some((4, 4, 0)), Some("o"), None), "{status}");
            assert!(!lacks(status, Some((4, 3, 1)), Some("o"), None), "{status}: the failures may stand there, too");
            assert!(!lacks(status, Some((4, 0, 0)), None, None), "{status}: nothing ran");
            assert!(!lacks(status, None, None, None), "{status}: nothing is told");
        }
        assert!(!lacks("failed", Some((4, 4, 0)), None, None), "nothing of it ran, whatever is counted");
    }

    #[test]
    fn a_fault_of_all_lines_names_none() {
        let told = |refusals: &[(&str, &str)]| {
            let mut batch = batch("failed", refusals);
            for (place, refusal) in batch.refusals.iter_mut().enumerate() {
                refusal.line = u32::try_from(place + 1).ok();
            }
            read(&batch).and_then(|ending| ending.refusal).map(|refusal| (refusal.code, refusal.line))
        };
        let (own, model) = (("invalid_json_line", ""), ("model_not_found", ""));
        assert_eq!(told(&[own, own]), Some(("invalid_json_line".to_owned(), Some(1))));
        assert_eq!(told(&[own, model]), Some(("model_not_found".to_owned(), None)));
        assert_eq!(told(&[model, ("token_limit_exceeded", "")]), Some(("token_limit_exceeded".to_owned(), Some(2))));
        let missing = ("missing_required_parameter", "Missing required parameter: 'url'.");
        assert_eq!(told(&[missing]), Some(("missing_required_parameter".to_owned(), None)));
        let own_id = ("missing_required_parameter", "Missing required parameter: 'custom_id'.");
        assert_eq!(told(&[own_id]), Some(("missing_required_parameter".to_owned(), Some(1))));
    }

    #[test]
    fn every_named_line_is_at_fault_unless_the_settings_are() {
        let at = |code: &str, line| Refusal { code: code.into(), message: String::new(), line: Some(line) };
        let read = |refusals: &[Refusal]| {
            let ending = read(&Batch { refusals: refusals.to_vec(), ..batch("failed", &[]) }).expect("an end");
            (ending.refusal.map(|refusal| refusal.code), ending.named)
        };
        let lines = [at("invalid_json_line", 2), at("duplicate_custom_id", 5)];
        assert_eq!(read(&lines), (Some("invalid_json_line".to_owned()), vec![2, 5]));
        let mixed = [at("invalid_json_line", 2), at("model_not_found", 1)];
        assert_eq!(read(&mixed), (Some("model_not_found".to_owned()), vec![]));
    }
}
