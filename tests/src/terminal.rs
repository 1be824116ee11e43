//! The operator's command in a terminal of its own (a pseudo-terminal), as an operator sees it and types into it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::Child;

use crate::programs::{self, Environment};
use crate::{Stack, TIMEOUT, eventually};

/// A program that runs in a terminal of 80 columns and 24 rows.
pub struct InTerminal {
    process: Child,
    keyboard: OwnedFd,
    terminal: OwnedFd,
    written: Arc<Mutex<Vec<u8>>>,
    before: Settings,
}

/// How a terminal treats what is typed and written.
type Settings = [u32; 4];

fn settings(terminal: &OwnedFd) -> Settings {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } =
        tcgetattr(terminal).expect("it is a terminal");
    [input_modes.bits(), output_modes.bits(), control_modes.bits(), local_modes.bits()]
}

impl Stack {
    /// Runs the operator's command against this stack in a terminal.
    pub fn paysaga_in_terminal(&self, arguments: &[&str], mut environment: Environment) -> InTerminal {
        environment.insert("PAYSAGA_GATEWAY".to_owned(), self.gateway.url());
        environment.insert("TERM".to_owned(), "xterm-256color".to_owned());
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there is a pseudo-terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("it is ours");
        let name = ptsname(&keyboard, Vec::new()).expect("it has a name");
        let terminal = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        let terminal = terminal.expect("it can be opened");
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("it has a size");
        let before = settings(&terminal);
        let end = || Stdio::from(terminal.try_clone().expect("it can be shared"));
        let mut command = programs::command(&programs::directory().join("paysaga"), &environment);
        let process = command.args(arguments).stdin(end()).stdout(end()).stderr(end()).spawn();
        let written = Arc::default();
        keep(keyboard.try_clone().expect("it can be shared"), Arc::clone(&written));
        InTerminal { process: process.expect("it can be started"), keyboard, terminal, written, before }
    }
}

/// Keeps what is written to the terminal, as long as the test runs.
fn keep(screen: OwnedFd, written: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = rustix::io::read(&screen, &mut buffer) {
            written.lock().expect("no reader panics").extend_from_slice(&buffer[..count]);
        }
    });
}

impl InTerminal {
    /// Types something.
    pub fn types(&self, keys: &str) {
        rustix::io::write(self.keyboard.as_fd(), keys.as_bytes()).expect("it can be typed");
    }

    /// Everything that was written to the terminal, commands to it included.
    #[must_use]
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().expect("no writer panics")).into_owned()
    }

    /// All that stands on the screen.
    #[must_use]
    pub fn screen(&self) -> String {
        screen(&self.written())
    }

    /// Waits until something stands on the screen, and returns all that stands there.
    pub async fn shows(&self, text: &str) -> String {
        eventually(&format!("the screen shows {text:?}"), async || {
            let screen = self.screen();
            if screen.contains(text) { Ok(screen) } else { Err(screen) }
        })
        .await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), signal).expect("it can be signalled");
    }

    /// Waits for its end, after which the terminal must be as it was: its settings, the screen that was there before, the cursor.
    pub async fn ends_and_gives_the_terminal_back(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(TIMEOUT, self.process.wait()).await.expect("it ends");
        assert_eq!(settings(&self.terminal), self.before);
        let written = eventually("the terminal is given back", async || {
            let written = self.written();
            if written.contains("\x1b[?1049l") { Ok(written) } else { Err(written) }
        })
        .await;
        assert!(written.contains("\x1b[?1049h"), "it had a screen of its own");
        let (hidden, shown) = (written.rfind("\x1b[?25l"), written.rfind("\x1b[?25h"));
        assert!(shown > hidden, "the cursor is seen again");
        ended.expect("it can be waited for")
    }
}

/// The text on the screen: characters where the cursor was put, and nothing else that a terminal can do.
fn screen(written: &str) -> String {
    let mut cells = BTreeMap::new();
    let (mut row, mut column) = (1, 1);
    let mut rest = written.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\x1b' if rest.clone().next() == Some('[') => {
                rest.next();
                let mut sequence = String::new();
                for letter in rest.by_ref() {
                    sequence.push(letter);
                    if letter.is_ascii_alphabetic() {
                        break;
                    }
                }
                if let Some((to_row, to_column)) =
                    sequence.strip_suffix('H').and_then(|place| place.split_once(';'))
                {
                    (row, column) = (to_row.parse().unwrap_or(1), to_column.parse().unwrap_or(1));
                }
            }
            letter if letter.is_control() => {}
            letter => {
                cells.insert((row, column), letter);
                column += 1;
            }
        }
    }
    let lines = (1..=24).map(|row| {
        (1..=80).map(|column| cells.get(&(row, column)).copied().unwrap_or(' ')).collect::<String>()
    });
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
