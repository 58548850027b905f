//! Where texts come from: one record per request for an image, whatever became of it.

use rusqlite::{Connection, Row, params};

use super::images::flags;
use super::{Reader, Result, raw_file, rel_path, usage};
use crate::domain::batch::Usage;
use crate::domain::ids::{BatchId, ImageId, ShardId, Tag};
use crate::domain::image::{RelPath, Stamp};
use crate::domain::recipe::IdStyle;
use crate::kit::hash::Short;
use crate::ledger::moves::ShardState;
use crate::ledger::records::RawFile;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count, word};

/// One request for an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The image.
    pub image: ImageId,
    /// The corpus root.
    pub root: Vec<u8>,
    /// The corpus as the user wrote it.
    pub given: Vec<u8>,
    /// Where the image lies below the root.
    pub path: RelPath,
    /// The page of its file.
    pub page: u32,
    /// Length and time of the file as measured last.
    pub stamp: Stamp,
    /// BLAKE3 of the file, if it was taken.
    pub content: Option<Short>,
    /// Place in the shard, from 1: the line of the input file.
    pub pos: u32,
    /// What was sent in the place of the file, as JSON; nothing: the file itself.
    pub prepared: Option<String>,
    /// The shard's row.
    pub shard_no: ShardId,
    /// The shard's name.
    pub shard: Tag,
    /// Where the shard stands.
    pub shard_state: ShardState,
    /// Whether it is the image's last shard, so that its answer is what stands beside the image.
    pub last: bool,
    /// The run, for people.
    pub run: String,
    /// The version of the program that began the run.
    pub version: String,
    /// How it was asked.
    pub recipe: AskedWith,
    /// The batch that answered, or will.
    pub batch: Option<BatchTold>,
    /// What we thought of the answer.
    pub verdict: Option<String>,
    /// Flags of the answer.
    pub flags: Vec<String>,
    /// Tokens, if told.
    pub usage: Option<Usage>,
    /// What the answer cost, in millionths of a millionth of a dollar, and the date of the price; unknown is never zero.
    pub cost: Option<(u64, String)>,
    /// What cleaning did to the answer, as JSON.
    pub cleaning: Option<String>,
    /// The custom id, where it is not the one that the rule makes.
    pub custom_id: Option<String>,
    /// `txt`, `api`, `page` or `kept`, and BLAKE3 of the text that came of it.
    pub text: Option<(String, Short)>,
}

/// The recipe of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedWith {
    /// Its hash.
    pub hash: Short,
    /// `read` or `deep`.
    pub kind: String,
    /// The counted try it is meant for.
    pub step: u32,
    /// How custom ids are made.
    pub id_style: IdStyle,
    /// Model asked.
    pub model: String,
    /// Path of the endpoint.
    pub endpoint: String,
}

/// What a recipe says in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeText {
    /// The prompt, word for word.
    pub prompt: String,
    /// Everything but model, endpoint and prompt, as JSON.
    pub parameters: String,
}

/// The batch of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchTold {
    /// Its name at the provider.
    pub id: BatchId,
    /// Model as the batch object told it.
    pub model: Option<String>,
    /// When it was opened (unix milliseconds).
    pub opened_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// When its texts were written.
    pub settled_at: Option<i64>,
    /// The file of answers as it was saved.
    pub output: Option<RawFile>,
    /// The file of errors as it was saved.
    pub errors: Option<RawFile>,
}

/// Everything about the lines of shards; `?1` is an image or a shard.
const BODY: &str = "SELECT i.id, c.root, c.given, d.path, i.name, i.page, i.bytes, i.mtime_ms, i.content, i.text, i.text_hash,
    i.shard_id IS s.id AS last, l.pos, l.prepared, l.verdict, l.flags, l.prompt_tokens, l.cached_tokens, l.output_tokens,
    l.reasoning_tokens, s.id AS shard_id, s.tag, s.state AS shard_state, n.name AS run, n.version, r.hash, r.kind, r.step, r.id_style, r.model,
    r.endpoint, p.as_of, CAST((l.prompt_tokens - coalesce(l.cached_tokens, 0)) * p.input_pusd
    + coalesce(l.cached_tokens, 0) * p.cached_pusd + l.output_tokens * p.output_pusd AS INTEGER) AS pusd, b.batch_id, b.model_told,
    b.opened_at, b.ended_at, b.settled_at, b.output_bytes, b.output_sha256, b.error_bytes, b.error_sha256, k.rules, o.custom_id
    FROM shard s CROSS JOIN line l ON l.shard_id = s.id CROSS JOIN image i ON i.id = l.image_id
    CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
    JOIN run n ON n.id = s.run_id JOIN recipe r ON r.id = s.recipe_id LEFT JOIN price p ON p.id = s.price_id
    LEFT JOIN cleaning k ON k.shard_id = s.id AND k.image_id = i.id LEFT JOIN note o ON o.image_id = i.id
    LEFT JOIN batch b ON b.shard_id = s.id AND b.stray = 0 AND b.state NOT IN ('refused', 'void')";

