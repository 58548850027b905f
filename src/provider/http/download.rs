//! Reading a result file: from an offset if the server can, through redirects, never faster than the reader.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use reqwest::header::{CONTENT_RANGE, LOCATION, RANGE};
use reqwest::{Method, Response, Url};
use tokio::time::timeout;

use super::super::Download;
use super::super::failure::{Failure, Kind};
use super::{Http, REFUSAL_MAX, Result, is_loopback, is_safe};
use crate::kit::clock::Stopwatch;

/// Redirects followed before a ring is assumed.
const MOST_REDIRECTS: usize = 5;
/// Bytes that must come within one stall time-out; a server that drips is one that stands still.
const DRIP: usize = 4 << 10;

impl Http {
    /// Content of a file from `offset` on, or from its start where the server does not honour the range.
    ///
    /// # Errors
    /// `Doubt` for redirects that ring, leave the encrypted world or name no address; else as [`Http::get`].
    pub async fn download(&self, id: &str, offset: u64) -> Result<Download> {
        let url = self.content_url(id)?;
        let response = self.follow(url.clone(), offset).await?;
        let (response, offset) = match begin(&response, offset) {
            Some(begin) => (response, begin),
            // The range is not satisfiable, or something else came than was asked for: then the whole file.
            None => (self.follow(url, 0).await?, 0),
        };
        let status = response.status().as_u16();
        if !response.status().is_success() || (status == 206 && offset == 0) {
            return Err(self.refused(&self.in_time(self.receive(response, REFUSAL_MAX)).await?));
        }
        Ok(Download { length: response.content_length(), offset, bytes: self.steady(response) })
    }

    /// Some servers name a link where others name a file; it is followed like a redirect.
    fn content_url(&self, id: &str) -> Result<Url> {
        match Url::parse(id).ok().filter(|link| matches!(link.scheme(), "http" | "https")) {
            Some(link) if self.may_lead_to(&link) => Ok(link),
            Some(_) => Err(self.astray("a result file is a link to no safe address")),
            None => self.url(&["files", id, "content"], &[]),
        }
    }

    /// Sends the request and follows redirects; only the service's own host sees the key.
    async fn follow(&self, mut url: Url, offset: u64) -> Result<Response> {
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.large.request(Method::GET, url.clone()).headers(self.plain.clone());
            if url.origin() == self.base.origin() {
                request = request.headers(self.secret.clone());
            }
            if offset > 0 {
                request = request.header(RANGE, format!("bytes={offset}-"));
            }
            let response = self.in_time(self.send("read_file", request)).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let target = response.headers().get(LOCATION).and_then(|target| url.join(target.to_str().ok()?).ok());
            url = target
                .filter(|url| self.may_lead_to(url))
                .ok_or_else(|| self.astray("a redirect names no safe address"))?;
        }
        Err(self.astray("redirects lead in a ring"))
    }

    /// Encrypted addresses, and from a service on this machine to this machine.
    fn may_lead_to(&self, url: &Url) -> bool {
        url.scheme() == "https" || (is_loopback(&self.base) && is_safe(url))
    }

    fn astray(&self, words: &str) -> Failure {
        Failure::new(Kind::Doubt, &self.host, words)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(self.stall_timeout, work).await.unwrap_or_else(|_| Err(self.stood_still("the download")))
    }

    fn steady(&self, response: Response) -> BoxStream<'static, Result<Bytes>> {
        let patience = Patience { limit: self.stall_timeout, waited: Duration::ZERO, bytes: 0 };
        let stood_still = self.stood_still("the download");
        let (cut, traffic) = (self.astray("the download was cut"), self.traffic.clone());
        stream::unfold(Some((response, patience)), move |state| {
            let (stood_still, cut, traffic) = (stood_still.clone(), cut.clone(), traffic.clone());
            async move {
                let (mut response, mut patience) = state?;
                let chunk = match patience.wait_for(response.chunk()).await {
                    None => Err(stood_still),
                    // The library's words may hold the address; a cut is a cut.
                    Some(Err(_)) => Err(cut),
                    Some(Ok(chunk)) => Ok(chunk?),
                };
                let bytes = chunk.as_ref().map_or(0, Bytes::len);
                traffic.received(bytes as u64);
                patience.note(bytes);
                let going_on = chunk.is_ok().then_some((response, patience));
                Some((chunk, going_on))
            }
        })
        .boxed()
    }
}

/// Where the bytes of `response` begin, `None` if it does not answer the question for `offset`.
fn begin(response: &Response, offset: u64) -> Option<u64> {
    match response.status().as_u16() {
        _ if offset == 0 => Some(0),
        416 => None,
        206 => {
            let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
            let told: u64 = range.trim().strip_prefix("bytes")?.trim().split('-').next()?.parse().ok()?;
            (told == offset).then_some(offset)
        }
        _ => Some(0),
    }
}

/// Counts the time spent waiting for the server, not the time its bytes wait for us.
struct Patience {
    limit: Duration,
    waited: Duration,
    bytes: usize,
}

impl Patience {
    async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let watch = Stopwatch::start();
        let done = timeout(self.limit.saturating_sub(self.waited), work).await.ok();
        self.waited += watch.elapsed();
        done
    }

    fn note(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= DRIP {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }
}
