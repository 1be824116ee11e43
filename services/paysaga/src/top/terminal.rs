//! The terminal: taken over, and given back as it was however the program ends.

use std::io;
use std::thread;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// How long a key may lie unread after the end.
const POLL: Duration = Duration::from_millis(100);

/// The whole terminal. Dropped, it is as it was; after a panic too (ratatui's hook does that first, so that the message is seen).
pub(super) struct TakenTerminal(DefaultTerminal);

impl TakenTerminal {
    pub(super) fn take() -> io::Result<Self> {
        // After an error halfway it is given back too.
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                ratatui::try_restore().ok();
                Err(error)
            }
        }
    }

    pub(super) const fn terminal(&mut self) -> &mut DefaultTerminal {
        &mut self.0
    }
}

impl Drop for TakenTerminal {
    fn drop(&mut self) {
        // The terminal may be gone.
        ratatui::try_restore().ok();
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Pause,
    Help,
    /// The terminal has another size.
    Redraw,
}

/// What is typed. A thread reads it, since a terminal can't be waited for otherwise; it ends with the receiver.
pub(super) fn commands() -> Receiver<Command> {
    let (sender, receiver) = mpsc::channel(16);
    thread::spawn(move || read(&sender));
    receiver
}

fn read(sender: &Sender<Command>) {
    while !sender.is_closed() {
        let event = match event::poll(POLL) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        // A terminal that is gone types no more.
        let command = event.map_or(Some(Command::Quit), |event| command(&event));
        if let Some(command) = command
            && (sender.blocking_send(command).is_err() || command == Command::Quit)
        {
            return;
        }
    }
}

fn command(event: &Event) -> Option<Command> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Resize(..) => return Some(Command::Redraw),
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Command::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Command::Quit),
        KeyCode::Char('p') => Some(Command::Pause),
        KeyCode::Char('?') => Some(Command::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_do_what_the_last_line_says() {
        for (code, modifiers, expected) in [
            (KeyCode::Char('q'), KeyModifiers::NONE, Some(Command::Quit)),
            (KeyCode::Esc, KeyModifiers::NONE, Some(Command::Quit)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Command::Quit)),
            (KeyCode::Char('c'), KeyModifiers::NONE, None),
            (KeyCode::Char('p'), KeyModifiers::NONE, Some(Command::Pause)),
            (KeyCode::Char('?'), KeyModifiers::SHIFT, Some(Command::Help)),
        ] {
            assert_eq!(command(&Event::Key(KeyEvent::new(code, modifiers))), expected, "{code:?}");
        }
        assert_eq!(command(&Event::Resize(80, 24)), Some(Command::Redraw));
    }
}