impl Reader {
    /// Every request for an image, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn requests_of(&self, image: ImageId) -> Result<Vec<Request>> {
        self.told(of_image(&self.connection, image))
    }

    /// Requests of a shard by image, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn requests_in(&self, shard: ShardId, after: Option<ImageId>, limit: u32) -> Result<Vec<Request>> {
        self.told(of_shard(&self.connection, shard, after.map_or(0, |image| image.0), limit))
    }

    /// What a recipe says in full, by its hash.
    ///
    /// # Errors
    /// The ledger's.
    pub fn recipe_text(&self, hash: Short) -> Result<Option<RecipeText>> {
        self.told(recipe_text(&self.connection, hash))
    }

    /// The names at the provider that the batches of a shard have had, strays included.
    ///
    /// # Errors
    /// The ledger's.
    pub fn batches_of_shard(&self, shard: ShardId) -> Result<Vec<BatchId>> {
        self.told(batches_of_shard(&self.connection, shard))
    }

    /// Shards by row, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn shards(&self, after: Option<ShardId>, limit: u32) -> Result<Vec<ShardId>> {
        self.told(shards(&self.connection, after.map_or(0, |shard| shard.0), limit))
    }
}

/// Every request for one image, oldest first. Looks into every shard: for one person asking about one image.
fn of_image(connection: &Connection, image: ImageId) -> Outcome<Vec<Request>> {
    let sql = format!("{BODY} WHERE l.image_id = ?1 ORDER BY s.id");
    connection.prepare_cached(&sql)?.query_and_then([image.0], request)?.collect()
}

/// Requests of one shard by image, at most `limit` after `after`.
fn of_shard(connection: &Connection, shard: ShardId, after: i64, limit: u32) -> Outcome<Vec<Request>> {
    let sql = format!("{BODY} WHERE s.id = ?1 AND l.image_id > ?2 ORDER BY l.image_id LIMIT ?3");
    connection.prepare_cached(&sql)?.query_and_then(params![shard.0, after, limit], request)?.collect()
}

/// A recipe by its hash.
fn recipe_text(connection: &Connection, hash: Short) -> Outcome<Option<RecipeText>> {
    let mut find = connection.prepare_cached("SELECT prompt, parameters FROM recipe WHERE hash = ?1")?;
    let mut rows = find.query([hash])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(RecipeText { prompt: column(row, "prompt")?, parameters: column(row, "parameters")? }))
}

/// The names at the provider that a shard's batches have had.
fn batches_of_shard(connection: &Connection, shard: ShardId) -> Outcome<Vec<BatchId>> {
    let sql = "SELECT batch_id FROM batch WHERE shard_id = ?1 AND batch_id IS NOT NULL ORDER BY id";
    let read = |row: &Row<'_>| Ok(BatchId(column(row, "batch_id")?));
    connection.prepare_cached(sql)?.query_and_then([shard.0], read)?.collect()
}

/// Shards by row, at most `limit` after `after`.
fn shards(connection: &Connection, after: i64, limit: u32) -> Outcome<Vec<ShardId>> {
    let sql = "SELECT id FROM shard WHERE id > ?1 ORDER BY id LIMIT ?2";
    let read = |row: &Row<'_>| Ok(ShardId(column(row, "id")?));
    connection.prepare_cached(sql)?.query_and_then(params![after, limit], read)?.collect()
}

fn request(row: &Row<'_>) -> Outcome<Request> {
    let state: String = column(row, "shard_state")?;
    let last: bool = column(row, "last")?;
    let text: Option<String> = column(row, "text")?;
    let cost: Option<i64> = column(row, "pusd")?;
    Ok(Request {
        image: ImageId(column(row, "id")?),
        root: column(row, "root")?,
        given: column(row, "given")?,
        path: rel_path(row)?,
        page: column(row, "page")?,
        stamp: Stamp { bytes: count(column(row, "bytes")?), mtime_ms: column(row, "mtime_ms")? },
        content: column(row, "content")?,
        pos: column(row, "pos")?,
        prepared: column(row, "prepared")?,
        shard_no: ShardId(column(row, "shard_id")?),
        shard: Tag(column(row, "tag")?),
        shard_state: word(&state, ShardState::from_word)?,
        last,
        run: column(row, "run")?,
        version: column(row, "version")?,
        recipe: recipe(row)?,
        batch: batch(row)?,
        verdict: column(row, "verdict")?,
        flags: flags(column(row, "flags")?),
        usage: usage(row)?,
        cost: cost.map(count).zip(column(row, "as_of")?),
        cleaning: column(row, "rules")?,
        custom_id: column(row, "custom_id")?,
        text: text.zip(column(row, "text_hash")?).filter(|_| last),
    })
}

fn recipe(row: &Row<'_>) -> Outcome<AskedWith> {
    let style: String = column(row, "id_style")?;
    Ok(AskedWith {
        hash: column(row, "hash")?,
        kind: column(row, "kind")?,
        step: column(row, "step")?,
        id_style: word(&style, IdStyle::from_word)?,
        model: column(row, "model")?,
        endpoint: column(row, "endpoint")?,
    })
}

fn batch(row: &Row<'_>) -> Outcome<Option<BatchTold>> {
    let Some(id) = column::<Option<String>>(row, "batch_id")?.map(BatchId) else { return Ok(None) };
    Ok(Some(BatchTold {
        id,
        model: column(row, "model_told")?,
        opened_at: column(row, "opened_at")?,
        ended_at: column(row, "ended_at")?,
        settled_at: column(row, "settled_at")?,
        output: raw_file(row, "output_bytes", "output_sha256")?,
        errors: raw_file(row, "error_bytes", "error_sha256")?,
    }))
}
