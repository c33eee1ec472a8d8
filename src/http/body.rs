//! A request's body, read whole: within its size, its time and the memory that there is.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::BytesMut;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::App;
use super::budget::{Budget, Room, SMALL};
use super::problem::Problem;

/// How long a whole body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// In which form a body holds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One object, or an array of them.
    Json,
    /// One object a line.
    Lines,
}

/// The form that the headers name.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "application/json" => Ok(Form::Json),
        "application/x-ndjson" | "application/jsonl" => Ok(Form::Lines),
        _ => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(
            "send application/json (an object or an array), or application/x-ndjson (an object a line)",
        )),
    }
}

/// The bytes of a body, with the memory that was set aside for them.
pub(super) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<(Bytes, Room), Problem> {
    let most = app.options.max_body;
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
    let room = app.budget.body(size.min(SMALL)).await?;
    let body = Limited::new(body, most);
    let whole = async {
        match size {
            ..=SMALL => Ok((body.collect().await.map_err(|error| torn(&*error, most))?.to_bytes(), room)),
            _ => large(&app.budget, body, size, room).await,
        }
    };
    tokio::time::timeout(PATIENCE, whole).await.unwrap_or_else(|_| {
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT)
            .detail(format!("the body did not come within {} seconds", PATIENCE.as_secs())))
    })
}

/// A body that may be large: it takes a large one's room once it is one. Whoever announces much and sends little takes
/// no more than others.
async fn large(
    budget: &Budget,
    mut body: Limited<Body>,
    size: usize,
    mut room: Room,
) -> Result<(Bytes, Room), Problem> {
    let mut whole = BytesMut::new();
    let mut is_large = false;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| torn(&*error, size))?.into_data() else { continue };
        if !is_large && whole.len() + data.len() > SMALL {
            is_large = true;
            room = budget.body(size).await?;
            whole.reserve(size.saturating_sub(whole.len()));
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), room))
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
