//! A line in the log for each act of an administrator: who, what, on which notifications, and what came of it.

use axum::RequestExt;
use axum::extract::{RawPathParams, Request};
use axum::http::Method;
use axum::response::Response;

use super::Caller;
use crate::model::Id;

/// The target of these lines; written unless logging is off.
pub const AUDIT_TARGET: &str = "notifyctl::audit";

/// What is asked for. Nothing of the body, where personal data may be: only the route and the ids in its path.
pub(super) struct Act {
    method: Method,
    route: &'static str,
    ids: Vec<Id>,
}

impl Act {
    pub(super) async fn of(request: &mut Request, route: &'static str) -> Self {
        let params = request.extract_parts::<RawPathParams>().await;
        let ids = params.iter().flatten().filter_map(|(_, value)| value.parse().ok()).collect();
        Self { method: request.method().clone(), route, ids }
    }

    pub(super) fn log(&self, caller: &Caller, response: &Response) {
        let ids: Vec<_> = self.ids.iter().map(Id::to_string).collect();
        log::info!(
            target: AUDIT_TARGET,
            by:% = caller.who,
            method = self.method.as_str(),
            route = self.route,
            ids = ids.join(",").as_str(),
            status = response.status().as_u16();
            "asked to steer"
        );
    }
}
