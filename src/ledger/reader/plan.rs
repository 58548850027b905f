//! What a plan asks of the ledger: where one image stands, and which recipes made the texts that there are.

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
        const SQL: &str = "SELECT s.recipe_id, a.base_url = 'local' AS built_in, count(*) AS images
            FROM image i JOIN shard s ON s.id = i.shard_id JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id
            WHERE i.state = 'done' AND i.text <> 'kept' AND s.recipe_id > ?1 GROUP BY 1, 2 ORDER BY 1 LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row| {
            let id = column(row, "recipe_id")?;
            Ok(Made {
                row: id,
                recipe: recipe_row(&self.connection, id)?,
                built_in: column(row, "built_in")?,
                images: count(column(row, "images")?),
            })
        })
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
