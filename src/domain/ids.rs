//! Numbers and names of things, each its own type, so that none passes for another.

use serde::{Deserialize, Serialize};

macro_rules! row_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )+};
}

row_ids! {
    /// An image's row in the ledger.
    ImageId,
    /// A shard's row in the ledger.
    ShardId,
    /// A batch's row in the ledger: one try to have a shard answered.
    BatchNo,
    /// A run's row in the ledger.
    RunId,
    /// A recipe's row in the ledger.
    RecipeId,
    /// A corpus's row in the ledger.
    CorpusId,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// A file at the provider.
    FileId,
    /// A batch at the provider.
    BatchId,
    /// Twelve random letters and digits that name a run or a shard to the provider, unique across ledgers.
    Tag,
}

/// Letters in a [`Tag`].
pub const TAG_LENGTH: usize = 12;
