//! Where a gram, three bytes in a row, is looked up. Read by `edge/build.rs`, which writes the tables, and by the matcher,
//! which reads them.

/// Bytes of a gram.
pub(crate) const LENGTH: usize = 3;

/// How many buckets there are; each has a word of the filter.
pub(crate) const BUCKETS: usize = 1 << 10;

/// The gram with one more byte at its end and the first one gone.
pub(crate) const fn push(gram: u32, byte: u8) -> u32 {
    (gram << 8 | byte as u32) & 0x00FF_FFFF
}

/// The gram's bucket, and its bit in the bucket's word of the filter.
pub(crate) const fn place(gram: u32) -> (usize, u32) {
    // Fibonacci hashing: the upper bits of the product depend on all bytes.
    let hash = gram.wrapping_mul(0x9E37_79B1) >> 17;
    ((hash >> 5) as usize % BUCKETS, 1 << (hash & 31))
}
