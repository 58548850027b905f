//! The page of the batches: newest first, as bars over time, and how much of its window each open one has used.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Pages;
use super::page::{NoPage, page};
use super::routes::No;
use crate::domain::ids::BatchNo;
use crate::kit::clock::millis;
use crate::ledger::reader::BatchRow;
use crate::ops::report::bars;

const BATCHES: &str = include_str!("assets/batches.html");
/// Batches on a page.
const SHOWN: u32 = 50;

/// Which stretch of the batches is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Stretch {
    /// Those before this one, by its row.
    before: Option<i64>,
}

/// The page.
pub(super) async fn batches(pages: Data<Pages>, stretch: Query<Stretch>) -> Result<HttpResponse, NoPage> {
    let view = pages.into_inner().apart(move |pages| {
        let reader = pages.reader()?;
        let (rows, next) = rows(pages, stretch.before)?;
        let counts = reader.batch_counts().map_err(No::ledger)?;
        let counts: Vec<Value> =
            counts.iter().map(|(state, many)| json!({"state": state.word(), "batches": many})).collect();
        // A batch without a name at the provider has no bar: it is about to be opened, or was turned away.
        let unnamed = rows.iter().filter(|batch| batch.id.is_none() || batch.opened_at.is_none()).count();
        Ok(json!({
            "name": pages.name(), "here": "batches", "counts": counts, "bars": bars(&rows, pages.clock.now()),
            "unnamed": unnamed, "before": stretch.before, "next": next, "window": hours(pages),
        }))
    });
    Ok(page(BATCHES, view.await?)?)
}

/// The same for programs.
pub(super) async fn document(pages: Data<Pages>, stretch: Query<Stretch>) -> Result<HttpResponse, No> {
    let told = pages.into_inner().apart(move |pages| {
        let (rows, next) = rows(pages, stretch.before)?;
        let batches: Vec<Value> = rows.iter().map(told).collect();
        Ok(json!({"schema": 1, "batches": batches, "next": next}))
    });
    Ok(HttpResponse::Ok().json(told.await?))
}

/// A stretch, newest first, and where the next one begins.
fn rows(pages: &Pages, before: Option<i64>) -> Result<(Vec<BatchRow>, Option<i64>), No> {
    let rows = pages.reader()?.newest_batches(before.map(BatchNo), SHOWN).map_err(No::ledger)?;
    let next = rows.last().filter(|_| rows.len() == SHOWN as usize).map(|batch| batch.no.0);
    Ok((rows, next))
}

/// Hours after which the provider gives a batch up.
fn hours(pages: &Pages) -> i64 {
    millis(pages.settings().provider.window_length()) / 3_600_000
}

fn told(batch: &BatchRow) -> Value {
    let tokens = batch.usage.map(
        |usage| json!({"in": usage.prompt, "cached": usage.cached, "out": usage.output, "reasoning": usage.reasoning}),
    );
    json!({
        "no": batch.no.0,
        "id": batch.id.as_ref().map(|id| id.as_str()),
        "shard": batch.shard.as_str(),
        "run": batch.run,
        "attempt": batch.attempt,
        "state": batch.state.word(),
        "ending": batch.end.map(|end| end.word()),
        "stray": batch.stray,
        "lines": batch.lines,
        "bytes": batch.bytes,
        "opened_at_ms": batch.opened_at,
        "ended_at_ms": batch.ended_at,
        "tokens": tokens,
    })
}
