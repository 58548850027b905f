//! The provider of these settings, for verbs without actors.

use crate::provider::failure::Failure;
use crate::provider::openai::{OpenAi, Options};
use crate::settings::Settings;
use crate::settings::keys::Key;

/// A client; nothing is sent.
///
/// # Errors
/// As [`OpenAi::new`].
pub fn provider(settings: &Settings, key: Option<&Key>) -> Result<OpenAi, Failure> {
    let provider = &settings.provider;
    OpenAi::new(&Options {
        base_url: settings.base_with_query(settings.api_url.base()),
        key: key.map(|key| key.secret.clone()),
        key_header: provider.key_header.as_written(),
        organization: provider.organization.clone(),
        project: provider.project.clone(),
        stall_timeout: settings.retry.stall_timeout,
        user_agent: concat!("batchscribe/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}
