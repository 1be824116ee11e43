//! What was read a moment ago, for others who ask for the same.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long it holds.
const VALID: Duration = Duration::from_secs(1);

/// What was read within the last second. Those who ask while it is being read wait for that.
#[derive(Debug)]
pub struct Recent<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    /// What was read within the last second, or what `read` reads now. An error is told, and not kept.
    pub async fn get<E>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut last = self.0.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < VALID
        {
            return Ok(found.clone());
        }
        let found = read.await?;
        // From its end on: those who wait for a slow read take what it brought, and don't read once more each.
        *last = Some((Instant::now(), found.clone()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn what_many_ask_for_within_a_second_is_read_once() {
        let (recent, reads) = (Recent::default(), AtomicU32::new(0));
        let read = async || {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(reads.fetch_add(1, Ordering::Relaxed))
        };
        assert_eq!(join_all((0..9).map(|_| recent.get(read()))).await, [Ok(0); 9]);
        tokio::time::sleep(VALID).await;
        assert_eq!(recent.get(read()).await, Ok(1));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let recent = Recent::default();
        assert_eq!(recent.get(async { Err::<u8, _>("away") }).await, Err("away"));
        assert_eq!(recent.get(async { Ok::<_, &str>(1) }).await, Ok(1));
    }
}
