//! Pages that were answered twice: by an earlier run or recipe, and by the one that made today's text.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Reader, Result, images::flags, rel_path};
use crate::domain::ids::BatchId;
use crate::domain::image::RelPath;
use crate::domain::recipe::IdStyle;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, word};

/// Fewest digits of a recipe's hash that may name it.
const FEWEST_DIGITS: usize = 4;

/// What answered one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A run, by its row.
    Run(i64),
    /// A recipe, by its row.
    Recipe(i64),
}

impl Side {
    /// Which column decides, and its value.
    fn parts(self) -> (bool, i64) {
        match self {
            Self::Run(id) => (true, id),
            Self::Recipe(id) => (false, id),
        }
    }
}

/// Place among the pages: opaque. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct After(i64, i64);

/// One answer of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The batch that holds it.
    pub batch: BatchId,
    /// How its custom id was made.
    pub id_style: IdStyle,
    /// Flags.
    pub flags: Vec<String>,
}

/// A page with both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its place.
    pub at: After,
    /// Where the image lies.
    pub path: RelPath,
    /// The corpus as the user wrote it: custom ids are made from it.
    pub given: Vec<u8>,
    /// The earlier answer.
    pub older: Answered,
    /// The later one.
    pub newer: Answered,
}

impl Reader {
    /// The run of this name, or the recipe whose hash begins with these digits; `None` if there is none, or more than one.
    ///
    /// # Errors
    /// The ledger's.
    pub fn side(&self, name: &str) -> Result<Option<Side>> {
        let find = || -> Outcome<Option<Side>> {
            let run = "SELECT id FROM run WHERE name = ?1";
            let run: Option<i64> = self.connection.query_row(run, [name], |row| row.get(0)).optional()?;
            if let Some(run) = run {
                return Ok(Some(Side::Run(run)));
            }
            if name.len() < FEWEST_DIGITS || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Ok(None);
            }
            let sql = "SELECT id FROM recipe WHERE lower(hex(hash)) LIKE ?1 LIMIT 2";
            let mut statement = self.connection.prepare(sql)?;
            let like = format!("{}%", name.to_ascii_lowercase());
            let found: Vec<i64> = statement.query_map([like], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(if let [one] = found[..] { Some(Side::Recipe(one)) } else { None })
        };
        self.told(find())
    }

    /// Pages that `older` answered with a text, and that `newer` answered last, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn pairs(&self, older: Side, newer: Side, after: After, limit: u32) -> Result<Vec<Pair>> {
        const SQL: &str = "SELECT l.shard_id, l.image_id, d.path, i.name, i.page, c.given, l.flags AS old_flags, nl.flags AS new_flags,
            ob.batch_id AS old_batch, nb.batch_id AS new_batch, orr.id_style AS old_style, nr.id_style AS new_style
            FROM line l JOIN shard os ON os.id = l.shard_id JOIN recipe orr ON orr.id = os.recipe_id
            JOIN batch ob ON ob.shard_id = os.id AND ob.stray = 0 AND ob.state = 'settled'
            JOIN image i ON i.id = l.image_id JOIN directory d ON d.id = i.directory_id JOIN corpus c ON c.id = d.corpus_id
            JOIN shard ns ON ns.id = i.shard_id JOIN recipe nr ON nr.id = ns.recipe_id
            JOIN batch nb ON nb.shard_id = ns.id AND nb.stray = 0 AND nb.state = 'settled'
            JOIN line nl ON nl.shard_id = ns.id AND nl.image_id = i.id
            WHERE (l.shard_id, l.image_id) > (?1, ?2) AND ns.id > l.shard_id
            AND l.verdict IN ('accept', 'blank', 'deep_clean') AND nl.verdict IN ('accept', 'blank', 'deep_clean')
            AND orr.kind = 'read' AND nr.kind = 'read'
            AND CASE ?3 WHEN 1 THEN os.run_id ELSE os.recipe_id END = ?4
            AND CASE ?5 WHEN 1 THEN ns.run_id ELSE ns.recipe_id END = ?6
            ORDER BY l.shard_id, l.image_id LIMIT ?7";
        let ((old_run, old), (new_run, new)) = (older.parts(), newer.parts());
        let values = params![after.0, after.1, old_run, old, new_run, new, limit];
        let read =
            || -> Outcome<Vec<Pair>> { self.connection.prepare_cached(SQL)?.query_and_then(values, pair)?.collect() };
        self.told(read())
    }
}

fn pair(row: &Row<'_>) -> Outcome<Pair> {
    let answered = |batch: &str, style: &str, of: &str| -> Outcome<Answered> {
        let style: String = column(row, style)?;
        Ok(Answered {
            batch: BatchId(column(row, batch)?),
            id_style: word(&style, IdStyle::from_word)?,
            flags: flags(column(row, of)?),
        })
    };
    Ok(Pair {
        at: After(column(row, "shard_id")?, column(row, "image_id")?),
        path: rel_path(row)?,
        given: column(row, "given")?,
        older: answered("old_batch", "old_style", "old_flags")?,
        newer: answered("new_batch", "new_style", "new_flags")?,
    })
}
