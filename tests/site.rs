//! The site that other tests trust misbehaves as it promises.

mod support;
