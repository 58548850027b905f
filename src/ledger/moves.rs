//! The legal moves as one pure table. The triggers of the schema are a second, independent guard; a test walks all pairs
//! through both.
//!
//! ```text
//! image   enrol ──► Owed | Skipped(reason) | Failed(reason)
//!         Owed ──sealed──► Packed                            Owed ──cannot be asked──► Failed(reason)
//!         Packed ──accept | blank──► Done                    Packed ──reject──► Failed(reason)
//!         Packed ──ask again | no answer | shard dissolved──► Owed          over the maximum ──► Failed(reason)
//!         Packed ──deep cleaning──► Rough
//!         Done | Rough | Failed | Skipped ──`retry`, or the file changed──► Owed
//!         Rough ──deep cleaning wanted──► Owed ──a person edited the rough text──► Rough
//!         Owed ──a copy, whose original has ended──► Done | Rough | Failed(reason)
//!         Done | Rough | Failed ──judged again from its saved answer──► Done | Rough
//!         Done | Rough | Failed ──a person wrote the text──► Done
//! shard   open plan ──seal──► Sealed ──body sent whole──► Uploaded ──intent──► Opening ──batch known──► Spent ──settled──► Gone
//!         Sealed ──a file changed or cannot be read──► Dissolved          Sealed | Uploaded ──above the queue's limit──► Dissolved
//!         Sealed ──never sent, and account or settings are others by now──► Dissolved
//!         Opening ──surely not created──► Uploaded           Spent ──batch turned away──► Uploaded
//!         Opening ──batch void──► Sealed (no input file)
//! batch   Opening ──answered or adopted──► Open ──terminal status──► Ended ──raw on disk──► Fetched ──every line──► Settled
//!         Opening ──surely not created──► Refused            Opening ──doubt, fenced, still nothing──► Void
//!         Ended(turned away) ──► Refused                     Ended(no files) ──► Settled
//!         – ──found at the provider beside another──► Open (stray)
//! ```

pub use crate::domain::shard::ShardState;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$state_doc:meta])* $state:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$state_doc])* $state),+
        }

        impl $name {
            /// Every state, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$state),+];

            /// The word of the ledger.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$state => $word),+ }
            }

            /// The state behind a word of the ledger.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.word() == word)
            }
        }
    };
}

states! {
    /// Where an image stands.
    ImageState {
        /// To be asked (again).
        Owed = "owed",
        /// In a shard whose batch is not settled.
        Packed = "packed",
        /// Has a text.
        Done = "done",
        /// Has a rough text.
        Rough = "rough",
        /// Ended without a text, with a reason.
        Failed = "failed",
        /// Never to be asked, with a reason.
        Skipped = "skipped",
    }
}

states! {
    /// Where a batch stands.
    BatchState {
        /// It may exist.
        Opening = "opening",
        /// It exists.
        Open = "open",
        /// It has ended at the provider.
        Ended = "ended",
        /// Its raw files are on disk.
        Fetched = "fetched",
        /// Every line is accounted for.
        Settled = "settled",
        /// It surely never ran.
        Refused = "refused",
        /// It surely never existed, and never can.
        Void = "void",
    }
}

/// A wish to move one row; "from" is `None` where there is no row yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Of an image.
    Image(Option<ImageState>, ImageState),
    /// Of a shard.
    Shard(Option<ShardState>, ShardState),
    /// Of a batch.
    Batch(Option<BatchState>, BatchState, BatchFacts),
}

/// What else decides about the moves of a batch that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchFacts {
    /// Whether a result file is at the provider, still to be read.
    pub files: bool,
    /// Whether it was refused for now, with nothing run.
    pub turned_away: bool,
}

/// Whether the move is drawn above; standing still is no move.
#[must_use]
pub fn legal(step: Move) -> bool {
    match step {
        Move::Image(from, to) => image(from, to),
        Move::Shard(from, to) => shard(from, to),
        Move::Batch(from, to, facts) => batch(from, to, facts),
    }
}

fn image(from: Option<ImageState>, to: ImageState) -> bool {
    use ImageState::{Done, Failed, Owed, Packed, Rough, Skipped};
    match from {
        None => matches!(to, Owed | Failed | Skipped),
        Some(Owed) => matches!(to, Packed | Failed | Rough | Done),
        Some(Packed) => matches!(to, Done | Rough | Owed | Failed),
        Some(Done) => matches!(to, Owed | Rough),
        Some(Rough) => matches!(to, Owed | Done),
        Some(Failed) => matches!(to, Owed | Done | Rough),
        Some(Skipped) => to == Owed,
    }
}

