//! Verdicts: what a chunk of judged answers does to its images, after their texts are on disk.

use rusqlite::{OptionalExtension as _, params};

use super::events::{self, About};
use super::fault::{Fault, Outcome};
use super::rows::{count, length, usage, word};
use super::settling::{Closing, is_deep};
use super::shards::moved;
use super::{SqliteStore, images};
use crate::domain::ids::{BatchNo, ImageId, ShardId};
use crate::domain::image::Reason;
use crate::domain::ladder::DEEP_ATTEMPTS;
use crate::domain::verdict::Verdict;
use crate::kit::hash;
use crate::ledger::moves::{BatchState, ImageState};
use crate::ledger::records::{Allowed, Became, ImageVerdict, TextOwner};

/// Records a chunk of verdicts of one batch.
pub(super) fn record(store: &mut SqliteStore, batch: BatchNo, verdicts: &[ImageVerdict]) -> Outcome<Became> {
    let closing = Closing::of(store, batch)?;
    if !matches!(closing.state, BatchState::Ended | BatchState::Fetched) {
        return Err(Fault::stale(format!("batch {batch} is {}", closing.state.word())));
    }
    let contested = is_contested(store, &closing)?;
    let rules = Rules::of(store, closing.shard)?;
    let mut accepted = Accepted::default();
    let mut became = Became::with_capacity(verdicts.len());
    for judged in verdicts {
        if accepted.holds(judged.image) {
            // A second answer has to meet what the first one did.
            accepted.write(store)?;
        }
        became.push(match tries(store, judged.image, closing.shard)? {
            Some(_) if contested && Held::of(&judged.verdict).is_some() => {
                hold(store, closing.shard, judged)?;
                Some(ImageState::Packed)
            }
            Some(tries) => {
                keep_line(store, closing.shard, judged, judged.verdict.word())?;
                let way = rules.way(&judged.verdict, tries);
                let state = way.state();
                go(store, judged, way, &mut accepted)?;
                Some(state)
            }
            None => {
                note_surplus(store, &closing, judged)?;
                None
            }
        });
    }
    accepted.write(store)?;
    // In the same commit: otherwise nothing would be owed for a moment, and whoever feeds would leave.
    if store.allowed.deep_clean && verdicts.iter().any(|judged| judged.verdict == Verdict::DeepClean) {
        images::want_deep(store)?;
        for (state, judged) in
            became.iter_mut().zip(verdicts).filter(|(_, judged)| judged.verdict == Verdict::DeepClean)
        {
            *state = state.and(stands(store, judged.image)?);
        }
    }
    Ok(became)
}

/// Tries and returns of an image so far.
#[derive(Clone, Copy)]
struct Tries {
    asked: u32,
    gaps: u32,
}

/// `None` if this shard no longer holds the image packed.
fn tries(store: &SqliteStore, image: ImageId, shard: ShardId) -> Outcome<Option<Tries>> {
    let sql = "SELECT asked, gaps FROM image WHERE id = ?1 AND state = 'packed' AND shard_id = ?2";
    let mut statement = store.connection.prepare_cached(sql)?;
    let tries = |row: &rusqlite::Row<'_>| Ok(Tries { asked: row.get(0)?, gaps: row.get(1)? });
    Ok(statement.query_row([image.0, shard.0], tries).optional()?)
}

fn stands(store: &SqliteStore, image: ImageId) -> Outcome<Option<ImageState>> {
    let mut statement = store.connection.prepare_cached("SELECT state FROM image WHERE id = ?1")?;
    let found: Option<String> = statement.query_row([image.0], |row| row.get(0)).optional()?;
    found.map(|found| word(&found, ImageState::from_word)).transpose()
}

pub(super) fn flags(judged: &ImageVerdict) -> Option<String> {
    (!judged.flags.is_empty()).then(|| judged.flags.join(","))
}

fn keep_line(store: &SqliteStore, shard: ShardId, judged: &ImageVerdict, word: &str) -> Outcome<()> {
    const SQL: &str =
        "UPDATE line SET verdict = ?3, flags = ?4, prompt_tokens = ?5, cached_tokens = ?6, output_tokens = ?7,
        reasoning_tokens = ?8 WHERE shard_id = ?1 AND image_id = ?2";
    let [prompt, cached, output, reasoning] = usage(judged.usage);
    let flags = flags(judged);
    let values = params![shard.0, judged.image.0, word, flags, prompt, cached, output, reasoning];
    store.connection.prepare_cached(SQL)?.execute(values)?;
    keep_beside(store, shard, judged)
}

