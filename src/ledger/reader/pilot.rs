//! What the last pilot came to.

use rusqlite::{OptionalExtension as _, params};
use serde::Deserialize;

use super::{Reader, Result, usage};
use crate::domain::batch::Usage;
use crate::domain::ids::ImageId;
use crate::domain::money::Price;
use crate::ledger::moves::ImageState;
use crate::ledger::records::PILOT;
use crate::ledger::sqlite::fault::{Fault, Outcome};
use crate::ledger::sqlite::{column, count, word};

/// The last pilot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pilot {
    /// What it was drawn with.
    pub seed: String,
    /// Its pages.
    pub pages: Vec<PilotPage>,
}

/// One page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PilotPage {
    /// Where it stands.
    pub state: ImageState,
    /// Why it ended without a text, or is asked again.
    pub reason: Option<String>,
    /// Whether its answer has flags.
    pub is_flagged: bool,
    /// Its tokens, as told.
    pub usage: Option<Usage>,
    /// What they were charged.
    pub price: Option<Price>,
}

/// The event of a pilot.
#[derive(Deserialize)]
struct Drawn {
    seed: String,
    images: Vec<i64>,
}

impl Reader {
    /// The last pilot, if there was one.
    ///
    /// # Errors
    /// The ledger's.
    pub fn pilot(&self) -> Result<Option<Pilot>> {
        self.told(self.last_pilot())
    }

    /// The images of the last pilot, in the order in which they were drawn, if there was one.
    ///
    /// # Errors
    /// The ledger's.
    pub fn pilot_images(&self) -> Result<Option<Vec<ImageId>>> {
        let drawn = self.told(self.last_drawn())?;
        Ok(drawn.map(|drawn| drawn.images.into_iter().map(ImageId).collect()))
    }

    fn last_drawn(&self) -> Outcome<Option<Drawn>> {
        const EVENT: &str = "SELECT detail FROM event WHERE what = ?1 ORDER BY id DESC LIMIT 1";
        let detail: Option<String> = self.connection.query_row(EVENT, params![PILOT], |row| row.get(0)).optional()?;
        let read =
            |detail: String| serde_json::from_str(&detail).map_err(|cause| Fault::damaged(format!("a pilot: {cause}")));
        detail.map(read).transpose()
    }

    fn last_pilot(&self) -> Outcome<Option<Pilot>> {
        const PAGE: &str = "SELECT i.state, coalesce(i.reason, w.after) AS reason, l.flags IS NOT NULL AS flagged, l.prompt_tokens,
            l.cached_tokens, l.output_tokens, l.reasoning_tokens, p.input_pusd, p.cached_pusd, p.output_pusd
            FROM image i LEFT JOIN wish w ON w.image_id = i.id LEFT JOIN shard s ON s.id = i.shard_id
            LEFT JOIN line l ON l.shard_id = i.shard_id AND l.image_id = i.id LEFT JOIN price p ON p.id = s.price_id WHERE i.id = ?1";
        let Some(Drawn { seed, images }) = self.last_drawn()? else { return Ok(None) };
        let mut statement = self.connection.prepare_cached(PAGE)?;
        let mut pages = Vec::with_capacity(images.len());
        for image in images {
            let mut rows = statement.query([image])?;
            let Some(row) = rows.next()? else { continue };
            let state: String = column(row, "state")?;
            let input: Option<i64> = column(row, "input_pusd")?;
            let price = |name: &str| Ok::<_, Fault>(count(column::<Option<i64>>(row, name)?.unwrap_or(0)));
            pages.push(PilotPage {
                state: word(&state, ImageState::from_word)?,
                reason: column(row, "reason")?,
                is_flagged: column(row, "flagged")?,
                usage: usage(row)?,
                price: match input {
                    None => None,
                    Some(input) => Some(Price {
                        input: count(input),
                        cached: price("cached_pusd")?,
                        output: price("output_pusd")?,
                    }),
                },
            });
        }
        Ok(Some(Pilot { seed, pages }))
    }
}
