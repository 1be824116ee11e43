//! Reads that requests share: what many wait for at the same time is read at once, and what several ask for is read once.
//!
//! A request joins those that wait for their turn; the first that gets one reads for all of them, in its own task. A read
//! begins after all of its requests came, so a client reads what it wrote before it asked.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::{OwnerFilter, Problem};
use indexmap::IndexMap;
use tokio::sync::Semaphore;
use tokio::sync::oneshot::{self, Receiver, Sender};

use crate::database::StoreError;

/// What was read for a key; `None` if there is no such thing.
type Answer<V> = Result<Option<V>, Problem>;

/// The requests that wait, by what they ask for, in the order in which that was first asked for.
type Waiting<K, V> = IndexMap<K, Vec<Sender<Answer<V>>>>;

/// What is asked for, and whose it must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owned<T> {
    /// Whose it must be.
    pub within: OwnerFilter,
    /// What is asked for.
    pub what: T,
}

/// Reads what several clients ask for, with `find` for each client.
pub async fn of_each_owner<Id: Eq + Hash, T, F: Future<Output = Result<Vec<T>, StoreError>>>(
    asked: Vec<Owned<Id>>,
    find: impl Fn(OwnerFilter, Vec<Id>) -> F,
    id: impl Fn(&T) -> Id,
) -> Result<HashMap<Owned<Id>, T>, StoreError> {
    let mut by_owner: HashMap<OwnerFilter, Vec<Id>> = HashMap::new();
    for Owned { within, what } in asked {
        by_owner.entry(within).or_default().push(what);
    }
    let mut all = HashMap::new();
    for (within, ids) in by_owner {
        let found = find(within.clone(), ids).await?;
        all.extend(
            found.into_iter().map(|found| (Owned { within: within.clone(), what: id(&found) }, found)),
        );
    }
    Ok(all)
}

/// Reads of one kind.
pub struct SharedReads<K, V> {
    waiting: Mutex<Waiting<K, V>>,
    turns: Semaphore,
    most: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> SharedReads<K, V> {
    /// Reads of single things by their id: two under way at once, each of up to 128.
    #[must_use]
    pub fn of_one() -> Self {
        Self::new(2, 128)
    }

    /// Reads of lists, one at a time in each of three. Two of a service's connections for queries
    /// (`DATABASE_QUERY_CONNECTIONS`) are left for what is quick.
    #[must_use]
    pub fn of_lists() -> Self {
        Self::new(3, 1)
    }

    /// Reads of a feed, one at a time in each of so many: those who are told at once that there is something new ask for the same.
    #[must_use]
    pub fn of_feed(turns: usize) -> Self {
        Self::new(turns, 1)
    }

    /// At most `turns` reads under way at once, each of at most `most` different keys.
    fn new(turns: usize, most: usize) -> Self {
        Self { waiting: Mutex::default(), turns: Semaphore::new(turns), most }
    }

    /// Reads what a key stands for, with others who wait. `read` reads several: those that exist.
    pub async fn get<R, F, E>(&self, key: K, read: R) -> Answer<V>
    where
        R: Fn(Vec<K>) -> F,
        F: Future<Output = Result<HashMap<K, V>, E>>,
        Problem: From<E>,
    {
        let mut answer = self.join(&key);
        loop {
            let answered = tokio::select! {
                biased;
                answered = &mut answer => answered,
                turn = self.turns.acquire() => {
                    // Requests that are there already come first, and join.
                    tokio::task::yield_now().await;
                    let batch = self.next_batch();
                    if !batch.is_empty() {
                        let found = read(batch.keys().cloned().collect()).await;
                        reply(batch, found);
                        continue;
                    }
                    // Another request is reading it.
                    drop(turn);
                    (&mut answer).await
                }
            };
            match answered {
                Ok(answer) => return answer,
                // The request that was reading it was given up.
                Err(_) => answer = self.join(&key),
            }
        }
    }

    /// As [`get`](Self::get), where each key is read for itself.
    pub async fn get_each<R, F, E>(&self, key: K, read: R) -> Answer<V>
    where
        R: Fn(K) -> F,
        F: Future<Output = Result<Option<V>, E>>,
        Problem: From<E>,
    {
        let each = async |keys: Vec<K>| {
            let mut found = HashMap::new();
            for key in keys {
                let value = read(key.clone()).await?;
                found.extend(value.map(|value| (key, value)));
            }
            Ok::<_, E>(found)
        };
        self.get(key, each).await
    }

    fn join(&self, key: &K) -> Receiver<Answer<V>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().entry(key.clone()).or_default().push(sender);
        receiver
    }

    fn next_batch(&self) -> Waiting<K, V> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(self.most);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reply<K: Eq + Hash, V: Clone, E>(batch: Waiting<K, V>, found: Result<HashMap<K, V>, E>)
where
    Problem: From<E>,
{
    let found = found.map_err(Problem::from);
    for (key, senders) in batch {
        for sender in senders {
            let answer = found.as_ref().map(|found| found.get(&key).cloned()).map_err(Problem::clone);
            sender.send(answer).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use futures_util::poll;

    use super::*;

    async fn double(keys: Vec<u32>) -> Result<HashMap<u32, u32>, StoreError> {
        tokio::task::yield_now().await;
        Ok(keys.into_iter().filter(|key| *key < 100).map(|key| (key, 2 * key)).collect())
    }

    #[tokio::test]
    async fn what_waits_is_read_at_once() {
        let (reads, times) = (SharedReads::new(1, 10), AtomicUsize::new(0));
        let read = |keys| {
            times.fetch_add(1, Ordering::Relaxed);
            double(keys)
        };
        let answers = join_all([1, 2, 2, 3, 100].map(|key| reads.get(key, read))).await;
        assert_eq!(answers, [Some(2), Some(4), Some(4), Some(6), None].map(Ok));
        assert_eq!(times.into_inner(), 1);
    }

    #[tokio::test]
    async fn a_read_is_of_so_many_at_most() {
        let reads = SharedReads::new(1, 2);
        let read = |keys: Vec<u32>| {
            assert!(keys.len() <= 2);
            double(keys)
        };
        let answers = join_all((0..7).map(|key| reads.get(key, read))).await;
        assert_eq!(answers, (0..7).map(|key| Ok(Some(2 * key))).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn those_who_wait_for_a_request_that_is_given_up_are_answered() {
        let reads = SharedReads::new(1, 10);
        let mut given_up = Box::pin(reads.get(1, |_| std::future::pending::<Result<_, StoreError>>()));
        let mut second = pin!(reads.get(1, double));
        // The first joins, the second too, and the first reads for both.
        assert!(poll!(&mut given_up).is_pending());
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut given_up).is_pending());
        drop(given_up);
        assert_eq!(second.await, Ok(Some(2)));
    }

    #[tokio::test]
    async fn a_read_begins_after_its_requests_came() {
        let (reads, stored) = (SharedReads::new(2, 10), AtomicUsize::new(1));
        let read = |keys: Vec<u32>| {
            let value = stored.load(Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                Ok::<_, StoreError>(keys.into_iter().map(|key| (key, value)).collect())
            }
        };
        let mut before = pin!(reads.get(1, read));
        // It joins, and begins to read.
        assert!(poll!(&mut before).is_pending());
        assert!(poll!(&mut before).is_pending());
        stored.store(2, Ordering::Relaxed);
        assert_eq!(reads.get(1, read).await, Ok(Some(2)));
        assert_eq!(before.await, Ok(Some(1)));
    }
}
