//! `/v1/batches`.

use serde_json::Value;

use super::{Json, json};
use crate::emulator::bill::Entry;
use crate::emulator::books::Books;
use crate::emulator::core::{NewBatch, Request};
use crate::emulator::disguise;
use crate::emulator::parse::{ListQuery, new_batch};
use crate::emulator::record::{BatchRecord, Event, Status};
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::scenario::BatchRule;
use crate::emulator::wire::{BatchObject, ListObject};
use crate::kit::clock::Millis;

/// Opens a batch; what is refused is on the bill as well.
pub(crate) fn create(shared: &Shared, body: &[u8]) -> Result<Json, Refusal> {
    let (mut books, now) = shared.books();
    let asked = new_batch(body, !shared.limits.takes_anything);
    let file = asked.as_ref().ok().map(|asked| asked.input_file_id.clone());
    let metadata = asked.as_ref().ok().and_then(|asked| asked.metadata.clone());
    let created = asked.and_then(|asked| open(&mut books, shared, now, asked));
    let entry = Entry::Create {
        batch: created.as_ref().ok().map(String::as_str),
        file: file.as_deref(),
        metadata: metadata.as_ref(),
        refused: created.as_ref().err().map(|refusal| refusal.message.as_str()),
    };
    books.bill(now, &entry)?;
    show(&mut books, shared, &created?)
}

fn open(books: &mut Books, shared: &Shared, now: Millis, asked: NewBatch) -> Result<String, Refusal> {
    books.settle(now)?;
    let events = books.commit(now, Request::OpenBatch(asked))?;
    let Some(Event::BatchOpened { batch }) = events.first() else { return Err(Refusal::server_error()) };
    books.mark(&batch.id, shared.faults.of_batch());
    for _ in 0..shared.faults.habits().foreign_batches {
        books.commit(now, Request::OpenForeign)?;
    }
    shared.ring();
    Ok(batch.id.clone())
}

fn show(books: &mut Books, shared: &Shared, id: &str) -> Result<Json, Refusal> {
    if books.is_gone(id) {
        return Err(Refusal::no_such_batch(id));
    }
    let shown = shown(books, shared, id);
    let batch = books.service.batch(id).ok_or_else(|| Refusal::no_such_batch(id))?;
    Ok(shown.map_or_else(|| json(&BatchObject::from(batch)), |shown| json(&shown)))
}

/// A batch as the scenario shows it, if it does.
fn shown(books: &mut Books, shared: &Shared, id: &str) -> Option<Value> {
    if books.fault(id).is_none() && !shared.faults.has_habits() {
        return None;
    }
    let looks = books.look(id);
    let batch = books.service.batch(id)?;
    Some(disguise::batch(batch, books.fault(id), shared.faults.habits(), looks))
}

/// A page of the list.
pub(crate) fn list(shared: &Shared, query: &ListQuery) -> Result<Json, Refusal> {
    let (mut books, now) = shared.books();
    books.settle(now)?;
    let limit = query.limit(20, 100)?;
    let repeats = shared.faults.habits().lists_repeat;
    let after = query.after().filter(|_| !repeats);
    let hidden = |id: &str| books.is_gone(id) || books.fault(id).is_some_and(|fault| fault.hide_from_lists > 0);
    let mut page = books.service.batches(after, limit, hidden)?;
    page.has_more |= repeats;
    let ids: Vec<String> = page.records.iter().map(|batch| batch.asked.id.clone()).collect();
    let list = ListObject::<BatchObject<'_>>::new(&page, |batch: &BatchRecord| &batch.asked.id);
    // As a tree only if something is shown otherwise: the members lose their order on this road.
    let changed = shared.faults.has_habits() || ids.iter().any(|id| books.fault(id).is_some());
    let answer = if changed {
        let mut list = serde_json::to_value(list).unwrap_or_default();
        for (place, id) in ids.iter().enumerate() {
            if let Some(shown) = shown(&mut books, shared, id) {
                list["data"][place] = shown;
            }
        }
        json(&list)
    } else {
        json(&list)
    };
    books.listed();
    Ok(answer)
}

/// One batch.
pub(crate) fn get(shared: &Shared, id: &str) -> Result<Json, Refusal> {
    let (mut books, now) = shared.books();
    books.settle(now)?;
    show(&mut books, shared, id)
}

/// Cancels a batch, unless the scenario only says so.
pub(crate) fn cancel(shared: &Shared, id: &str) -> Result<Json, Refusal> {
    let (mut books, now) = shared.books();
    books.settle(now)?;
    let ignored = matches!(books.fault(id), Some(BatchRule { ignore_cancel: true, .. }));
    if !ignored {
        books.commit(now, Request::CancelBatch { id: id.to_owned() })?;
    }
    books.bill(now, &Entry::Cancel { batch: id })?;
    if ignored {
        let batch = books.service.batch(id).ok_or_else(|| Refusal::no_such_batch(id))?;
        let mut object = serde_json::to_value(BatchObject::from(batch)).unwrap_or_default();
        object["status"] = Status::Cancelling.word().into();
        return Ok(json(&object));
    }
    shared.ring();
    show(&mut books, shared, id)
}
