//! The page of the money: how much of the limit is used, what each folder cost, what went into further attempts.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;

use super::page::page;
use super::routes::No;
use super::{Pages, kept};
use crate::ops::report;

const COST: &str = include_str!("assets/cost.html");

/// The page.
pub(super) async fn cost(pages: Data<Pages>) -> Result<HttpResponse, No> {
    let view = pages.into_inner().apart(move |pages| {
        let settings = pages.settings();
        let reader = pages.reader()?;
        let found = reader.standing().map_err(No::ledger)?.found;
        let bill = pages.bill.told(&pages.clock, found, || {
            let mut bill = report::bill(&reader, &settings.models).map_err(No::ledger)?;
            bill["written"] = report::utc(pages.clock.now()).into();
            Ok::<_, No>(bill)
        })?;
        let funds = report::funds(&reader, settings.run.max_cost).map_err(No::ledger)?;
        Ok(json!({"name": pages.name(), "here": "cost", "bill": *bill, "funds": funds, "is_kept": found > kept::FEW}))
    });
    page(COST, view.await?)
}
