//! A request's body, read whole: within its size, its time and the memory that there is.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::BytesMut;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};

use super::App;
use super::budget::{Budget, Room, SMALL};
use super::crowd::Crowd;
use super::problem::Problem;

/// What one that is announced to be large takes of the memory for small ones, until more has come.
const FIRST: usize = 8 << 10;

/// How long a whole body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take while others wait for the memory that it holds: so long, and the time for what has come at so many bytes a
/// second.
const GRACE: Duration = Duration::from_secs(1);
const PACE: f64 = 262_144.0;

/// The same while others wait for the place of its connection: for whoever is slow, and honest, that is all there is.
const PLACE_GRACE: Duration = Duration::from_secs(5);
const PLACE_PACE: f64 = 16_384.0;

/// How often that is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(500);

/// In which form a body holds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One object, or an array of them.
    Json,
    /// One object a line.
    Lines,
}

/// What they are called.
const FORMS: [(&str, Form); 3] = [
    ("application/json", Form::Json),
    ("application/x-ndjson", Form::Lines),
    ("application/jsonl", Form::Lines),
];

/// The form that the headers name.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = named.split(';').next().unwrap_or_default().trim();
    let form = FORMS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|&(_, form)| form);
    form.ok_or_else(|| {
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(
            "send application/json (an object or an array), or application/x-ndjson (an object a line)",
        )
    })
}

/// The bytes of a body, with the memory that was set aside for them.
pub(super) async fn read(app: &App, request: Request) -> Result<(Bytes, Room), Problem> {
    let headers = request.headers();
    let most = app.current.admission().max_body;
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("send the body as it is, not compressed")
        );
    }
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let size: usize = told.unwrap_or(most);
    if size > most {
        return Err(too_large(most));
    }
    let scarce = Scarce { budget: &app.budget, places: &app.places };
    let whole = receive(scarce, Limited::new(request.into_body(), most), size, first(told, most));
    timeout(PATIENCE, whole).await.unwrap_or_else(|_| {
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT)
            .detail(format!("the body did not come within {} seconds", PATIENCE.as_secs())))
    })
}

/// For how many bytes a body takes room when something of it has come: a small one for all of it, since many that each held a part
/// would wait for each other's; one that tells no size as if it was small.
fn first(told: Option<usize>, most: usize) -> usize {
    match told {
        Some(size) if size > SMALL => FIRST,
        told => told.unwrap_or(most).min(SMALL),
    }
}

/// What a body takes from others while it comes.
#[derive(Clone, Copy)]
struct Scarce<'a> {
    /// Memory.
    budget: &'a Budget,
    /// A place among the connections; those who wait for one.
    places: &'a Crowd,
}

impl Scarce<'_> {
    /// Why a body that has `room`, and of which so many `bytes` took so long, comes too slowly, if it does.
    fn too_slow(self, waited: Duration, bytes: usize, room: &Room) -> Option<&'static str> {
        let due = |grace: Duration, pace: f64| grace + Duration::from_secs_f64(bytes as f64 / pace);
        if waited > due(GRACE, PACE) && self.budget.is_wanted(room) {
            Some("the body came slowly, and others waited for the memory that it held")
        } else if waited > due(PLACE_GRACE, PLACE_PACE) && self.places.waits() {
            Some("the body came slowly, and others waited for the place of its connection")
        } else {
            None
        }
    }
}

/// A body of `size` bytes at most. It takes no room while nothing has come, then that for the `first` ones, and a large one's once
/// there are more: whoever announces much and sends little keeps nobody waiting, and whoever sends slowly no longer than a moment.
async fn receive(
    scarce: Scarce<'_>,
    mut body: Limited<Body>,
    size: usize,
    first: usize,
) -> Result<(Bytes, Room), Problem> {
    let (mut whole, mut room) = (BytesMut::new(), Room::default());
    // For its sender alone, and not for room.
    let mut waited = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let frame = timeout(LOOK, body.frame()).await;
        waited += asked.elapsed();
        let data = match frame {
            Ok(None) => return Ok((whole.freeze(), room)),
            Ok(Some(frame)) => frame.map_err(|error| torn(&*error, size))?.into_data().unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        let length = whole.len() + data.len();
        let budget = scarce.budget;
        // As most come.
        if whole.is_empty() && body.is_end_stream() && length <= SMALL {
            let room = if length > 0 { budget.at_once(length).await? } else { room };
            return Ok((data, room));
        }
        if let Some(why) = scarce.too_slow(waited, length, &room).filter(|_| !body.is_end_stream()) {
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT).detail(why));
        }
        if length > first && room.is_small() {
            room = budget.large(size).await?;
            whole.reserve(size.saturating_sub(whole.len()));
        } else if length > 0 {
            budget.small(&mut room, first).await?;
        }
        whole.extend_from_slice(&data);
    }
}

