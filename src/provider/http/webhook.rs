//! One JSON document by POST, or a question without one by GET, to an address that the user named: no key goes along, and no
//! redirect is followed.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;

use super::{build, reach, shown_host};

/// Posts `document`; any status of 2xx is well.
///
/// # Errors
/// What went wrong, in words that name the host and never the rest of the address, which often is a secret.
pub async fn post(url: &str, document: &Value, limit: Duration) -> Result<(), String> {
    send(url, limit, |client, url| client.post(url).json(document)).await
}

/// Asks for the address; any status of 2xx is well, and what is answered is not read.
///
/// # Errors
/// As [`post`].
pub async fn get(url: &str, limit: Duration) -> Result<(), String> {
    send(url, limit, |client, url| client.get(url)).await
}

async fn send(url: &str, limit: Duration, make: impl FnOnce(&Client, Url) -> RequestBuilder) -> Result<(), String> {
    let url = Url::parse(url).map_err(|cause| format!("no usable URL: {cause}"))?;
    let host = shown_host(&url);
    let client = build(&url, &host, |builder| builder.timeout(limit)).map_err(|failure| failure.to_string())?;
    let answer = make(&client, url).send().await;
    let answer = answer.map_err(|cause| format!("{host} cannot be told: {}", reach::chain(&cause.without_url())))?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("{host} answered {status}")) }
}
