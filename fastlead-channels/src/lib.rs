//! Channel adapters for FastLead, one folder and one cargo feature each.

#[cfg(feature = "smsc")]
pub mod smsc;
#[cfg(feature = "smtp")]
pub mod smtp;
#[cfg(feature = "telegram")]
pub mod telegram;
#[cfg(feature = "webhook")]
pub mod webhook;

#[cfg(any(feature = "smsc", feature = "smtp", feature = "telegram", feature = "webhook"))]
mod tls;

use fastlead_core::registry::RegistryBuilder;

/// Adds every adapter that was compiled in, and names those that were not.
#[must_use]
pub fn register(builder: RegistryBuilder) -> RegistryBuilder {
    #[cfg(feature = "smsc")]
    let builder = builder.channel::<smsc::SmscAdapter>();
    #[cfg(not(feature = "smsc"))]
    let builder = builder.absent("smsc", "smsc");
    #[cfg(feature = "smtp")]
    let builder = builder.channel::<smtp::SmtpAdapter>();
    #[cfg(not(feature = "smtp"))]
    let builder = builder.absent("smtp", "smtp");
    #[cfg(feature = "telegram")]
    let builder = builder.channel::<telegram::TelegramAdapter>();
    #[cfg(not(feature = "telegram"))]
    let builder = builder.absent("telegram", "telegram");
    #[cfg(feature = "webhook")]
    let builder = builder.channel::<webhook::WebhookAdapter>();
    #[cfg(not(feature = "webhook"))]
    let builder = builder.absent("webhook", "webhook");
    builder
}
