//! Scripts other than ASCII in e-mail addresses: Unicode's composed form (NFC) and domains (IDNA). Without the cargo
//! feature `idn` an address has none.

#[cfg(feature = "idn")]
mod any {
    use std::borrow::Cow;

    use icu_normalizer::ComposingNormalizer;
    use idna::AsciiDenyList;
    use idna::uts46::{DnsLength, Hyphens, Uts46};

    /// Brings a text into its composed form.
    pub(crate) fn composed(text: &str) -> Option<Cow<'_, str>> {
        Some(ComposingNormalizer::new_nfc().normalize(text))
    }

    /// The domain in ASCII and lower case; `None` where it is none.
    pub(crate) fn ascii(domain: &str) -> Option<Cow<'_, str>> {
        let length = DnsLength::VerifyAllowRootDot;
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, length).ok()
    }

    /// The domain in its own script, where that leads back to the same ASCII form.
    pub(crate) fn own_script(ascii_domain: &str) -> Option<Cow<'_, str>> {
        let (own, read) =
            Uts46::new().to_unicode(ascii_domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        let leads_back = read.is_ok() && ascii(&own).is_some_and(|back| back == ascii_domain);
        leads_back.then_some(own)
    }
}

#[cfg(any(test, not(feature = "idn")))]
mod plain {
    use std::borrow::Cow;

    /// The text, where it is ASCII.
    pub(crate) fn composed(text: &str) -> Option<Cow<'_, str>> {
        text.is_ascii().then_some(Cow::Borrowed(text))
    }

    /// The domain in lower case; `None` where it is none, or in another script.
    pub(crate) fn ascii(domain: &str) -> Option<Cow<'_, str>> {
        let labels = domain.strip_suffix('.').unwrap_or(domain);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        (labels.len() <= 253 && labels.split('.').all(is_label))
            .then(|| Cow::Owned(domain.to_ascii_lowercase()))
    }

    /// The ASCII form is the one form.
    #[cfg_attr(feature = "idn", allow(dead_code, reason = "the test compares the other two alone"))]
    pub(crate) const fn own_script(_ascii_domain: &str) -> Option<Cow<'_, str>> {
        None
    }
}

#[cfg(feature = "idn")]
pub(super) use any::{ascii, composed, own_script};
#[cfg(not(feature = "idn"))]
pub(super) use plain::{ascii, composed, own_script};

#[cfg(test)]
#[cfg(feature = "idn")]
mod tests {
    use super::{any, plain};

    proptest::proptest! {
        /// Both agree on what both can read, so that a program without `idn` takes no other address for the same.
        #[test]
        fn an_ascii_domain_is_the_same_domain_without_idn(domain in "[A-Za-z0-9.-]{0,12}(\\.[a-zA-Z0-9-]{1,6}){0,2}\\.?") {
            proptest::prop_assume!(!domain.to_ascii_lowercase().contains("xn--"));
            proptest::prop_assert_eq!(any::ascii(&domain), plain::ascii(&domain));
            proptest::prop_assert_eq!(any::composed(&domain), plain::composed(&domain));
        }
    }

    #[test]
    fn another_script_is_refused_without_idn() {
        for text in ["пример.рф", "bücher.example", "пример", "\u{1F600}"] {
            assert_eq!((plain::ascii(text), plain::composed(text)), (None, None), "{text}");
        }
        for length in [63, 64] {
            let label = format!("{}.example", "a".repeat(length));
            assert_eq!(any::ascii(&label), plain::ascii(&label));
        }
        for length in [61, 62] {
            let long = format!("{}{}", "a.".repeat(96), "b".repeat(length));
            assert_eq!(any::ascii(&long), plain::ascii(&long));
        }
    }
}
