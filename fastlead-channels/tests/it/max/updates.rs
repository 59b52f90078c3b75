//! How updates come: by a webhook that is registered, or by polling.

use super::*;

pub(super) async fn poll(max: &Max, cursor: Option<&str>, wait_secs: u64) -> Result<PollBatch, Error> {
    max.poller().unwrap().poll(cursor, Duration::from_secs(wait_secs), SystemClock.now()).await
}

/// Takes one HTTP request from MAX and answers 200.
async fn one_post(listener: &TcpListener) -> SampleRequest {
    let (mut stream, _) = listener.accept().await.unwrap();
    let request = wire::read_request(&mut stream).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    headers.fold(SampleRequest::post(body), |request, (name, value)| request.with_header(name, value))
}

#[tokio::test]
async fn a_press_comes_by_the_webhook_that_was_set() {
    let bot = Bot::start(Updates::Webhook).await;
    let max = bot.max();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    bot.sim.put_in_front("https://leads.example.com", &format!("http://{}", listener.local_addr().unwrap()));
    max.registration().unwrap().register(HOOK).await.unwrap();
    let message = offer();
    let sent = max.send(&message).await.unwrap().provider_message_id.unwrap();
    let data = bot.sim.inbox().all()[0].buttons[0].data.clone();
    assert!(
        !bot.sim.push_update(json!({"update_type": "message_edited"})),
        "only what we understand is asked for"
    );
    bot.sim.press_button(ANNA, &sent, &data).unwrap();
    let posted = tokio::time::timeout(Duration::from_secs(10), one_post(&listener)).await.unwrap();
    let events = events(&max, &posted);
    let (_, token) = press_in(&events[0]);
    assert_eq!(token, Some(ResponseToken { response: Response::Accept, delivery_id: message.delivery_id }));
}

#[tokio::test]
async fn a_webhook_is_registered_looked_at_renewed_and_taken_back() {
    let bot = Bot::start(Updates::Webhook).await;
    let max = bot.max();
    let registration = max.registration().unwrap();
    let status = registration.status().await.unwrap();
    assert_eq!((status.url, status.complete, status.waiting), (None, true, 0));
    bot.sim.subscribe("https://old.example.com/hook", &[]);
    let url = "https://leads.example.com/webhooks/unguessable-token?a=b&c";
    registration.register(url).await.unwrap();
    registration.register(url).await.unwrap();
    assert_eq!(bot.sim.subscriptions(), [url], "in place of any other address");
    let status = registration.status().await.unwrap();
    assert!(!format!("{status:?}").contains("unguessable"), "{status:?}");
    assert_eq!((status.url.unwrap().expose().as_str(), status.complete), (url, true));

    // After eight hours without an answer MAX forgets the address, and it is registered again.
    bot.sim.forget_subscriptions();
    assert!(registration.status().await.unwrap().url.is_none());
    registration.register(url).await.unwrap();
    assert_eq!(bot.sim.subscriptions(), [url]);

    bot.sim.forget_subscriptions();
    bot.sim.subscribe(url, &["message_created"]);
    assert!(!registration.status().await.unwrap().complete, "presses of buttons are not asked for");
    bot.sim.subscribe("https://other.example.com/hook", &[]);
    registration.unregister().await.unwrap();
    registration.unregister().await.unwrap();
    assert_eq!(bot.sim.subscriptions(), [""; 0]);

    for refused in
        ["not an address", "ftp://example.com/", "http://example.com/hook", "https://example.com:8443/hook"]
    {
        let error = registration.register(refused).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, RetryHint::Never), "{refused}");
    }
    bot.sim.faults().push(Fault::ServerError { status: 502 });
    let error = registration.register(url).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE));
    for updates in [Updates::Off, Updates::Polling] {
        let without = bot.with(|config| config.updates = updates);
        assert!(without.registration().is_none());
        assert_eq!(without.register(url).await.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn people_and_groups_come_as_events() {
    let bot = Bot::start(Updates::Webhook).await;
    let max = bot.max();
    bot.sim.set_language(ANNA, "ru");
    bot.sim.start_bot(ANNA, Some("promo_42"));
    bot.sim.write(ANNA, "Добрый день");
    bot.sim.write_in_group(GROUP, ANNA, "в группе");
    bot.sim.send_photo(ANNA);
    bot.sim.share_contact(ANNA, "79000000000");
    bot.sim.share_contact_of(ANNA, ANNA + 1, "79000000001");
    bot.sim.share_forged_contact(ANNA, "79000000001");
    bot.sim.stop_bot(ANNA);
    bot.sim.remove_dialog(ANNA);
    bot.sim.push_update(json!({"update_type": "invented_tomorrow", "x": 1}));
    let seen: Vec<_> = bot
        .posted()
        .iter()
        .flat_map(|request| events(&max, request))
        .map(|event| match event.kind {
            InboundKind::Started { from, payload } => {
                let language = from.language.unwrap_or_default();
                format!("started {} {language} {}", from.chat.expose(), payload.unwrap_or_default())
            }
            InboundKind::Message { from, text } => {
                format!("message {} {}", from.chat.expose(), text.expose())
            }
            InboundKind::PhoneShared { phone, .. } => format!("phone {}", phone.expose()),
            InboundKind::Blocked { from } => format!("blocked {}", from.user.expose()),
            InboundKind::Unblocked { from } => format!("unblocked {}", from.user.expose()),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "unblocked 790000000",
        "started 790000000 ru promo_42",
        "message 790000000 Добрый день",
        "message -790000001 в группе",
        "message 790000000 ",
        "phone 79000000000",
        "message 790000000 ",
        "message 790000000 ",
        "blocked 790000000",
        "blocked 790000000",
    ];
    assert_eq!(seen, expected);
}

/// The field's reports: the position never moves before the updates are handed over, an empty page keeps it.
#[tokio::test]
async fn polling_gives_the_same_again_until_a_later_cursor_is_asked_for() {
    let bot = Bot::start(Updates::Polling).await;
    let max = bot.max();
    bot.sim.push_update(json!({"update_type": "message_created", "message": {"strange": true}}));
    bot.sim.push_update(json!({"update_type": "message_created", "message": 7}));
    bot.sim.write(ANNA, "раз");
    bot.sim.write(ANNA, "два");
    let first = poll(&max, None, 0).await.unwrap();
    let again = poll(&max, None, 0).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first.events.len(), 2, "what cannot be read is skipped and does not block");
    assert_ne!(first.events[0].provider_event_id, first.events[1].provider_event_id);
    let cursor = first.cursor.unwrap();
    let rest = poll(&max, Some(&cursor), 0).await.unwrap();
    assert_eq!((rest.events.len(), rest.cursor.as_ref()), (0, Some(&cursor)));
    assert_eq!(bot.sim.pending_updates(), 0);
    for cursor in ["", "next", "1.5", "99999999999999999999"] {
        let error = poll(&max, Some(cursor), 0).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, RetryHint::Never), "{cursor}");
    }
}

