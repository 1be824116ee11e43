//! Points in time as the wire writes them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{OffsetDateTime, UtcOffset};

/// A point in time. Written as RFC 3339 in UTC with milliseconds and `Z` (`2026-01-02T03:04:05.678Z`, what
/// JavaScript's `toISOString` gives); read with any offset and precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

/// A text that is no time of the calendar that RFC 3339 has, which ends with the year 9999 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an RFC 3339 time such as 2026-01-02T03:04:05.678Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The first of the calendar that RFC 3339 has.
    pub const FIRST: Self = Self(datetime!(0000-01-01 00:00 UTC));
    /// The last one.
    pub const LAST: Self = Self(datetime!(9999-12-31 23:59:59.999 UTC));

    /// The time on this machine's clock. For what people and other systems read; leases and deadlines use the
    /// database's clock, since replicas may disagree about theirs.
    #[must_use]
    pub fn now() -> Self {
        OffsetDateTime::now_utc().into()
    }

    /// The same point for a database driver.
    #[must_use]
    pub const fn as_datetime(self) -> OffsetDateTime {
        self.0
    }

    /// The time this much later; `None` if no calendar goes as far.
    #[must_use]
    pub fn checked_add(self, later: std::time::Duration) -> Option<Self> {
        Some(Self(self.0.checked_add(later.try_into().ok()?)?))
    }

    /// The time this much earlier; `None` if no calendar goes as far back.
    #[must_use]
    pub fn checked_sub(self, earlier: std::time::Duration) -> Option<Self> {
        Some(Self(self.0.checked_sub(earlier.try_into().ok()?)?))
    }
}

impl std::ops::Add<std::time::Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: std::time::Duration) -> Self {
        Self(self.0 + later)
    }
}

impl From<OffsetDateTime> for Timestamp {
    /// Keeps whole milliseconds, so that what was written equals what is read back.
    fn from(value: OffsetDateTime) -> Self {
        let utc = value.to_offset(UtcOffset::UTC);
        Self(utc.replace_millisecond(utc.millisecond()).unwrap_or(utc))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let format =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        f.write_str(&self.0.format(&format).map_err(|_| std::fmt::Error)?)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        // A day at one end of the calendar is beyond it in another zone.
        let utc = time.checked_to_offset(UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year()));
        utc.map(Self::from).ok_or(InvalidTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            de::Error::custom(format_args!(
                "`{text}` is not an RFC 3339 time such as 2026-01-02T03:04:05.678Z"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_in_utc_with_milliseconds() {
        let time: Timestamp = "2026-01-02T05:04:05.6789+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-02T03:04:05.678Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn refuses_what_is_not_a_time() {
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
        assert!(serde_json::from_str::<Timestamp>("1700000000").is_err());
    }

    #[test]
    fn refuses_what_is_beyond_the_calendar_in_utc() {
        assert!("9999-12-31T23:59:59.999Z".parse::<Timestamp>().is_ok());
        assert!("0000-01-01T00:00:00Z".parse::<Timestamp>().is_ok());
        for text in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }
}