/// What few answers have: a cleaning that changed something, an image whose ink was measured.
pub(super) fn keep_beside(store: &SqliteStore, shard: ShardId, judged: &ImageVerdict) -> Outcome<()> {
    const CLEANING: &str = "INSERT INTO cleaning (shard_id, image_id, rules) VALUES (?1, ?2, ?3)
        ON CONFLICT (shard_id, image_id) DO UPDATE SET rules = excluded.rules";
    const INK: &str =
        "INSERT INTO ink (image_id, ink) VALUES (?1, ?2) ON CONFLICT (image_id) DO UPDATE SET ink = excluded.ink";
    if let Some(rules) = &judged.cleaning {
        store.connection.prepare_cached(CLEANING)?.execute(params![shard.0, judged.image.0, rules])?;
    }
    if let Some(ink) = judged.ink {
        store.connection.prepare_cached(INK)?.execute(params![judged.image.0, ink])?;
    }
    Ok(())
}

/// Whether another batch of this one's shard may still answer: an unusable answer ends no image before that one is read.
fn is_contested(store: &SqliteStore, closing: &Closing) -> Outcome<bool> {
    const SQL: &str = "SELECT 1 FROM batch INDEXED BY batch_todo
        WHERE state IN ('opening', 'open', 'ended', 'fetched') AND shard_id = ?1 AND id <> ?2";
    Ok(store.connection.prepare_cached(SQL)?.exists([closing.shard.0, closing.batch.0])?)
}

/// An unusable answer whose effect waits until every batch of its shard is read. In the line's verdict it is `held`, then
/// the word of the verdict, then that of its reason.
struct Held {
    again: bool,
    reason: Reason,
}

impl Held {
    /// What there is to hold of a verdict; one that nobody is at fault for leaves its image packed in any case.
    fn of(verdict: &Verdict) -> Option<Self> {
        match verdict {
            Verdict::Reject(reason) => Some(Self { again: false, reason: *reason }),
            Verdict::AskAgain { reason, counted: true } => Some(Self { again: true, reason: *reason }),
            _ => None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (verdict, reason) = text.strip_prefix("held ")?.split_once(' ')?;
        Some(Self { again: verdict == "ask_again", reason: Reason::from_word(reason)? })
    }

    fn verdict(&self) -> Verdict {
        let reason = self.reason;
        if self.again { Verdict::AskAgain { reason, counted: true } } else { Verdict::Reject(reason) }
    }
}

fn hold(store: &SqliteStore, shard: ShardId, judged: &ImageVerdict) -> Outcome<()> {
    let Some(held) = Held::of(&judged.verdict) else { return Ok(()) };
    wish(store, judged)?;
    keep_line(store, shard, judged, &format!("held {} {}", judged.verdict.word(), held.reason.word()))
}

/// Lets the verdicts take effect that waited for other batches of this shard; tells how many images are owed again and how
/// many failed by them.
pub(super) fn release_held(store: &mut SqliteStore, shard: ShardId) -> Outcome<(u64, u64)> {
    const SQL: &str = "SELECT l.image_id, l.verdict, i.asked, i.gaps FROM line l JOIN image i ON i.id = l.image_id
        WHERE l.shard_id = ?1 AND l.verdict LIKE 'held %' AND i.state = 'packed' AND i.shard_id = ?1";
    const WORD: &str = "UPDATE line SET verdict = ?3 WHERE shard_id = ?1 AND image_id = ?2";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let read = |row: &rusqlite::Row<'_>| {
        let tries = Tries { asked: row.get(2)?, gaps: row.get(3)? };
        Ok((ImageId(row.get(0)?), row.get::<_, String>(1)?, tries))
    };
    let held: Vec<_> = statement.query_map([shard.0], read)?.collect::<rusqlite::Result<_>>()?;
    drop(statement);
    let (mut owed, mut gone) = (0, 0);
    let rules = Rules::of(store, shard)?;
    for (image, text, tries) in held {
        let Some(held) = Held::read(&text) else { continue };
        let verdict = held.verdict();
        store.connection.prepare_cached(WORD)?.execute(params![shard.0, image.0, verdict.word()])?;
        match rules.way(&verdict, tries) {
            Way::Again(tries) => {
                again(store, image, tries)?;
                owed += 1;
            }
            Way::Failed(tries, reason) => {
                failed(store, image, tries, reason)?;
                gone += 1;
            }
            Way::Rough(tries) => {
                rough_again(store, image, tries)?;
                gone += 1;
            }
            Way::Text(_) => {}
        }
    }
    Ok((owed, gone))
}