#[tokio::test]
async fn troubles_of_polling_are_safe_to_repeat_unless_a_webhook_is_set() {
    let bot = Bot::start(Updates::Polling).await;
    let (max, hurried) = (bot.max(), bot.with(|config| config.timeout_secs = 1));
    for (fault, kind) in [
        (Fault::ServerError { status: 502 }, ErrorKind::Unavailable),
        (Fault::DropBeforeAccept, ErrorKind::Unavailable),
        (Fault::Hang, ErrorKind::Timeout),
        (Fault::RateLimited { after_secs: 3 }, ErrorKind::RateLimited),
    ] {
        let asking = if fault == Fault::Hang { &hurried } else { &max };
        bot.sim.update_faults().push(fault.clone());
        let error = poll(asking, None, 0).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}");
        assert!(matches!(error.retry(), RetryHint::Safe { .. }), "{fault:?}: {error:?}");
    }
    let caller = Bot { sim: bot.sim.clone(), updates: Updates::Webhook }.max();
    caller.register(HOOK).await.unwrap();
    // Who only asks finds that, too.
    for error in [poll(&max, None, 0).await.unwrap_err(), max.check().await.unwrap_err()] {
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never));
        assert!(error.message().starts_with("updates: "), "{error}");
    }
    max.unregister().await.unwrap();
    poll(&max, None, 0).await.unwrap();
    max.check().await.unwrap();
}

#[tokio::test]
async fn a_poller_names_its_account_without_the_token() {
    let bot = Bot::start(Updates::Polling).await;
    let account = bot.max().poller().unwrap().account();
    assert_eq!(account, bot.max().poller().unwrap().account());
    assert!(!account.contains(bot.sim.token()));
    let other = bot.with(|config| config.bot_token = "another-token".into());
    assert_ne!(account, other.poller().unwrap().account());
}
