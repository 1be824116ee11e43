//! Shows the overview until the operator has seen enough.

use std::env;
use std::pin::pin;
use std::time::Duration;

use contracts::overview::Overview;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::terminal::{Command, TakenTerminal, commands};
use super::view::{Screen, draw};
use crate::gateway::{Gateway, GatewayError};

/// How often the gateway is asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Shows the overview in the whole terminal until a key or a signal ends it.
pub async fn watch(gateway: &Gateway) -> anyhow::Result<()> {
    let mut screen =
        Screen { gateway: gateway.url().to_string(), has_colors: has_colors(), ..Screen::default() };
    // Before the terminal is taken: from now on no signal leaves it as it is then.
    let (mut terminate, mut interrupt, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let mut taken = TakenTerminal::take()?;
    let mut commands = commands();
    // Beside the loop: a key leaves the request that is under way alone.
    let mut next = pin!(ask(gateway, ticks()));
    loop {
        taken.terminal().draw(|frame| draw(&screen, frame))?;
        tokio::select! {
            (answer, ticks) = &mut next, if !screen.is_paused => {
                screen.show(answer);
                next.set(ask(gateway, ticks));
            }
            command = commands.recv() => match command {
                None | Some(Command::Quit) => return Ok(()),
                Some(Command::Pause) => {
                    screen.is_paused = !screen.is_paused;
                    // What was asked before the pause would be as old as that.
                    next.set(ask(gateway, ticks()));
                }
                Some(Command::Help) => screen.shows_help = !screen.shows_help,
                Some(Command::Redraw) => {}
            },
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Asks when it is time to.
async fn ask(gateway: &Gateway, mut ticks: Interval) -> (Result<Overview, GatewayError>, Interval) {
    ticks.tick().await;
    (gateway.overview().await, ticks)
}

impl Screen {
    /// An error leaves the last overview where it is, and says so.
    fn show(&mut self, answer: Result<Overview, GatewayError>) {
        match answer {
            Ok(overview) => (self.overview, self.error) = (Some(overview), None),
            Err(error) => self.error = Some(error.to_string()),
        }
    }
}

/// Unless `NO_COLOR` is set (<https://no-color.org>).
fn has_colors() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
