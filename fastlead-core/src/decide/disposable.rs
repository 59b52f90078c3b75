//! Domains that give e-mail addresses away for minutes.

use std::collections::HashSet;
use std::sync::LazyLock;

/// One domain a line; `#` starts a comment, which says where the list is from.
const LIST: &str = include_str!("../../data/disposable_domains.txt");

static DOMAINS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| domains().collect());

fn domains() -> impl Iterator<Item = &'static str> {
    LIST.lines().filter(|line| !line.starts_with('#'))
}

/// Whether addresses at this domain (lower case) or at one above it are given away.
pub(super) fn is_disposable(domain: &str) -> bool {
    let with_those_above = std::iter::successors(Some(domain), |domain| Some(domain.split_once('.')?.1));
    with_those_above.take_while(|domain| domain.contains('.')).any(|domain| DOMAINS.contains(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_lower_case_and_names_whole_domains() {
        let all: Vec<_> = domains().collect();
        assert!(all.len() > 5_000, "{} domains", all.len());
        assert!(all.is_sorted(), "sort it by bytes, so that an update is easy to read");
        for domain in all {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            assert!(domain.contains('.') && domain.bytes().all(plain), "{domain:?}");
        }
    }

    #[test]
    fn domains_below_a_listed_one_are_given_away_too() {
        for domain in ["mailinator.com", "yopmail.com", "inbox.mailinator.com", "a.b.yopmail.com"] {
            assert!(is_disposable(domain), "{domain}");
        }
        let usual = ["gmail.com", "mail.ru", "yandex.ru", "outlook.com", "icloud.com", "example.com"];
        for domain in
            usual.into_iter().chain(["", "com", "x-mailinator.com.example", "mailinator.com.example.com"])
        {
            assert!(!is_disposable(domain), "{domain}");
        }
    }
}
