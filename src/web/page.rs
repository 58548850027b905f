//! The two pages, and the files that they load.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::web::{Data, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::No;
use super::{Pages, view};
use crate::domain::ids::ImageId;
use crate::ops::report::environment;
use crate::ops::review::{self, Listed};

const OVERVIEW: &str = include_str!("assets/overview.html");
const REVIEW: &str = include_str!("assets/review.html");
const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/review.js");

/// What the review page is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// The image to begin with, by its row.
    image: Option<i64>,
}

/// How far the work is.
pub(super) async fn overview(pages: Data<Pages>) -> Result<HttpResponse, No> {
    let view = pages
        .into_inner()
        .apart(move |pages| {
            let reader = pages.reader()?;
            let mut view = pages.report(&reader).view().map_err(|error| No::Broken(error.to_string()))?;
            let order = review::order(&reader, pages.sample).map_err(No::ledger)?;
            view["to_review"] = view::counts(&order);
            Ok(view)
        })
        .await?;
    page(OVERVIEW, view)
}

/// One image beside its text; the script goes on from there.
pub(super) async fn review(pages: Data<Pages>, wanted: Query<Wanted>) -> Result<HttpResponse, No> {
    let view = pages
        .into_inner()
        .apart(move |pages| {
            let reader = pages.reader()?;
            let order = review::order(&reader, pages.sample).map_err(No::ledger)?;
            let chosen = wanted.image.map(ImageId).or_else(|| first(&order));
            let image = chosen.map(|id| review::image(&reader, id)).transpose().map_err(No::ledger)?.flatten();
            let image = image.map(|image| view::image(&pages.layout, &image));
            Ok(json!({"name": pages.name(), "image": image, "total": order.len(), "read_only": pages.read_only}))
        })
        .await?;
    page(REVIEW, view)
}

/// The first image that nobody has looked at, or else the first of all.
fn first(order: &[Listed]) -> Option<ImageId> {
    let unseen = order.iter().find(|image| image.review.is_none());
    unseen.or(order.first()).map(|image| image.id)
}

fn page(template: &str, view: Value) -> Result<HttpResponse, No> {
    let broken = |cause: minijinja::Error| No::Broken(cause.to_string());
    let environment = environment();
    let template = environment.template_from_str(template).map_err(broken)?;
    let html = template.render(minijinja::value::Serde(view)).map_err(broken)?;
    Ok(HttpResponse::Ok().insert_header(ContentType::html()).body(html))
}

pub(super) async fn style() -> HttpResponse {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> HttpResponse {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

fn asset(kind: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).insert_header((CACHE_CONTROL, "no-cache")).body(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::review::Review;
    use crate::ops::review::Why;

    #[test]
    fn one_begins_where_nobody_has_looked() {
        let listed = |id, review: Option<Review>| Listed {
            id: ImageId(id),
            path: String::new(),
            why: Why::Doubtful,
            review: review.map(|review| review.word().to_owned()),
        };
        let seen = Some(Review::Good);
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[listed(3, seen), listed(4, None), listed(5, None)]), Some(ImageId(4)));
        assert_eq!(first(&[listed(3, seen), listed(4, seen)]), Some(ImageId(3)));
    }
}
