//! What a fetch says of a picture.

use crate::domain::picture::{PictureError, Sniff, sniff};
use crate::domain::thumbnail::Evidence;
use crate::fetch::{self, FetchError};

/// Whether a body begins like a picture.
pub(super) fn recognise(first_bytes: &[u8]) -> fetch::Sniff {
    match sniff(first_bytes) {
        Sniff::Picture(_) => fetch::Sniff::Accept,
        Sniff::NeedMore => fetch::Sniff::NeedMore,
        Sniff::NotAPicture => fetch::Sniff::Drop,
    }
}

/// What a fetch without an answer says of the picture. The verdict's own words are left to the
/// domain, so only what is behind them is passed on.
pub(super) fn evidence_of(error: FetchError) -> Evidence {
    match error {
        FetchError::Refused(why) => Evidence::Refused(why),
        FetchError::BadRedirect(why) => Evidence::BadRedirect(why),
        FetchError::Corrupt(why) => Evidence::Undecodable(PictureError::Corrupt(why)),
        FetchError::Incomplete => Evidence::Undecodable(PictureError::Truncated),
        FetchError::Unrecognised => Evidence::Undecodable(PictureError::NotAPicture),
        FetchError::TooLarge { max } => Evidence::TooLarge(format!("over {max} bytes")),
        error @ FetchError::BadUrl(_) => Evidence::Refused(error.to_string()),
        error @ (FetchError::TimedOut { .. }
        | FetchError::Unresolved(_)
        | FetchError::Connect(_)
        | FetchError::Broken(_)
        | FetchError::Tls(_)
        | FetchError::Protocol(_)
        | FetchError::BrokenOff(_)
        | FetchError::Setup(_)) => Evidence::NoAnswer(error.to_string()),
    }
}
