//! The batch service without sockets and threads: the client's nine verbs straight on the desks, for simulations.
//!
//! What it answers is written as JSON by the emulator and read by the client's own reader, as over HTTP, and a refusal is
//! sorted by the client's own table. A door's faults strike as they do there: what would be a lost connection is
//! [`Kind::Doubt`]. Nothing happens between two requests; a request finds done whatever was due.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::desk::files::{Content, part_of};
use super::desk::{Json, batches, chat, files};
use super::endpoint::Endpoint;
use super::parse::ListQuery;
use super::refusal::Refusal;
use super::runner::Shared;
use super::scenario::{Act, Door, DoorRule};
use super::server::{ServerOptions, fittings, open_books};
use super::wire::ErrorObject;
use crate::domain::ids::{BatchId, FileId};
use crate::kit::pool::Pool;
use crate::kit::stop::{StopSwitch, stop_switch};
use crate::provider::failure::{Failure, Hints, Kind, classify};
use crate::provider::wire::{Batch, BatchPage, FilePage, NewBatch, RemoteFile};
use crate::provider::{Cancelled, Deletion, Download, Provider, UploadBody};

/// What people are told.
const HOST: &str = "simulation";

type Result<T> = std::result::Result<T, Failure>;

/// The service; it outlives the processes that ask it.
pub struct Direct {
    shared: Shared,
    // The workers' switch; there are none, and a stop that vanished would count as raised.
    _stop: StopSwitch,
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shared.fmt(f)
    }
}

impl Direct {
    /// Opens the state folder of `options`; addresses and threads in them mean nothing here.
    ///
    /// # Errors
    /// As [`start`](super::start).
    pub fn open(options: ServerOptions) -> io::Result<Arc<Self>> {
        let limits = options.scenario.habits.limits(options.limits.clone());
        let books = open_books(&options, limits.enqueued_tokens)?;
        let (stop, watcher) = stop_switch();
        let shared = Shared::new(books, fittings(options, limits, watcher, Pool::in_step()));
        Ok(Arc::new(Self { shared, _stop: stop }))
    }

    /// Nothing goes wrong with new requests, batches and lines from now on.
    pub fn calm(&self) {
        self.shared.faults.calm();
    }

    /// Meets the fault of `door`, if there is one, and asks the desk what it leaves to be asked.
    async fn through<T>(&self, door: Door, act: impl Fn(Option<&DoorRule>) -> Result<T>) -> Result<T> {
        self.shared.perform_all();
        let Some(rule) = self.shared.faults.at(door) else { return act(None) };
        match rule.act {
            Act::Refuse => Err(refused(rule)),
            Act::Drop => Err(lost()),
            Act::ActThenRefuse => {
                drop(act(None));
                Err(refused(rule))
            }
            Act::ActThenDrop => {
                drop(act(None));
                Err(lost())
            }
            Act::ActTwiceThenDrop => {
                drop(act(None));
                drop(act(None));
                Err(lost())
            }
            Act::Cut => act(Some(rule)),
            Act::Delay => {
                self.shared.clock.sleep(Duration::from_millis(rule.delay_ms)).await;
                self.shared.perform_all();
                act(None)
            }
        }
    }

    /// A page of the list of files.
    async fn file_page(&self, after: Option<&FileId>) -> Result<FilePage> {
        let mut query = ListQuery::after_id(after.map(|id| id.as_str()));
        query.purpose = Some("batch".to_owned());
        let page = self.through(Door::ListFiles, |_| told(files::list(&self.shared, &query))).await?;
        FilePage::from_json(&page).ok_or_else(unreadable)
    }
}

/// The desk's answer, as the client reads it.
fn told(said: std::result::Result<Json, Refusal>) -> Result<Value> {
    serde_json::from_slice(&said.map_err(|refusal| failure(&refusal, None))?).map_err(|_| unreadable())
}

/// The client's view of a refusal.
fn failure(refusal: &Refusal, retry_after: Option<&str>) -> Failure {
    let body = serde_json::to_vec(&ErrorObject::from(refusal)).unwrap_or_default();
    classify(HOST, refusal.status, Hints { retry_after, ..Hints::default() }, &body)
}

fn refused(rule: &DoorRule) -> Failure {
    let pause = rule.retry_after_seconds.map(|seconds| seconds.to_string());
    failure(&rule.refusal(), pause.as_deref())
}

fn lost() -> Failure {
    Failure::new(Kind::Doubt, HOST, "the connection was lost")
}

fn unreadable() -> Failure {
    Failure::new(Kind::Doubt, HOST, "the answer cannot be read")
}

fn disk(cause: &io::Error) -> Failure {
    Failure::new(Kind::Doubt, HOST, format!("the simulation's disk: {cause}"))
}

/// All chunks of a body; fewer bytes than announced are no file.
async fn taken_in(mut body: UploadBody, draft: &mut crate::kit::atomic_file::Draft) -> Result<()> {
    let mut bytes = 0;
    while let Some(chunk) = body.lane.recv().await {
        bytes += chunk.len() as u64;
        draft.file().and_then(|file| file.write_all(&chunk)).map_err(|cause| disk(&cause))?;
    }
    if bytes == body.length { Ok(()) } else { Err(Failure::new(Kind::Body, HOST, "the body ended early")) }
}

#[async_trait::async_trait]
impl Provider for Direct {
    fn host(&self) -> &str {
        HOST
    }

