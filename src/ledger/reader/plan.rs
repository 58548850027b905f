//! What a plan asks of the ledger: where one image stands, and which recipes made the texts that there are.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Reader, Result};
use crate::domain::image::RelPath;
use crate::domain::recipe::Recipe;
use crate::ledger::second_look::LastLook;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count, last_look, last_look_columns, recipe_row};

/// Where one image stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownImage {
    /// How the last look left it.
    pub last: LastLook,
    /// Why it ended, if it ended without a text: the word as it stands there, also that of a later version.
    pub reason: Option<String>,
    /// The row of the recipe that made its text; `None` where no request of ours did.
    pub made_by: Option<i64>,
    /// Whether the built-in engine read it.
    pub built_in: bool,
    /// Whether it waits for the answer of another image with the same bytes.
    pub copy: bool,
}

/// Shards of the done images whose texts are ours, one for each image.
pub(super) const SHARDS_OF_DONE: &str =
    "SELECT shard_id FROM image WHERE state = 'done' AND text <> 'kept' AND shard_id IS NOT NULL ORDER BY id";

/// Done images that one recipe made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Its row.
    pub row: i64,
    /// The recipe.
    pub recipe: Recipe,
    /// Whether the built-in provider answered.
    pub built_in: bool,
    /// How many.
    pub images: u64,
}

impl Reader {
    /// Where the image at `path` below the folder `root` stands; `None` if the ledger does not know it.
    ///
    /// # Errors
    /// The ledger's.
    pub fn known(&self, root: &[u8], path: &RelPath) -> Result<Option<KnownImage>> {
        self.told(self.look_up(root, path))
    }

    fn look_up(&self, root: &[u8], path: &RelPath) -> Outcome<Option<KnownImage>> {
        const SQL: &str = concat!("SELECT ", last_look_columns!(), ", CASE WHEN i.text <> 'kept' THEN s.recipe_id END AS recipe_id,
            coalesce(a.base_url = 'local', 0) AS built_in, EXISTS (SELECT 1 FROM copy c WHERE c.image_id = i.id
            AND c.stands IN ('waiting', 'ended', 'ready')) AS copy
            FROM corpus c JOIN directory d ON d.corpus_id = c.id JOIN image i ON i.directory_id = d.id
            LEFT JOIN shard s ON s.id = i.shard_id LEFT JOIN run n ON n.id = s.run_id LEFT JOIN account a ON a.id = n.account_id
            WHERE c.root = ?1 AND d.path = ?2 AND i.name = ?3 AND i.page = ?4");
        let mut statement = self.connection.prepare_cached(SQL)?;
        let mut rows = statement.query(params![root, path.folder, path.name, path.page])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(KnownImage {
            last: last_look(row)?,
            reason: column(row, "reason")?,
            made_by: column(row, "recipe_id")?,
            built_in: column(row, "built_in")?,
            copy: column(row, "copy")?,
        }))
    }

    /// The recipes behind the texts of done images; a text that a person keeps has none.
    ///
    /// # Errors
    /// The ledger's.
    pub fn made(&self) -> Result<Vec<Made>> {
        self.told(self.counted_by_recipe())
    }

    /// Counted here and not by SQLite, which would sort all images in memory for it. Those of a shard nearly always come one after
    /// another, so that a shard is looked up once.
    fn counted_by_recipe(&self) -> Outcome<Vec<Made>> {
        const SHARD: &str = "SELECT s.recipe_id, a.base_url = 'local' AS built_in FROM shard s
            JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id WHERE s.id = ?1";
        let mut made: BTreeMap<(i64, bool), u64> = BTreeMap::new();
        let mut look_up = self.connection.prepare_cached(SHARD)?;
        let mut of_shard = |shard: i64, images: u64| -> Outcome<()> {
            let key = look_up.query_row([shard], |row| Ok((row.get("recipe_id")?, row.get("built_in")?)))?;
            *made.entry(key).or_default() += images;
            Ok(())
        };
        let mut images = self.connection.prepare_cached(SHARDS_OF_DONE)?;
        let mut rows = images.query([])?;
        let (mut last, mut many) = (None, 0);
        while let Some(row) = rows.next()? {
            let shard: i64 = column(row, "shard_id")?;
            match last {
                Some(same) if same == shard => {}
                Some(other) => of_shard(other, std::mem::take(&mut many))?,
                None => {}
            }
            (last, many) = (Some(shard), many + 1);
        }
        last.map_or(Ok(()), |last| of_shard(last, many))?;
        let told = |((row, built_in), images)| -> Outcome<Made> {
            Ok(Made { row, recipe: recipe_row(&self.connection, row)?, built_in, images })
        };
        made.into_iter().map(told).collect()
    }

    /// Sum of the output tokens of the accepted answers of a model, and how many they are, if a provider told any; the built-in one
    /// does not count.
    ///
    /// # Errors
    /// The ledger's.
    pub fn output_so_far(&self, model: &str) -> Result<Option<[u64; 2]>> {
        const SQL: &str = "SELECT coalesce(sum(l.output_tokens), 0) AS tokens, count(*) AS answers FROM shard s
            JOIN recipe r ON r.id = s.recipe_id JOIN run n ON n.id = s.run_id
            JOIN account a ON a.id = n.account_id JOIN line l ON l.shard_id = s.id
            WHERE r.model = ?1 AND a.base_url <> 'local' AND l.verdict IN ('accept', 'blank') AND l.output_tokens IS NOT NULL";
        let sums = |row: &rusqlite::Row<'_>| Ok([count(row.get("tokens")?), count(row.get("answers")?)]);
        let read = || -> Outcome<[u64; 2]> { Ok(self.connection.prepare_cached(SQL)?.query_row([model], sums)?) };
        self.told(read()).map(|sums| Some(sums).filter(|[_, answers]| *answers > 0))
    }
}
