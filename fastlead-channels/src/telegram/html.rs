//! The HTML that Telegram reads: <https://core.telegram.org/bots/api#html-style>.

use crate::markup::{Dialect, rewrite};

const TELEGRAM: Dialect = Dialect {
    tags: &[
        "b",
        "strong",
        "i",
        "em",
        "u",
        "ins",
        "s",
        "strike",
        "del",
        "code",
        "pre",
        "blockquote",
        "tg-spoiler",
    ],
    schemes: &["https://", "http://", "tg://"],
    escapes_quotes_in_text: true,
};

/// Rewrites `html` with Telegram's tags alone, balanced.
pub(super) fn telegram_html(html: &str) -> String {
    rewrite(html, &TELEGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_telegrams_tags_leave() {
        for (html, sent) in [
            ("", ""),
            ("<b>Анна</b> &amp; <i>Ко</i>", "<b>Анна</b> &amp; <i>Ко</i>"),
            ("<STRONG class=\"x\">a</STRONG>", "<strong>a</strong>"),
            ("<script>alert(1)</script><img src=x onerror=y>", "alert(1)"),
            ("<h1>Title</h1><table><tr><td>1</td></tr></table>", "Title1"),
            ("a<!-- <b> -->b", "ab"),
            (
                "<a href=\"https://example.com/?a=1&amp;b=2\">x</a>",
                "<a href=\"https://example.com/?a=1&amp;b=2\">x</a>",
            ),
            ("<a class='l' href='http://example.com'>x</a>", "<a href=\"http://example.com\">x</a>"),
            ("<a href=https://example.com rel=n>x</a>", "<a href=\"https://example.com\">x</a>"),
            ("<a href=\"tg://user?id=1\">x</a>", "<a href=\"tg://user?id=1\">x</a>"),
            ("<a href=\"javascript:alert(1)\">x</a> <a>y</a>", "x y"),
            (
                "<a href=\"https://example.com/&quot;&gt;&lt;b\">x</a>",
                "<a href=\"https://example.com/&quot;&gt;&lt;b\">x</a>",
            ),
        ] {
            assert_eq!(telegram_html(html), sent, "{html}");
        }
    }

    #[test]
    fn tags_are_balanced_whatever_comes() {
        for (html, sent) in [
            ("<b>a", "<b>a</b>"),
            ("a</b>", "a"),
            ("<b><i>a</b>b</i>", "<b><i>a</i></b>b"),
            ("<b>a</i>b</b>", "<b>ab</b>"),
            ("<a>x<b>y</a>z</b>", "x<b>y</b>z"),
        ] {
            assert_eq!(telegram_html(html), sent, "{html}");
        }
    }

    #[test]
    fn what_is_no_tag_is_text() {
        for (html, sent) in [
            ("1 < 2 > 0", "1 &lt; 2 &gt; 0"),
            ("a <b c <i>d</i>", "a &lt;b c <i>d</i>"),
            ("<", "&lt;"),
            ("</", "&lt;/"),
            ("<b", "&lt;b"),
            ("<1>", "&lt;1&gt;"),
            ("<b@example.com>", "&lt;b@example.com&gt;"),
            ("&lt;b&gt;", "&lt;b&gt;"),
            ("AT&T &copy; & &#; &#0; &#xD800;", "AT&amp;T &amp;copy; &amp; &amp;#; &amp;#0; &amp;#xD800;"),
            ("&#39;&#x27;&apos;&quot;&#1071;", "'''&quot;Я"),
        ] {
            assert_eq!(telegram_html(html), sent, "{html}");
        }
    }

    #[test]
    fn paragraphs_and_breaks_become_lines() {
        for (html, sent) in [
            ("<p>a</p><p>b</p>", "a\n\nb"),
            ("<p>a</p>\n\n  <p> b </p>\n", "a\n\nb"),
            ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
            ("a <br>\n b<br><br>c", "a\nb\n\nc"),
            ("<br><p><br>a<br></p>", "a"),
            ("<p>a<br></p><p>b</p>", "a\n\nb"),
            ("<b>a</b>\nb", "<b>a</b>\nb"),
            ("<p><b>a</b></p><p><i>b</i></p>", "<b>a</b>\n\n<i>b</i>"),
            ("<pre>a  \n<br>  b</pre>", "<pre>a  \n\n  b</pre>"),
        ] {
            assert_eq!(telegram_html(html), sent, "{html}");
        }
    }

    #[test]
    fn hostile_input_takes_linear_time() {
        let started = std::time::Instant::now();
        for piece in ["<", "<b", "<a href=", "&", "<!--", "</b", "<b><i>", "<b></i>", "<p>", "<pre> "] {
            telegram_html(&piece.repeat(100_000));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }
}
