//! Reading a body within its caps. The cap counts decoded bytes, and at no time are many more of
//! them held than have been accounted for: a gzip bomb is stopped in mid-chunk.

use std::io::{self, Write};

use awc::error::PayloadError;
use flate2::write::MultiGzDecoder;
use futures_util::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::Sniff;
use super::error::{FetchError, Stage, short};
use super::failure::{from_payload, text};
use super::places::{LARGE_BODY, Shared};
use super::progress::for_a_place;

/// Compressed bytes decoded at once; gzip makes at most a thousand times as many of them.
const PIECE: usize = 256;

/// Room for a large body. malloc maps so much by itself whatever it was asked for before, and gives
/// it back whole; what a thread frees of less it may keep, and each of them would keep a body.
/// Pages that are not written to take no memory.
const MAPPED: usize = 33 * 1024 * 1024;

/// What a body must keep to.
pub(super) struct Rules<'a> {
    /// Decoded bytes at most.
    pub(super) max: u64,
    /// The length the head announced, encoded bytes.
    pub(super) announced: Option<u64>,
    /// The Content-Encoding header.
    pub(super) coding: Option<&'a str>,
    /// Looks at the first decoded bytes.
    pub(super) sniff: Option<fn(&[u8]) -> Sniff>,
}

/// A body, and the place it takes if it is large.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end.
pub(super) async fn read<S, B>(
    mut payload: S,
    rules: &Rules<'_>,
    shared: &Shared,
) -> Result<Body, FetchError>
where
    S: Stream<Item = Result<B, PayloadError>> + Unpin,
    B: AsRef<[u8]>,
{
    let mut sink = Sink::new(rules.coding, rules.max)?;
    if rules.announced.is_some_and(|length| length > rules.max) {
        return Err(FetchError::TooLarge { max: rules.max });
    }
    let mut place = None;
    let mut undecided = rules.sniff;
    let mut arrived = 0_usize;
    let will_be_large = rules
        .announced
        .is_some_and(|length| length > size(LARGE_BODY));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(from_payload)?;
        arrived = arrived.saturating_add(chunk.as_ref().len());
        if size(arrived) > rules.max {
            // Empty gzip blocks would otherwise go on for ever.
            return Err(FetchError::TooLarge { max: rules.max });
        }
        for piece in sink.pieces(chunk.as_ref()) {
            sink.write(piece)?;
            if place.is_none() && sink.decoded().len() > LARGE_BODY {
                place = large_place(shared).await;
                sink.make_room();
            }
        }
        undecided = still_undecided(undecided, sink.decoded())?;
        if place.is_none() && will_be_large && undecided.is_none() {
            // Better to wait now than with the bytes in hand; but not for what will be dropped.
            place = large_place(shared).await;
            sink.make_room();
        }
    }
    let bytes = sink.finish()?;
    still_undecided(undecided, &bytes)?;
    Ok(Body { bytes, place })
}

async fn large_place(shared: &Shared) -> Option<OwnedSemaphorePermit> {
    let place = for_a_place(shared.large_body()).await;
    Stage::Body.enter();
    place
}

type SniffFn = fn(&[u8]) -> Sniff;

fn still_undecided(sniff: Option<SniffFn>, bytes: &[u8]) -> Result<Option<SniffFn>, FetchError> {
    let Some(look) = sniff else {
        return Ok(None);
    };
    match look(bytes) {
        Sniff::Accept => Ok(None),
        Sniff::NeedMore => Ok(sniff),
        Sniff::Drop => Err(FetchError::Unrecognised),
    }
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Where encoded bytes go in and decoded bytes gather.
enum Sink {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
}

impl Sink {
    fn new(coding: Option<&str>, max: u64) -> Result<Self, FetchError> {
        let capped = Capped {
            bytes: Vec::new(),
            max,
            full: false,
        };
        match coding
            .map(|coding| coding.trim().to_ascii_lowercase())
            .as_deref()
        {
            None | Some("" | "identity") => Ok(Self::Plain(capped)),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(capped)))),
            Some(other) => Err(FetchError::Corrupt(format!(
                "content coding `{}`",
                short(other)
            ))),
        }
    }

    fn pieces<'a>(&self, chunk: &'a [u8]) -> std::slice::Chunks<'a, u8> {
        match self {
            Self::Plain(_) => chunk.chunks(chunk.len().max(1)),
            Self::Gzip(_) => chunk.chunks(PIECE),
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        let written = match self {
            Self::Plain(capped) => capped.write_all(piece),
            // Flushed, so that what is decoded is what has been counted.
            Self::Gzip(decoder) => decoder.write_all(piece).and_then(|()| decoder.flush()),
        };
        written.map_err(|error| self.failure(&error))
    }

    fn finish(mut self) -> Result<Vec<u8>, FetchError> {
        if let Self::Gzip(decoder) = &mut self
            && let Err(error) = decoder.try_finish()
        {
            return Err(self.failure(&error));
        }
        Ok(std::mem::take(&mut self.capped_mut().bytes))
    }

    /// For a large body; see [`MAPPED`].
    fn make_room(&mut self) {
        let bytes = &mut self.capped_mut().bytes;
        bytes.reserve(MAPPED.saturating_sub(bytes.len()));
    }

    fn failure(&self, error: &io::Error) -> FetchError {
        let capped = self.capped();
        if capped.full {
            FetchError::TooLarge { max: capped.max }
        } else {
            FetchError::Corrupt(format!("gzip: {}", text(error)))
        }
    }

    fn decoded(&self) -> &[u8] {
        &self.capped().bytes
    }

    fn capped(&self) -> &Capped {
        match self {
            Self::Plain(capped) => capped,
            Self::Gzip(decoder) => decoder.get_ref(),
        }
    }

    fn capped_mut(&mut self) -> &mut Capped {
        match self {
            Self::Plain(capped) => capped,
            Self::Gzip(decoder) => decoder.get_mut(),
        }
    }
}

/// Bytes that stay within a cap.
#[derive(Debug)]
struct Capped {
    bytes: Vec<u8>,
    max: u64,
    full: bool,
}

impl Write for Capped {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if size(self.bytes.len().saturating_add(piece.len())) > self.max {
            self.full = true;
            return Err(io::Error::other("cap reached"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
