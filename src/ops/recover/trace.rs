//! What is left of one shard: its lines, and the answers that are on disk.

use std::collections::BTreeSet;

use super::disk::{self, Answers, Known};
use super::remote::{Left, Remote};
use super::{Error, Lacking, Wanted, Why};
use crate::domain::batch::KEPT_AT_MOST;
use crate::domain::ids::{BatchId, FileId, RecipeId, RunId};
use crate::domain::recipe::{IdStyle, Recipe};
use crate::kit::runtime::Runtime;
use crate::ledger::journal::{Account, Stand, Try};
use crate::ledger::lost::{LostLine, LostShard, LostTry, Saved};

/// What was found.
pub(super) enum Trace {
    /// Its lines, and how each batch stands; run and recipe are the caller's to fill in.
    Found(Box<Found>),
    /// It cannot be told yet.
    Waits(Why),
    /// Nothing is left, and nothing more can come.
    Nothing,
}

/// A shard as it was.
pub(super) struct Found {
    /// Its lines and batches.
    pub(super) shard: LostShard,
    /// How it was asked, where its input file tells.
    pub(super) asked_as: Option<Recipe>,
}

/// Looks for what is left.
pub(super) struct Tracer<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) runtime: &'a Runtime,
    pub(super) known: Known,
}

/// What asking for one batch came to.
enum Asked {
    Saved(BatchId, Box<Saved>),
    Waits(Why),
    Nothing,
}

/// Lines as far as they are known.
struct Lines {
    lines: Vec<LostLine>,
    input_created: i64,
    body_hash: Option<[u8; 16]>,
    asked_as: Option<Recipe>,
}

