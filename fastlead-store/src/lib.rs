//! FastLead store.
