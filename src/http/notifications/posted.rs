//! What may be posted, for the OpenAPI document: what the fields' own shapes do not say.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ArrayItems, ObjectBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::rows::ROWS;
use super::schema::Fields;
use crate::http::texts;
use crate::model::Limits;
use crate::wire;

/// One notification, or many.
pub(in crate::http) enum Posted {}

impl PartialSchema for Posted {
    fn schema() -> RefOr<Schema> {
        one_or_many::<Row>(ROWS)
    }
}

impl ToSchema for Posted {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Row::name().into(), Row::schema()));
        Row::schemas(schemas);
    }
}

/// One notification per recipient.
pub(in crate::http) enum Row {}

impl PartialSchema for Row {
    fn schema() -> RefOr<Schema> {
        let mut schema = Fields::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            let there = |name: &str| json!({"required": [name], "properties": {name: {"type": "string"}}});
            object.description = Some("One notification per recipient.".to_owned());
            // What the builder has no word for; one keyword, for several would come in another order each time.
            let rules = json!([
                {"anyOf": [there("message"), there("html")]},
                {"not": {"allOf": [there("in"), there("not_before")]}},
            ]);
            object.extensions = Some([("allOf", rules)].into_iter().collect());
        }
        schema
    }
}

impl ToSchema for Row {
    fn name() -> Cow<'static, str> {
        "NewNotification".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Fields::schemas(schemas);
    }
}

/// One recipient, or several.
pub(super) enum To {}

impl PartialSchema for To {
    fn schema() -> RefOr<Schema> {
        one_or_many::<texts::Recipient>(wire::row::Row::RECIPIENTS)
    }
}

impl ToSchema for To {
    fn name() -> Cow<'static, str> {
        "Recipients".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((texts::Recipient::name().into(), texts::Recipient::schema()));
    }
}

/// One of them, or a list that is not empty.
fn one_or_many<T: ToSchema>(most: usize) -> RefOr<Schema> {
    let one = || Ref::from_schema_name(T::name());
    let many = ArrayBuilder::new().items(one()).min_items(Some(1)).max_items(Some(most));
    OneOfBuilder::new().item(one()).item(many).into()
}

/// Names and values, 50 at most: an object, or a list of pairs for a name that comes more than once.
pub(super) enum Headers {}

impl PartialSchema for Headers {
    fn schema() -> RefOr<Schema> {
        let (name, value) = (texts::HeaderName::object, texts::Line::object);
        let object = ObjectBuilder::new()
            .property_names(Some(name()))
            .additional_properties(Some(RefOr::T(Schema::Object(value()))))
            .max_properties(Some(Limits::HEADERS));
        let pair =
            ArrayBuilder::new().prefix_items([name(), value()]).items(ArrayItems::False).min_items(Some(2));
        let pairs = ArrayBuilder::new().items(pair).min_items(Some(1)).max_items(Some(Limits::HEADERS));
        let about = "At most 50: an object, or a list of pairs for a name that comes more than once.";
        OneOfBuilder::new().item(object).item(pairs).description(Some(about)).into()
    }
}

impl ToSchema for Headers {
    fn name() -> Cow<'static, str> {
        "NewHeaders".into()
    }
}
