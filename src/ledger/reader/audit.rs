//! The recount: every promise that can be checked from the tables alone, each as one query that must find nothing.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::ledger::records::Standing;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, standing};

/// What an audit of the ledger's own rows came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFindings {
    /// Counts by reading every image.
    pub counted: Standing,
    /// What does not hold, a sentence each. Empty: everything does.
    pub findings: Vec<String>,
}

impl AuditFindings {
    /// Whether everything holds.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// A promise in words, and the query for rows that break it (columns: `many`, `example`).
struct Check {
    broken: &'static str,
    sql: &'static str,
}

const CHECKS: &[Check] = &[
    Check {
        broken: "packed images whose shard is gone or dissolved",
        sql: "SELECT count(*) AS many, min(i.id) AS example FROM image i JOIN shard s ON s.id = i.shard_id
            WHERE i.state = 'packed' AND s.state IN ('gone', 'dissolved')",
    },
    Check {
        broken: "packed images without a line in their shard",
        sql: "SELECT count(*) AS many, min(i.id) AS example FROM image i WHERE i.state = 'packed'
            AND NOT EXISTS (SELECT 1 FROM line l WHERE l.shard_id = i.shard_id AND l.image_id = i.id)",
    },
    Check {
        broken: "finished images without the hash of their text",
        sql: "SELECT count(*) AS many, min(id) AS example FROM image WHERE state IN ('done', 'rough') AND (text IS NULL OR text_hash IS NULL)",
    },
    Check {
        broken: "owed images without format or size",
        sql: "SELECT count(*) AS many, min(id) AS example FROM image
            WHERE state IN ('owed', 'packed') AND (format IS NULL OR width IS NULL OR height IS NULL)",
    },
    Check {
        broken: "owed images in a place of the feed that was never given, or given twice",
        sql: "SELECT count(*) AS many, min(id) AS example FROM image WHERE state = 'owed' AND (owed_seq > (SELECT owed_seq FROM keeper)
            OR owed_seq IN (SELECT owed_seq FROM image WHERE state = 'owed' GROUP BY owed_seq HAVING count(*) > 1))",
    },
    Check {
        broken: "shards whose lines do not add up to their number or bytes",
        sql: "SELECT count(*) AS many, min(s.id) AS example FROM shard s
            WHERE (s.lines, s.bytes) IS NOT (SELECT count(*), sum(l.bytes) FROM line l WHERE l.shard_id = s.id)",
    },
    Check {
        broken: "shards that are sealed, uploaded or opening and do not hold all their images",
        sql: "SELECT count(*) AS many, min(s.id) AS example FROM shard s WHERE s.state IN ('sealed', 'uploaded', 'opening')
            AND s.lines <> (SELECT count(*) FROM image i WHERE i.shard_id = s.id AND i.state = 'packed')
            AND NOT (s.state = 'opening' AND EXISTS (SELECT 1 FROM batch b WHERE b.shard_id = s.id AND b.stray = 1))",
    },
    Check {
        broken: "opening shards without an opening batch",
        sql: "SELECT count(*) AS many, min(s.id) AS example FROM shard s WHERE s.state = 'opening'
            AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.shard_id = s.id AND b.stray = 0 AND b.state = 'opening')",
    },
    Check {
        broken: "spent shards without a batch that is open, ended or fetched",
        sql: "SELECT count(*) AS many, min(s.id) AS example FROM shard s WHERE s.state = 'spent'
            AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.shard_id = s.id AND b.stray = 0 AND b.state IN ('open', 'ended', 'fetched'))",
    },
    Check {
        broken: "living batches whose shard stands elsewhere",
        sql: "SELECT count(*) AS many, min(b.id) AS example FROM batch b JOIN shard s ON s.id = b.shard_id WHERE b.stray = 0
            AND (b.state = 'opening' AND s.state <> 'opening' OR b.state IN ('open', 'ended', 'fetched') AND s.state <> 'spent'
            OR b.state = 'settled' AND s.state <> 'gone')",
    },
    Check {
        broken: "fetched batches without the hash of a result file",
        sql: "SELECT count(*) AS many, min(id) AS example FROM batch WHERE state IN ('fetched', 'settled')
            AND (output_file_id IS NOT NULL AND output_sha256 IS NULL OR error_file_id IS NOT NULL AND error_sha256 IS NULL)",
    },
    Check {
        broken: "copies that wait and are not owed",
        sql: "SELECT count(*) AS many, min(i.id) AS example FROM copy c JOIN image i ON i.id = c.image_id
            WHERE c.stands IN ('waiting', 'ended', 'ready') AND i.state <> 'owed'",
    },
    Check {
        broken: "copies that wait for an image that has ended, or that waits itself",
        sql: "SELECT count(*) AS many, min(c.image_id) AS example FROM copy c JOIN image o ON o.id = c.original_id
            WHERE c.stands = 'waiting' AND (o.state NOT IN ('owed', 'packed') OR EXISTS (SELECT 1 FROM copy y
            WHERE y.image_id = o.id AND y.stands IN ('waiting', 'ended', 'ready')))",
    },
    Check {
        broken: "rows that refer to nothing",
        sql: "SELECT count(*) AS many, min(rowid) AS example FROM pragma_foreign_key_check",
    },
];

