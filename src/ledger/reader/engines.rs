//! What the built-in provider read with. A run is gone on with by many processes, each with settings of its own, so the settings
//! that a run began with do not tell who was handed its pages.

use std::collections::BTreeMap;

use rusqlite::Row;

use super::{Reader, Result};
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count};

/// What a run of the built-in provider was read with, and what it was handed at most: a batch counts for every engine that was
/// set while it was open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineRow {
    /// Name of the run.
    pub run: String,
    /// The setting `provider.engine`: `ocr`, `echo` or a URL.
    pub engine: String,
    /// Requests of those batches.
    pub requests: u64,
    /// Bytes of their shards.
    pub bytes: u64,
}

/// A stretch of a run in which the engine was the same.
struct Stretch {
    run: i64,
    name: String,
    from: i64,
    engine: String,
}

/// The settings that a run began with, and those that each later process went on with.
const STRETCHES: &str = r#"SELECT t.run, t.name, t.since, trim(json_extract(t.settings, '$."provider.engine"'), '"') AS engine
    FROM (SELECT n.id AS run, n.name, n.started_at AS since, 0 AS event, n.settings FROM run n
            JOIN account a ON a.id = n.account_id WHERE a.base_url = 'local'
        UNION ALL SELECT n.id, n.name, e.at, e.id, substr(e.detail, length(n.name) + 2) FROM event e
            JOIN run n ON n.name = substr(e.detail, 1, instr(e.detail, ' ') - 1)
            JOIN account a ON a.id = n.account_id WHERE a.base_url = 'local' AND e.what = 'run_resumed') t
    WHERE iif(json_valid(t.settings), json_extract(t.settings, '$."provider.engine"') IS NOT NULL, 0)
    ORDER BY t.run, t.since, t.event"#;

const BATCHES: &str = "SELECT s.run_id AS run, s.lines, s.bytes, b.opened_at, b.ended_at FROM batch b
    JOIN shard s ON s.id = b.shard_id JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id
    WHERE a.base_url = 'local' AND b.batch_id IS NOT NULL AND b.opened_at IS NOT NULL";

impl Reader {
    /// What the runs of the built-in provider were read with, oldest first; nothing of runs that another provider read.
    ///
    /// # Errors
    /// The ledger's.
    pub fn engines(&self) -> Result<Vec<EngineRow>> {
        self.told(self.stretches().and_then(|stretches| self.handed(&stretches)))
    }

    /// What the built-in provider read with last.
    ///
    /// # Errors
    /// The ledger's.
    pub fn last_engine(&self) -> Result<Option<String>> {
        let last = |stretches: Vec<Stretch>| stretches.into_iter().max_by_key(|one| one.from).map(|one| one.engine);
        self.told(self.stretches().map(last))
    }

    fn stretches(&self) -> Outcome<Vec<Stretch>> {
        let mut statement = self.connection.prepare(STRETCHES)?;
        let mut rows = statement.query([])?;
        let mut stretches: Vec<Stretch> = Vec::new();
        while let Some(row) = rows.next()? {
            let next = stretch(row)?;
            let goes_on = stretches.last().is_some_and(|last| last.run == next.run && last.engine == next.engine);
            if !goes_on {
                stretches.push(next);
            }
        }
        Ok(stretches)
    }

    fn handed(&self, stretches: &[Stretch]) -> Outcome<Vec<EngineRow>> {
        let mut sums: BTreeMap<(i64, &str), (u64, u64)> = BTreeMap::new();
        for one in stretches {
            sums.insert((one.run, &one.engine), (0, 0));
        }
        let mut statement = self.connection.prepare(BATCHES)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (run, opened, ended): (i64, i64, Option<i64>) =
                (column(row, "run")?, column(row, "opened_at")?, column(row, "ended_at")?);
            let (lines, bytes) = (count(column(row, "lines")?), count(column(row, "bytes")?));
            let mut engines: Vec<&str> = during(stretches, run, opened, ended.unwrap_or(i64::MAX)).collect();
            engines.sort_unstable();
            engines.dedup();
            for engine in engines {
                let sum = sums.entry((run, engine)).or_default();
                *sum = (sum.0 + lines, sum.1 + bytes);
            }
        }
        let name = |run: i64| stretches.iter().find(|one| one.run == run).map(|one| one.name.clone());
        let row = |((run, engine), (requests, bytes)): ((i64, &str), (u64, u64))| EngineRow {
            run: name(run).unwrap_or_default(),
            engine: engine.to_owned(),
            requests,
            bytes,
        };
        Ok(sums.into_iter().map(row).collect())
    }
}

fn stretch(row: &Row<'_>) -> Outcome<Stretch> {
    Ok(Stretch {
        run: column(row, "run")?,
        name: column(row, "name")?,
        from: column(row, "since")?,
        engine: column(row, "engine")?,
    })
}

/// The engines that were set between two moments of a run.
fn during(stretches: &[Stretch], run: i64, from: i64, until: i64) -> impl Iterator<Item = &str> {
    stretches.iter().enumerate().filter_map(move |(at, one)| {
        let next = stretches.get(at + 1).filter(|next| next.run == one.run).map_or(i64::MAX, |next| next.from);
        (one.run == run && one.from <= until && next >= from).then_some(one.engine.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_for_every_engine_that_was_set_while_it_was_open() {
        let one = |run, from, engine: &str| Stretch { run, name: String::new(), from, engine: engine.to_owned() };
        let stretches = [one(1, 0, "ocr"), one(1, 10, "https://a/v1"), one(1, 20, "ocr"), one(2, 30, "https://b/v1")];
        let found = |run, from, until| during(&stretches, run, from, until).collect::<Vec<_>>();
        assert_eq!(found(1, 1, 9), ["ocr"]);
        assert_eq!(found(1, 5, 15), ["ocr", "https://a/v1"]);
        assert_eq!(found(1, 12, 15), ["https://a/v1"]);
        assert_eq!(found(1, 12, i64::MAX), ["https://a/v1", "ocr"]);
        assert_eq!(found(2, 40, i64::MAX), ["https://b/v1"]);
    }
}
