//! What is made from files, and made again when they change.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use super::identity::read;
use crate::tasks::Tasks;

/// How often the files are looked at. They are small, and new ones are in use within a second.
const READ_EVERY: Duration = Duration::from_millis(500);

type Contents<const N: usize> = [Result<Vec<u8>, String>; N];
type Make<T, const N: usize> = Box<dyn Fn(Contents<N>) -> Result<T, String> + Send>;

/// Something made from files, which are not followed yet.
pub struct Followed<T, const N: usize> {
    files: [PathBuf; N],
    make: Make<T, N>,
    seen: Contents<N>,
    current: T,
}

/// What the files give now. Cheap to clone.
pub struct Current<T>(Arc<RwLock<Arc<T>>>);

impl<T: Send + Sync + 'static, const N: usize> Followed<T, N> {
    /// Makes it from the files as they are.
    pub fn load(
        files: [PathBuf; N],
        make: impl Fn(Contents<N>) -> Result<T, String> + Send + 'static,
    ) -> Result<Self, String> {
        let seen = files.each_ref().map(|path| read(path));
        let current = make(seen.clone())?;
        Ok(Self { files, make: Box::new(make), seen, current })
    }

    /// Makes it again whenever a file has changed, until the tasks stop. Files that can't be used change nothing: between two
    /// that belong together, one is new and the other is not.
    pub fn follow(self, what: &'static str, tasks: &Tasks) -> Current<T> {
        let Self { files, make, mut seen, current } = self;
        let current = Current(Arc::new(RwLock::new(Arc::new(current))));
        let (followed, stopping) = (current.clone(), tasks.stopping());
        tasks.spawn(async move {
            let mut ticks = interval(READ_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
                let found = files.each_ref().map(|path| read(path));
                if found == seen {
                    continue;
                }
                match make(found.clone()) {
                    Ok(changed) => {
                        info!("{what} changed, and is in use");
                        *followed.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
                    }
                    Err(reason) => error!(reason, "{what} changed and can't be used: it stays as it was"),
                }
                seen = found;
            }
        });
        current
    }
}

impl<T> Current<T> {
    /// What does not change, since no file gives it.
    pub fn constant(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// As it is now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