/// Why there is no more of a body, of which `most` bytes are taken.
fn torn(error: &(dyn std::error::Error + Send + Sync + 'static), most: usize) -> Problem {
    match error.is::<LengthLimitError>() {
        true => too_large(most),
        false => Problem::new(StatusCode::BAD_REQUEST).detail("the body ended before it was whole"),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(format!("the body is larger than {most} bytes"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use tokio::sync::mpsc;
    use tokio::time::sleep;

    use super::*;

    const MIB: usize = 1 << 20;

    /// Reads a body of so many bytes; what is sent comes in.
    fn receiving(
        budget: &'static Budget,
        size: usize,
    ) -> (mpsc::UnboundedSender<usize>, tokio::task::JoinHandle<Result<usize, StatusCode>>) {
        let (sender, receiver) = mpsc::unbounded_channel::<usize>();
        let pieces = stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Bytes::from(vec![b'x'; piece])), receiver))
        });
        let reads = async move {
            let body = Limited::new(Body::from_stream(pieces), size);
            let scarce = Scarce { budget, places: &Crowd::default() };
            let read = receive(scarce, body, size, first(Some(size), size)).await;
            read.map(|(whole, _)| whole.len()).map_err(|problem| problem.status())
        };
        (sender, tokio::spawn(reads))
    }

    fn budget() -> &'static Budget {
        Box::leak(Box::new(Budget::new(MIB)))
    }

    /// Those who send quickly take turns all day long; somebody on a slow line must not be given up for that.
    #[tokio::test(start_paused = true)]
    async fn a_slow_body_gives_way_to_who_waits_for_long_and_to_nobody_else() {
        for (waits, comes) in [(800, Ok(MIB)), (3_000, Err(StatusCode::REQUEST_TIMEOUT))] {
            let budget = budget();
            let others = budget.large(31 * MIB).await.unwrap();
            let (sends, read) = receiving(budget, MIB);
            let _ = sends.send(MIB / 2);
            sleep(Duration::from_millis(10_100)).await;
            let next = tokio::spawn(async { budget.large(MIB).await.map(drop).is_ok() });
            sleep(Duration::from_millis(waits)).await;
            drop(others);
            let _ = sends.send(MIB / 2);
            drop(sends);
            assert_eq!(read.await.unwrap(), comes, "{waits}");
            assert!(next.await.unwrap(), "{waits}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_nothing_yet_is_in_nobodys_way() {
        let budget = budget();
        let mut others = Room::default();
        budget.small(&mut others, 16 * MIB).await.unwrap();
        let (sends, read) = receiving(budget, 10);
        let waits = tokio::spawn(async { budget.small(&mut Room::default(), 1).await.is_ok() });
        sleep(Duration::from_secs(4)).await;
        drop(others);
        let _ = sends.send(10);
        drop(sends);
        assert_eq!(read.await.unwrap(), Ok(10));
        assert!(waits.await.unwrap());
    }

    /// More than there is memory for, each of which comes in two pieces: none holds a part and waits for that of another.
    #[tokio::test(start_paused = true)]
    async fn small_bodies_that_come_piece_by_piece_take_turns_however_many_they_are() {
        let budget = budget();
        let bodies: Vec<_> = (0..512).map(|_| receiving(budget, SMALL)).collect();
        for (sends, _) in &bodies {
            let _ = sends.send(SMALL / 2);
        }
        sleep(Duration::from_millis(10)).await;
        let mut reads = Vec::new();
        for (sends, read) in bodies {
            let _ = sends.send(SMALL / 2);
            reads.push(read);
        }
        for (number, read) in reads.into_iter().enumerate() {
            assert_eq!(read.await.unwrap(), Ok(SMALL), "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_that_are_announced_and_do_not_come_keep_no_small_one_waiting() {
        let budget = budget();
        let announced: Vec<_> = (0..300).map(|_| receiving(budget, MIB)).collect();
        announced.iter().for_each(|(sends, _)| sends.send(1).unwrap());
        sleep(Duration::from_millis(10)).await;
        let (sends, read) = receiving(budget, SMALL);
        let _ = sends.send(SMALL);
        drop(sends);
        let began = Instant::now();
        assert_eq!(read.await.unwrap(), Ok(SMALL));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    /// Each of them announces as much as a small one may have, and there are more of them than would be given up in time.
    #[tokio::test(start_paused = true)]
    async fn small_bodies_that_stop_coming_keep_none_waiting_that_is_there_however_many_they_are() {
        let budget = budget();
        let stalled: Vec<_> = (0..2_000).map(|_| receiving(budget, SMALL)).collect();
        stalled.iter().for_each(|(sends, _)| sends.send(SMALL - 1).unwrap());
        sleep(Duration::from_millis(10)).await;
        for size in [1, SMALL] {
            // As the network has them: how long they are was told.
            let body = Limited::new(Body::from(vec![b'x'; size]), size);
            let scarce = Scarce { budget, places: &Crowd::default() };
            let began = Instant::now();
            let read = receive(scarce, body, size, size).await;
            assert_eq!(read.map(|(whole, _)| whole.len()).unwrap(), size);
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    }
}
