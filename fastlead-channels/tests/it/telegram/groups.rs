//! Groups that move, topics, and what concerns one chat or one update only.

use super::*;

#[tokio::test]
async fn a_group_that_has_moved_is_followed_at_once_and_remembered() {
    let bot = Bot::start(Updates::Off).await;
    let telegram = bot.telegram();
    bot.sim.upgrade_group(GROUP, -1_000_790_000_001);
    let chats = || -> Vec<_> {
        let all = bot.sim.inbox().all();
        all.iter().map(|arrival| arrival.details["request"]["chat_id"].clone()).collect()
    };
    let now = json!(-1_000_790_000_001_i64);
    telegram.send(&to(GROUP, Text::plain("a"))).await.unwrap();
    assert_eq!(chats(), std::slice::from_ref(&now), "one request of the two has delivered");
    // Somebody else's group under the old id would get the message now, were the new one not remembered.
    bot.sim.add_chat(GROUP, "not ours");
    telegram.send(&to(GROUP, Text::plain("b"))).await.unwrap();
    assert_eq!(chats(), [now.clone(), now]);
}

#[tokio::test]
async fn a_poll_answer_that_is_too_long_is_asked_for_in_pieces() {
    let bot = Bot::start(Updates::Polling).await;
    let telegram = bot.telegram();
    // Telegram's own texts have 4,096 characters; with their entities an update takes up to 512 KiB.
    let text = "а".repeat(250_000);
    for _ in 0..20 {
        bot.sim.write(ANNA, &text);
    }
    let (mut seen, mut cursor) = (0, None);
    while seen < 20 {
        let batch = poll(&telegram, cursor.as_deref(), 0).await.unwrap();
        assert!(!batch.events.is_empty());
        seen += batch.events.len();
        cursor = batch.cursor;
    }
    assert_eq!(seen, 20);
}

#[tokio::test]
async fn a_check_finds_a_webhook_that_keeps_polls_from_working() {
    let bot = Bot::start(Updates::Polling).await;
    let telegram = bot.telegram();
    telegram.check().await.unwrap();
    let other = bot.with(|config| config.updates = Updates::Webhook);
    other.registration().unwrap().register("https://elsewhere.example.com/hook").await.unwrap();
    let error = telegram.check().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
    assert!(error.message().starts_with("updates: "), "{error}");
}

#[tokio::test]
async fn a_topic_is_for_groups_only() {
    let bot = Bot::start(Updates::Off).await;
    let forum = -1_000_790_000_002;
    bot.sim.add_chat(forum, "forum");
    bot.sim.add_topic(forum, 7);
    let telegram = bot.with(|config| config.message_thread_id = Some(7));
    telegram.send(&to(ANNA, Text::plain("a"))).await.unwrap();
    telegram.send(&to(forum, Text::plain("a"))).await.unwrap();
    let topics: Vec<_> = bot
        .sim
        .inbox()
        .all()
        .iter()
        .map(|arrival| arrival.details["request"].get("message_thread_id").cloned())
        .collect();
    assert_eq!(topics, [None, Some(json!(7))]);
}

#[tokio::test]
async fn a_message_for_a_topic_that_is_not_there_goes_into_the_group() {
    let bot = Bot::start(Updates::Off).await;
    let forum = -1_000_790_000_002;
    bot.sim.add_chat(forum, "forum");
    bot.sim.add_topic(forum, 7);
    // 1 is the topic "General", which Telegram refuses by its number.
    for topic in [8, 1] {
        let telegram = bot.with(|config| config.message_thread_id = Some(topic));
        telegram.send(&to(forum, Text::plain("a"))).await.unwrap();
        let arrival = bot.sim.inbox().all().pop().unwrap();
        assert_eq!(arrival.details["request"].get("message_thread_id"), None);
    }
    assert_eq!(bot.sim.inbox().all().len(), 2);
    for words in ["TOPIC_DELETED", "TOPIC_CLOSED"] {
        let telegram = bot.with(|config| config.message_thread_id = Some(7));
        bot.sim.faults().push(Fault::ProviderCode { code: 400, text: format!("Bad Request: {words}") });
        telegram.send(&to(forum, Text::plain("a"))).await.unwrap();
    }
    assert_eq!(bot.sim.inbox().all().len(), 4);
}

#[tokio::test]
async fn markup_that_telegram_cannot_take_is_left_out_and_the_text_is_not() {
    let bot = Bot::start(Updates::Off).await;
    let shown = |markup: String| Text { html: Some(Pii::new(markup)), ..Text::plain("a") };
    bot.telegram().send(&to(ANNA, shown("<b></b>".repeat(6_000) + "a"))).await.unwrap();
    assert_eq!(bot.sim.inbox().all().pop().unwrap().text, "a");
}
