//! Placeholder until the adapter lands.
use std::sync::Arc;
use fastlead_core::{Error, ErrorKind, Result, channel::{Channel, ChannelInfo}, registry::ChannelAdapter};
/// The smtp adapter.
#[derive(Debug)]
pub struct SmtpAdapter;
impl ChannelAdapter for SmtpAdapter {
    const KIND: &'static str = "smtp";
    const TITLE: &'static str = "Smtp";
    type Config = serde_json::Value;
    fn build(_: ChannelInfo, _: Self::Config) -> Result<Arc<dyn Channel>> {
        Err(Error::new(ErrorKind::Unsupported, "not built yet"))
    }
}
