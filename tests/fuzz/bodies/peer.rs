//! The other side of a connection, in the same thread: says what it is told to say, in the pieces given.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use notifyctl::channel::Envelope;
use notifyctl::model::{Content, Priority, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Ends what is said before the other side has spoken again.
pub const TURN: u8 = 0x1e;

/// Ends a piece; the next one follows at once.
pub const PIECE: u8 = 0x1f;

/// Runs to the end in a clock of its own, which jumps ahead when there is nothing to do: no time limit is
/// waited for.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// A listener on a loopback address of its own, so that connections long gone stand in nobody's way.
pub async fn listen() -> (TcpListener, SocketAddr) {
    loop {
        let [a, b, c, _] = fastrand::u32(..).to_le_bytes();
        let address = Ipv4Addr::new(127, a, b, c.clamp(1, 254));
        if let Ok(listener) = TcpListener::bind((address, 0)).await {
            let address = listener.local_addr().expect("an address");
            return (listener, address);
        }
    }
}

/// Runs `attempt` against a peer that answers with `script`; gives what came of it, and all that the peer was handed
/// until then, though it may have had no time to hear it. `attempt` hangs up when it has ended.
pub async fn against<T>(
    listener: &TcpListener,
    script: &[u8],
    attempt: impl Future<Output = T>,
) -> (T, Vec<u8>) {
    let (mut heard, ended) = (Vec::new(), Notify::new());
    let attempt = async {
        let outcome = attempt.await;
        ended.notify_one();
        outcome
    };
    let peer = async {
        // Whoever never connected is not waited for.
        let over = async {
            ended.notified().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            () = answer(listener, script, &mut heard) => {}
            () = over => {}
        }
    };
    let (outcome, ()) = tokio::join!(attempt, peer);
    (outcome, heard)
}

/// Answers the first connection with `script`, whatever comes, and closes its own half; then listens on until the
/// other side is done. What came is left in `heard`.
async fn answer(listener: &TcpListener, script: &[u8], heard: &mut Vec<u8>) {
    let Ok((mut stream, _)) = listener.accept().await else { return };
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 1 << 16];
    for (number, turn) in script.split(|byte| *byte == TURN).enumerate() {
        if number > 0 {
            match stream.read(&mut buffer).await {
                Ok(n) if n > 0 => heard.extend_from_slice(&buffer[..n]),
                _ => return,
            }
        }
        for piece in turn.split(|byte| *byte == PIECE) {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
    let _ = stream.shutdown().await;
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        heard.extend_from_slice(&buffer[..n]);
    }
}

/// A small notification.
pub fn envelope(subject: &str, message: &str) -> Envelope {
    Envelope {
        id: 7,
        stable_id: "7-0123456789abcdef".into(),
        message_domain: "example.org".into(),
        channel: "fuzzed".into(),
        attempt: 1,
        created_at: Timestamp(1_800_000_000_000),
        user_id: None,
        priority: Priority::Normal,
        content: Content {
            recipient: "ops@example.org".into(),
            subject: Some(subject.into()),
            message: message.into(),
            ..Content::default()
        },
    }
}
