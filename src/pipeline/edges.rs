//! The edge table: every connection with its bound, and the meters that tell which one is the bottleneck. The README shows
//! the same rows; a test compares.

use crate::kit::edge::EdgeMeter;

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// From where to where.
    pub name: &'static str,
    /// What keeps it from growing.
    pub bounded_by: &'static str,
    /// Most that is in flight on it.
    pub most: &'static str,
    /// Who waits when it is full.
    pub waits: &'static str,
    /// Under which name the waiting is counted; empty if nobody waits.
    pub counted_as: &'static str,
}

/// All connections, in the order of the flow.
pub const EDGES: [Edge; 12] = [
    Edge {
        name: "walk thread → Scanner",
        bounded_by: "mpsc(2) of pages of 1,024",
        most: "4,096 paths",
        waits: "walk thread",
        counted_as: "",
    },
    Edge {
        name: "Scanner → Encoder",
        bounded_by: "awaited reply, 1 place",
        most: "2 images",
        waits: "the feed",
        counted_as: "encode_wait",
    },
    Edge {
        name: "Encoder ⇄ work pool (prepare)",
        bounded_by: "memory lease, bytes of prepared files, window of 256 images",
        most: "memory ÷ need of a picture",
        waits: "Encoder, then the feed",
        counted_as: "memory_wait",
    },
    Edge {
        name: "Encoder → Uploader",
        bounded_by: "awaited reply, 8 places",
        most: "8 shards + 2 waiting",
        waits: "Encoder, then the feed",
        counted_as: "upload_wait",
    },
    Edge {
        name: "Uploader → body task",
        bounded_by: "body lease, one thread each",
        most: "4 bodies",
        waits: "Uploader",
        counted_as: "body_wait",
    },
    Edge {
        name: "body task → HTTP client (with spool: → spool thread)",
        bounded_by: "mpsc(4), crossbeam bounded(4), of 168 KiB",
        most: "6 chunks a body",
        waits: "body task",
        counted_as: "",
    },
    Edge {
        name: "Uploader → Poller",
        bounded_by: "slot lease",
        most: "100 batches",
        waits: "Uploader",
        counted_as: "slot_wait",
    },
    Edge {
        name: "Poller → Extractor",
        bounded_by: "awaited reply, 2 places",
        most: "2 batches + 2 waiting",
        waits: "Poller's give loop",
        counted_as: "extract_wait",
    },
    Edge {
        name: "work pool (parse) → result-writing threads",
        bounded_by: "crossbeam bounded(2) of 32 lines, one a batch",
        most: "a chunk of 512 lines or 4 MiB a batch",
        waits: "parse job",
        counted_as: "",
    },
    Edge {
        name: "Extractor → Cleaner",
        bounded_by: "awaited reply, 2 places",
        most: "5 chunks of 512 answers or 4 MiB",
        waits: "Extractor",
        counted_as: "clean_wait",
    },
    Edge {
        name: "anyone → keeper",
        bounded_by: "mpsc(64)",
        most: "64 commands",
        waits: "caller",
        counted_as: "ledger_wait",
    },
    Edge {
        name: "keeper → Scanner, Encoder, Uploader",
        bounded_by: "watch",
        most: "1 value",
        waits: "nobody",
        counted_as: "",
    },
];

/// The table as Markdown, as the README shows it.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| edge | bounded by | most in flight | who waits when it is full | counted as |\n|---|---|---|---|---|\n",
    );
    for edge in EDGES {
        let counted = if edge.counted_as.is_empty() { "–".to_owned() } else { format!("`{}`", edge.counted_as) };
        let row = [edge.name, edge.bounded_by, edge.most, edge.waits, &counted].join(" | ");
        text.push_str(&format!("| {row} |\n"));
    }
    text
}

/// One meter per awaited edge.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// Scanner → Encoder.
    pub encode: EdgeMeter,
    /// Encoder → Uploader.
    pub upload: EdgeMeter,
    /// Uploader → Poller.
    pub poll: EdgeMeter,
    /// Poller → Extractor.
    pub extract: EdgeMeter,
    /// Extractor → Cleaner.
    pub clean: EdgeMeter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_per_edge() {
        assert_eq!(markdown().lines().count(), EDGES.len() + 2);
    }
}
