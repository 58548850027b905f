//! The bad-input corpora: every case made by code from one table, with its expected verdict or reason. Demanded of every
//! case: no panic, no file outside the roots, bounded memory, the reason of the table, and good neighbours still done.

mod bodies;
mod texts;
