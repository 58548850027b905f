//! The stages that can be measured, and which part of the program each one is.

use std::io;

use serde::{Deserialize, Serialize};

use super::figures::Sample;
use super::ground::Ground;
use super::{back, books, front, whole};

/// What can be measured, in the order of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// List the folder; length, time and first bytes of every image.
    Scan,
    /// Frame the lines and plan the shards; no byte of an image is read.
    Pack,
    /// Make the bodies of all shards, and drop them.
    Encode,
    /// Make the bodies and send them through the client, four at once.
    Upload,
    /// Fetch the result file, read its lines, judge the answers.
    Download,
    /// Write a JSON file and a text for every answer.
    Write,
    /// Every move of the ledger that an image's life takes.
    Ledger,
    /// Everything, against the built-in server, which answers at once and without reading.
    Pipeline,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Scan, Self::Pack, Self::Encode, Self::Upload, Self::Download, Self::Write, Self::Ledger, Self::Pipeline];

    /// Its name, as `--stage` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Pack => "pack",
            Self::Encode => "encode",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Write => "write",
            Self::Ledger => "ledger",
            Self::Pipeline => "pipeline",
        }
    }

    /// The stage of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// What it needs beside the corpus.
    #[must_use]
    pub fn needs(self) -> Need {
        match self {
            Self::Upload | Self::Download => Need::Sink,
            Self::Pipeline => Need::Provider,
            Self::Scan | Self::Pack | Self::Encode | Self::Write | Self::Ledger => Need::Nothing,
        }
    }
}

/// A server that a stage needs, in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// None.
    Nothing,
    /// One that takes uploads and drops them, and has a result file: [`super::sink`].
    Sink,
    /// One that answers: the emulator.
    Provider,
}

/// Measures a stage once. For memory to be the stage's own, nothing else was measured in this process before.
///
/// # Errors
/// The operating system's, or what went wrong in words.
pub fn measure(stage: Stage, ground: &Ground) -> io::Result<Sample> {
    match stage {
        Stage::Scan => front::scan(ground),
        Stage::Pack => front::pack(ground),
        Stage::Encode => front::encode(ground),
        Stage::Upload => front::upload(ground),
        Stage::Download => back::download(ground),
        Stage::Write => back::write(ground),
        Stage::Ledger => books::ledger(ground),
        Stage::Pipeline => whole::pipeline(ground),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_are_those_of_the_document() {
        for stage in Stage::ALL {
            assert_eq!(Stage::named(stage.name()), Some(stage));
            assert_eq!(serde_json::to_string(&stage).expect("a word"), format!("\"{}\"", stage.name()));
        }
        assert_eq!(Stage::named("all"), None);
    }
}
