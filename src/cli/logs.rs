//! Where the log goes: to a file if there is one, to stderr with `-v`, else nowhere.

use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::kit::atomic_file;
use crate::kit::redact::Net;
use crate::settings::{Problem, Settings};

use super::args::{Global, LogFormat};
use super::exit::{Fail, cannot_write};

/// Sets the log up, once for the process.
pub(super) fn start(global: &Global, settings: &Settings) -> Result<(), Fail> {
    let level = match global.verbose {
        0 => settings.show.log_level.as_str(),
        1 => "batchscribe=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_new(level).map_err(|cause| {
        Problem::new("E102", format!("`show.log_level` is \"{level}\"; allowed: a level or filter such as \"info\""))
            .detail(cause.to_string())
            .hint("error, warn, info, debug, trace")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // An embedding test may have set a log up already; ours is then not needed.
    let outcome = match &settings.show.log_file {
        Some(path) => {
            let file = Mutex::new(Net(atomic_file::append_private(path).map_err(|cause| cannot_write(&cause))?));
            match global.log_format {
                LogFormat::Text => builder.with_writer(file).try_init(),
                LogFormat::Json => builder.json().with_writer(file).try_init(),
            }
        }
        None if global.verbose == 0 => Ok(()),
        None => match global.log_format {
            LogFormat::Text => builder.with_writer(|| Net(std::io::stderr())).try_init(),
            LogFormat::Json => builder.json().with_writer(|| Net(std::io::stderr())).try_init(),
        },
    };
    drop(outcome);
    Ok(())
}
