//! The smtp channel against a relay that misbehaves on cue: each ends as the rules of mail say.

mod ahead;

use std::sync::Arc;
use std::time::Duration;

use notifyctl::channel::smtp::{self, Mechanism, Timeouts, Tls};
use notifyctl::channel::{Channel, Envelope, Options};
use notifyctl::model::{Content, Outcome, Priority, Reason, Scope, Timestamp, Verdict};
use notifyctl::secret::{SecretString, Source};
use tokio::time::timeout;

use crate::support::channels::attempt_by_steps;
use crate::support::ports::free_port;
use crate::support::smtp_peer::{Act, Peer, Script};

/// How long a phase may take where the other side hangs: more than one takes where it does not, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(3);

/// Longer than anything takes here, shorter than what a command may take when nothing is configured.
const PATIENCE: Duration = Duration::from_secs(50);

fn envelope(message: &str) -> Envelope {
    Envelope {
        id: 1,
        stable_id: "0123456789abcdef-1".into(),
        message_domain: "host.example.org".into(),
        channel: "relay".into(),
        attempt: 1,
        created_at: Timestamp(1_795_140_000_000),
        user_id: None,
        priority: Priority::Normal,
        content: Content {
            recipient: "ops@example.org".into(),
            message: message.into(),
            ..Content::default()
        },
    }
}

fn options(peer: &Peer) -> smtp::Options {
    let mut options = smtp::Options::new("127.0.0.1");
    options.port = Some(peer.address.port());
    options
}

/// Every phase as short as a test wants it.
fn hasty(peer: &Peer) -> smtp::Options {
    let timeouts = Timeouts { data_done: LIMIT, transfer: LIMIT, ..Timeouts::within(LIMIT) };
    smtp::Options { timeouts, ..options(peer) }
}

fn channel(options: smtp::Options) -> Arc<dyn Channel> {
    Options::Smtp(options).build("relay").expect("a channel")
}

fn with_password(options: smtp::Options, auth: Mechanism) -> smtp::Options {
    smtp::Options {
        user: Some("user".into()),
        password: Some(Source::Inline(SecretString::from("s3cret"))),
        auth,
        tls: Some(Tls::None),
        ..options
    }
}

fn came_to(verdict: &Verdict) -> (Outcome, Reason, Scope) {
    (verdict.outcome, verdict.reason, verdict.scope)
}

const REFUSED: (Outcome, Reason, Scope) = (Outcome::Rejected, Reason::RecipientRejected, Scope::Notification);
const SENT: (Outcome, Reason, Scope) = (Outcome::Sent, Reason::Accepted, Scope::Notification);

fn deferred(reason: Reason, scope: Scope) -> (Outcome, Reason, Scope) {
    (Outcome::Deferred, reason, scope)
}

const FEATURES: [&[&str]; 2] = [&["PIPELINING", "SIZE 10240000", "8BITMIME", "SMTPUTF8"], &["8BITMIME"]];

#[tokio::test]
async fn a_message_arrives_as_it_was_written_with_and_without_pipelining() {
    for features in FEATURES {
        let peer = Peer::start(vec![Script::polite().offers(features)]);
        let channel = channel(options(&peer));
        let verdict = channel.attempt(&envelope("one\n.\n..two\n.")).await;
        assert_eq!(came_to(&verdict), SENT, "{verdict:?}");
        assert_eq!(verdict.detail, "250 2.0.0 ok: queued as 0-1");
        channel.close().await;
        let seen = &peer.seen()[0];
        let mail = match features.len() {
            4 => format!("MAIL FROM:<notifyctl@host.example.org> SIZE={}", seen.messages[0].len()),
            _ => "MAIL FROM:<notifyctl@host.example.org>".into(),
        };
        assert_eq!(seen.commands[1..], [&mail, "RCPT TO:<ops@example.org>", "DATA", "QUIT"]);
        let (_, body) = seen.messages[0].split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "one\r\n.\r\n..two\r\n.=\r\n");
    }
}

