//! Reads headers byte by byte; whatever lies past the end is a truncated picture.

use super::PictureError;

/// What is left of a picture's bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], PictureError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(PictureError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PictureError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(PictureError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, PictureError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16_be(&mut self) -> Result<u16, PictureError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32_be(&mut self) -> Result<u32, PictureError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u16_le(&mut self) -> Result<u16, PictureError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u24_le(&mut self) -> Result<u32, PictureError> {
        self.array()
            .map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
    }

    pub(super) fn u32_le(&mut self) -> Result<u32, PictureError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Everything after the next `byte`, which is dropped with what lies before it.
    pub(super) fn skip_past(&mut self, byte: u8) -> Result<(), PictureError> {
        let at = self.rest.iter().position(|&b| b == byte);
        let at = at.ok_or(PictureError::Truncated)?;
        self.take(at + 1).map(drop)
    }
}
