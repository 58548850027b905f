//! What a batch object says about the end of its batch. An unknown status is a running one.

use crate::domain::batch::{BatchEnd, Refusal};
use crate::ledger::records::Ending;
use crate::provider::wire::Batch;

/// How the batch ended, if it has.
#[must_use]
pub fn read(batch: &Batch) -> Option<Ending> {
    let end = match batch.status.as_str() {
        "completed" => BatchEnd::Completed,
        "expired" => BatchEnd::Expired,
        "cancelled" | "canceled" => BatchEnd::Cancelled,
        "failed" if batch.refusals.iter().any(is_passing) => BatchEnd::TurnedAway,
        "failed" => BatchEnd::Refused,
        _ => return None,
    };
    // One reason of many that speaks of the settings makes all lines blameless.
    let of_all = batch.refusals.iter().find(|refusal| refusal.is_of_all());
    let named = batch.refusals.iter().filter_map(|refusal| refusal.line.filter(|_| of_all.is_none())).collect();
    Some(Ending {
        end,
        output: batch.output_file.clone(),
        errors: batch.error_file.clone(),
        usage: batch.usage,
        model: batch.model.clone(),
        refusal: of_all.or(batch.refusals.first()).cloned(),
        named,
    })
}

/// A refusal of the moment, not of the file: the queue is full, or the file is not visible yet.
fn is_passing(refusal: &Refusal) -> bool {
    let message = &refusal.message;
    refusal.code == "token_limit_exceeded"
        || message.contains("Enqueued token limit")
        || message.contains("Enqueued request limit")
        || message.starts_with("Cannot find file")
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
