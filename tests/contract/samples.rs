//! The files of `tests/data/api`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A row of the manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    /// Path below `tests/data/api`.
    pub(crate) file: String,
    /// Its schema in the OpenAPI document, unless it fits none.
    pub(crate) schema: Option<String>,
    /// The schema of the body within a line.
    pub(crate) body_schema: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/api")
}

/// The bytes of a file.
pub(crate) fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|cause| panic!("{file}: {cause}"))
}

/// A file that is one JSON value.
pub(crate) fn json(file: &str) -> Value {
    serde_json::from_slice(&bytes(file)).unwrap_or_else(|cause| panic!("{file}: {cause}"))
}

/// The lines of a file, without their ends.
pub(crate) fn lines(file: &str) -> Vec<Vec<u8>> {
    bytes(file).split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// All rows, in the manifest's order.
pub(crate) fn manifest() -> Vec<Row> {
    serde_json::from_slice(&bytes("manifest.json")).expect("a manifest")
}

/// Every example below the folder, as the manifest writes it.
pub(crate) fn on_disk() -> Vec<String> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(folder()).expect("folder") {
        let folder = folder.expect("entry").path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&folder).expect("folder") {
            let (name, file) = (folder.file_name().expect("a name"), file.expect("entry").file_name());
            found.push(format!("{}/{}", name.to_string_lossy(), file.to_string_lossy()));
        }
    }
    found.sort();
    found
}
