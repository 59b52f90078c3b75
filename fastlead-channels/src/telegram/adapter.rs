//! Placeholder until the adapter lands.
use std::sync::Arc;
use fastlead_core::{Error, ErrorKind, Result, channel::{Channel, ChannelInfo}, registry::ChannelAdapter};
/// The telegram adapter.
#[derive(Debug)]
pub struct TelegramAdapter;
impl ChannelAdapter for TelegramAdapter {
    const KIND: &'static str = "telegram";
    const TITLE: &'static str = "Telegram";
    type Config = serde_json::Value;
    fn build(_: ChannelInfo, _: Self::Config) -> Result<Arc<dyn Channel>> {
        Err(Error::new(ErrorKind::Unsupported, "not built yet"))
    }
}
