//! Which trace a piece of work belongs to: the `traceparent` of W3C Trace Context, version 00; of
//! later versions what this one knows.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The trace of who asked for work, and the span of it that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; never all zeros.
    pub trace_id: [u8; 16],
    /// The span that asked; never all zeros.
    pub parent_id: [u8; 8],
    /// Bit 0: the trace is recorded. The others mean nothing in version 00.
    pub flags: u8,
}

impl TraceParent {
    /// The flag of a trace that is recorded.
    pub const SAMPLED: u8 = 1;

    /// Whether who asked records the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// The trace alone, as 32 hexadecimal digits.
    #[must_use]
    pub const fn trace(&self) -> Hex<16> {
        Hex(self.trace_id)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, parent) = (self.trace(), Hex(self.parent_id));
        write!(f, "00-{trace}-{parent}-{:02x}", self.flags)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes as they are written in a `traceparent`: lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a W3C traceparent: 00-<32 hex digits>-<16>-<2>, in lower case")]
pub struct NoTraceParent;

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    fn from_str(text: &str) -> Result<Self, NoTraceParent> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(NoTraceParent);
        let [version]: [u8; 1] = bytes(next()?)?;
        let (trace_id, parent_id, [flags]) = (bytes(next()?)?, bytes(next()?)?, bytes(next()?)?);
        let is_none = trace_id == [0; 16] || parent_id == [0; 8];
        // Later versions begin like this one and may go on.
        let is_longer = version == 0 && parts.next().is_some();
        if version == UNREADABLE || is_none || is_longer {
            return Err(NoTraceParent);
        }
        Ok(Self {
            trace_id,
            parent_id,
            flags,
        })
    }
}

/// The version that none is.
const UNREADABLE: u8 = 0xff;

/// Exactly so many bytes, two digits each.
fn bytes<const N: usize>(digits: &str) -> Result<[u8; N], NoTraceParent> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return Err(NoTraceParent);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(NoTraceParent),
            };
            *byte = *byte << 4 | value;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_one_of_the_standard_is_read() {
        let parent: TraceParent = GIVEN.parse().unwrap();
        assert!(parent.is_sampled());
        assert_eq!(parent.trace().to_string(), &GIVEN[3..35]);
        assert_eq!(parent.to_string(), GIVEN);
    }

    #[test]
    fn a_later_version_is_read_as_ours() {
        for later in [
            format!("01{}", &GIVEN[2..]),
            format!("cc{}-what-ever", &GIVEN[2..]),
        ] {
            let parent: TraceParent = later.parse().unwrap();
            assert_eq!(parent.to_string(), GIVEN, "{later}");
        }
    }

    #[test]
    fn another_one_is_not() {
        for wrong in [
            "",
            "00",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(NoTraceParent), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            trace_id: [u8; 16], parent_id: [u8; 8], flags: u8,
        ) {
            prop_assume!(trace_id != [0; 16] && parent_id != [0; 8]);
            let parent = TraceParent { trace_id, parent_id, flags };
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
        }

        #[test]
        fn what_is_read_is_written_as_it_was(text in "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|.{0,60}") {
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert_eq!(parent.to_string(), text);
            }
        }
    }
}
