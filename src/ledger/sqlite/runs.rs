//! Runs, recipes and corpora: who pays, how it is asked, where the images lie.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::events::{self, About};
use super::fault::{Fault, Outcome};
use super::rows::column;
use super::shards::UNSENT;
use crate::domain::ids::{CorpusId, RecipeId, RunId, TAG_LENGTH, Tag};
use crate::domain::recipe::{IdStyle, Kind, Parameters, Recipe};
use crate::kit::{hash, random};
use crate::ledger::LedgerError;
use crate::ledger::lost::RunOrigin;
use crate::ledger::records::{CorpusRow, NewRun, Run};

/// The run of this account that is to go on, or a new one. What another account has still to tell stands in its way, but
/// not a plan of which nothing was ever sent; answers that are on disk already are read without any account.
pub(super) fn begin(store: &SqliteStore, new: &NewRun) -> Outcome<Run> {
    let file = &store.connection;
    let account = account(store, new)?;
    let foreign = file
        .prepare_cached(&format!(
            "SELECT a.base_url FROM shard s JOIN run r ON r.id = s.run_id JOIN account a ON a.id = r.account_id
            WHERE s.state IN ('sealed', 'uploaded', 'opening', 'spent') AND a.id <> ?1
            AND NOT {UNSENT}
            AND NOT (s.state = 'spent' AND NOT EXISTS (SELECT 1 FROM batch b INDEXED BY batch_todo
                WHERE b.state IN ('opening', 'open', 'ended', 'fetched') AND b.state <> 'fetched' AND b.shard_id = s.id)) LIMIT 1",
        ))?
        .query_row([account], |row| row.get(0))
        .optional()?;
    let latest = file
        .prepare_cached(
            "SELECT id, name, tag FROM run WHERE account_id = ?1 AND origin = 'own' ORDER BY id DESC LIMIT 1",
        )?
        .query_row([account], resumed)
        .optional()?;
    if let Some(run) = latest {
        let run = Run { foreign, ..run };
        // What was read with is told by those lives alone that spoke to a provider.
        let what = if new.offline { "run_read" } else { "run_resumed" };
        events::append(store, what, About::default(), &format!("{} {}", run.name, new.settings))?;
        return Ok(run);
    }
    let tag = random::letters(TAG_LENGTH)
        .map_err(|cause| Fault::Ledger(LedgerError::Io { path: "randomness".to_owned(), cause: cause.to_string() }))?;
    Ok(Run { foreign, ..insert(store, account, new, &Tag(tag), RunOrigin::Own)? })
}

/// A run that an earlier ledger had, under the tag that its batches bear.
pub(super) fn again(store: &SqliteStore, tag: &Tag, new: &NewRun, origin: RunOrigin) -> Outcome<RunId> {
    Ok(insert(store, account(store, new)?, new, tag, origin)?.id)
}

fn account(store: &SqliteStore, new: &NewRun) -> Outcome<i64> {
    let file = &store.connection;
    file.prepare_cached("INSERT INTO account (base_url, identity) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute([&new.base_url, &new.identity])?;
    let sql = "SELECT id FROM account WHERE base_url = ?1 AND identity = ?2";
    Ok(file.prepare_cached(sql)?.query_row([&new.base_url, &new.identity], |row| row.get(0))?)
}

fn resumed(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run { id: RunId(row.get(0)?), name: row.get(1)?, tag: Tag(row.get(2)?), resumed: true, foreign: None })
}

fn insert(store: &SqliteStore, account: i64, new: &NewRun, tag: &Tag, origin: RunOrigin) -> Outcome<Run> {
    const SQL: &str = "INSERT INTO run (name, tag, origin, account_id, settings, version, started_at)
        VALUES (?1, ?2, ?7, ?3, ?4, ?5, ?6)";
    let name = free_name(store, &new.day)?;
    let values =
        params![name, tag.as_str(), account, new.settings, env!("CARGO_PKG_VERSION"), store.clock.now(), origin.word()];
    let id = store.connection.prepare_cached(SQL)?.insert(values)?;
    Ok(Run { id: RunId(id), name, tag: tag.clone(), resumed: false, foreign: None })
}

/// `2026-11-22-a`, or the next letter that no other account has taken.
fn free_name(store: &SqliteStore, day: &str) -> Outcome<String> {
    let mut taken = store.connection.prepare_cached("SELECT 1 FROM run WHERE name = ?1")?;
    let mut number = 0;
    loop {
        let name = format!("{day}-{}", letters(number));
        if !taken.exists([&name])? {
            return Ok(name);
        }
        number += 1;
    }
}

/// `a` … `z`, `aa` … : 0 is `a`.
fn letters(number: u32) -> String {
    let last = char::from(b'a' + u8::try_from(number % 26).unwrap_or_default());
    if number < 26 { last.to_string() } else { format!("{}{last}", letters(number / 26 - 1)) }
}

