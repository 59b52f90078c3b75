//! The words by which a person takes the consent to advertising back.

use std::collections::BTreeSet;

/// The longest message, in bytes, that is looked at: what is longer says more than to stop.
const LONGEST: usize = 200;

/// Messages that mean "send me no more advertising" (38-FZ art. 18): those whose whole text is one of them. Case,
/// punctuation, spaces and the dots of `ё` do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopWords(BTreeSet<String>);

impl StopWords {
    /// What is understood unless an engine is built with other words.
    pub const PUBLISHED: &[&str] = &[
        "stop",
        "stop all",
        "stopall",
        "unsubscribe",
        "opt out",
        "стоп",
        "стоп реклама",
        "стоп рассылка",
        "отписаться",
        "отписка",
        "отпишите",
        "отпишите меня",
        "отказ от рассылки",
        "отказ от рекламы",
        "не пишите",
        "не пишите мне",
        "больше не пишите",
        "не присылайте",
        "не присылайте рекламу",
    ];

    /// These words and no others.
    pub fn new<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Self {
        Self(words.into_iter().map(|word| plain(word.as_ref())).filter(|word| !word.is_empty()).collect())
    }

    /// Whether the whole of `text` is one of them.
    pub fn hold(&self, text: &str) -> bool {
        text.len() <= LONGEST && self.0.contains(&plain(text))
    }
}

impl Default for StopWords {
    fn default() -> Self {
        Self::new(Self::PUBLISHED)
    }
}

/// The words of a text in small letters, with one space between them.
fn plain(text: &str) -> String {
    let small = text.to_lowercase().replace('ё', "е");
    let words: Vec<&str> =
        small.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_counts() {
        let words = StopWords::default();
        for text in [
            "STOP",
            " стоп! ",
            "/stop",
            "Стоп.",
            "«Отписаться»",
            "opt-out",
            "Не  пишите\nмне!!!",
            "stop-all 🛑",
        ] {
            assert!(words.hold(text), "{text}");
        }
        for text in
            ["", "!", "не стоп", "stop by at six", "стопка", "не пишите после шести", &"stop ".repeat(60)]
        {
            assert!(!words.hold(text), "{text}");
        }
    }

    #[test]
    fn other_words_take_their_place() {
        let words = StopWords::new(["Всё, хватит", " "]);
        assert!(words.hold("все хватит"));
        assert!(!words.hold("stop"));
        assert!(!words.hold("!"));
    }
}
