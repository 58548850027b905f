//! Overview and review, how a page is made, and the files that they load.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::web::{Data, Query};
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError};
use futures_util::future::join;
use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::No;
use super::{InTheWay, Pages, kept, view};
use crate::domain::ids::ImageId;
use crate::domain::image::shown;
use crate::ops::report::{self, environment};
use crate::ops::review::{self, Listed};

/// What the pages stand in that scroll.
const FRAME: &str = include_str!("assets/frame.html");
const NAV: &str = include_str!("assets/nav.html");
const OVERVIEW: &str = include_str!("assets/overview.html");
const REVIEW: &str = include_str!("assets/review.html");
const ERROR: &str = include_str!("assets/error.html");
const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/review.js");

/// What the review page is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// The image to begin with, by its row.
    image: Option<i64>,
    /// Else the first one that is shown for this reason: `doubtful`, `failed` or `drawn`.
    why: Option<String>,
}

/// How far the work is.
pub(super) async fn overview(pages: Data<Pages>) -> Result<HttpResponse, NoPage> {
    let pages = pages.into_inner();
    let standing = Arc::clone(&pages).apart(Pages::standing).await?;
    let (counted, order) = join(pages.counted(standing.found), pages.order(standing.found)).await;
    let (counted, order) = (counted?, order?);
    let mut view = counted.what.view();
    view["balance"] = report::balance(&standing);
    view["counted"] = report::utc(counted.at.min(order.at)).into();
    view["is_renewed"] = (counted.is_renewed || order.is_renewed).into();
    view["written"] = report::utc(pages.clock.now()).into();
    view["is_kept"] = (standing.found > kept::FEW).into();
    view["to_review"] = view::counts(&order.what);
    view["held"] = (pages.held)().map(|held| in_the_way(&held)).into();
    view["here"] = "overview".into();
    Ok(page(OVERVIEW, view)?)
}

/// What is in the way, as the overview tells it.
fn in_the_way(held: &InTheWay) -> Value {
    let until = held.until.map(report::utc);
    json!({"why": shown(held.why.as_bytes()), "advice": held.advice.iter().map(|line| shown(line.as_bytes())).collect::<Vec<_>>(), "until": until})
}

/// One image beside its text; the script goes on from there.
pub(super) async fn review(pages: Data<Pages>, wanted: Query<Wanted>) -> Result<HttpResponse, NoPage> {
    let pages = pages.into_inner();
    let chosen = match wanted.image {
        Some(image) => Some(ImageId(image)),
        None => {
            let found = Arc::clone(&pages).apart(Pages::standing).await?.found;
            first(&pages.order(found).await?.what, wanted.why.as_deref())
        }
    };
    let view = pages.apart(move |pages| {
        let reader = pages.reader()?;
        let image = chosen.map(|id| review::image(&reader, id)).transpose().map_err(No::ledger)?.flatten();
        let image = image.map(|image| view::image(&pages.layout, &image));
        Ok(json!({"name": pages.name(), "here": "review", "image": image, "read_only": pages.read_only}))
    });
    Ok(page(REVIEW, view.await?)?)
}

/// The first image that is shown for the reason of that word and that nobody has looked at, or else the first of all.
fn first(order: &[Listed], why: Option<&str>) -> Option<ImageId> {
    let wanted = |image: &&Listed| why.is_none_or(|word| image.why.word() == word);
    let mut images = order.iter().filter(wanted);
    let unseen = images.clone().find(|image| image.review.is_none());
    unseen.or_else(|| images.next()).or(order.first()).map(|image| image.id)
}

/// A page: what is put into its template is text, never HTML.
pub(super) fn page(template: &str, view: Value) -> Result<HttpResponse, No> {
    let broken = |cause: minijinja::Error| No::Broken(cause.to_string());
    let mut environment = environment().map_err(broken)?;
    environment.add_template("nav.html", NAV).map_err(broken)?;
    environment.add_template("frame.html", FRAME).map_err(broken)?;
    let template = environment.template_from_str(template).map_err(broken)?;
    let html = template.render(minijinja::value::Serde(view)).map_err(broken)?;
    Ok(HttpResponse::Ok().insert_header(ContentType::html()).body(html))
}

/// Why there is no page, told as a page: whoever asks for one has a browser.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct NoPage(#[from] No);

impl ResponseError for NoPage {
    fn status_code(&self) -> StatusCode {
        self.0.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let Ok(mut answer) = page(ERROR, json!({"name": "batchscribe", "here": null, "why": self.to_string()})) else {
            return self.0.error_response();
        };
        *answer.status_mut() = self.status_code();
        answer
    }
}

/// Where there is nothing: told to people as a page, to programs as a document.
pub(super) async fn nowhere(request: HttpRequest) -> Result<HttpResponse, Error> {
    let nothing = No::Nothing("There is nothing at this address.".to_owned());
    Err(if request.path().starts_with("/api/") { nothing.into() } else { NoPage(nothing).into() })
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
        assert_eq!(first(&[], None), None);
        assert_eq!(first(&[listed(3, seen), listed(4, None), listed(5, None)], None), Some(ImageId(4)));
        assert_eq!(first(&[listed(3, seen), listed(4, seen)], None), Some(ImageId(3)));
        let failed = Listed { why: Why::Failed, ..listed(9, seen) };
        assert_eq!(first(&[listed(3, None), failed.clone()], Some("failed")), Some(ImageId(9)));
        assert_eq!(first(&[listed(3, seen), failed], Some("odd")), Some(ImageId(3)));
    }
}
