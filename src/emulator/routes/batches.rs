//! `/v1/batches`.

use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};

use super::{answer, through};
use crate::emulator::desk::batches;
use crate::emulator::parse::ListQuery;
use crate::emulator::runner::Shared;
use crate::emulator::scenario::{Act, Door};

pub(crate) async fn create(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    through(&shared, &request, Door::CreateBatch, async |rule| {
        if rule.is_some_and(|rule| rule.act == Act::ActTwiceThenDrop) {
            batches::create(&shared, &body)?;
        }
        batches::create(&shared, &body).map(answer)
    })
    .await
}

pub(crate) async fn list(request: HttpRequest, shared: Data<Shared>, query: Query<ListQuery>) -> HttpResponse {
    through(&shared, &request, Door::ListBatches, async |_| batches::list(&shared, &query).map(answer)).await
}

pub(crate) async fn get(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    through(&shared, &request, Door::GetBatch, async |_| batches::get(&shared, &id).map(answer)).await
}

pub(crate) async fn cancel(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    through(&shared, &request, Door::CancelBatch, async |_| batches::cancel(&shared, &id).map(answer)).await
}
