//! FastLead billing.
