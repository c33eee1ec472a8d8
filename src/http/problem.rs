//! What is answered when something is wrong: `application/problem+json` (RFC 9457).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use super::LOG_TARGET;
use crate::model;
use crate::store::{self, ErrorKind};

/// The most problems that one answer names.
pub(super) const NAMED: usize = 100;

/// Something is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: Option<String>,
    problems: Vec<RowProblem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct RowProblem {
    /// Where it is in the body, as a JSON pointer (RFC 6901); in a body of lines the number of the line leads.
    pub(super) pointer: String,
    /// The field, or `row` for the whole.
    pub(super) field: &'static str,
    /// What is wrong, and what would be right.
    pub(super) what: String,
}

/// What any route may answer instead, for the document.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum Refusals {
    /// A token is missing
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Shape),
    /// The token may not do this
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Shape),
    /// Too much at once
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Shape),
    /// Not now; Retry-After says when
    #[response(status = 503, content_type = "application/problem+json")]
    Later(Shape),
}

/// There is none of that id
#[derive(IntoResponses)]
#[response(status = 404, content_type = "application/problem+json")]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Missing(Shape);

/// Something is wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Shape {
    /// `about:blank`: the status says of which kind it is.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong here, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What is wrong with each row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<RowProblem>,
}

impl Problem {
    /// A problem of that status.
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, detail: None, problems: Vec::new(), headers: Vec::new() }
    }

    /// What is wrong here, for people; without personal data.
    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// What is wrong with each row.
    pub(super) fn problems(self, mut problems: Vec<RowProblem>) -> Self {
        problems.truncate(NAMED);
        Self { problems, ..self }
    }

    /// The same with a header.
    pub(super) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// The same with a header that was made.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Not now; the same may be tried again after so many seconds.
    pub(super) fn later(detail: impl Into<String>, seconds: u32) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE).detail(detail);
        problem.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        problem
    }

    /// The status of the answer.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// There is no such thing.
    pub(super) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND).detail(detail)
    }
}

impl RowProblem {
    /// `place` leads to the row: empty, or `/7`.
    pub(super) fn new(place: &str, problem: model::Problem) -> Self {
        let pointer = match problem.field {
            "row" => place.to_owned(),
            field => format!("{place}/{field}"),
        };
        Self { pointer, field: problem.field, what: problem.what }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Shape {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            problems: self.problems,
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error.kind {
            ErrorKind::Busy => Self::later("the store is busy", 1),
            ErrorKind::Full => {
                log::error!(target: LOG_TARGET, "{error}");
                Self::later("the store's disk is full", 30)
            }
            ErrorKind::Moved => {
                log::error!(target: LOG_TARGET, "{error}");
                Self::later("the store is not where it was; notifyctl has to be started again", 10)
            }
            _ => {
                log::error!(target: LOG_TARGET, "{error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR).detail("the store failed; the log says why")
            }
        }
    }
}

/// Something of ours has ended that should not have.
pub(super) fn stopped() -> Problem {
    Problem::later("notifyctl is ending", 5)
}

/// A defect of ours.
pub(super) fn defect() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR).detail("this is a defect of notifyctl")
}