/// The row of a recipe, by its hash.
pub(super) fn recipe(store: &SqliteStore, recipe: &Recipe) -> Outcome<RecipeId> {
    const SQL: &str = "INSERT INTO recipe (hash, kind, id_style, step, model, endpoint, prompt, parameters)
        VALUES (?1, ?8, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    let hash = hash::short(&recipe.canonical());
    let parameters =
        serde_json::to_string(&recipe.parameters).map_err(|cause| Fault::stale(format!("recipe: {cause}")))?;
    let Recipe { id_style, step, model, endpoint, prompt, .. } = recipe;
    store.connection.prepare_cached(SQL)?.execute(params![
        hash,
        id_style.word(),
        step,
        model,
        endpoint,
        prompt,
        parameters,
        recipe.kind.word()
    ])?;
    let mut row = store.connection.prepare_cached("SELECT id FROM recipe WHERE hash = ?1")?;
    Ok(RecipeId(row.query_row([hash], |row| row.get(0))?))
}

/// A recipe as the ledger keeps it: the bytes of a plan come from here, never from today's settings.
pub(super) fn kept_recipe(store: &SqliteStore, id: i64) -> Outcome<Recipe> {
    recipe_row(&store.connection, id)
}

/// The same for whoever only reads.
pub(in crate::ledger) fn recipe_row(connection: &Connection, id: i64) -> Outcome<Recipe> {
    let sql = "SELECT id, kind, id_style, step, model, endpoint, prompt, parameters FROM recipe WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([id])?;
    let row = rows.next()?.ok_or_else(|| Fault::damaged(format!("recipe {id} is missing")))?;
    let parameters: Parameters = serde_json::from_str(&column::<String>(row, "parameters")?)
        .map_err(|cause| Fault::damaged(format!("recipe {id}: {cause}")))?;
    let style: String = column(row, "id_style")?;
    let kind: String = column(row, "kind")?;
    Ok(Recipe {
        id: Some(RecipeId(column(row, "id")?)),
        kind: super::rows::word(&kind, Kind::from_word)?,
        id_style: super::rows::word(&style, IdStyle::from_word)?,
        step: column(row, "step")?,
        model: column(row, "model")?,
        endpoint: column(row, "endpoint")?,
        prompt: column(row, "prompt")?,
        parameters,
    })
}

/// Whether a recipe ever brought an accepted answer. Reads the lines of its shards until it finds one, so it is asked only
/// when a whole batch came back without.
pub(super) fn is_proven(store: &SqliteStore, recipe: RecipeId) -> Outcome<bool> {
    const SQL: &str = "SELECT 1 FROM shard s CROSS JOIN line l ON l.shard_id = s.id
        WHERE s.recipe_id = ?1 AND s.state IN ('spent', 'gone') AND l.verdict IN ('accept', 'blank')";
    Ok(store.connection.prepare_cached(SQL)?.exists([recipe.0])?)
}

/// Whether a batch of a recipe is on its way: opening, open, or ended and not settled.
pub(super) fn is_on_its_way(store: &SqliteStore, recipe: RecipeId) -> Outcome<bool> {
    const SQL: &str = "SELECT 1 FROM batch b JOIN shard s ON s.id = b.shard_id
        WHERE b.state IN ('opening', 'open', 'ended', 'fetched') AND s.recipe_id = ?1";
    Ok(store.connection.prepare_cached(SQL)?.exists([recipe.0])?)
}

/// The row of a corpus; `given` is kept from the first time, because custom ids were made from it.
pub(super) fn corpus(store: &SqliteStore, root: &[u8], given: &[u8]) -> Outcome<CorpusRow> {
    store
        .connection
        .prepare_cached("INSERT INTO corpus (root, given) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute([root, given])?;
    let mut row = store.connection.prepare_cached("SELECT id, given FROM corpus WHERE root = ?1")?;
    let (id, given) = row.query_row([root], |row| Ok((CorpusId(row.get(0)?), row.get(1)?)))?;
    Ok(CorpusRow { id, given, unfinished: unfinished(store, id)? })
}

/// Root of a corpus beside `id` that has owed images or images in flight.
fn unfinished(store: &SqliteStore, id: CorpusId) -> Outcome<Option<Vec<u8>>> {
    // Nearly every ledger has one corpus; then the images need not be looked at.
    let others = "SELECT EXISTS (SELECT 1 FROM corpus WHERE id <> ?1)";
    if !store.connection.prepare_cached(others)?.query_row([id.0], |row| row.get::<_, bool>(0))? {
        return Ok(None);
    }
    let sql = "SELECT c.root FROM image i JOIN directory d ON d.id = i.directory_id JOIN corpus c ON c.id = d.corpus_id
        WHERE i.state = ?1 AND c.id <> ?2 LIMIT 1";
    for state in ["owed", "packed"] {
        let found = store.connection.query_row(sql, params![state, id.0], |row| row.get(0)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The listing of a corpus begins, or is over.
pub(super) fn walk(store: &mut SqliteStore, corpus: CorpusId, over: bool) -> Outcome<()> {
    let at = over.then(|| store.clock.now());
    let changed = store
        .connection
        .prepare_cached("UPDATE corpus SET walked_at = ?2 WHERE id = ?1")?
        .execute(params![corpus.0, at])?;
    if changed != 1 {
        return Err(Fault::stale(format!("there is no corpus {corpus}")));
    }
    store.books.standing.walking = !over;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn names_of_a_day_never_run_out() {
        let names: Vec<_> = [0, 1, 25, 26, 27, 701, 702].map(letters).to_vec();
        assert_eq!(names, ["a", "b", "z", "aa", "ab", "zz", "aaa"]);
    }
}
