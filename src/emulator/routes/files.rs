//! `/v1/files`: uploads streamed to disk, listings, contents.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{answer, through};
use crate::emulator::desk::files::{self, Content, disk, part_of};
use crate::emulator::multipart::{Multipart, Piece};
use crate::emulator::parse::{ListQuery, life};
use crate::emulator::refusal::Refusal;
use crate::emulator::runner::Shared;
use crate::emulator::scenario::{Act, Door, DoorRule};
use crate::kit::atomic_file::Draft;
use crate::kit::clock::{Stopwatch, io_pause};

/// Bytes read from disk for one chunk of a content.
const CHUNK: u64 = 256 * 1024;
/// Pause between the last byte of a cut content and the end of its connection.
const BEFORE_CUT: Duration = Duration::from_millis(50);
/// Longest value of a form field in bytes.
const MOST_FIELD: usize = 4096;

pub(crate) async fn upload(request: HttpRequest, shared: Data<Shared>, payload: Payload) -> HttpResponse {
    through(&shared, &request, Door::UploadFile, async |rule| take_in(&request, &shared, payload, rule).await).await
}

/// The form of an upload, as far as it has come.
struct Form {
    draft: Draft,
    bytes: u64,
    filename: Option<String>,
    purpose: String,
    anchor: String,
    seconds: String,
    /// The field whose bytes are coming.
    field: String,
}

async fn take_in(
    request: &HttpRequest,
    shared: &Shared,
    mut payload: Payload,
    rule: Option<&DoorRule>,
) -> Result<HttpResponse, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let malformed = |cause| Refusal::new(400, format!("Could not parse multipart form: {cause}"));
    let mut form = Form::new(shared.folder.draft().map_err(|cause| disk(&cause))?);
    let mut reader = Multipart::new(content_type).map_err(malformed)?;
    let (watch, mut received, mut ended) = (Stopwatch::start(), 0u64, false);
    let mut refused = None;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|cause| Refusal::new(400, format!("The upload was cut: {cause}")))?;
        received += chunk.len() as u64;
        keep_pace(shared.upload_bytes_per_second, &watch, received).await;
        match rule.map(|rule| rule.act) {
            Some(Act::Drop) => return Err(Refusal::server_error()),
            // Whatever is refused is read to its end, so that the caller hears why.
            Some(_) => continue,
            None if refused.is_some() => continue,
            None => {}
        }
        reader.push(&chunk);
        loop {
            match reader.next().map_err(malformed) {
                Ok(None) => break,
                Ok(Some(Piece::End)) => ended = true,
                Ok(Some(piece)) => refused = refused.or(form.take(piece, shared).err()),
                Err(cause) => refused = Some(cause),
            }
            if refused.is_some() {
                break;
            }
        }
    }
    match (refused, ended) {
        (Some(refusal), _) => Err(refusal),
        (None, false) => Err(malformed(crate::emulator::multipart::CUT_SHORT)),
        (None, true) => add(shared, form),
    }
}

/// Reads slowly if the server is told to be slow; the caller's connection fills up meanwhile.
async fn keep_pace(bytes_per_second: Option<u64>, watch: &Stopwatch, received: u64) {
    let Some(rate) = bytes_per_second else { return };
    let due = Duration::from_millis(received.saturating_mul(1000) / rate.max(1));
    io_pause(due.saturating_sub(watch.elapsed())).await;
}

impl Form {
    fn new(draft: Draft) -> Self {
        let empty = String::new;
        Self { draft, bytes: 0, filename: None, purpose: empty(), anchor: empty(), seconds: empty(), field: empty() }
    }

    fn take(&mut self, piece: Piece, shared: &Shared) -> Result<(), Refusal> {
        match piece {
            Piece::Part { name, filename } => {
                if name == "file" {
                    self.filename = Some(filename.unwrap_or_default());
                }
                self.field = name;
                Ok(())
            }
            Piece::Data(data) if self.field == "file" => self.store(&data, shared),
            Piece::Data(data) => {
                let field = match self.field.as_str() {
                    "purpose" => &mut self.purpose,
                    "expires_after[anchor]" => &mut self.anchor,
                    "expires_after[seconds]" => &mut self.seconds,
                    other => return Err(Refusal::unknown_parameter(other)),
                };
                field.push_str(&String::from_utf8_lossy(&data));
                if field.len() > MOST_FIELD { Err(Refusal::too_large(400).param(&self.field)) } else { Ok(()) }
            }
            Piece::End => Ok(()),
        }
    }

