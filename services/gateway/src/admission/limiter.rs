//! How many commands are let in, given what waits already.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use contracts::Owner;
use contracts::load::Load;

/// How long an accepted command may wait, in all places together. An order is to be settled within two seconds.
const MOST_WAIT: Duration = Duration::from_millis(1200);

/// What may wait while there has been no overload. A few hundred commands at once are none, and a saga that has had little
/// to do does not know yet how fast it is.
const BURST: f64 = 300.0;

/// So many commands that may still be let in are enough for all who send some.
const PLENTY: f64 = BURST / 2.0;

/// What may wait in any case, however slow the saga is.
const LEAST: f64 = 40.0;

/// What one report of an overload leaves of the burst.
const SHRINKAGE: f64 = 0.8;

/// How many reports after an overload the whole burst is granted again.
const RECOVERY: f64 = 100.0;

/// The part of the free room that one report grants. Several gateways see the same room at the same time, and none knows
/// of the others: if each took all of it they would overshoot together. Four of them that become busy at once don't.
const GRANTED: f64 = 0.25;

/// How old a report may be. Without one it is not known what waits, and everything is let in: the broker has limits of
/// its own.
const VALID: Duration = Duration::from_secs(2);

/// The longest time between two commands, whatever waits: a report that is wrong must not close the gateway.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest time that a client is told to wait.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Lets commands in while they will be settled soon.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Commands that may still be let in.
    credit: f64,
    /// How many of them are each caller's: all callers that send commands have an equal part.
    share: f64,
    callers: HashMap<Owner, Taken>,
    /// What may wait although it takes longer than it should.
    burst: f64,
    /// When the last report came, and how long what waits beyond the bound will take.
    last_report: Option<(Instant, Duration)>,
    last_admitted: Option<Instant>,
}

/// What a caller has taken.
#[derive(Debug)]
struct Taken {
    /// Commands that were let in since the last report.
    count: f64,
    /// Whether there was no report since it began to send.
    is_new: bool,
    last_command: Instant,
}

/// The saga has too much to do. When a command is worth sending again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overloaded(pub(super) Duration);

impl Default for Limiter {
    fn default() -> Self {
        let callers = HashMap::new();
        Self { credit: 0.0, share: 0.0, callers, burst: BURST, last_report: None, last_admitted: None }
    }
}

impl Limiter {
    /// Grants some of the room that the saga has.
    pub(super) fn report(&mut self, load: Load, now: Instant) {
        #[expect(clippy::cast_precision_loss, reason = "it is compared with a bound that is far smaller")]
        let waiting = load.waiting as f64;
        let pace = load.per_second.unwrap_or_default();
        let soon = pace * MOST_WAIT.as_secs_f64();
        // Where many wait for a while, the pace is that of a busy saga, and can be relied on. Before, it may be that of one
        // which had little to do.
        self.burst = if waiting > soon.max(LEAST) {
            (self.burst * SHRINKAGE).max(LEAST)
        } else {
            (self.burst + (BURST - LEAST) / RECOVERY).min(BURST)
        };
        let bound = soon.max(self.burst);
        let room = (bound - waiting).max(0.0);
        self.credit = (self.credit + room * GRANTED).min(room);
        self.callers.retain(|_, taken| now.duration_since(taken.last_command) < LONGEST_PAUSE);
        for taken in self.callers.values_mut() {
            (taken.count, taken.is_new) = (0.0, false);
        }
        #[expect(clippy::cast_precision_loss, reason = "there are few callers")]
        let callers = self.callers.len().max(1) as f64;
        self.share = (self.credit / callers).max(1.0);
        let excess = (waiting - bound).max(0.0);
        let excess = if pace > 0.0 { (excess / pace).min(LONGEST_RETRY.as_secs_f64()) } else { 0.0 };
        self.last_report = Some((now, Duration::from_secs_f64(excess)));
    }

    /// Whether so much may still be let in that it is early enough to ask again later.
    pub(super) fn has_room(&self) -> bool {
        self.burst >= BURST && self.credit >= PLENTY
    }

    /// Whether one more command of a caller is let in. What a caller has a right to is not kept for it while it sends nothing: until
    /// the next report, one that begins to send gets some of it on top.
    pub(super) fn admit(&mut self, caller: &Owner, now: Instant) -> Result<(), Overloaded> {
        let new = || Taken { count: 0.0, is_new: true, last_command: now };
        let taken = self.callers.entry(caller.clone()).or_insert_with(new);
        taken.last_command = now;
        let overdue = |last: &Instant| now.duration_since(*last) >= LONGEST_PAUSE;
        match self.last_report {
            Some((at, excess)) if now.duration_since(at) < VALID => {
                // Reports are rare while there is plenty, and then there is no need to share.
                let has_share = self.credit >= PLENTY || self.credit >= 1.0 && taken.count < self.share;
                let on_top = taken.is_new && taken.count < (self.share / 2.0).max(1.0);
                if has_share || on_top {
                    self.credit -= 1.0;
                    taken.count += 1.0;
                } else if !self.last_admitted.as_ref().is_none_or(overdue) {
                    return Err(Overloaded(excess));
                }
            }
            _ => {}
        }
        self.last_admitted = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    fn load(waiting: u64, per_second: f64) -> Load {
        Load { waiting, per_second: Some(per_second) }
    }

    /// How many of `commands` are let in at once.
    fn admitted(limiter: &mut Limiter, commands: usize, now: Instant) -> usize {
        (0..commands).filter(|_| limiter.admit(&Owner::anonymous(), now).is_ok()).count()
    }

    #[test]
    fn without_a_report_everything_is_let_in() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        assert_eq!(admitted(&mut limiter, 10_000, now), 10_000);
        limiter.report(load(100_000, 100.0), now);
        assert_eq!(admitted(&mut limiter, 100, now), 0);
        assert_eq!(admitted(&mut limiter, 100, now + VALID), 100, "a report does not hold indefinitely");
    }

