//! Every path, its methods, and the scope that each asks for.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;

use super::endpoint::{Endpoint, Routes};
use super::problem::Problem;
use super::{
    App, Current, batches, cors, events, health, history, metrics, notifications, openapi, page, status,
};
use crate::model::token::Scope;

/// What a request goes to.
pub(super) struct Routers {
    plain: Router,
    /// The same for pages of other origins.
    across: Router,
    current: Arc<Current>,
}

impl Routers {
    pub(super) fn new(app: &Arc<App>) -> Self {
        let (plain, current) = (router(app), Arc::clone(&app.current));
        Self { across: plain.clone().layer(cors::layer(Arc::clone(&current))), plain, current }
    }

    /// The one that holds now.
    pub(super) fn now(&self) -> Router {
        let across = !self.current.admission().cors_origins.is_empty();
        if across { self.across.clone() } else { self.plain.clone() }
    }
}

/// The whole of it.
fn router(app: &Arc<App>) -> Router {
    let routes = Routes::default()
        .open("/healthz", health::live)
        .open("/readyz", health::ready)
        .get("/metrics", Scope::Read, metrics::show)
        .post("/v1/notifications", Scope::Enqueue, notifications::enqueue)
        .get("/v1/notifications", Scope::Read, notifications::list)
        .get("/v1/notifications/{id}", Scope::Read, notifications::show)
        .delete("/v1/notifications/{id}", Scope::Admin, notifications::cancel)
        .post("/v1/notifications/{id}/requeue", Scope::Admin, notifications::requeue)
        .get("/v1/batches/{id}", Scope::Read, batches::show)
        .get("/v1/events", Scope::Read, events::watch)
        .get("/v1/history", Scope::Read, history::show)
        .open("/v1/openapi.json", openapi::show)
        .get("/v1/status", Scope::Read, status::show);
    page::add(routes)
        .0
        .fallback(Endpoint::of_others(no_such_path))
        .method_not_allowed_fallback(Endpoint::of_others(no_such_method))
        .with_state(Arc::clone(app))
}

async fn no_such_path() -> Problem {
    Problem::missing("there is no such path; /v1/openapi.json names those that there are")
}

async fn no_such_method(request: Request) -> Problem {
    let detail = format!("{} is not a method of this path; the header Allow names them", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED).detail(detail)
}
