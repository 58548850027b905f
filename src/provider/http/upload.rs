//! Sending a body: a multipart form of exactly announced length, watched for progress.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::super::UploadBody;
use super::super::failure::{Failure, Kind};
use super::{ANSWER_MAX, Http, Result};

impl Http {
    /// `POST /files` with purpose `batch`: the bytes of `body` under `name`.
    ///
    /// # Errors
    /// `Body` if the bytes are fewer or more than announced; `Doubt` if nothing moves for the stall time-out; else as
    /// [`Http::get`]. A refusal that comes before the last byte is reported as that refusal.
    pub async fn upload(&self, name: &str, body: UploadBody) -> Result<Value> {
        let url = self.url(&["files"], &[])?;
        let (progress, moved) = watch::channel(());
        let wrong = Arc::new(AtomicBool::new(false));
        let length = body.length;
        let sending = Sending { lane: body.lane, left: length, progress, wrong: Arc::clone(&wrong) };
        let file = Part::stream_with_length(Body::wrap_stream(chunks(sending)), length)
            .file_name(name.to_owned())
            .mime_str("application/octet-stream")
            .map_err(|cause| self.lost(cause))?;
        let form = Form::new().text("purpose", "batch").part("file", file);
        let request = self.large.request(Method::POST, url).headers(self.plain.clone()).headers(self.secret.clone());
        let exchange = async {
            let response = self.send("upload_file", request.multipart(form)).await?;
            self.receive(response, ANSWER_MAX).await
        };
        let outcome = tokio::select! {
            answer = exchange => answer,
            () = stalled(moved, self.stall_timeout) => Err(self.stood_still("the upload")),
        };
        if wrong.load(Ordering::Acquire) {
            return Err(Failure::new(
                Kind::Body,
                &self.host,
                "the upload was given up: its body is not what was announced",
            ));
        }
        self.judge(outcome?)
    }

    pub(super) fn stood_still(&self, what: &str) -> Failure {
        let words = format!("{what} stood still for {} s", self.stall_timeout.as_secs_f32());
        Failure::new(Kind::Doubt, &self.host, words)
    }
}

/// The bytes on their way to the socket. Dropping it closes the lane, which ends the body's task.
struct Sending {
    lane: mpsc::Receiver<Bytes>,
    left: u64,
    /// Told of every chunk the socket asks for; dropped with the last one.
    progress: watch::Sender<()>,
    wrong: Arc<AtomicBool>,
}

impl Sending {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let chunk = self.lane.recv().await;
        self.progress.send_replace(());
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        match chunk {
            // The lane's end is awaited even when every byte is there: only then nothing more can come.
            None if self.left == 0 => None,
            Some(chunk) if length <= self.left => {
                self.left -= length;
                Some(Ok(chunk))
            }
            None | Some(_) => {
                self.wrong.store(true, Ordering::Release);
                // An error here cuts the connection: the announced length is never met, so no file can come of it.
                Some(Err(io::Error::other("the body is not as long as announced")))
            }
        }
    }
}

fn chunks(sending: Sending) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(sending), |state| async move {
        let mut sending = state?;
        let chunk = sending.next().await?;
        let going_on = chunk.is_ok().then_some(sending);
        Some((chunk, going_on))
    })
}

/// Returns once no chunk was asked for during `pause`, and once more `pause` after the last one went without an answer.
async fn stalled(mut moved: watch::Receiver<()>, pause: Duration) {
    while let Ok(Ok(())) = timeout(pause, moved.changed()).await {}
    // Either the pause is over, or the sender is gone because all is sent and only the answer is missing.
    if moved.has_changed().is_err() {
        crate::kit::clock::io_pause(pause).await;
    }
}
