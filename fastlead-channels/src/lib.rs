#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests measure how long something took"))]
#![cfg_attr(
    not(any(
        feature = "client",
        feature = "max",
        feature = "postal",
        feature = "smsc",
        feature = "smtp",
        feature = "telegram",
        feature = "vk",
        feature = "webhook",
        feature = "whatsapp"
    )),
    allow(
        dead_code,
        unused_variables,
        reason = "the guard has nobody to guard where no adapter is compiled in"
    )
)]

#[cfg(feature = "max")]
pub mod max;
#[cfg(feature = "postal")]
pub mod postal;
#[cfg(feature = "smsc")]
pub mod smsc;
#[cfg(feature = "smtp")]
pub mod smtp;
#[cfg(feature = "telegram")]
pub mod telegram;
#[cfg(feature = "vk")]
pub mod vk;
#[cfg(feature = "webhook")]
pub mod webhook;
#[cfg(feature = "whatsapp")]
pub mod whatsapp;

pub mod egress;
#[cfg(feature = "client")]
pub mod guarded;

mod address;
#[cfg(any(
    feature = "client",
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
mod http;
#[cfg(any(feature = "max", feature = "telegram"))]
mod markup;
#[cfg(any(
    feature = "client",
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
mod resolver;
#[cfg(any(
    feature = "client",
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "smtp",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
mod tls;

#[cfg(any(
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "smtp",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
use std::sync::Arc;

use egress::Egress;
use fastlead_core::registry::RegistryBuilder;

/// Adds every adapter that was compiled in, and names those that were not. They connect to the public
/// internet only.
#[must_use]
pub fn register(builder: RegistryBuilder) -> RegistryBuilder {
    register_with(Egress::public())(builder)
}

/// The same with adapters that connect where `egress` lets them.
pub fn register_with(egress: Egress) -> impl FnOnce(RegistryBuilder) -> RegistryBuilder {
    move |builder| {
        #[cfg(feature = "max")]
        let builder = builder.channel_with::<max::MaxAdapter>({
            let egress = egress.clone();
            move |info, config| Ok(Arc::new(max::Max::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "max"))]
        let builder = builder.absent("max", "max");
        #[cfg(feature = "postal")]
        let builder = builder.channel_with::<postal::PostalAdapter>({
            let egress = egress.clone();
            move |info, config| Ok(Arc::new(postal::Postal::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "postal"))]
        let builder = builder.absent("postal", "postal");
        #[cfg(feature = "smsc")]
        let builder = builder.channel_with::<smsc::SmscAdapter>({
            let egress = egress.clone();
            move |info, config| Ok(Arc::new(smsc::Smsc::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "smsc"))]
        let builder = builder.absent("smsc", "smsc");
        #[cfg(feature = "smtp")]
        let builder = builder.channel_with::<smtp::SmtpAdapter>({
            let egress = egress.clone();
            move |info, config| Ok(Arc::new(smtp::Smtp::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "smtp"))]
        let builder = builder.absent("smtp", "smtp");
        #[cfg(feature = "telegram")]
        let builder = builder.channel_with::<telegram::TelegramAdapter>({
            let egress = egress.clone();
            move |info, config| Ok(Arc::new(telegram::Telegram::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "telegram"))]
        let builder = builder.absent("telegram", "telegram");
        #[cfg(feature = "vk")]
        let builder = builder.channel_with::<vk::VkAdapter>({
            let egress = egress.clone();
            move |info, config| Ok(Arc::new(vk::Vk::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "vk"))]
        let builder = builder.absent("vk", "vk");
        #[cfg(feature = "webhook")]
        let builder = builder.channel_with::<webhook::WebhookAdapter>({
            let egress = egress.clone();
            move |info, config| Ok(Arc::new(webhook::Webhook::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "webhook"))]
        let builder = builder.absent("webhook", "webhook");
        #[cfg(feature = "whatsapp")]
        let builder = builder.channel_with::<whatsapp::WhatsAppAdapter>(move |info, config| {
            Ok(Arc::new(whatsapp::WhatsApp::with_egress(info, config, &egress)?))
        });
        #[cfg(not(feature = "whatsapp"))]
        let builder = builder.absent("whatsapp", "whatsapp");
        builder
    }
}