    async fn upload_file(&self, name: &str, body: UploadBody) -> Result<RemoteFile> {
        self.shared.perform_all();
        let rule = self.shared.faults.at(Door::UploadFile);
        let (act, length) = (rule.map(|rule| rule.act), body.length);
        if act == Some(Act::Drop) {
            // Cut in its middle: the rest of the body has nowhere to go.
            return Err(lost());
        }
        let mut draft = self.shared.folder.draft().map_err(|cause| disk(&cause))?;
        taken_in(body, &mut draft).await?;
        if let Some(rule) = rule.filter(|rule| rule.act == Act::Refuse) {
            return Err(refused(rule));
        }
        let limits = &self.shared.limits;
        if length > limits.file_bytes && limits.oversize_status >= 400 {
            return Err(failure(&Refusal::too_large(limits.oversize_status), None));
        }
        let added = told(files::add(&self.shared, draft, length, name.to_owned(), None))?;
        match rule.filter(|rule| matches!(rule.act, Act::ActThenRefuse | Act::ActThenDrop | Act::ActTwiceThenDrop)) {
            Some(rule) if rule.act == Act::ActThenRefuse => Err(refused(rule)),
            Some(_) => Err(lost()),
            None => RemoteFile::from_json(&added).ok_or_else(unreadable),
        }
    }

    async fn file(&self, id: &FileId) -> Result<RemoteFile> {
        let get = |rule: Option<&DoorRule>| told(files::get(&self.shared, id.as_str(), rule.map(|rule| rule.keep)));
        let file = self.through(Door::GetFile, get).await?;
        RemoteFile::from_json(&file).ok_or_else(unreadable)
    }

    async fn find_files(&self, name: &str) -> Result<Vec<RemoteFile>> {
        let mut found = Vec::new();
        let mut after: Option<FileId> = None;
        loop {
            let page = self.file_page(after.as_ref()).await?;
            let last = page.files.last().map(|file| file.id.clone());
            found.extend(page.files.into_iter().filter(|file| file.filename == name));
            if !page.has_more || last == after {
                break;
            }
            after = last;
        }
        found.sort_by_key(|file: &RemoteFile| std::cmp::Reverse(file.created_at));
        Ok(found)
    }

    async fn read_file(&self, id: &FileId, offset: u64) -> Result<Download> {
        let range = (offset > 0).then(|| format!("bytes={offset}-"));
        let content = |rule: Option<&DoorRule>| {
            let part = files::content(&self.shared, id.as_str(), range.as_deref());
            Ok((part.map_err(|refusal| failure(&refusal, None))?, rule.map(|rule| rule.keep)))
        };
        match self.through(Door::ReadFile, content).await? {
            (Content::Outside(_), _) => Err(Failure::new(Kind::Refused, HOST, "the range lies outside of the file")),
            (Content::Part { file, begin, end, .. }, keep) => {
                let sent = keep.map_or(end - begin, |keep| part_of(end - begin, keep));
                let mut bytes = Vec::new();
                if let Some(file) = file {
                    file.take(sent).read_to_end(&mut bytes).map_err(|cause| disk(&cause))?;
                }
                let cut = (sent < end - begin).then(|| Err(lost()));
                let chunks = std::iter::once(Ok(Bytes::from(bytes))).chain(cut);
                let bytes = futures_util::stream::iter(chunks.collect::<Vec<_>>()).boxed();
                Ok(Download { length: Some(end - begin), offset: begin, bytes })
            }
        }
    }

    async fn delete_file(&self, id: &FileId) -> Result<Deletion> {
        match self.through(Door::DeleteFile, |_| told(files::delete(&self.shared, id.as_str()))).await {
            Ok(_) => Ok(Deletion::Done),
            Err(failure) if failure.kind == Kind::NotFound => Ok(Deletion::NotThere),
            Err(failure) => Err(failure),
        }
    }

    async fn create_batch(&self, batch: &NewBatch) -> Result<Batch> {
        let asked = serde_json::to_vec(batch).unwrap_or_default();
        let created = self.through(Door::CreateBatch, |_| told(batches::create(&self.shared, &asked))).await?;
        Batch::from_json(created).ok_or_else(unreadable)
    }

    async fn batch(&self, id: &BatchId) -> Result<Batch> {
        let batch = self.through(Door::GetBatch, |_| told(batches::get(&self.shared, id.as_str()))).await?;
        Batch::from_json(batch).ok_or_else(unreadable)
    }

    async fn list_batches(&self, after: Option<&BatchId>) -> Result<BatchPage> {
        let query = ListQuery::after_id(after.map(|id| id.as_str()));
        let page = self.through(Door::ListBatches, |_| told(batches::list(&self.shared, &query))).await?;
        BatchPage::from_json(&page).ok_or_else(unreadable)
    }

    async fn cancel_batch(&self, id: &BatchId) -> Result<Cancelled> {
        match self.through(Door::CancelBatch, |_| told(batches::cancel(&self.shared, id.as_str()))).await {
            Ok(_) => Ok(Cancelled::Asked),
            Err(failure) if failure.status == Some(409) => Ok(Cancelled::HasEnded),
            Err(failure) => Err(failure),
        }
    }

    async fn ask(&self, endpoint: &str, body: Bytes) -> Result<Value> {
        let endpoint =
            Endpoint::of_path(endpoint).ok_or_else(|| failure(&Refusal::no_route("POST", endpoint), None))?;
        self.through(Door::Chat, |_| told(chat::ask(&self.shared, endpoint, &body))).await
    }
}
