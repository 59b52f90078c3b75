//! What the status and the network tell, whatever the provider.

use super::*;

const NEVER_ANSWERED: &str = "the certificate";

fn safe(after: Option<u64>) -> RetryHint {
    RetryHint::Safe { after: after.map(Duration::from_secs) }
}

fn unknown(after: Option<u64>) -> RetryHint {
    RetryHint::IfIdempotent { after: after.map(Duration::from_secs) }
}

/// The statuses of RFC 9110 section 15, and those that proxies invent.
#[test]
fn statuses() {
    use ErrorKind::{Invalid, Protocol, RateLimited, Timeout, Unavailable};
    for (status, after, kind, retry) in [
        (101, None, Protocol, unknown(None)),
        (200, None, Protocol, unknown(None)),
        (204, None, Protocol, unknown(None)),
        (300, None, Unavailable, safe(None)),
        (301, None, Unavailable, safe(None)),
        (302, None, Unavailable, unknown(None)),
        (303, None, Unavailable, unknown(None)),
        (304, None, Unavailable, safe(None)),
        (307, None, Unavailable, safe(None)),
        (308, None, Unavailable, safe(None)),
        (400, None, Invalid, safe(None)),
        (403, None, Invalid, safe(None)),
        (404, None, Invalid, safe(None)),
        (405, None, Invalid, safe(None)),
        (407, None, Invalid, safe(None)),
        (408, None, Timeout, unknown(None)),
        (409, None, Invalid, unknown(None)),
        (413, None, Invalid, safe(None)),
        (421, None, Invalid, safe(None)),
        (425, None, Unavailable, safe(None)),
        (429, None, RateLimited, safe(None)),
        (429, Some(86_400), RateLimited, safe(Some(86_400))),
        (451, None, Invalid, safe(None)),
        (499, None, Invalid, safe(None)),
        (500, None, Unavailable, unknown(None)),
        (502, Some(3), Unavailable, unknown(Some(3))),
        (503, None, Unavailable, unknown(None)),
        (503, Some(120), RateLimited, unknown(Some(120))),
        (504, None, Unavailable, unknown(None)),
        (520, None, Unavailable, unknown(None)),
        (599, None, Unavailable, unknown(None)),
        (999, None, Protocol, unknown(None)),
    ] {
        let class = by_status(status, after.map(Duration::from_secs));
        assert_eq!((class.kind, class.retry), (kind, retry), "{status} {after:?}");
    }
}

#[test]
fn delays() {
    /// 1994-11-06T08:49:00Z, 37 seconds before the example date of RFC 9110.
    const NOW: i64 = 784_111_740;
    let day = LONGEST_DELAY.as_secs();
    let headers = |pairs: &[(reqwest::header::HeaderName, &str)]| -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    };
    let now = DateTime::from_timestamp(NOW, 0);
    for (value, seconds) in [
        ("0", Some(0)),
        (" 17 ", Some(17)),
        ("86401", Some(day)),
        ("99999999999999999999999999", Some(day)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
        ("Sun Nov  6 08:49:37 1994", Some(37)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(day)),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("tomorrow", None),
    ] {
        let seconds = seconds.map(Duration::from_secs);
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, value)]), now), seconds, "{value:?}");
    }
    // A receiver whose clock is an hour ahead of ours still means 37 seconds.
    let by_its_own_clock =
        [(DATE, "Sun, 06 Nov 1994 09:49:00 GMT"), (RETRY_AFTER, "Sun, 06 Nov 1994 09:49:37 GMT")];
    assert_eq!(retry_after(&headers(&by_its_own_clock), now), Some(Duration::from_secs(37)));
    assert_eq!(retry_after(&headers(&by_its_own_clock), None), Some(Duration::from_secs(37)));
    assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT")]), None), None);
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

/// HTTP/2 frames (RFC 9113 section 4.1), as far as a server needs them that refuses.
mod http2 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::egress::Egress;

    const SETTINGS: u8 = 4;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    const HEADERS: u8 = 1;
    const NO_ERROR: u32 = 0;
    const INTERNAL_ERROR: u32 = 2;
    const REFUSED_STREAM: u32 = 7;
    const ENHANCE_YOUR_CALM: u32 = 11;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    fn reset(reason: u32) -> Vec<u8> {
        frame(RST_STREAM, 1, &reason.to_be_bytes())
    }

    fn go_away(last_stream: u32, reason: u32) -> Vec<u8> {
        frame(GOAWAY, 0, &[last_stream.to_be_bytes(), reason.to_be_bytes()].concat())
    }

    /// `:status: 200` of the static table (RFC 7541 appendix A), with END_HEADERS and no end of the stream.
    fn head() -> Vec<u8> {
        let mut head = frame(HEADERS, 1, &[0x88]);
        head[4] = 4;
        head
    }

    /// Reads to the headers of the first request, says `answer` and hangs up.
    async fn serve(mut stream: TcpStream, answer: Vec<u8>) {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, &[])).await.unwrap();
        loop {
            let mut header = [0; 9];
            stream.read_exact(&mut header).await.unwrap();
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if header[3] == HEADERS {
                break;
            }
        }
        stream.write_all(&answer).await.unwrap();
        stream.shutdown().await.unwrap();
        // What the client still says is read, so that no reset overtakes the answer.
        let mut rest = Vec::new();
        let _ended = stream.read_to_end(&mut rest).await;
    }

    async fn class_of(answer: Vec<u8>) -> Class {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = async {
            serve(listener.accept().await.unwrap().0, answer).await;
            std::future::pending::<()>().await;
        };
        let egress = Egress::public().with_private_hosts(&["127.0.0.1".to_owned()]).unwrap();
        let client = client(&egress, false, Duration::from_secs(10)).http2_prior_knowledge().build().unwrap();
        let request = async {
            match client.post(url).body("{}").send().await {
                Ok(answer) => answer.bytes().await.unwrap_err(),
                Err(error) => error,
            }
        };
        let error = tokio::select! {
            error = request => error,
            () = server => unreachable!("it waits for ever"),
        };
        no_answer(&error, NEVER_ANSWERED)
    }

    #[tokio::test]
    async fn what_a_server_did_not_process_is_a_certain_refusal() {
        for (what, answer, retry) in [
            ("REFUSED_STREAM", reset(REFUSED_STREAM), RetryHint::SAFE),
            ("GOAWAY below the stream", go_away(0, NO_ERROR), RetryHint::SAFE),
            ("GOAWAY with a reason", go_away(0, ENHANCE_YOUR_CALM), RetryHint::SAFE),
            // The stream is among those that the server may have processed.
            ("GOAWAY above the stream", go_away(1, NO_ERROR), RetryHint::UNKNOWN),
            ("another reset", reset(INTERNAL_ERROR), RetryHint::UNKNOWN),
            ("nothing", Vec::new(), RetryHint::UNKNOWN),
            // A server that has begun to answer has acted, whatever it says then.
            ("REFUSED_STREAM behind a head", [head(), reset(REFUSED_STREAM)].concat(), RetryHint::UNKNOWN),
        ] {
            let class = class_of(answer).await;
            assert_eq!((class.kind, class.retry), (ErrorKind::Unavailable, retry), "{what}: {class:?}");
        }
    }
}
