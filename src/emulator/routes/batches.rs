//! `/v1/batches`.

use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::{json, through};
use crate::emulator::bill::Entry;
use crate::emulator::books::Books;
use crate::emulator::core::{NewBatch, Request};
use crate::emulator::parse::{ListQuery, new_batch};
use crate::emulator::record::{BatchRecord, Event, Status};
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::scenario::{BatchRule, Door};
use crate::emulator::wire::{BatchObject, ListObject};
use crate::kit::clock::Millis;

pub(crate) async fn create(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    through(&shared, &request, Door::CreateBatch, async |_| {
        let (mut books, now) = shared.books();
        let asked = new_batch(&body);
        let file = asked.as_ref().ok().map(|asked| asked.input_file_id.clone());
        let metadata = asked.as_ref().ok().and_then(|asked| asked.metadata.clone());
        let created = asked.and_then(|asked| open(&mut books, &shared, now, asked));
        let entry = Entry::Create {
            batch: created.as_ref().ok().map(String::as_str),
            file: file.as_deref(),
            metadata: metadata.as_ref(),
            refused: created.as_ref().err().map(|refusal| refusal.message.as_str()),
        };
        books.bill(now, &entry)?;
        show(&books, &created?)
    })
    .await
}

fn open(books: &mut Books, shared: &Shared, now: Millis, asked: NewBatch) -> Result<String, Refusal> {
    books.settle(now)?;
    let events = books.commit(now, Request::OpenBatch(asked))?;
    let Some(Event::BatchOpened { batch }) = events.first() else { return Err(Refusal::server_error()) };
    books.mark(&batch.id, shared.faults.of_batch());
    shared.ring();
    Ok(batch.id.clone())
}

fn show(books: &Books, id: &str) -> Result<HttpResponse, Refusal> {
    let batch = books.service.batch(id).ok_or_else(|| Refusal::no_such_batch(id))?;
    Ok(match books.fault(id) {
        Some(fault) => json(&shown(batch, fault)),
        None => json(&BatchObject::from(batch)),
    })
}

/// A batch as the scenario shows it.
fn shown(batch: &BatchRecord, fault: &BatchRule) -> Value {
    let mut object = serde_json::to_value(BatchObject::from(batch)).unwrap_or_default();
    let now = batch.status.word();
    for show in fault.show.iter().filter(|show| show.status.as_deref().is_none_or(|status| status == now)) {
        show.apply(&mut object);
    }
    object
}

pub(crate) async fn list(request: HttpRequest, shared: Data<Shared>, query: Query<ListQuery>) -> HttpResponse {
    through(&shared, &request, Door::ListBatches, async |_| {
        let (mut books, now) = shared.books();
        books.settle(now)?;
        let limit = query.limit(20, 100)?;
        let hidden = |id: &str| books.fault(id).is_some_and(|fault| fault.hide_from_lists > 0);
        let page = books.service.batches(query.after(), limit, hidden)?;
        let list = ListObject::<BatchObject<'_>>::new(&page, |batch: &BatchRecord| &batch.asked.id);
        let faults: Vec<_> = page.records.iter().map(|batch| books.fault(&batch.asked.id)).collect();
        let answer = if faults.iter().all(Option::is_none) {
            json(&list)
        } else {
            let mut list = serde_json::to_value(list).unwrap_or_default();
            for (place, (batch, fault)) in page.records.iter().zip(faults).enumerate() {
                if let Some(fault) = fault {
                    list["data"][place] = shown(batch, fault);
                }
            }
            json(&list)
        };
        books.listed();
        Ok(answer)
    })
    .await
}

pub(crate) async fn get(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    through(&shared, &request, Door::GetBatch, async |_| {
        let (mut books, now) = shared.books();
        books.settle(now)?;
        show(&books, &id)
    })
    .await
}

pub(crate) async fn cancel(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    through(&shared, &request, Door::CancelBatch, async |_| {
        let (mut books, now) = shared.books();
        books.settle(now)?;
        let ignored = matches!(books.fault(&id), Some(BatchRule { ignore_cancel: true, .. }));
        if !ignored {
            books.commit(now, Request::CancelBatch { id: id.to_string() })?;
        }
        books.bill(now, &Entry::Cancel { batch: &id })?;
        if ignored {
            let batch = books.service.batch(&id).ok_or_else(|| Refusal::no_such_batch(&id))?;
            let mut object = serde_json::to_value(BatchObject::from(batch)).unwrap_or_default();
            object["status"] = Status::Cancelling.word().into();
            return Ok(json(&object));
        }
        shared.ring();
        show(&books, &id)
    })
    .await
}
