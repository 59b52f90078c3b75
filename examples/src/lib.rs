//! What the example programs share: an adapter as somebody outside FastLead would write it.

pub mod acme;

/// The examples on the front page of `fastlead-core`, run where there is a store and a channel.
#[cfg(doctest)]
#[doc = include_str!("../../fastlead-core/src/front.md")]
pub struct FrontPageOfCore;
