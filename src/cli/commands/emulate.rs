//! `emulate`: the built-in Batch API server on a port, until a signal.

use crate::cli::args::Emulate;
use crate::cli::attend;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::local::{self, Wanted};
use crate::cli::logs;
use crate::emulator::scenario::Scenario;
use crate::kit::atomic_file::private_folder;
use crate::settings::{Engine, Problem, cause_alone};

/// Serves.
pub(super) fn emulate(context: &Context, flags: &Emulate) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    logs::start(&context.global, &settings)?;
    let engine = flags.engine.as_deref().map_or_else(|| settings.provider.engine.clone(), Engine::named);
    if engine.is_open_to_all() {
        let sentence = format!("the engine {} contradicts the rule that images travel encrypted", engine.word());
        return Err(Fail::usage(
            Problem::new("E103", sentence).hint("use https://; http:// is for this computer only"),
        ));
    }
    let at = |path: &std::path::PathBuf| context.current_dir.join(path);
    let state = flags.state.as_ref().map_or_else(|| settings.layout().local_provider(), at);
    private_folder(&state).map_err(|cause| cannot_write(&cause))?;
    let server = local::start(Wanted {
        listen: flags.listen,
        engine,
        threads: settings.provider.engine_threads,
        state,
        bill: flags.bill.as_ref().map(at),
        scenario: flags
            .scenario
            .as_ref()
            .map(|path| scenario(&at(path)).map_err(Fail::usage))
            .transpose()?
            .unwrap_or_default(),
        line_delay: flags.line_delay.unwrap_or_default(),
        upload_rate: flags.upload_rate,
    })?;
    if !flags.listen.ip().is_loopback() {
        context.out.warn("this address can be reached from other computers, and the server asks for no key");
    }
    context.out.data(&format!("listening on {}", server.base_url()))?;
    attend::wait_for_signal(|| (), || ()).map_err(|cause| cannot_write(&cause))?;
    server.stop();
    Ok(Exit::Done)
}

fn scenario(path: &std::path::Path) -> Result<Scenario, Problem> {
    let wrong = |cause: String| {
        Problem::new("", format!("cannot use the scenario {}", path.display()))
            .detail(cause)
            .hint("a scenario is a TOML file with [[door]], [[batch]] and [[line]] tables")
    };
    let text = fs_err::read_to_string(path).map_err(|cause| wrong(cause_alone(&cause)))?;
    Scenario::read(&text).map_err(|cause| wrong(cause.to_string().trim().to_owned()))
}