/// Where a verdict takes an image.
enum Way {
    /// It has a text: done, or rough.
    Text(ImageState),
    Again(Tries),
    Failed(Tries, Reason),
    /// A deep cleaning came to nothing: the rough text stays.
    Rough(Tries),
}

impl Way {
    fn state(&self) -> ImageState {
        match self {
            Self::Text(state) => *state,
            Self::Again(_) => ImageState::Owed,
            Self::Failed(..) => ImageState::Failed,
            Self::Rough(_) => ImageState::Rough,
        }
    }
}

/// What decides where the verdicts of one shard take its images.
pub(super) struct Rules {
    allowed: Allowed,
    deep: bool,
}

impl Rules {
    pub(super) fn of(store: &SqliteStore, shard: ShardId) -> Outcome<Self> {
        let deep = is_deep(store, shard)?;
        let most = store.allowed.attempts;
        let attempts = if deep { most.min(DEEP_ATTEMPTS) } else { most };
        Ok(Self { allowed: Allowed { attempts, ..store.allowed }, deep })
    }

    /// Tries that an image has.
    pub(super) fn attempts(&self) -> u32 {
        self.allowed.attempts
    }

    fn way(&self, verdict: &Verdict, tries: Tries) -> Way {
        let Tries { asked, gaps } = tries;
        match verdict {
            Verdict::Accept | Verdict::Blank => Way::Text(ImageState::Done),
            Verdict::DeepClean => Way::Text(ImageState::Rough),
            Verdict::Reject(reason) => self.end(tries, *reason),
            Verdict::AskAgain { reason, counted: true } => {
                let tries = Tries { asked: asked + 1, gaps };
                if tries.asked < self.allowed.attempts { Way::Again(tries) } else { self.end(tries, *reason) }
            }
            Verdict::AskAgain { counted: false, .. } => {
                let tries = Tries { asked, gaps: gaps + 1 };
                if tries.gaps <= self.allowed.returns { Way::Again(tries) } else { self.end(tries, Reason::NeverRan) }
            }
        }
    }

    fn end(&self, tries: Tries, reason: Reason) -> Way {
        if self.deep { Way::Rough(tries) } else { Way::Failed(tries, reason) }
    }
}

fn go(store: &mut SqliteStore, judged: &ImageVerdict, way: Way, accepted: &mut Accepted) -> Outcome<()> {
    match way {
        Way::Text(state) => accepted.push(judged, state),
        Way::Again(tries) => {
            wish(store, judged)?;
            again(store, judged.image, tries)
        }
        Way::Failed(tries, reason) => failed(store, judged.image, tries, reason),
        Way::Rough(tries) => rough_again(store, judged.image, tries),
    }
}

