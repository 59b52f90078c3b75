//! The HTML that MAX reads: <https://dev.max.ru/docs-api> (formatting of texts in messages).

use crate::markup::{Dialect, rewrite};

/// That `&`, `<` and `>` are escaped is inferred; quotes in a text are left as they are.
const MAX: Dialect = Dialect {
    tags: &["b", "strong", "i", "em", "u", "ins", "s", "del", "code", "pre", "mark", "h1"],
    schemes: &["https://", "http://", "max://"],
    escapes_quotes_in_text: false,
};

/// Rewrites `html` with MAX's tags alone, balanced.
pub(super) fn max_html(html: &str) -> String {
    rewrite(html, &MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_maxs_tags_leave() {
        for (html, sent) in [
            ("", ""),
            ("<b>Анна</b> &amp; <i>Ко</i>", "<b>Анна</b> &amp; <i>Ко</i>"),
            ("<STRONG class=\"x\">a</STRONG> <tg-spoiler>b</tg-spoiler>", "<strong>a</strong> b"),
            ("<script>alert(1)</script><img src=x onerror=y>", "alert(1)"),
            ("<h1>Заявка</h1><mark>срочно</mark>", "<h1>Заявка</h1><mark>срочно</mark>"),
            ("&lt;b&gt; &quot;Ко&quot; 'a' 1 < 2", "&lt;b&gt; \"Ко\" 'a' 1 &lt; 2"),
            (
                "<a href=\"https://example.com/?a=1&amp;b=&quot;2\">x</a>",
                "<a href=\"https://example.com/?a=1&amp;b=&quot;2\">x</a>",
            ),
            ("<a href=\"max://user/1\">Анна</a>", "<a href=\"max://user/1\">Анна</a>"),
            ("<a href=\"javascript:alert(1)\">x</a> <a href='tg://user?id=1'>y</a>", "x y"),
            ("<p>a</p><p>b<br>c</p>", "a\n\nb\nc"),
            ("<b><i>a</b>b</i>", "<b><i>a</i></b>b"),
        ] {
            assert_eq!(max_html(html), sent, "{html}");
        }
    }
}