    fn store(&mut self, data: &Bytes, shared: &Shared) -> Result<(), Refusal> {
        self.bytes += data.len() as u64;
        let limits = &shared.limits;
        if self.bytes > limits.file_bytes && limits.oversize_status >= 400 {
            return Err(Refusal::too_large(limits.oversize_status));
        }
        // A write of some KiB into the system's memory: shorter than handing it to another thread.
        self.draft.file().and_then(|file| file.write_all(data)).map_err(|cause| disk(&cause))
    }

    /// Name and life of the file, if the form is complete and right.
    fn check(&self) -> Result<(String, Option<Duration>), Refusal> {
        let filename = self.filename.clone().ok_or_else(|| Refusal::missing("file"))?;
        if self.purpose.is_empty() {
            return Err(Refusal::missing("purpose"));
        }
        if self.purpose != "batch" {
            return Err(Refusal::invalid_value("purpose", &self.purpose, "'batch'"));
        }
        if !filename.ends_with(".jsonl") {
            return Err(Refusal::not_jsonl());
        }
        if self.bytes == 0 {
            return Err(Refusal::empty_upload());
        }
        if self.anchor.is_empty() && self.seconds.is_empty() {
            return Ok((filename, None));
        }
        let seconds = self
            .seconds
            .parse()
            .map_err(|_| Refusal::invalid_type("expires_after[seconds]", "an integer", "a string"))?;
        Ok((filename, Some(life("expires_after", &self.anchor, seconds)?)))
    }
}

fn add(shared: &Shared, form: Form) -> Result<HttpResponse, Refusal> {
    let (filename, lives) = form.check()?;
    let mut added = answer(files::add(shared, form.draft, form.bytes, filename, lives)?);
    let status = shared.faults.habits().upload_status.and_then(|status| StatusCode::from_u16(status).ok());
    *added.status_mut() = status.unwrap_or(StatusCode::OK);
    Ok(added)
}

pub(crate) async fn list(request: HttpRequest, shared: Data<Shared>, query: Query<ListQuery>) -> HttpResponse {
    through(&shared, &request, Door::ListFiles, async |_| files::list(&shared, &query).map(answer)).await
}

pub(crate) async fn get(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    through(&shared, &request, Door::GetFile, async |rule| {
        files::get(&shared, &id, rule.map(|rule| rule.keep)).map(answer)
    })
    .await
}

pub(crate) async fn delete(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    through(&shared, &request, Door::DeleteFile, async |_| files::delete(&shared, &id).map(answer)).await
}

pub(crate) async fn content(request: HttpRequest, shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    through(&shared, &request, Door::ReadFile, async |rule| {
        let range = request.headers().get(RANGE).and_then(|value| value.to_str().ok());
        files::content(&shared, &id, range).map(|part| serve(part, &shared, rule.map(|rule| rule.keep)))
    })
    .await
}

fn serve(content: Content, shared: &Shared, keep: Option<f64>) -> HttpResponse {
    let (file, begin, end, bytes, ranged) = match content {
        Content::Outside(bytes) => {
            return HttpResponse::RangeNotSatisfiable()
                .insert_header((CONTENT_RANGE, format!("bytes */{bytes}")))
                .finish();
        }
        Content::Part { file, begin, end, bytes, ranged } => (file, begin, end, bytes, ranged),
    };
    let status = if ranged { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_TYPE, "application/octet-stream"));
    let Some(file) = file else { return response.finish() };
    let sent = keep.map_or(end - begin, |keep| part_of(end - begin, keep));
    let content = chunks(file, sent, sent < end - begin);
    if shared.faults.habits().chunked {
        return response.streaming(content);
    }
    response.insert_header((ACCEPT_RANGES, "bytes"));
    if ranged {
        response.insert_header((CONTENT_RANGE, format!("bytes {begin}-{}/{bytes}", end.saturating_sub(1))));
    }
    response.body(SizedStream::new(end - begin, content))
}

/// The next `length` bytes of `file`; `cut` ends them with an error, which closes the connection.
fn chunks(file: File, length: u64, cut: bool) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((file, length, cut), |(mut file, left, cut)| async move {
        if left == 0 {
            if !cut {
                return None;
            }
            // What was sent must be on its way first: an error drops what waits in the server's buffer.
            io_pause(BEFORE_CUT).await;
            return Some((Err(io::Error::other("cut by the scenario")), (file, 0, false)));
        }
        let mut chunk = Vec::new();
        match io::Read::by_ref(&mut file).take(left.min(CHUNK)).read_to_end(&mut chunk) {
            Ok(0) => Some((Err(io::ErrorKind::UnexpectedEof.into()), (file, 0, false))),
            Ok(read) => Some((Ok(chunk.into()), (file, left - read as u64, cut))),
            Err(cause) => Some((Err(cause), (file, 0, false))),
        }
    })
}
