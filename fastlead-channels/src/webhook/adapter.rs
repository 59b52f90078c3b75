//! Placeholder until the adapter lands.
use std::sync::Arc;
use fastlead_core::{Error, ErrorKind, Result, channel::{Channel, ChannelInfo}, registry::ChannelAdapter};
/// The webhook adapter.
#[derive(Debug)]
pub struct WebhookAdapter;
impl ChannelAdapter for WebhookAdapter {
    const KIND: &'static str = "webhook";
    const TITLE: &'static str = "Webhook";
    type Config = serde_json::Value;
    fn build(_: ChannelInfo, _: Self::Config) -> Result<Arc<dyn Channel>> {
        Err(Error::new(ErrorKind::Unsupported, "not built yet"))
    }
}
