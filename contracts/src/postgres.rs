//! How PostgreSQL stores what the contract names: ids as `uuid`, names as `text`, amounts as `numeric`, times as
//! `timestamptz`. A stored value that is none of the contract's is a decoding error.

use rust_decimal::Decimal;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::failed_message::{AuditAction, FailedMessageStatus};
use crate::refund::{RefundAction, RefundStatus};
use crate::replay::{ReplayOutcome, ReplayStatus};
use crate::{
    CancelReason, EventId, EventType, Money, MoneyTotal, OrderId, OrderStatus, Owner, OwnerFilter, PaymentId,
    PaymentStatus, Timestamp, UserId,
};

macro_rules! has_type_of {
    ($stored:ty => $name:ty) => {
        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                <$stored as Type<Postgres>>::type_info()
            }

            fn compatible(ty: &PgTypeInfo) -> bool {
                <$stored as Type<Postgres>>::compatible(ty)
            }
        }

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                <$stored as PgHasArrayType>::array_type_info()
            }
        }
    };
}

/// Stores each type as a value of another one, which its method gives.
macro_rules! stored_as {
    ($stored:ty, $value:ident => $($name:ty),*) => {$(
        has_type_of!($stored => $name);

        impl Encode<'_, Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                Encode::<Postgres>::encode(self.$value(), buffer)
            }
        }

        impl Decode<'_, Postgres> for $name {
            fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                Ok(<$stored as Decode<'_, Postgres>>::decode(value)?.try_into()?)
            }
        }
    )*};
}

/// Stores each type as its name on the wire.
macro_rules! stored_as_text {
    ($($name:ty),*) => {$(
        has_type_of!(&str => $name);

        impl Encode<'_, Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                Encode::<Postgres>::encode(<&str>::from(self), buffer)
            }
        }

        impl Decode<'_, Postgres> for $name {
            fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                Ok(<&str as Decode<'_, Postgres>>::decode(value)?.parse()?)
            }
        }
    )*};
}

stored_as!(Uuid, as_uuid => OrderId, PaymentId, UserId, EventId);
stored_as!(Decimal, as_decimal => Money, MoneyTotal);
stored_as!(OffsetDateTime, as_datetime => Timestamp);
stored_as_text!(
    OrderStatus,
    PaymentStatus,
    CancelReason,
    EventType,
    FailedMessageStatus,
    AuditAction,
    ReplayStatus,
    ReplayOutcome,
    RefundStatus,
    RefundAction,
    Owner,
    OwnerFilter
);
