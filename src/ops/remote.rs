//! The provider of these settings, for verbs without actors.

use secrecy::SecretString;

use crate::provider::failure::Failure;
use crate::provider::openai::{OpenAi, Options};
use crate::settings::Settings;

/// A client; nothing is sent.
///
/// # Errors
/// As [`OpenAi::new`].
pub fn provider(settings: &Settings, key: Option<SecretString>) -> Result<OpenAi, Failure> {
    let provider = &settings.provider;
    OpenAi::new(&Options {
        base_url: settings.base_with_query(settings.api_url.base()),
        key,
        key_header: provider.key_header.as_written(),
        organization: provider.organization.clone(),
        project: provider.project.clone(),
        stall_timeout: settings.retry.stall_timeout,
        user_agent: concat!("batchscribe/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}
