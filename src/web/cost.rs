//! The page of the money: how much of the limit is used, what each folder cost, what went into further attempts.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::Pages;
use super::page::page;
use super::routes::No;
use crate::ops::report;

const COST: &str = include_str!("assets/cost.html");

/// The page.
pub(super) async fn cost(pages: Data<Pages>) -> Result<HttpResponse, No> {
    let view = pages.into_inner().apart(move |pages| {
        let settings = pages.settings();
        let told = report::cost(&pages.reader()?, &settings.models, settings.run.max_cost);
        let mut view = told.map_err(No::ledger)?;
        view["name"] = pages.name().into();
        view["here"] = "cost".into();
        Ok(view)
    });
    page(COST, view.await?)
}