#[tokio::test]
async fn many_messages_share_a_connection_up_to_a_hundred() {
    let peer = Peer::start(vec![Script::polite()]);
    let channel = channel(options(&peer));
    for _ in 0..201 {
        assert_eq!(came_to(&channel.attempt(&envelope("x")).await), SENT);
    }
    channel.close().await;
    let counts: Vec<usize> = peer.seen().iter().map(|seen| seen.messages.len()).collect();
    assert_eq!(counts, [100, 100, 1]);
    assert!(peer.seen().iter().all(|seen| seen.commands.last().unwrap() == "QUIT"));
}

#[tokio::test]
async fn every_refusal_has_the_meaning_of_its_stage() {
    use Outcome::Rejected;
    use Scope::{Channel as C, Notification as N};
    for (at, line, expected) in [
        ("connect", "421 4.3.2 busy", deferred(Reason::TemporaryFailure, C)),
        ("connect", "554 5.7.1 you are listed", deferred(Reason::SenderRejected, C)),
        ("EHLO", "502 5.5.1 what", deferred(Reason::SenderRejected, C)),
        ("EHLO", "421 4.3.2 bye", deferred(Reason::TemporaryFailure, C)),
        ("AUTH", "535 5.7.8 wrong", deferred(Reason::Credentials, C)),
        ("AUTH", "454 4.7.0 not now", deferred(Reason::TemporaryFailure, C)),
        ("MAIL", "451 4.3.0 trouble", deferred(Reason::TemporaryFailure, C)),
        ("MAIL", "553 5.1.8 no such sender", deferred(Reason::SenderRejected, C)),
        ("MAIL", "552 5.3.4 too large", (Rejected, Reason::Unsupported, N)),
        ("MAIL", "421 4.3.2 bye", deferred(Reason::TemporaryFailure, C)),
        ("RCPT", "450 4.2.0 greylisted", deferred(Reason::Greylisted, N)),
        ("RCPT", "550 5.1.1 unknown", (Rejected, Reason::RecipientRejected, N)),
        ("RCPT", "550 4.7.1 later", deferred(Reason::TemporaryFailure, N)),
        ("RCPT", "421 4.3.2 bye", deferred(Reason::TemporaryFailure, C)),
        ("DATA", "451 4.3.0 trouble", deferred(Reason::TemporaryFailure, N)),
        ("DATA", "554 5.5.1 no", (Rejected, Reason::MessageRejected, N)),
        ("DATA", "421 4.3.2 bye", deferred(Reason::TemporaryFailure, C)),
        ("dot", "451 4.3.0 trouble", deferred(Reason::TemporaryFailure, N)),
        ("dot", "554 5.6.0 spam", (Rejected, Reason::MessageRejected, N)),
        ("dot", "421 4.3.2 bye", deferred(Reason::TemporaryFailure, C)),
    ] {
        for extra in [vec!["AUTH PLAIN"], vec!["AUTH PLAIN", "PIPELINING"]] {
            let peer = Peer::start(vec![Script::polite().offers(&extra).on(at, Act::Say(line))]);
            let options = match at {
                "AUTH" => with_password(options(&peer), Mechanism::Auto),
                _ => options(&peer),
            };
            let verdict = channel(options).attempt(&envelope("x")).await;
            assert_eq!(came_to(&verdict), expected, "{line} at {at}: {verdict:?}");
            assert!(verdict.detail.contains(&line[4..]), "{at}: {}", verdict.detail);
        }
    }
}

