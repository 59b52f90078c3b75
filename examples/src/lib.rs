//! What the example programs share: an adapter as somebody outside FastLead would write it.

pub mod acme;