impl Tracer<'_> {
    /// Traces one account.
    pub(super) fn trace(&mut self, lacking: &Lacking) -> Result<Trace, Error> {
        let Lacking { account, planted } = lacking;
        let (mut answers, mut order) = (Answers::new(), Vec::new());
        let mut tries = Vec::new();
        for one in account.tries.iter().filter(|one| one.stand != Stand::Nothing) {
            let saved = self.saved(one, &mut answers, &mut order)?;
            tries.push((one.clone(), saved));
        }
        let input = if *planted { None } else { self.input(account)? };
        if input.is_none() && !planted {
            let mut left = Vec::new();
            for (mut one, saved) in tries {
                match saved {
                    Some(saved) => left.push((one, Some(saved))),
                    None => match self.ask(account, &one, &mut answers, &mut order)? {
                        Asked::Saved(id, saved) => {
                            one.batch = Some(id);
                            left.push((one, Some(*saved)));
                        }
                        Asked::Waits(why) => return Ok(Trace::Waits(why)),
                        Asked::Nothing => {}
                    },
                }
            }
            tries = left;
        }
        if tries.is_empty() {
            return Ok(Trace::Nothing);
        }
        let style = self.wanted.recipe.id_style;
        let lines = input.map_or_else(|| of_answers(&answers, order), |input| of_input(input, &answers, style));
        let asked_as = lines.asked_as.clone();
        Ok(Trace::Found(Box::new(Found { shard: self.lost(account, lines, tries), asked_as })))
    }

    /// The answers of a try that are on disk, whole.
    fn saved(&self, one: &Try, answers: &mut Answers, order: &mut Vec<String>) -> Result<Option<Saved>, Error> {
        let Some(id) = &one.batch else { return Ok(None) };
        let layout = &self.wanted.layout;
        let told = self.known.told.get(id);
        let mut saved = disk::saved(layout, id, told, answers, order).map_err(Error::Disk)?;
        if saved.is_none() && one.stand == Stand::Settled && disk::rejoin(layout, id).map_err(Error::Disk)? {
            saved = disk::saved(layout, id, told, answers, order).map_err(Error::Disk)?;
        }
        match (&self.wanted.remote, saved) {
            // What the provider still has is fetched again rather than believed to be whole.
            (Some(remote), Some(saved)) if one.stand != Stand::Settled => {
                let whole = self.runtime.wait(remote.is_whole(&saved, told))?;
                Ok(whole.then_some(saved))
            }
            (_, saved) => Ok(saved),
        }
    }

    /// Its input file, if the provider may be asked and still has it.
    fn input(&self, account: &Account) -> Result<Option<(super::input::Input, i64)>, Error> {
        let Some(remote) = &self.wanted.remote else { return Ok(None) };
        let files: BTreeSet<&FileId> = account.tries.iter().map(|one| &one.file).collect();
        for file in files {
            if let Some(input) = self.runtime.wait(remote.input(file))? {
                return Ok(Some(input));
            }
        }
        Ok(None)
    }

    /// Whether anything is left of a try whose input file is gone and whose answers are not on disk.
    fn ask(
        &mut self,
        account: &Account,
        one: &Try,
        answers: &mut Answers,
        order: &mut Vec<String>,
    ) -> Result<Asked, Error> {
        let settled = one.stand == Stand::Settled;
        let Some(remote) = self.wanted.remote.clone() else {
            return Ok(if settled { Asked::Nothing } else { Asked::Waits(Why::OnlyAtProvider) });
        };
        let id = match &one.batch {
            Some(id) => Some(id.clone()),
            None => match self.look_again(&remote, account, one)? {
                Again::Found(id) => Some(id),
                // Without its input file nothing can come of an intent any more.
                Again::Nothing => None,
                Again::Blind => return Ok(Asked::Waits(Why::Unknown)),
            },
        };
        let Some(id) = id else { return Ok(Asked::Nothing) };
        match self.runtime.wait(remote.answers(&id, &self.wanted.layout, &mut self.known))? {
            Left::Fetched => {
                let told = self.known.told.get(&id);
                let saved = disk::saved(&self.wanted.layout, &id, told, answers, order).map_err(Error::Disk)?;
                Ok(saved.map_or(Asked::Nothing, |saved| Asked::Saved(id, Box::new(saved))))
            }
            Left::Nothing => Ok(Asked::Nothing),
            Left::Running => Ok(Asked::Waits(Why::Running)),
            Left::Unknown if settled => Ok(Asked::Nothing),
            Left::Unknown => Ok(Asked::Waits(Why::Unknown)),
        }
    }

    /// A create may have come through just before its input file was deleted, and a listing may lag. A list that shows no batch of
    /// the run proves nothing: it may be the list of another project's key.
    fn look_again(&mut self, remote: &Remote, account: &Account, one: &Try) -> Result<Again, Error> {
        let runs = BTreeSet::from([account.run.clone()]);
        let mut seen = Known::default();
        self.runtime.wait(async {
            remote.clock.sleep(remote.settle).await;
            remote.list(&runs, &mut seen).await
        })?;
        let again = seen.accounts.all().find(|again| again.shard == account.shard);
        let tries = again.map(|again| again.tries.as_slice()).unwrap_or_default();
        let found = tries.iter().find(|again| again.attempt == one.attempt).and_then(|again| again.batch.clone());
        let shows_ours = !seen.told.is_empty();
        self.known.told.extend(seen.told);
        Ok(match found {
            Some(id) => Again::Found(id),
            None if shows_ours || self.wanted.clock.now() - account.at >= KEPT_AT_MOST => Again::Nothing,
            None => Again::Blind,
        })
    }

    fn lost(&self, account: &Account, lines: Lines, tries: Vec<(Try, Option<Saved>)>) -> LostShard {
        let recipe = lines.asked_as.as_ref().unwrap_or(&self.wanted.recipe);
        let system = recipe.parameters.system.as_ref().map_or(0, String::len);
        let lost_try = |(one, saved): (Try, Option<Saved>)| {
            let expires_at = one.batch.as_ref().and_then(|id| self.known.told.get(id)?.expires_at);
            LostTry { attempt: one.attempt, batch: one.batch, input: one.file, expires_at, saved }
        };
        LostShard {
            tag: account.shard.clone(),
            run: RunId(0),
            recipe: RecipeId(0),
            at: account.at,
            input_created: lines.input_created,
            body_hash: lines.body_hash.or(account.body_hash).unwrap_or_default(),
            counting: self.wanted.counting,
            charge: (self.wanted.charges)(recipe),
            prompt_bytes: (recipe.prompt.len() + system) as u64,
            lines: lines.lines,
            tries: tries.into_iter().map(lost_try).collect(),
        }
    }
}

/// What a second look at the list of batches says of a create.
enum Again {
    /// It came through.
    Found(BatchId),
    /// It did not: the list shows others of its run, or it would be gone by now.
    Nothing,
    /// The list shows nothing of its run.
    Blind,
}

/// Every line of the input file, in its order and with its exact length.
fn of_input((input, created): (super::input::Input, i64), answers: &Answers, style: IdStyle) -> Lines {
    let line = |(id, bytes): (Option<String>, u64)| {
        let custom_id = id?;
        let came = answers.get(&custom_id).copied().unwrap_or_default();
        Some(LostLine { custom_id, bytes, came })
    };
    Lines {
        asked_as: input.first.recipe(style),
        lines: input.lines.into_iter().filter_map(line).collect(),
        input_created: created,
        body_hash: Some(input.hash),
    }
}

/// Only what was answered.
fn of_answers(answers: &Answers, order: Vec<String>) -> Lines {
    let line = |custom_id: String| {
        let came = answers.get(&custom_id).copied().unwrap_or_default();
        LostLine { custom_id, bytes: 0, came }
    };
    Lines { lines: order.into_iter().map(line).collect(), input_created: 0, body_hash: None, asked_as: None }
}
