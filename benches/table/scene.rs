//! Where the rows are measured: folders that go with the scene, servers and cases in processes of their own.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use batchscribe::bench::figures::Spread;
use serde::{Deserialize, Serialize};

use crate::servers::Server;
use crate::support;

/// The program that is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_batchscribe");

/// What a case in its own process tells, or what was seen of a process from outside.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Seconds by the wall.
    pub(crate) wall_s: f64,
    /// Processor seconds, user and system.
    pub(crate) cpu_s: f64,
    /// Largest resident memory in bytes.
    pub(crate) peak_bytes: f64,
    /// Bytes that it caused to be written to the disk.
    pub(crate) disk_bytes: f64,
    /// Bytes that went through.
    pub(crate) bytes: f64,
    /// Items that went through.
    pub(crate) items: f64,
    /// A second processor time, where a case measures two things.
    pub(crate) second_cpu_s: f64,
}

/// How large everything is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Images of one body, of 300 kB.
    pub(crate) body: usize,
    /// Images of the small and the large upload run, of 300 kB.
    pub(crate) runs: [usize; 2],
    /// Images that the origin's way is compared with.
    pub(crate) origin: usize,
    /// Files of the scan.
    pub(crate) scan: usize,
    /// Images of the large ledger.
    pub(crate) many: usize,
    /// Result lines of a round: five rounds have a hundred thousand, and what they made stays until the end.
    pub(crate) lines: usize,
}

impl Sizes {
    /// Those of the targets.
    pub(crate) const FULL: Self =
        Self { body: 400, runs: [250, 5_000], origin: 1_000, scan: 200_000, many: 1_000_000, lines: 20_000 };
    /// Small enough to see that everything works; what grows with the size says nothing then.
    pub(crate) const QUICK: Self =
        Self { body: 100, runs: [50, 500], origin: 200, scan: 10_000, many: 50_000, lines: 5_000 };
}

/// Bytes of an image.
pub(crate) const IMAGE: usize = 300_000;

/// Everything that rows share.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) sizes: Sizes,
    pub(crate) rounds: usize,
    images: OnceCell<PathBuf>,
    sink: OnceCell<Server>,
    secure: OnceCell<Server>,
    /// How many folders were put aside.
    aside: Cell<u32>,
}

impl Scene {
    /// A scene in a new folder below `folder`, which goes with it.
    pub(crate) fn new(folder: &Path, sizes: Sizes, rounds: usize) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("temp dir");
        Self {
            folder,
            sizes,
            rounds,
            images: OnceCell::new(),
            sink: OnceCell::new(),
            secure: OnceCell::new(),
            aside: Cell::new(0),
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An empty folder, whatever was there before. That is put aside and not removed: ext4 looks for inodes that were not
    /// removed lately at the cost of whoever makes files next.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        let (folder, number) = (self.at(name), self.aside.get());
        if folder.is_dir() {
            self.aside.set(number + 1);
            std::fs::rename(&folder, self.at(&format!("aside-{number}"))).expect("another name");
        }
        std::fs::create_dir_all(&folder).expect("folder");
        folder
    }

    /// The same for a few large files, which are removed.
    pub(crate) fn emptied(&self, name: &str) -> PathBuf {
        let folder = self.at(name);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).expect("folder");
        folder
    }

    /// `count` images of 300 kB: other names of the same files.
    pub(crate) fn images(&self, count: usize) -> PathBuf {
        let most = self.sizes.runs.into_iter().chain([self.sizes.body, self.sizes.origin]).max().unwrap_or(0);
        let all = self.images.get_or_init(|| {
            let root = self.at("images");
            support::corpus(&root, most, IMAGE);
            root
        });
        let part = self.at(&format!("images-{count}"));
        if !part.is_dir() {
            link(all, &part, count);
        }
        part
    }

    /// A server that drops what it is sent, in a process of its own.
    pub(crate) fn sink(&self) -> &str {
        &self.sink.get_or_init(Server::sink).base_url
    }

    /// The same over TLS.
    pub(crate) fn secure(&self) -> &Server {
        self.secure.get_or_init(|| Server::secure(self.at("authority.pem")))
    }

    /// One case in a process of its own.
    pub(crate) fn case(&self, name: &str, words: &[&str]) -> Told {
        Self::told(&mut Self::command(name, words))
    }

    /// The same with the authority of the server with TLS trusted.
    pub(crate) fn secure_case(&self, name: &str, words: &[&str]) -> Told {
        let mut command = Self::command(name, words);
        self.secure().trusted_by(&mut command);
        Self::told(&mut command)
    }

    fn command(name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a name"));
        command.arg("--case").arg(name).args(words);
        command
    }

    fn told(command: &mut Command) -> Told {
        let output = clean(command).output().expect("it starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("figures")
    }

    /// The middle of `rounds` rounds of each of these, in turns; one more warms up.
    pub(crate) fn turns<const N: usize>(&self, mut cases: [&mut dyn FnMut() -> Vec<f64>; N]) -> Vec<Vec<Vec<f64>>> {
        let mut told = vec![Vec::new(); N];
        for round in 0..=self.rounds {
            for (case, told) in cases.iter_mut().zip(&mut told) {
                let figures = case();
                if round > 0 {
                    told.push(figures);
                }
            }
        }
        told
    }
}

/// Gives the first `count` images of `all` other names below `part`.
fn link(all: &Path, part: &Path, count: usize) {
    for number in 0..count {
        let name = format!("tray_{:04}/page{number:06}.png", number / 250);
        let target = part.join(&name);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
        std::fs::hard_link(all.join(&name), target).expect("link");
    }
}

/// Without what the user's variables say of the program and of proxies.
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("BATCHSCRIBE_") || name.to_ascii_lowercase().ends_with("_proxy") || name == "OPENAI_API_KEY"
        {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null())
}

/// Runs a command to its end; what it took, seen from outside. An error is its own words.
pub(crate) fn seen(command: &mut Command) -> Result<Told, String> {
    let (cpu, begun) = (support::children_cpu(), Instant::now());
    let output = clean(command).output().map_err(|cause| cause.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let (wall_s, cpu_s) = (support::seconds(begun.elapsed()), support::children_cpu() - cpu);
    Ok(Told { wall_s, cpu_s, ..Told::default() })
}

/// Spread of one figure of several rounds.
pub(crate) fn spread(rounds: &[Vec<f64>], figure: usize) -> Option<Spread> {
    Spread::of(rounds.iter().filter_map(|round| round.get(figure).copied()))
}

/// Spread of what one figure is divided by another, pair by pair: neighbours in time bear the same weather.
pub(crate) fn ratios(above: &[Vec<f64>], below: &[Vec<f64>], figure: usize) -> Option<Spread> {
    let pairs = above.iter().zip(below);
    Spread::of(pairs.filter_map(|(above, below)| Some(above.get(figure)? / below.get(figure)?)))
}
