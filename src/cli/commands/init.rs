//! `init`: a settings file and a prompt to be edited; what is there already stays.

use std::io;
use std::path::Path;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write_there};
use crate::kit::atomic_file::{self, Access, Durability};
use crate::settings::WORKSPACE_FILE;
use crate::settings::texts::BUILT_IN_PROMPT;

const PROMPT_FILE: &str = "prompt.txt";

const TEMPLATE: &str = r#"# Settings of this workspace. Every line is commented out: what stands there is the default.
# All settings and where they come from: batchscribe config show --origin

# image_dir = "."                # folder of images, with all subfolders
# prompt_file = "prompt.txt"     # sent word for word with every page
# max_images_per_batch = 400     # smaller batches come back sooner
# description = ""               # to find ours among other batches of the account

[provider]
# name = "auto"                  # openai if a key is found or a key file named, else local: the built-in engine, on this computer
# engine = "ocr"                 # of provider local: ocr, or "http://127.0.0.1:11434/v1" for a server of yours

[request]
# model = "gpt-5.6-luna"
# detail = "high"                # low, high, original, auto
# max_output_tokens = 4000       # for one page
# answer_format = "auto"         # text, json, json_schema with schema_file

[text]
# out_dir = ""                   # another folder for texts, if the images are read-only

# The key never stands here: `batchscribe keys set` keeps it in api_key.txt, and OPENAI_API_KEY is read as well.
# All places where it is looked for, in their order: batchscribe keys path
"#;

/// Writes both files where they are missing.
pub(super) fn init(context: &Context, dir: Option<&Path>) -> Result<Exit, Fail> {
    let folder = dir.map_or_else(|| context.workspace.clone(), |dir| context.current_dir.join(dir));
    fs_err::create_dir_all(&folder).map_err(|cause| cannot_write_there(&cause))?;
    let mut wrote = Vec::new();
    for (name, text) in [(WORKSPACE_FILE, TEMPLATE), (PROMPT_FILE, BUILT_IN_PROMPT)] {
        match atomic_file::write_new(&folder.join(name), text.as_bytes(), Access::Umask, Durability::Synced) {
            Ok(()) => wrote.push(name),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                context.out.say(&format!("{name} is there already and stays as it is."));
            }
            Err(cause) => return Err(cannot_write_there(&cause).into()),
        }
    }
    if !wrote.is_empty() {
        context.out.say(&format!("Wrote {} in {}.", wrote.join(" and "), folder.display()));
    }
    context
        .out
        .say("Edit prompt.txt in any editor. For a real model, your key: batchscribe keys set, or OPENAI_API_KEY.");
    context.out.say("Then: batchscribe doctor, and batchscribe run --limit 20");
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_tells_the_defaults() {
        let defaults = crate::settings::default_text();
        for line in TEMPLATE.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = ")) {
            let setting = line.split('#').next().unwrap_or_default().trim();
            assert!(defaults.lines().any(|line| line.starts_with(setting)), "{setting}");
        }
    }

    #[test]
    fn the_template_is_a_settings_file() {
        let table: toml::Table = TEMPLATE.parse().expect("TOML");
        assert_eq!(table.len(), 3);
    }
}