/// Images whose text is on disk, moved together: one statement a chunk, because the trigger on an image may abort its
/// statement, and for that SQLite keeps a journal of each.
#[derive(Default)]
struct Accepted(Vec<(i64, &'static str, String, ImageState)>);

impl Accepted {
    fn holds(&self, image: ImageId) -> bool {
        self.0.iter().any(|(held, ..)| *held == image.0)
    }

    fn push(&mut self, judged: &ImageVerdict, state: ImageState) -> Outcome<()> {
        let Some((owner, text)) = judged.text else {
            return Err(Fault::stale(format!("image {} is accepted without a text", judged.image)));
        };
        let owner = match owner {
            TextOwner::Ours if state == ImageState::Rough => "api",
            TextOwner::Ours => "txt",
            TextOwner::Page => "page",
            TextOwner::Kept => "kept",
        };
        self.0.push((judged.image.0, owner, hash::hex(&text), state));
        Ok(())
    }

    /// Moves them, and is empty again.
    fn write(&mut self, store: &mut SqliteStore) -> Outcome<()> {
        let all = std::mem::take(&mut self.0);
        for to in [ImageState::Done, ImageState::Rough] {
            let of_state = all.iter().filter(|(.., state)| *state == to).map(|(id, owner, hash, _)| (id, owner, hash));
            write_texts(store, to, &of_state.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// Moves images as `[image, owner, hash]` of one JSON array.
fn write_texts(store: &mut SqliteStore, to: ImageState, images: &[(&i64, &&'static str, &String)]) -> Outcome<()> {
    // The text of a file of several pages stands until it is made anew of theirs.
    const SQL: &str = "UPDATE image SET state = ?2, deep = 0,
        text = CASE WHEN j.value ->> 1 = 'page' AND text = 'txt' THEN text ELSE j.value ->> 1 END,
        text_hash = CASE WHEN j.value ->> 1 = 'page' AND text = 'txt' THEN text_hash ELSE unhex(j.value ->> 2) END
        FROM json_each(?1) j WHERE image.id = j.value ->> 0 AND image.state = 'packed'";
    // What was wished for has come; of nearly all images nothing was.
    const WISHES: &str = "DELETE FROM wish WHERE image_id IN (SELECT value ->> 0 FROM json_each(?1))";
    if images.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(images).map_err(|cause| Fault::stale(format!("verdicts: {cause}")))?;
    let changed = store.connection.prepare_cached(SQL)?.execute(params![rows, to.word()])?;
    if changed != images.len() {
        return Err(Fault::stale(format!("of {} accepted images only {changed} are packed", images.len())));
    }
    store.connection.prepare_cached(WISHES)?.execute([rows])?;
    store.books.images(Some(ImageState::Packed), to, count(length(changed)))
}

/// Keeps what the next request for an image is to change. A model that a person ordered stays ordered.
fn wish(store: &SqliteStore, judged: &ImageVerdict) -> Outcome<()> {
    const SQL: &str = "INSERT INTO wish (image_id, after, said) VALUES (?1, ?2, ?3)
        ON CONFLICT (image_id) DO UPDATE SET after = excluded.after, said = excluded.said";
    let Verdict::AskAgain { reason, counted: true } = &judged.verdict else { return Ok(()) };
    let values = params![judged.image.0, reason.word(), judged.said];
    store.connection.prepare_cached(SQL)?.execute(values)?;
    Ok(())
}

fn again(store: &mut SqliteStore, image: ImageId, tries: Tries) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = 'owed', asked = ?2, gaps = ?3, owed_seq = ?4 WHERE id = ?1 AND state = 'packed'";
    let seq = store.books.next_seq();
    let changed = store.connection.prepare_cached(SQL)?.execute(params![image.0, tries.asked, tries.gaps, seq])?;
    still_packed(changed, image)?;
    store.books.images(Some(ImageState::Packed), ImageState::Owed, 1)
}

fn failed(store: &mut SqliteStore, image: ImageId, tries: Tries, reason: Reason) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = 'failed', asked = ?2, gaps = ?3, reason = ?4 WHERE id = ?1 AND state = 'packed'";
    let values = params![image.0, tries.asked, tries.gaps, reason.word()];
    still_packed(store.connection.prepare_cached(SQL)?.execute(values)?, image)?;
    store.books.images(Some(ImageState::Packed), ImageState::Failed, 1)
}

fn rough_again(store: &mut SqliteStore, image: ImageId, tries: Tries) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = 'rough', asked = ?2, gaps = ?3, deep = 0 WHERE id = ?1 AND state = 'packed'";
    still_packed(store.connection.prepare_cached(SQL)?.execute(params![image.0, tries.asked, tries.gaps])?, image)?;
    store.books.images(Some(ImageState::Packed), ImageState::Rough, 1)
}

fn still_packed(changed: usize, image: ImageId) -> Outcome<()> {
    moved(changed, || format!("image {image} is not packed"))
}

/// An answer that came too late or twice. The same verdict once more is a repetition after a crash, and no news.
fn note_surplus(store: &SqliteStore, closing: &Closing, judged: &ImageVerdict) -> Outcome<()> {
    const SQL: &str = "SELECT 1 FROM line WHERE shard_id = ?1 AND image_id = ?2 AND verdict = ?3 AND flags IS ?4
        AND prompt_tokens IS ?5 AND cached_tokens IS ?6 AND output_tokens IS ?7 AND reasoning_tokens IS ?8";
    let [prompt, cached, output, reasoning] = usage(judged.usage);
    let (word, flags) = (judged.verdict.word(), flags(judged));
    let values = params![closing.shard.0, judged.image.0, word, flags, prompt, cached, output, reasoning];
    if store.connection.prepare_cached(SQL)?.exists(values)? {
        return Ok(());
    }
    let about = About { shard: Some(closing.shard), batch: Some(closing.batch), image: Some(judged.image) };
    events::append(store, "surplus", about, word)
}
