//! Where something was measured, in one line: figures of two machines are not to be compared.

use serde::{Deserialize, Serialize};

/// A computer, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Threads that run at once.
    pub cores: usize,
    /// Memory in bytes; none where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// System, and its kernel where it tells.
    pub system: String,
    /// This program, and how it was built.
    pub program: String,
}

impl Machine {
    /// The one that this runs on.
    #[must_use]
    pub fn here() -> Self {
        let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
        let kernel = read("/proc/sys/kernel/osrelease");
        let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
        Self {
            cpu: model(&read("/proc/cpuinfo")).unwrap_or(std::env::consts::ARCH).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib(&read("/proc/meminfo"), "MemTotal:").map(|kib| kib * 1024),
            system: format!("{} {}", std::env::consts::OS, kernel.trim()).trim_end().to_owned(),
            program: format!("batchscribe {}, {build}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} threads", self.cpu, self.cores)?;
        if let Some(bytes) = self.memory_bytes {
            write!(f, ", {} GB", bytes / 1_000_000_000)?;
        }
        write!(f, ", {}; {}", self.system, self.program)
    }
}

/// The model in the words of `/proc/cpuinfo`. Source: proc(5).
fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim()).filter(|name| !name.is_empty())
}

/// A figure that a page of `/proc` tells in kB, which are KiB. Source: proc(5).
pub(super) fn kib(page: &str, name: &str) -> Option<u64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_proc_are_read() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: x\n"), Some("Some CPU @ 2 GHz"));
        assert_eq!(model("processor\t: 0\n"), None);
        assert_eq!(kib("Name:\tx\nVmHWM:\t    1234 kB\n", "VmHWM:"), Some(1234));
        assert_eq!(kib("Name:\tx\n", "VmHWM:"), None);
    }

    #[test]
    fn one_line() {
        let machine = Machine {
            cpu: "Some CPU".into(),
            cores: 2,
            memory_bytes: Some(8_200_000_000),
            system: "linux 6.1".into(),
            program: "batchscribe 0, release build".into(),
        };
        assert_eq!(machine.to_string(), "Some CPU, 2 threads, 8 GB, linux 6.1; batchscribe 0, release build");
    }
}
