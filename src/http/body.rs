//! A request's body, read whole: within its size, its time and the memory that there is.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::OwnedSemaphorePermit;

use super::App;
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
pub(super) async fn read(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
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
    let room = app.budget.room(size).await?;
    match tokio::time::timeout(PATIENCE, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok((whole.to_bytes(), room)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST).detail("the body ended before it was whole")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT)
            .detail(format!("the body did not come within {} seconds", PATIENCE.as_secs()))),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(format!("the body is larger than {most} bytes"))
}
