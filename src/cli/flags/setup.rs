//! The flags of the verbs that look after key and settings.

use clap::{Subcommand, ValueEnum};

/// What `keys` does.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Type or pipe a key; it is tried out, and kept in api_key.txt where you alone can read it
    Set,
    /// Ask the provider whether it takes the key
    Check,
    /// Where keys are looked for, in this order, and what is there
    Path,
    /// Remove the key file
    Forget,
}

/// What `config` shows.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Every setting in force
    Show {
        /// With the place where it was set
        #[arg(long)]
        origin: bool,
    },
    /// Look for mistakes in settings, prompt and schema, and change nothing
    Check,
    /// The JSON Schema of batchscribe.toml, for editors; or that of the lines of --json
    Schema {
        /// What it describes
        #[arg(value_enum, default_value_t = Described::Settings)]
        of: Described,
    },
    /// The files that are read
    Path,
}

/// What a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Described {
    /// The settings file.
    Settings,
    /// The lines that long verbs tell with --json.
    Events,
}