    #[test]
    fn what_can_not_be_settled_soon_is_refused_with_the_time_that_it_would_take() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        limiter.admit(&Owner::anonymous(), now).unwrap();
        limiter.report(load(5200, 1000.0), now);
        assert_eq!(limiter.admit(&Owner::anonymous(), now), Err(Overloaded(Duration::from_secs(4))));
    }

    #[test]
    fn a_gateway_is_never_closed_indefinitely() {
        let (mut limiter, mut now) = (Limiter::default(), Instant::now());
        let mut let_in = 0;
        for _ in 0..100 {
            limiter.report(load(1_000_000, 0.0), now);
            let_in += admitted(&mut limiter, 100, now);
            now += TICK;
        }
        assert!((9..=11).contains(&let_in), "{let_in}");
    }

    /// What waits after a while of any load, and how much was let in meanwhile: gateways that get `offered` commands a
    /// second each, a saga that settles `pace` a second.
    fn simulate(gateways: usize, offered: usize, pace: f64) -> (f64, f64) {
        let mut limiters: Vec<Limiter> = (0..gateways).map(|_| Limiter::default()).collect();
        let (mut now, mut waiting, mut most, mut let_in) = (Instant::now(), 0.0_f64, 0.0_f64, 0);
        for _ in 0..100 {
            for limiter in &mut limiters {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a small number"
                )]
                limiter.report(load(waiting as u64, pace), now);
            }
            let commands: usize =
                limiters.iter_mut().map(|limiter| admitted(limiter, offered / 10, now)).sum();
            let_in += commands;
            waiting += f64::from(u32::try_from(commands).unwrap());
            most = most.max(waiting);
            waiting = (waiting - pace * TICK.as_secs_f64()).max(0.0);
            now += TICK;
        }
        (most / pace, f64::from(u32::try_from(let_in).unwrap()) / 10.0)
    }

    #[test]
    fn under_any_load_the_saga_is_busy_and_nothing_waits_long() {
        for (gateways, pace) in [(1, 200.0), (2, 500.0), (1, 1_000.0), (4, 1_000.0), (4, 4_000.0)] {
            for offered in [2_000, 10_000] {
                let (longest_wait, let_in) = simulate(gateways, offered, pace);
                let offered = f64::from(u32::try_from(gateways * offered).unwrap());
                assert!(let_in > 0.95 * pace.min(offered), "{gateways} {offered} {pace}: {let_in}");
                assert!(longest_wait < 1.6, "{gateways} {offered} {pace}: {longest_wait}");
            }
        }
    }

    #[test]
    fn while_there_is_plenty_it_is_not_shared_out() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        let callers: Vec<Owner> = (0..10).map(|number| format!("c{number}").parse().unwrap()).collect();
        for _ in 0..10 {
            limiter.report(load(0, 500.0), now);
            for caller in &callers {
                limiter.admit(caller, now).unwrap();
            }
        }
        let let_in = (0..200).filter(|_| limiter.admit(&callers[0], now).is_ok()).count();
        assert!(let_in >= 140, "{let_in}");
    }

    #[test]
    fn a_flood_of_one_caller_leaves_the_others_their_share() {
        let (mut limiter, mut now, pace) = (Limiter::default(), Instant::now(), 500.0);
        let (flooding, modest) = (Owner::anonymous(), Owner::operator());
        let (mut waiting, mut let_in, mut refused) = (0.0_f64, 0, 0);
        for round in 0..100 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
            limiter.report(load(waiting as u64, pace), now);
            for number in 0..200 {
                let_in += usize::from(limiter.admit(&flooding, now).is_ok());
                // Five in each tenth of a second, and none for two seconds now and then.
                if number % 40 == 20 && round % 50 < 30 {
                    refused += usize::from(limiter.admit(&modest, now).is_err());
                }
            }
            waiting = (f64::from(u32::try_from(let_in).unwrap()) - pace * f64::from(round) / 10.0).max(0.0);
            now += TICK;
        }
        assert_eq!(refused, 0);
        // What the modest one leaves is the other's.
        assert!(let_in > 4_000, "{let_in}");
    }
}
