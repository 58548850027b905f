//! `plan`: what a run would ask and cost. Opens no connection and writes nothing, also beside a run. `run -n` and `upload -n` show
//! the same, and what they would do.

mod told;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::args::{Old, Planned};
use crate::cli::consent::{self, Doing};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::{finish, folder, in_the_way, pages, stale, words};
use crate::domain::image::RelPath;
use crate::domain::recipe::Recipe;
use crate::ledger::reader::Reader;
use crate::ops::plan::{self, Ask, Plan, PlanError, Told};
use crate::settings::texts::Prompt;
use crate::settings::{Engine, Problem, ProviderKind, Settings, texts};

/// Prints the sums, or a list.
pub(super) fn plan(context: &Context, list: Option<Planned>, null: bool) -> Result<Exit, Fail> {
    if null {
        pages::no_json(context)?;
    }
    let ground = Ground::of(context)?;
    let sums = ground.sums(context, list, null)?;
    if list.is_some() {
        return Ok(Exit::Done);
    }
    ground.show(context, &sums)?;
    if !context.out.json {
        context.out.data(&told::next(&sums, &ground.settings))?;
    }
    Ok(Exit::Done)
}

/// What a run that is only tried out would do.
pub(super) struct Trial<'a> {
    /// What becomes of texts that are there.
    pub(super) old: Old,
    /// Whether a few pages alone would be asked.
    pub(super) is_pilot: bool,
    /// The folder for files that somebody else sends.
    pub(super) spool: Option<&'a Path>,
}

/// `run -n` and `upload -n`: what stands in the way as a run would find it, the plan, and what would be done; nothing is sent or
/// written. What can be found out by writing alone, such as whether a folder takes texts, is left to the run.
pub(super) fn would(context: &Context, trial: &Trial<'_>) -> Result<Exit, Fail> {
    let ground = Ground::of(context)?;
    let Ground { settings, root, prompt, recipe, .. } = &ground;
    if !trial.old.keep_old && trial.old.redo.is_none() {
        stale::same_recipe(settings, prompt)?;
    }
    in_the_way::texts_there(settings, root, recipe, &trial.old)?;
    if trial.spool.is_none() {
        consent::has_prices(settings, recipe)?;
    }
    let sums = ground.sums(context, None, false)?;
    ground.show(context, &sums)?;
    let doing = Doing {
        settings,
        root,
        recipe,
        redo: trial.old.redo.map(stale::which),
        now: context.clock.now(),
        pilot: trial.is_pilot.then_some(settings.run.pilot_images),
    };
    let sentence = sentence(settings, &consent::sent(&doing)?, trial.spool);
    if context.out.json {
        context.out.say(&sentence);
    } else {
        context.out.data(&sentence)?;
    }
    Ok(Exit::Done)
}

fn sentence(settings: &Settings, sent: &consent::Sent, spool: Option<&Path>) -> String {
    let images = words::count(sent.images, "image", "images");
    let would = match (sent.images, spool, settings.provider.name, &settings.provider.engine) {
        (0, ..) => return "Would ask for nothing.".to_owned(),
        (_, Some(folder), ..) => {
            format!("write the requests of {images} to {}", words::safe(&folder.display().to_string()))
        }
        (.., ProviderKind::OpenAi, _) => format!("send {}", sent.words),
        (.., Engine::Url(url)) => format!("have {images} read by {}", words::safe(url)),
        _ => format!("read {images} on this computer"),
    };
    format!("Would {would}. Nothing was sent or written.")
}

/// What a plan is made from.
struct Ground {
    settings: Settings,
    reader: Option<Reader>,
    root: PathBuf,
    prompt: Prompt,
    recipe: Recipe,
    today: String,
}

impl Ground {
    fn of(context: &Context) -> Result<Self, Fail> {
        let mut settings = context.settings()?;
        let told = |error| finish::ledger(&error);
        let reader = pages::ledger(&settings.layout()).map_err(told)?;
        if let Some(reader) = &reader {
            folder::go_on_with_folder(&mut settings, reader).map_err(told)?;
        }
        let root = folder::image_root(&settings)?;
        let prompt = texts::prompt(&settings)?;
        let recipe = texts::recipe(&settings, &prompt.text)?;
        let today = words::day(context.clock.now());
        Ok(Self { settings, reader, root, prompt, recipe, today })
    }

    /// Adds everything up; a list is printed on the way.
    fn sums(&self, context: &Context, list: Option<Planned>, null: bool) -> Result<Plan, Fail> {
        let Self { settings, reader, root, recipe, today, .. } = self;
        let mut last = Vec::new();
        let each = |path: &RelPath, told: &Told| {
            let Some(note) = list.and_then(|list| note(list, told)) else { return Ok(()) };
            if null {
                // The pages of a file follow one another.
                let path = path.joined();
                if path != last {
                    context.out.path(&path)?;
                    last = path;
                }
                return Ok(());
            }
            let path = path.shown();
            if context.out.json {
                return context.out.data(&json!({ "path": path, "note": note }).to_string());
            }
            context.out.data(format!("{path}  {note}").trim_end())
        };
        let sums = plan::plan(&Ask { settings, root, recipe, today }, reader.as_ref(), each);
        let sums = sums.map_err(|error| match error {
            PlanError::Ledger(error) => finish::ledger(&error).into(),
            PlanError::Listener(fail) => fail,
            PlanError::Folder(cause) => {
                Problem::new("E104", format!("cannot read the image folder {}: {cause}", root.display()))
                    .hint("image_dir has to be a folder that you may read")
                    .into()
            }
        })?;
        if list.is_none() && sums.found == 0 {
            let passed_over = &sums.passed_over;
            return Err(finish::no_images(settings, &passed_over.by_ending, passed_over.links).into());
        }
        Ok(sums)
    }

    /// The sums as lines, or as one document.
    fn show(&self, context: &Context, sums: &Plan) -> Result<(), Fail> {
        if context.out.json {
            return context.out.data(&told::document(sums, &self.settings));
        }
        let prompt = if self.prompt.built_in { "built-in prompt" } else { "your prompt" };
        told::lines(sums, &self.settings, prompt, &self.today).iter().try_for_each(|line| context.out.data(line))
    }
}

/// What a list says of an image; `None` if it is none of that list.
fn note(list: Planned, told: &Told) -> Option<String> {
    match (list, told) {
        (Planned::Owed, Told::Owed) => Some(String::new()),
        (Planned::Skipped, Told::Skipped(reason)) => Some(reason.clone()),
        (Planned::Stale, Told::Stale(changed)) => Some(changed.join(", ")),
        (Planned::Collisions, Told::Collides) => Some("differs from another name by case or Unicode form alone".into()),
        _ => None,
    }
}
