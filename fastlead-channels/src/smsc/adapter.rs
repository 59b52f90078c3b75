//! Placeholder until the adapter lands.
use std::sync::Arc;
use fastlead_core::{Error, ErrorKind, Result, channel::{Channel, ChannelInfo}, registry::ChannelAdapter};
/// The smsc adapter.
#[derive(Debug)]
pub struct SmscAdapter;
impl ChannelAdapter for SmscAdapter {
    const KIND: &'static str = "smsc";
    const TITLE: &'static str = "Smsc";
    type Config = serde_json::Value;
    fn build(_: ChannelInfo, _: Self::Config) -> Result<Arc<dyn Channel>> {
        Err(Error::new(ErrorKind::Unsupported, "not built yet"))
    }
}
