//! A folder of this computer, or of a mounted share.