/// Recounts and checks.
pub(super) fn run(connection: &Connection) -> Outcome<AuditFindings> {
    // One snapshot, or a working keeper would make honest figures differ.
    let snapshot = connection.unchecked_transaction()?;
    let counted = recount(&snapshot)?;
    let mut findings = Vec::new();
    if !counted.closes() {
        findings.push(format!("the balance does not close: {counted:?}"));
    }
    let derived = standing(&snapshot)?;
    if derived != counted {
        findings.push(format!("the indexes say {derived:?}, the rows {counted:?}"));
    }
    for check in CHECKS {
        let (many, example): (i64, Option<i64>) =
            snapshot.query_row(check.sql, [], |row| Ok((row.get("many")?, row.get("example")?)))?;
        if many > 0 {
            findings.push(format!("{many} {} (row {})", check.broken, example.unwrap_or_default()));
        }
    }
    Ok(AuditFindings { counted, findings })
}

/// The state of every image.
pub(super) const STATES_OF_IMAGES: &str = "SELECT +state AS state FROM image NOT INDEXED";

/// Reads every row: `+state` keeps SQLite from answering out of a partial index.
fn recount(connection: &Connection) -> Outcome<Standing> {
    let mut counted = Standing::default();
    each(connection, STATES_OF_IMAGES, |state, many| {
        counted.found += many;
        match state {
            "owed" => counted.owed = many,
            "packed" => counted.packed = many,
            "done" => counted.done = many,
            "rough" => counted.rough = many,
            "failed" => counted.failed = many,
            "skipped" => counted.skipped = many,
            // Then the balance does not close, which is a finding.
            _ => {}
        }
    })?;
    each(connection, "SELECT +state AS state FROM shard NOT INDEXED", |state, many| {
        if matches!(state, "sealed" | "uploaded" | "opening") {
            counted.shards_waiting += many;
        }
        match state {
            "sealed" => counted.sealed = many,
            "uploaded" => counted.uploaded = many,
            "opening" => counted.opening = many,
            _ => {}
        }
    })?;
    each(connection, "SELECT +state AS state FROM batch NOT INDEXED", |state, many| match state {
        "open" => counted.batches_open = many,
        "ended" => counted.batches_ended += many,
        "fetched" => {
            counted.batches_fetched = many;
            counted.batches_ended += many;
        }
        _ => {}
    })?;
    each(connection, "SELECT +stands AS state FROM copy NOT INDEXED", |stands, many| {
        counted.copies += if matches!(stands, "waiting" | "ended" | "ready") { many } else { 0 };
        match stands {
            "ended" => counted.copies_ended = many,
            "ready" => counted.copies_ready = many,
            _ => {}
        }
    })?;
    Ok(counted)
}

/// Tells of each state how many rows have it. They are counted here: SQLite would sort all of them in memory for it.
fn each(connection: &Connection, sql: &str, mut take: impl FnMut(&str, u64)) -> Outcome<()> {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        *counted.entry(column(row, "state")?).or_default() += 1;
    }
    counted.iter().for_each(|(state, many)| take(state, *many));
    Ok(())
}
