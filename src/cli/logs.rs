//! Where the log goes: to a file if there is one, to stderr with `-v`, else nowhere.

use std::io::Write;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::kit::redact::Net;
use crate::kit::rolling_file::RollingFile;
use crate::settings::{Problem, Settings};

use super::args::{Global, LogFormat};
use super::exit::{Fail, cannot_write};

/// The log, whose level can be changed.
pub(super) struct Log(Option<Box<dyn Fn(EnvFilter) -> bool>>);

/// Sets the log up, once for the process.
pub(super) fn start(global: &Global, settings: &Settings) -> Result<Log, Fail> {
    let filter = filter(level(global, settings))?;
    Ok(match &settings.show.log_file {
        Some(path) => {
            let show = &settings.show;
            let file = RollingFile::open(path, show.log_max_bytes, show.log_files);
            let file = Mutex::new(Net(file.map_err(|cause| cannot_write(&cause))?));
            set_up(global.log_format, filter, file)
        }
        None if global.verbose == 0 => Log(None),
        None => set_up(global.log_format, filter, Mutex::new(Net(std::io::stderr()))),
    })
}

fn level<'a>(global: &Global, settings: &'a Settings) -> &'a str {
    match global.verbose {
        0 => settings.show.log_level.as_str(),
        1 => "batchscribe=debug,info",
        _ => "trace",
    }
}

fn filter(level: &str) -> Result<EnvFilter, Problem> {
    EnvFilter::try_new(level).map_err(|cause| {
        Problem::new("E102", format!("`show.log_level` is \"{level}\"; allowed: a level or filter such as \"info\""))
            .detail(cause.to_string())
            .hint("error, warn, info, debug, trace")
    })
}

fn set_up<W: Write + Send + 'static>(form: LogFormat, filter: EnvFilter, out: Mutex<W>) -> Log {
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // An embedding test may have set a log up already; ours is then not needed.
    match form {
        LogFormat::Text => {
            let builder = builder.with_writer(out).with_filter_reloading();
            let handle = builder.reload_handle();
            drop(builder.try_init());
            Log(Some(Box::new(move |filter| handle.reload(filter).is_ok())))
        }
        LogFormat::Json => {
            let builder = builder.json().with_writer(out).with_filter_reloading();
            let handle = builder.reload_handle();
            drop(builder.try_init());
            Log(Some(Box::new(move |filter| handle.reload(filter).is_ok())))
        }
    }
}

impl Log {
    /// The level of these settings holds from now on.
    ///
    /// # Errors
    /// E102 for a level that is none; then the old one holds.
    pub(super) fn agree(&self, global: &Global, settings: &Settings) -> Result<(), Problem> {
        let filter = filter(level(global, settings))?;
        if let Some(reload) = &self.0
            && !reload(filter)
        {
            tracing::warn!("the level of the log stays as it was");
        }
        Ok(())
    }
}
