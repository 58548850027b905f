//! The page of the money: how much of the limit is used, what each folder cost, what went into further attempts.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;

use super::page::{NoPage, page};
use super::routes::No;
use super::{Pages, kept};
use crate::ops::report;

const COST: &str = include_str!("assets/cost.html");

/// The page.
pub(super) async fn cost(pages: Data<Pages>) -> Result<HttpResponse, NoPage> {
    let pages = pages.into_inner();
    let found = Arc::clone(&pages).apart(Pages::standing).await?.found;
    let bill = pages
        .kept(&pages.bill, found, |pages| report::bill(&pages.reader()?, &pages.settings().models).map_err(No::ledger));
    let bill = bill.await?;
    let limit = pages.settings().run.max_cost;
    let funds =
        Arc::clone(&pages).apart(move |pages| report::funds(&pages.reader()?, limit).map_err(No::ledger)).await?;
    let view = json!({
        "name": pages.name(), "here": "cost", "bill": *bill.what, "funds": funds, "is_kept": found > kept::FEW,
        "counted": report::utc(bill.at), "is_renewed": bill.is_renewed,
    });
    Ok(page(COST, view)?)
}
