//! One file per verb.

mod audit;
mod bench;
mod bill;
mod cancel;
mod clean;
mod clean_trial;
mod completions;
mod config;
mod doctor;
mod download;
mod emulate;
mod export;
pub(super) mod help;
mod import;
mod init;
mod keys;
mod known;
mod listed;
mod man;
mod plan;
mod recover;
mod report;
mod retry;
mod review;
mod run;
mod serve;
mod service;
mod status;
mod upload;
mod validate;
mod watch;

use super::args::Verb;
use super::context::Context;
use super::exit::{Exit, Fail};

/// Does what a verb says.
pub(super) fn call(context: &Context, verb: Verb) -> Result<Exit, Fail> {
    match verb {
        Verb::Run { dry_run: true, pilot, old, .. } => {
            plan::would(context, &plan::Trial { old, is_pilot: pilot.is_some(), spool: None })
        }
        Verb::Run { once, pilot, old, .. } => run::run(context, once, pilot.is_some(), old),
        Verb::Serve(flags) => serve::serve(context, &flags),
        Verb::Service { what } => service::service(context, &what),
        Verb::Plan { list, null, .. } => plan::plan(context, list, null),
        Verb::Upload { dry_run: true, spool_only, old, .. } => {
            plan::would(context, &plan::Trial { old, is_pilot: false, spool: spool_only.as_deref() })
        }
        Verb::Upload { spool_only, old, .. } => upload::upload(context, spool_only.as_deref(), old),
        Verb::Download { wait, batch } => download::download(context, wait, batch.as_deref()),
        Verb::Status { what, list, null, watch, exit_code } => match (what, list) {
            (Some(what), _) => status::one(context, &what),
            (None, Some(listed)) => listed::list(context, listed, null),
            (None, None) if watch => watch::watch(context, exit_code),
            (None, None) => status::all(context, exit_code),
        },
        Verb::Clean(flags) => clean::clean(context, &flags),
        Verb::Retry(flags) => retry::retry(context, &flags),
        Verb::Validate(flags) => validate::validate(context, &flags),
        Verb::Export(flags) => export::export(context, &flags),
        Verb::Cancel(flags) => cancel::cancel(context, &flags),
        Verb::Bill { by } => bill::bill(context, by),
        Verb::Report { out } => report::report(context, out.as_deref()),
        Verb::Review(flags) => review::review(context, &flags),
        Verb::Audit(flags) => audit::audit(context, &flags),
        Verb::Recover { dry_run: true, .. } => recover::would(context),
        Verb::Recover { from_account, run, .. } => recover::recover(context, from_account, run),
        Verb::Import(flags) => import::import(context, &flags),
        Verb::Emulate(flags) => emulate::emulate(context, &flags),
        Verb::Bench(flags) => bench::bench(context, &flags),
        Verb::Init { dir } => init::init(context, dir.as_deref()),
        Verb::Doctor { online, bundle, with_log } => {
            doctor::doctor(context, online, bundle.as_deref().map(|to| (to, with_log)))
        }
        Verb::Keys { what } => keys::keys(context, &what),
        Verb::Config { what } => config::config(context, &what),
        Verb::Completions { shell } => completions::completions(context, shell),
        Verb::Man { dir } => man::man(context, &dir),
        Verb::Help { topic } => help::help(context, &topic),
    }
}
