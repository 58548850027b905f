//! Who is at work here: host, process, boot; written into the lock and the ledger so that a person can tell them apart.

use std::fs;

/// A process as others may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Name of the host; `unknown` where the system does not tell.
    pub(super) host: String,
    /// Process id.
    pub(super) pid: u32,
    /// Changes with every start of the system; `None` where the system does not tell.
    pub(super) boot: Option<String>,
}

impl Machine {
    /// This process.
    pub(super) fn here() -> Self {
        let host = first_line("/proc/sys/kernel/hostname").or_else(|| first_line("/etc/hostname"));
        Self {
            host: host.unwrap_or_else(|| "unknown".to_owned()),
            pid: std::process::id(),
            boot: first_line("/proc/sys/kernel/random/boot_id"),
        }
    }

    /// Host and process in one word: the owner of shards and batches.
    pub(super) fn owner(&self) -> String {
        format!("{}:{}", self.host, self.pid)
    }
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}
