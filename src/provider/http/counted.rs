//! Every request that goes out is counted, by what it asks for and what came of it.

use reqwest::{Method, RequestBuilder, Response};

use super::{Http, Result};
use crate::kit::traffic::{Code, Traffic};

impl Http {
    /// Counts of everything that was asked so far, and from now on.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// Sends a request and counts it, with the status of its answer or why there was none.
    pub(super) async fn send(&self, op: &'static str, request: RequestBuilder) -> Result<Response> {
        let exchange = self.traffic.begin(op);
        match request.send().await {
            Ok(response) => {
                exchange.ends(Code::Status(response.status().as_u16()));
                Ok(response)
            }
            Err(cause) => {
                exchange.ends(if cause.is_connect() { Code::Unreached } else { Code::Lost });
                Err(self.lost(cause))
            }
        }
    }
}

/// What a request asks for, in one of a few words, whatever ids are in its path.
pub(super) fn op(method: &Method, path: &[&str]) -> &'static str {
    match (method.as_str(), path) {
        ("GET", ["files"]) => "list_files",
        ("GET", ["files", _]) => "file",
        ("DELETE", ["files", _]) => "delete_file",
        ("GET", ["batches"]) => "list_batches",
        ("GET", ["batches", _]) => "batch",
        ("POST", ["batches"]) => "create_batch",
        ("POST", ["batches", _, "cancel"]) => "cancel_batch",
        ("POST", ["responses"] | ["chat", "completions"]) => "ask",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_in_what_a_request_is_counted_as() {
        let told = [
            op(&Method::GET, &["files"]),
            op(&Method::DELETE, &["files", "file-1"]),
            op(&Method::GET, &["batches", "batch_1"]),
            op(&Method::POST, &["batches", "batch_1", "cancel"]),
            op(&Method::GET, &["somewhere", "else"]),
        ];
        assert_eq!(told, ["list_files", "delete_file", "batch", "cancel_batch", "other"]);
    }
}