/// What one attempt comes to at a relay that does `act` whenever it comes to `at`.
async fn breaks(at: &'static str, act: Act, features: &'static [&'static str], text: &str) -> Verdict {
    let peer = Peer::start(vec![Script::polite().offers(features).on(at, act.clone())]);
    let options = match act {
        Act::Hang => hasty(&peer),
        _ => options(&peer),
    };
    let options = if at == "AUTH" { with_password(options, Mechanism::Auto) } else { options };
    let channel = channel(options);
    let ended = timeout(PATIENCE, channel.attempt(&envelope(text))).await;
    let verdict = ended.unwrap_or_else(|_| panic!("{act:?} at {at}: no end"));
    let is_in_time = verdict.detail.ends_with(&format!("no answer within {LIMIT:?}"));
    assert_eq!(is_in_time, matches!(act, Act::Hang), "{act:?} at {at}: {}", verdict.detail);
    verdict
}

#[tokio::test]
async fn a_connection_that_breaks_defers_until_the_final_dot_and_is_unknown_after_it() {
    use Scope::{Channel as C, Notification as N};
    let mut tasks = tokio::task::JoinSet::new();
    for (at, scope) in
        [("connect", C), ("EHLO", C), ("AUTH", C), ("MAIL", C), ("RCPT", N), ("DATA", N), ("dot", N)]
    {
        for (act, reason) in [
            (Act::Close, Reason::ConnectionLost),
            (Act::Hang, Reason::Timeout),
            (Act::Raw(b"garbage\r\n".to_vec()), Reason::ProtocolError),
        ] {
            for features in [&["AUTH PLAIN"][..], &["AUTH PLAIN", "PIPELINING"]] {
                let expected = match at {
                    "dot" => (Outcome::Unknown, Reason::NoAnswer, N),
                    _ => deferred(reason, scope),
                };
                let act = act.clone();
                tasks.spawn(async move {
                    let verdict = breaks(at, act.clone(), features, "x").await;
                    assert_eq!(came_to(&verdict), expected, "{act:?} at {at}: {verdict:?}");
                });
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_a_message_defers_it() {
    // Too much for the buffers between, so that a peer that stops reading is noticed before the final dot.
    let text = format!("{}\n", "x".repeat(900)).repeat(15_000);
    for (act, reason) in [(Act::Close, Reason::ConnectionLost), (Act::Hang, Reason::Timeout)] {
        let verdict = breaks("line", act, &[], &text).await;
        assert_eq!(came_to(&verdict), deferred(reason, Scope::Notification), "{verdict:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_is_gone_is_replaced_within_the_same_attempt() {
    // Closed while idle; closed with a farewell that nobody read; closed, or refused, only when MAIL comes.
    let gone = [
        Script::polite(),
        Script::polite().on("dot", Act::Raw(b"250 ok\r\n421 4.4.2 idle for too long\r\n".to_vec())),
        Script::polite().on_nth(1, "MAIL", Act::Close),
        Script::polite().on_nth(1, "MAIL", Act::SayAndClose("421 4.7.0 enough")),
        Script::polite().on_nth(1, "MAIL", Act::Hang),
    ];
    for (case, script) in gone.into_iter().enumerate() {
        let peer = Peer::start(vec![script, Script::polite()]);
        let channel = channel(if case == 4 { hasty(&peer) } else { options(&peer) });
        assert_eq!(came_to(&channel.attempt(&envelope("x")).await), SENT, "case {case}");
        if case == 0 {
            peer.hang_up();
        }
        let verdict = channel.attempt(&envelope("y")).await;
        assert_eq!(came_to(&verdict), SENT, "case {case}: {verdict:?}");
        assert!(verdict.detail.contains("queued as 1-1"), "case {case}: {}", verdict.detail);
    }
}

#[tokio::test]
async fn a_connection_on_which_something_was_said_out_of_turn_is_not_used_again() {
    for features in FEATURES {
        let peer = Peer::start(vec![Script::polite().offers(features), Script::polite()]);
        let channel = channel(options(&peer));
        assert_eq!(came_to(&channel.attempt(&envelope("x")).await), SENT);
        // While it waits for its next message; it would be taken for the answer to MAIL.
        peer.interject(b"250 2.0.0 by the way\r\n");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let verdict = channel.attempt(&envelope("y")).await;
        assert_eq!(came_to(&verdict), SENT, "{verdict:?}");
        let mails = |at: usize| peer.seen()[at].commands.iter().filter(|c| c.starts_with("MAIL")).count();
        assert_eq!([mails(0), mails(1)], [1, 1], "nothing more was said on the first");
    }
}

#[tokio::test]
async fn what_breaks_on_a_fresh_connection_is_not_tried_again_by_the_channel() {
    let peer = Peer::start(vec![Script::polite().on("MAIL", Act::Close)]);
    let verdict = channel(options(&peer)).attempt(&envelope("x")).await;
    assert_eq!(came_to(&verdict), deferred(Reason::ConnectionLost, Scope::Channel));
    assert_eq!(peer.seen().len(), 1);
}

#[tokio::test]
async fn one_bad_address_leaves_the_connection_to_the_next_message() {
    for features in FEATURES {
        for at in ["RCPT", "DATA", "dot"] {
            let script = Script::polite().offers(features).on_nth(0, at, Act::Say("550 5.1.1 no"));
            let peer = Peer::start(vec![script]);
            let channel = channel(options(&peer));
            assert_eq!(channel.attempt(&envelope("x")).await.outcome, Outcome::Rejected);
            assert_eq!(came_to(&channel.attempt(&envelope("y")).await), SENT, "{at} {features:?}");
            assert_eq!(peer.seen().len(), 1, "{at} {features:?}");
            let resets = peer.verbs().iter().filter(|verb| *verb == "RSET").count();
            assert_eq!(resets, usize::from(at != "dot"), "{at} {features:?}");
        }
    }
}

#[tokio::test]
async fn a_relay_that_wants_a_message_for_nobody_gets_the_dot_alone() {
    let refused = Script::polite().on_nth(0, "RCPT", Act::Say("550 5.1.1 unknown"));
    let peer = Peer::start(vec![refused.on_nth(0, "DATA", Act::Say("354 go ahead"))]);
    let channel = channel(options(&peer));
    let verdict = channel.attempt(&envelope("x")).await;
    assert_eq!(verdict.reason, Reason::RecipientRejected, "{verdict:?}");
    assert_eq!(came_to(&channel.attempt(&envelope("y")).await), SENT);
    let seen = peer.seen();
    assert_eq!((seen.len(), seen[0].messages.len()), (1, 1), "the connection was kept");
    assert_eq!(peer.verbs(), ["EHLO", "MAIL", "RCPT", "DATA", ".", "MAIL", "RCPT", "DATA"]);

    // With the sender refused, a dot alone would be a message to the recipient.
    let refused = Script::polite().on_nth(0, "MAIL", Act::Say("552 5.3.4 too large"));
    let peer = Peer::start(vec![refused.on_nth(0, "DATA", Act::Say("354 go ahead")), Script::polite()]);
    let channel = self::channel(options(&peer));
    assert_eq!(channel.attempt(&envelope("x")).await.outcome, Outcome::Rejected);
    assert_eq!(came_to(&channel.attempt(&envelope("y")).await), SENT);
    let messages: Vec<usize> = peer.seen().iter().map(|seen| seen.messages.len()).collect();
    assert_eq!(messages, [0, 1]);
}

#[tokio::test]
async fn huge_and_odd_replies_are_read_by_their_code_in_bounded_memory() {
    let huge = [b"250-", &[b'x'; 600_000][..], b"\r\n250 ok\r\n"].concat();
    let endless = vec![b'2'; 12 << 20];
    for (said, outcome) in [
        (huge, Outcome::Sent),
        (b"250\r\n".to_vec(), Outcome::Sent),
        (b"250 ok\n".to_vec(), Outcome::Sent),
        (b"250 angenommen f\xfcr sp\xe4ter\r\n".to_vec(), Outcome::Sent),
        (b"999 what\r\n".to_vec(), Outcome::Unknown),
        (b"000 what\r\n".to_vec(), Outcome::Unknown),
        (b"354 go on\r\n".to_vec(), Outcome::Unknown),
        (endless, Outcome::Unknown),
    ] {
        let peer = Peer::start(vec![Script::polite().on("dot", Act::Raw(said.clone()))]);
        let verdict = channel(options(&peer)).attempt(&envelope("x")).await;
        assert_eq!(verdict.outcome, outcome, "{:?}: {verdict:?}", &said[..3]);
        assert!(verdict.detail.len() <= Verdict::DETAIL_LIMIT);
    }
}

#[tokio::test]
async fn a_reply_too_many_never_becomes_the_answer_to_another_message() {
    let twice = Act::Raw(b"250 2.1.5 ok\r\n354 go ahead\r\n".to_vec());
    let peer = Peer::start(vec![Script::polite().offers(&[]).on("RCPT", twice)]);
    let verdict = channel(options(&peer)).attempt(&envelope("x")).await;
    assert_eq!(came_to(&verdict), deferred(Reason::ProtocolError, Scope::Notification));
    assert!(peer.seen()[0].messages.is_empty());
}

#[tokio::test]
async fn required_tls_is_never_talked_away() {
    let starttls: &[&str] = &["STARTTLS", "AUTH PLAIN"];
    let injected = b"220 go ahead\r\n250-peer\r\n250 AUTH PLAIN\r\n".to_vec();
    for (script, said) in [
        (Script::polite(), "does not offer STARTTLS"),
        (Script::polite().offers(starttls).on("STARTTLS", Act::Say("454 4.7.0 not now")), "454"),
        (Script::polite().offers(starttls).on("STARTTLS", Act::Say("502 5.5.1 what")), "502"),
        (Script::polite().offers(starttls).on("STARTTLS", Act::Raw(injected)), "not its turn"),
        (Script::polite().offers(starttls).on("STARTTLS", Act::SayAndClose("220 go")), "TLS with"),
        (Script::polite().offers(starttls), "TLS with"),
    ] {
        let peer = Peer::start(vec![script]);
        let options =
            smtp::Options { tls: Some(Tls::Required), ..with_password(options(&peer), Mechanism::Auto) };
        let verdict =
            channel(smtp::Options { tls: Some(Tls::Required), ..options }).attempt(&envelope("x")).await;
        assert_eq!(came_to(&verdict), deferred(Reason::Tls, Scope::Channel), "{verdict:?}");
        assert!(verdict.detail.contains(said), "{}", verdict.detail);
        assert!(!peer.verbs().iter().any(|verb| ["AUTH", "MAIL"].contains(&verb.as_str())));
    }
}

#[tokio::test]
async fn opportunistic_tls_that_fails_leaves_the_message_to_cleartext() {
    let offers = Script::polite().offers(&["STARTTLS"]);
    for (first, connections) in [
        (offers.clone().on("STARTTLS", Act::Say("454 4.7.0 not now")), 1),
        (offers.on("STARTTLS", Act::SayAndClose("220 go ahead")), 2),
    ] {
        let peer = Peer::start(vec![first, Script::polite()]);
        let verdict = channel(options(&peer)).attempt(&envelope("x")).await;
        assert_eq!(came_to(&verdict), SENT, "{verdict:?}");
        assert_eq!(peer.seen().len(), connections);
    }
}

#[tokio::test]
async fn implicit_tls_with_a_relay_that_speaks_none_is_the_channels_trouble() {
    let peer = Peer::start(vec![Script::polite()]);
    let options = smtp::Options { tls: Some(Tls::Implicit), ..options(&peer) };
    let verdict = channel(options).attempt(&envelope("x")).await;
    assert_eq!(came_to(&verdict), deferred(Reason::Tls, Scope::Channel), "{verdict:?}");
}

#[tokio::test]
async fn a_login_says_what_its_mechanism_says() {
    for (mechanism, offers, commands) in [
        (Mechanism::Auto, "AUTH LOGIN PLAIN", vec!["AUTH PLAIN AHVzZXIAczNjcmV0"]),
        (Mechanism::Auto, "AUTH LOGIN", vec!["AUTH LOGIN", "dXNlcg==", "czNjcmV0"]),
        (Mechanism::Login, "AUTH LOGIN PLAIN", vec!["AUTH LOGIN", "dXNlcg==", "czNjcmV0"]),
        (Mechanism::Xoauth2, "AUTH XOAUTH2", vec!["AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHMzY3JldAEB"]),
    ] {
        let peer = Peer::start(vec![Script::polite().offers(&[offers])]);
        let verdict = channel(with_password(options(&peer), mechanism)).attempt(&envelope("x")).await;
        assert_eq!(came_to(&verdict), SENT, "{verdict:?}");
        assert_eq!(peer.seen()[0].commands[1..=commands.len()], commands);
    }
}

#[tokio::test]
async fn a_login_that_is_not_offered_or_refused_shows_no_password() {
    let why = "334 eyJzdGF0dXMiOiI0MDEifQ==";
    let echo = "535 5.7.8 no: AHVzZXIAczNjcmV0 s3cret";
    for (script, mechanism, said) in [
        (Script::polite(), Mechanism::Auto, "offers no way"),
        (Script::polite().offers(&["AUTH CRAM-MD5"]), Mechanism::Auto, "offers no way"),
        (Script::polite().offers(&["AUTH PLAIN"]).on("AUTH", Act::Say(echo)), Mechanism::Auto, "[removed]"),
        // Google's and Microsoft's way: an account of the trouble first, the refusal when asked.
        (Script::polite().offers(&["AUTH XOAUTH2"]).on("AUTH", Act::Say(why)), Mechanism::Xoauth2, "500"),
    ] {
        let peer = Peer::start(vec![script]);
        let verdict = channel(with_password(options(&peer), mechanism)).attempt(&envelope("x")).await;
        assert_eq!(came_to(&verdict), deferred(Reason::Credentials, Scope::Channel), "{verdict:?}");
        assert!(verdict.detail.contains(said), "{}", verdict.detail);
        assert!(!verdict.detail.contains("s3cret") && !verdict.detail.contains("AHVz"), "{}", verdict.detail);
        assert!(!peer.verbs().contains(&"MAIL".to_owned()));
    }
}

#[test]
fn what_takes_too_long_in_all_is_not_told_as_a_greeting_that_does_not_come() {
    let peer = Peer::start(vec![Script::polite().offers(&["AUTH PLAIN"])]);
    let folder = tempfile::tempdir().expect("a folder of our own");
    let place = folder.path().to_str().expect("UTF-8");
    let sleepy = ["sh", "-c", "touch $0/asked; while [ -e $0 ]; do sleep 0.05; done", place];
    let sleepy = Source::Command(sleepy.map(str::to_owned).to_vec());
    let timeouts = Timeouts::within(Duration::from_millis(200));
    let options =
        smtp::Options { password: Some(sleepy), timeouts, ..with_password(options(&peer), Mechanism::Auto) };
    let asked = folder.path().join("asked");
    let steps = [Duration::from_millis(802)];
    let verdict = attempt_by_steps(&Options::Smtp(options), &envelope("x"), &asked, &steps);
    assert_eq!(came_to(&verdict), deferred(Reason::Timeout, Scope::Channel), "{verdict:?}");
    assert!(verdict.detail.ends_with(": not ready for mail within 800ms"), "{verdict:?}");
}

#[tokio::test]
async fn a_relay_that_repeats_a_password_is_not_quoted_whenever_it_does() {
    let shows = |verdict: &Verdict| verdict.detail.contains("s3cret") || verdict.detail.contains("AHVz");
    for (at, said) in [
        ("AUTH", "535 5.7.8 no: AHVzZXIAczNjcmV0 s3cret"),
        ("MAIL", "530 5.7.0 log in, AHVzZXIAczNjcmV0 s3cret"),
        ("RCPT", "550 5.1.1 unknown to AHVzZXIAczNjcmV0 s3cret"),
        ("dot", "554 5.6.0 AHVzZXIAczNjcmV0 s3cret"),
        ("dot", "250 2.0.0 AHVzZXIAczNjcmV0 s3cret"),
    ] {
        let peer = Peer::start(vec![Script::polite().offers(&["AUTH PLAIN"]).on(at, Act::Say(said))]);
        let channel = channel(with_password(options(&peer), Mechanism::Auto));
        // Side by side: of several that are refused at once, none may make another forget what was said.
        let attempts: tokio::task::JoinSet<_> = std::iter::repeat_n(channel, 4)
            .map(|channel| async move { channel.attempt(&envelope("x")).await })
            .collect();
        for verdict in attempts.join_all().await {
            assert!(verdict.detail.ends_with("[removed] [removed]") && !shows(&verdict), "{at} {verdict:?}");
        }
    }
}

#[tokio::test]
async fn a_relay_that_says_what_happens_to_be_the_password_is_understood_all_the_same() {
    let slower = deferred(Reason::RateLimited, Scope::Channel);
    let pipelined = &["AUTH LOGIN PLAIN", "PIPELINING"][..];
    for (password, offers, said, meant, shown) in [
        ("many", pipelined, "450 4.7.1 too many messages", slower, "450 4.7.1 too [removed] messages"),
        ("5.1.1", pipelined, "550 5.1.1 4.2.2", REFUSED, "550 [removed] 4.2.2"),
        // A part of `Username:` as the relay asks for it.
        ("lcm5", &["AUTH LOGIN"][..], "550 5.1.1 no", REFUSED, "550 5.1.1 no"),
    ] {
        let peer = Peer::start(vec![Script::polite().offers(offers).on("RCPT", Act::Say(said))]);
        let password = Some(Source::Inline(SecretString::from(password)));
        let options = smtp::Options { password, ..with_password(options(&peer), Mechanism::Auto) };
        let verdict = channel(options).attempt(&envelope("x")).await;
        assert_eq!(came_to(&verdict), meant, "{verdict:?}");
        assert!(verdict.detail.ends_with(shown), "{verdict:?}");
    }
}

#[tokio::test]
async fn what_the_relay_cannot_carry_is_refused_before_it_is_asked() {
    let mut foreign = envelope("x");
    foreign.content.recipient = "jürgen@example.org".into();
    let mut answered = envelope("x");
    answered.content.headers = vec![("Reply-To".into(), "jürgen@example.org".into())];
    let large = envelope(&"x\n".repeat(1000));
    let peer = Peer::start(vec![Script::polite().offers(&["SIZE 1000"])]);
    let channel_without = channel(options(&peer));
    for envelope in [&foreign, &answered, &large] {
        let verdict = channel_without.attempt(envelope).await;
        let expected = (Outcome::Rejected, Reason::Unsupported, Scope::Notification);
        assert_eq!(came_to(&verdict), expected, "{verdict:?}");
    }
    assert_eq!(came_to(&channel_without.attempt(&envelope("x")).await), SENT);
    assert_eq!(peer.seen().len(), 1, "the connection was kept");

    let peer = Peer::start(vec![Script::polite()]);
    assert_eq!(came_to(&channel(options(&peer)).attempt(&foreign).await), SENT);
    let seen = &peer.seen()[0];
    assert!(seen.commands[1].ends_with(" BODY=8BITMIME SMTPUTF8"), "{}", seen.commands[1]);
    assert_eq!(seen.commands[2], "RCPT TO:<jürgen@example.org>");
}

#[tokio::test]
async fn nobody_there_is_the_channels_trouble() {
    let mut options = smtp::Options::new("127.0.0.1");
    options.port = Some(free_port());
    let verdict = channel(options).attempt(&envelope("x")).await;
    assert_eq!(came_to(&verdict), deferred(Reason::Unreachable, Scope::Channel), "{verdict:?}");
    let verdict = channel(smtp::Options::new("relay.invalid")).attempt(&envelope("x")).await;
    assert_eq!(came_to(&verdict), deferred(Reason::Unreachable, Scope::Channel), "{verdict:?}");
}

#[tokio::test]
async fn closing_is_bounded_even_where_nobody_answers() {
    let peer = Peer::start(vec![Script::polite().on("QUIT", Act::Hang)]);
    let channel = channel(options(&peer));
    assert_eq!(came_to(&channel.attempt(&envelope("x")).await), SENT);
    timeout(Duration::from_secs(5), channel.close()).await.expect("an end");
    assert_eq!(peer.verbs().last().unwrap(), "QUIT");
}

#[tokio::test]
async fn what_cannot_be_a_mail_never_reaches_the_relay() {
    let peer = Peer::start(vec![Script::polite()]);
    let mut evil = envelope("x");
    evil.content.recipient = "x@example.org>\r\nRCPT TO:<evil@example.org".into();
    let verdict = channel(options(&peer)).attempt(&evil).await;
    assert_eq!(came_to(&verdict), (Outcome::Rejected, Reason::Unsendable, Scope::Notification));
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn an_access_token_comes_from_a_program_when_a_connection_needs_one() {
    let peer = Peer::start(vec![Script::polite().offers(&["AUTH XOAUTH2"])]);
    let program = vec!["/bin/echo".into(), "s3cret".into()];
    let password = Some(Source::Command(program));
    let options = smtp::Options { password, ..with_password(options(&peer), Mechanism::Xoauth2) };
    assert_eq!(came_to(&channel(options.clone()).attempt(&envelope("x")).await), SENT);
    assert_eq!(peer.seen()[0].commands[1], "AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHMzY3JldAEB");

    let password = Some(Source::Command(vec!["/bin/false".into()]));
    let verdict = channel(smtp::Options { password, ..options }).attempt(&envelope("x")).await;
    assert_eq!(came_to(&verdict), deferred(Reason::Credentials, Scope::Channel), "{verdict:?}");
}