fn shard(from: Option<ShardState>, to: ShardState) -> bool {
    use ShardState::{Dissolved, Gone, Opening, Sealed, Spent, Uploaded};
    match from {
        None => to == Sealed,
        Some(Sealed) => matches!(to, Uploaded | Dissolved),
        Some(Uploaded) => matches!(to, Opening | Dissolved),
        Some(Opening) => matches!(to, Spent | Uploaded | Sealed),
        Some(Spent) => matches!(to, Uploaded | Gone),
        Some(Gone | Dissolved) => false,
    }
}

fn batch(from: Option<BatchState>, to: BatchState, facts: BatchFacts) -> bool {
    use BatchState::{Ended, Fetched, Open, Opening, Refused, Settled, Void};
    match (from, to) {
        (None, Opening | Open)
        | (Some(Opening), Open | Refused | Void)
        | (Some(Open), Ended)
        | (Some(Ended), Fetched)
        | (Some(Fetched), Settled) => true,
        (Some(Ended), Settled) => !facts.files,
        (Some(Ended), Refused) => facts.turned_away,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    const SHARDS: [ShardState; 6] = [
        ShardState::Sealed,
        ShardState::Uploaded,
        ShardState::Opening,
        ShardState::Spent,
        ShardState::Gone,
        ShardState::Dissolved,
    ];

    /// One row of each kind, complete enough for every state, so that a refusal can only come from a trigger.
    fn one_of_each() -> Connection {
        let file = Connection::open_in_memory().expect("memory");
        file.execute_batch(crate::ledger::sqlite::SCHEMA).expect("schema");
        file.execute_batch(
            "INSERT INTO account VALUES (1, 'u', 'i');
             INSERT INTO run VALUES (1, 'n', 'abcdefghijkl', 'own', 1, '{}', 'v', 0);
             INSERT INTO recipe VALUES (1, zeroblob(16), 'read', 'path', 1, 'm', 'e', 'p', '{}');
             INSERT INTO corpus VALUES (1, x'2f', x'2e', 0);
             INSERT INTO directory VALUES (1, 1, x'');
             INSERT INTO shard (id, tag, run_id, recipe_id, state, seal, sealed_at, lines, bytes, est_tokens, body_hash, input_file_id)
               VALUES (1, 'abcdefghijkl', 1, 1, 'sealed', 'dry', 0, 1, 1, 1, zeroblob(16), 'f');",
        )
        .expect("rows");
        file
    }

    fn accepts(file: &Connection, sql: &str) -> bool {
        match file.execute_batch(sql) {
            Ok(()) => true,
            Err(refusal) => {
                assert!(refusal.to_string().contains("illegal move"), "{sql}: {refusal}");
                false
            }
        }
    }

    #[test]
    fn table_and_triggers_agree_about_images() {
        let file = one_of_each();
        let extra = |state: ImageState| match state {
            ImageState::Owed => "owed_seq = 1, reason = NULL",
            ImageState::Failed | ImageState::Skipped => "owed_seq = NULL, reason = 'r'",
            _ => "owed_seq = NULL, reason = NULL",
        };
        for (number, (from, to)) in pairs(ImageState::ALL).enumerate() {
            let (seq, reason) = match from {
                ImageState::Owed => ("1", "NULL"),
                ImageState::Failed | ImageState::Skipped => ("NULL", "'r'"),
                _ => ("NULL", "NULL"),
            };
            file.execute_batch(&format!(
                "INSERT INTO image (id, directory_id, name, bytes, mtime_ms, state, reason, owed_seq, shard_id, text, text_hash)
                 VALUES ({number}, 1, CAST({number} AS BLOB), 1, 1, '{}', {reason}, {seq}, 1, 'txt', zeroblob(16))",
                from.word()
            ))
            .expect("image");
            if number > 0 {
                // Only a copy is done without having been asked.
                let sql = format!("INSERT INTO copy VALUES ({number}, 0, 'served')");
                file.execute_batch(&sql).expect("copy");
            }
            let sql = format!("UPDATE image SET state = '{}', {} WHERE id = {number}", to.word(), extra(to));
            assert_eq!(accepts(&file, &sql), legal(Move::Image(Some(from), to)), "{from:?} → {to:?}");
        }
    }

    #[test]
    fn nothing_but_a_copy_is_done_without_having_been_asked() {
        let file = one_of_each();
        for number in 0..2 {
            file.execute_batch(&format!(
                "INSERT INTO image (id, directory_id, name, bytes, mtime_ms, state, owed_seq, text, text_hash)
                 VALUES ({number}, 1, CAST({number} AS BLOB), 1, 1, 'owed', {number}, 'txt', zeroblob(16))"
            ))
            .expect("image");
        }
        let sql = "UPDATE image SET state = 'done', owed_seq = NULL WHERE id = 1";
        assert!(!accepts(&file, sql));
        file.execute_batch("INSERT INTO copy VALUES (1, 0, 'waiting')").expect("copy");
        assert!(!accepts(&file, sql), "not before its text stands");
        file.execute_batch("UPDATE copy SET stands = 'served'").expect("copy");
        assert!(accepts(&file, sql));
    }

    #[test]
    fn table_and_triggers_agree_about_shards() {
        for (from, to) in pairs(&SHARDS) {
            let file = one_of_each();
            let insert = "INSERT INTO shard SELECT 2, 'abcdefghijkm', run_id, recipe_id, price_id";
            file.execute_batch(&format!(
                "{insert}, '{}', owner, epoch, lease_until, not_before, seal, sealed_at, lines, bytes, est_tokens, worst_musd,
                 body_hash, 'g', 0 FROM shard WHERE id = 1",
                from.word()
            ))
            .expect("shard");
            let sql = format!("UPDATE shard SET state = '{}' WHERE id = 2", to.word());
            assert_eq!(accepts(&file, &sql), legal(Move::Shard(Some(from), to)), "{from:?} → {to:?}");
        }
    }

    #[test]
    fn table_and_triggers_agree_about_batches() {
        for (from, to) in pairs(BatchState::ALL) {
            for (files, turned_away) in [(false, false), (false, true), (true, false), (true, true)] {
                let file = one_of_each();
                // A batch that has no name yet may bear it only from `open` on, so the name comes with the move.
                let unnamed = |state| matches!(state, BatchState::Opening | BatchState::Void);
                let name = |state: BatchState| if unnamed(state) { "NULL" } else { "'b'" };
                let output = if files { "'o'" } else { "NULL" };
                let end = if turned_away { "turned_away" } else { "completed" };
                file.execute_batch(&format!(
                    "INSERT INTO batch (id, shard_id, attempt, state, epoch, input_file_id, batch_id, intent_at, fenced_at,
                       ending, refusal, output_file_id, output_sha256)
                     VALUES (1, 1, 1, '{}', 1, 'f', {}, 0, 0, '{end}', '{{}}', {output}, zeroblob(32))",
                    from.word(),
                    name(from)
                ))
                .expect("batch");
                let named = if unnamed(from) && !unnamed(to) { ", batch_id = 'b'" } else { "" };
                let sql = format!("UPDATE batch SET state = '{}'{named} WHERE id = 1", to.word());
                let drawn = legal(Move::Batch(Some(from), to, BatchFacts { files, turned_away }));
                assert_eq!(accepts(&file, &sql), drawn, "{from:?} → {to:?}, files {files}, turned away {turned_away}");
            }
        }
    }

    fn pairs<S: Copy + PartialEq>(states: &[S]) -> impl Iterator<Item = (S, S)> {
        states.iter().flat_map(move |from| states.iter().map(move |to| (*from, *to))).filter(|(from, to)| from != to)
    }

    #[test]
    fn what_comes_from_nowhere() {
        let images: Vec<_> = ImageState::ALL.iter().filter(|to| legal(Move::Image(None, **to))).collect();
        assert_eq!(images, [&ImageState::Owed, &ImageState::Failed, &ImageState::Skipped]);
        assert!(legal(Move::Shard(None, ShardState::Sealed)) && !legal(Move::Shard(None, ShardState::Uploaded)));
        let facts = BatchFacts::default();
        let batches: Vec<_> = BatchState::ALL.iter().filter(|to| legal(Move::Batch(None, **to, facts))).collect();
        assert_eq!(batches, [&BatchState::Opening, &BatchState::Open]);
    }
}
