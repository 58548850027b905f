//! The provider that speaks the Batch API at any base URL.

use bytes::Bytes;
use serde_json::{Value, json};

use super::failure::{Failure, Kind};
use super::http::{ANSWER_MAX, CreateClient, Http, LIST_MAX};
use super::wire::{Batch, BatchPage, FilePage, NewBatch, RemoteFile};
use super::{Cancelled, Deletion, Download, Provider, Result, UploadBody};
use crate::domain::ids::{BatchId, FileId};
use crate::kit::traffic::Traffic;

pub use super::http::Options;

/// Files asked for in one page of the list.
const FILES_A_PAGE: &str = "1000";
/// Pages of the file list that are read: at 1,000 a page far more than a project's storage holds.
const MOST_FILE_PAGES: usize = 100;
/// Batches in one page of the list, the most the API gives.
const BATCHES_A_PAGE: &str = "100";

/// OpenAI, or any service that speaks its Batch API.
#[derive(Debug)]
pub struct OpenAi {
    http: Http,
    create: CreateClient,
}

impl OpenAi {
    /// A client; nothing is sent.
    ///
    /// # Errors
    /// `Refused` for a URL that cannot be used or would send the key in the clear, `Key` for a key that no header can carry.
    pub fn new(options: &Options) -> Result<Self> {
        let http = Http::new(options)?;
        let create = http.create_client()?;
        Ok(Self { http, create })
    }

    /// Counts of what is asked through it.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.http.traffic()
    }

    fn unreadable(&self, what: &str) -> Failure {
        Failure::new(Kind::Doubt, self.http.host(), format!("the answer is no {what}"))
    }

    async fn file_page(&self, after: Option<&FileId>) -> Result<FilePage> {
        let mut query = vec![("purpose", "batch"), ("limit", FILES_A_PAGE), ("order", "desc")];
        query.extend(after.map(|id| ("after", id.as_str())));
        let page = self.http.get(&["files"], &query, LIST_MAX).await?;
        FilePage::from_json(&page).ok_or_else(|| self.unreadable("list of files"))
    }
}

#[async_trait::async_trait]
impl Provider for OpenAi {
    fn host(&self) -> &str {
        self.http.host()
    }

    async fn upload_file(&self, name: &str, body: UploadBody) -> Result<RemoteFile> {
        let file = self.http.upload(name, body).await?;
        RemoteFile::from_json(&file).ok_or_else(|| self.unreadable("file"))
    }

    async fn file(&self, id: &FileId) -> Result<RemoteFile> {
        let file = self.http.get(&["files", id.as_str()], &[], ANSWER_MAX).await?;
        RemoteFile::from_json(&file).ok_or_else(|| self.unreadable("file"))
    }

    async fn find_files(&self, name: &str) -> Result<Vec<RemoteFile>> {
        let mut found = Vec::new();
        let mut after: Option<FileId> = None;
        for _ in 0..MOST_FILE_PAGES {
            let page = match self.file_page(after.as_ref()).await {
                Ok(page) => page,
                // Some servers keep no list. What is not found is uploaded again, which costs storage and no money.
                Err(failure) if matches!(failure.status, Some(404 | 405 | 501)) => break,
                Err(failure) => return Err(failure),
            };
            let last = page.files.last().map(|file| file.id.clone());
            found.extend(page.files.into_iter().filter(|file| file.filename == name));
            // A server that ignores the cursor gives the same page for ever.
            if !page.has_more || last.is_none() || last == after {
                break;
            }
            after = last;
        }
        found.sort_by_key(|file: &RemoteFile| std::cmp::Reverse(file.created_at));
        found.dedup_by(|one, other| one.id == other.id);
        Ok(found)
    }

    async fn read_file(&self, id: &FileId, offset: u64) -> Result<Download> {
        self.http.download(id.as_str(), offset).await
    }

    async fn delete_file(&self, id: &FileId) -> Result<Deletion> {
        match self.http.delete(&["files", id.as_str()]).await {
            Ok(Value::Null) => Ok(Deletion::Done),
            Ok(answer) if answer.get("deleted") == Some(&Value::Bool(true)) => Ok(Deletion::Done),
            // This deletion may be the fence before a second create, so only a definite answer counts.
            Ok(_) => Err(self.unreadable("confirmation of a deletion")),
            Err(failure) if failure.kind == Kind::NotFound => Ok(Deletion::NotThere),
            Err(failure) => Err(failure),
        }
    }

    async fn create_batch(&self, batch: &NewBatch) -> Result<Batch> {
        let created = self.create.send(&self.http, batch).await?;
        let created = Batch::from_json(created).ok_or_else(|| self.unreadable("batch"))?;
        match &created.input_file {
            Some(other) if *other != batch.input_file_id => Err(self.unreadable("batch of this input file")),
            _ => Ok(created),
        }
    }

    async fn batch(&self, id: &BatchId) -> Result<Batch> {
        let batch = self.http.get(&["batches", id.as_str()], &[], LIST_MAX).await?;
        Batch::from_json(batch).ok_or_else(|| self.unreadable("batch"))
    }

    async fn list_batches(&self, after: Option<&BatchId>) -> Result<BatchPage> {
        let mut query = vec![("limit", BATCHES_A_PAGE)];
        query.extend(after.map(|id| ("after", id.as_str())));
        let page = self.http.get(&["batches"], &query, LIST_MAX).await?;
        BatchPage::from_json(&page).ok_or_else(|| self.unreadable("list of batches"))
    }

    async fn cancel_batch(&self, id: &BatchId) -> Result<Cancelled> {
        match self.http.post(&["batches", id.as_str(), "cancel"], &json!({})).await {
            Ok(_) => Ok(Cancelled::Asked),
            Err(failure) if failure.status == Some(409) => Ok(Cancelled::HasEnded),
            // Some servers say so with a 400.
            Err(failure) if failure.kind == Kind::Refused && failure.message.contains("annot cancel") => {
                Ok(Cancelled::HasEnded)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn ask(&self, endpoint: &str, body: Bytes) -> Result<Value> {
        // What stands before these parts in a line's url is the base, which some services write otherwise there.
        let path: &[&str] = if endpoint.ends_with("/responses") { &["responses"] } else { &["chat", "completions"] };
        self.http.question(path, body).await
    }
}

#[cfg(test)]
#[path = "openai_tests.rs"]
mod tests;
