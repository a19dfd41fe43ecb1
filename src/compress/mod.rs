//! Compressed streams: the gzip that is written here, and the gzip of anyone. Knows bytes only.

pub mod gz1;
pub mod gzip;
pub mod inflate;
