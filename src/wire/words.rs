//! The words of the model's nouns, as the OpenAPI document names them: those that the nouns themselves know, and no second list.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::model;

macro_rules! words {
    ($($(#[doc = $about:literal])+ $name:ident: $all:expr;)+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = $all.iter().map(|word| word.as_str());
                let about = [$($about.trim()),+].join(" ");
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(about))
                    .enum_values(Some(words))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

words! {
    /// Where a notification stands.
    NotificationStatus: model::Status::ALL;

    /// What happened.
    EventType: model::EventKind::ALL;

    /// What an attempt came to.
    Outcome: model::Outcome::ALL;

    /// Why, in a bounded word. A later version may know more of them.
    Reason: model::Reason::ALL;

    /// How much a notification hurries.
    Priority: model::Priority::ALL;
}
