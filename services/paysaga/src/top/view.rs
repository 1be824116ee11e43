//! The overview as a frame of a terminal, and as text.

use contracts::overview::Overview;
use ratatui::Frame;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::figures::{Row, Section, clock, sections};
use crate::gateway::GatewayUrl;
use crate::output::printable;

/// Columns of what stands before a value, and of a value that has a history behind it.
const LABEL: usize = 17;
const VALUE: usize = 30;

/// What its words mean.
const HELP: [&str; 12] = [
    "accepted         orders that were placed, each second",
    "settled          orders that came to their end, each second",
    "in flight        orders that wait for the result of their payment",
    "outbox           events that are committed and not known to be on the broker",
    "failed messages  paysaga failed list",
    "answers          calls that the payment provider answered, and those without",
    "breakers         open: the provider is not asked, since it does not answer",
    "unknown          payments that wait for an answer that the provider did not give",
    "refused refunds  paysaga refunds list",
    "!                an operator is to look at it",
    "·                nothing was measured then",
    "                 rates are those of the last ten seconds, lines those of an hour",
];

/// What is on the screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// Whose overview it is.
    pub(super) gateway: String,
    pub(super) overview: Option<Overview>,
    /// Why there is none that is newer.
    pub(super) error: Option<String>,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
    pub(super) has_colors: bool,
}

/// Draws a screen.
pub(super) fn draw(screen: &Screen, frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut lines = vec![title(screen)];
    if screen.shows_help {
        lines.push(Line::default());
        lines.extend(HELP.map(Line::from));
    } else if let Some(overview) = &screen.overview {
        for Section { title, rows } in sections(overview) {
            lines.push(heading(screen, title, rows.is_empty()));
            lines.extend(rows.iter().map(|row| line(screen, row, width)));
        }
    }
    lines.truncate(height.saturating_sub(1));
    lines.resize(height.saturating_sub(1), Line::default());
    lines.push(Line::styled("q ends   p pauses   ? what its words mean", Modifier::DIM));
    frame.render_widget(Paragraph::new(lines), area);
}

fn title(screen: &Screen) -> Line<'static> {
    let of = screen.overview.as_ref().map(|overview| format!("{} UTC", clock(overview.at)));
    let state = match (&screen.error, &of, screen.is_paused) {
        (_, Some(of), true) => format!("paused at {of}"),
        (_, None, true) => "paused".to_owned(),
        (Some(error), Some(of), _) => format!("! of {of}, and none since: {}", printable(error)),
        (Some(error), None, _) => format!("! {}", printable(error)),
        (None, Some(of), _) => of.clone(),
        (None, None, _) => "asking …".to_owned(),
    };
    let style = if screen.error.is_some() { screen.alert() } else { Style::new() };
    let name = Span::styled("paysaga ", Modifier::BOLD);
    Line::from(vec![name, Span::raw(printable(&screen.gateway)), Span::raw("  "), Span::styled(state, style)])
}

fn heading(screen: &Screen, title: String, is_away: bool) -> Line<'static> {
    if is_away {
        return Line::styled(format!("! {title}"), screen.alert().add_modifier(Modifier::BOLD));
    }
    Line::styled(title, Modifier::BOLD)
}

fn line(screen: &Screen, row: &Row, width: usize) -> Line<'static> {
    let style = if row.is_alert { screen.alert() } else { Style::new() };
    let mark = if row.is_alert { '!' } else { ' ' };
    let mut spans = vec![Span::styled(format!("{mark} {:<LABEL$}{}", row.label, row.value), style)];
    let used = 2 + LABEL + row.value.chars().count().max(VALUE) + 1;
    if let Some(history) = row.history.as_ref().filter(|_| used < width) {
        let gap = used - 2 - LABEL - row.value.chars().count();
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(Span::styled(history.line(width - used), screen.history()));
    }
    Line::from(spans)
}

impl Screen {
    fn alert(&self) -> Style {
        if self.has_colors { Style::new().fg(Color::Red) } else { Style::new().add_modifier(Modifier::BOLD) }
    }

    fn history(&self) -> Style {
        if self.has_colors { Style::new().fg(Color::Cyan) } else { Style::new() }
    }
}

/// The same without a terminal.
#[must_use]
pub fn text(gateway: &GatewayUrl, overview: &Overview) -> String {
    let mut lines = vec![format!("paysaga {gateway}  {}", overview.at)];
    for Section { title, rows } in sections(overview) {
        lines.push(if rows.is_empty() { format!("! {title}") } else { title });
        lines.extend(rows.iter().map(|row| {
            format!("{} {:<LABEL$}{}", if row.is_alert { '!' } else { ' ' }, row.label, row.value)
        }));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use contracts::Timestamp;
    use contracts::books::{BooksSummary, BooksVerdict};
    use contracts::overview::{
        OrderOverview, OrderSample, PaymentOverview, PaymentSample, QueueLength, Waiting,
    };
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn waiting(queue: &str) -> Waiting {
        let queues = vec![QueueLength { queue: queue.to_owned(), messages: 3, consumers: 2 }];
        Waiting { replicas: 2, outbox: 0, outbox_oldest_seconds: None, queues, failed_messages: 0 }
    }

    fn orders(second: &str, paid: u64) -> OrderSample {
        OrderSample {
            at: at(&format!("2026-01-02T03:{second}Z")),
            placed: paid + 3,
            paid,
            cancelled: 2,
            failed: 1,
            settle_p50_ms: Some(47),
            settle_p99_ms: Some(12_345),
            pending: Some(4),
            outbox: Some(0),
            queued: Some(3),
            failed_messages: None,
        }
    }

    fn overview() -> Overview {
        let payments = PaymentSample {
            at: at("2026-01-02T03:03:50Z"),
            answered: 3004,
            unanswered: 0,
            provider_p50_ms: Some(15),
            provider_p99_ms: Some(44),
            unknown: Some(0),
            outbox: Some(0),
            queued: Some(0),
            failed_messages: Some(0),
        };
        Overview {
            at: at("2026-01-02T03:04:05.678Z"),
            order: Some(OrderOverview {
                waiting: waiting("order.create.queue"),
                pending: 4,
                oldest_pending: Some(at("2026-01-02T03:04:02Z")),
                overdue: 0,
                samples: vec![orders("03:40", 1000), orders("03:50", 2877)],
            }),
            payment: Some(PaymentOverview {
                waiting: waiting("payment.order-created.queue"),
                breakers_open: Some(0),
                unknown: 0,
                due: 5,
                refused_refunds: 0,
                samples: vec![payments],
            }),
            books: Some(BooksSummary {
                verdict: BooksVerdict::Balanced,
                compared_until: Some(at("2026-01-02T03:03:34Z")),
                in_flight: 4,
                disagreements: 0,
            }),
        }
    }

    fn screen(overview: Option<Overview>) -> Screen {
        Screen { gateway: "http://127.0.0.1:3000".to_owned(), overview, ..Screen::default() }
    }

    fn drawn(screen: &Screen, width: u16, height: u16) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(screen, frame)).unwrap();
        terminal
    }

    fn rows(screen: &Screen, width: u16, height: u16) -> Vec<String> {
        let terminal = drawn(screen, width, height);
        let cells = terminal.backend().buffer().content().chunks(width.into());
        cells
            .map(|row| {
                row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
            })
            .collect()
    }

    #[test]
    fn everything_fits_into_the_smallest_of_terminals() {
        let rows = rows(&screen(Some(overview())), 80, 24);
        let value = |label: &str, nth: usize| {
            let found = rows.iter().filter(|row| row[1..].trim_start().starts_with(label)).nth(nth);
            found.unwrap_or_else(|| panic!("{label}: {rows:#?}")).clone()
        };
        assert_eq!(rows[0], "paysaga http://127.0.0.1:3000  03:04:05 UTC");
        assert_eq!(rows[1], "Orders (2 replicas)");
        for (label, nth, expected) in [
            ("accepted", 0, "288.0 /s"),
            ("settled ", 0, "288.0 /s"),
            ("settled within", 0, "p50 47 ms, p99 12 s"),
            ("in flight", 0, "4, the oldest since 03:04:02"),
            ("outcomes", 0, "3877 paid, 4 cancelled, 2 failed in the hour"),
            ("outbox", 0, "0"),
            ("queues", 0, "3 messages in 1 queue"),
            ("answers", 0, "300.4 /s"),
            ("answered within", 0, "p50 15 ms, p99 44 ms"),
            ("breakers", 0, "0 open of 2 replicas"),
            ("steps due", 0, "5"),
            ("failed messages", 1, "0"),
        ] {
            let row = value(label, nth);
            assert_eq!(row[2 + LABEL..].split("  ").next(), Some(expected), "{row}");
        }
        assert!(value("accepted", 0).ends_with("·█"), "the hour is at its right: {rows:#?}");
        assert!(rows.iter().all(|row| !row.contains('!')), "all is well: {rows:#?}");
        assert!(rows[23].starts_with("q ends"));
    }

    #[test]
    fn what_wants_an_operator_is_marked_without_colors_too() {
        let mut seen = overview();
        if let (Some(order), Some(payment)) = (&mut seen.order, &mut seen.payment) {
            order.overdue = 2;
            order.waiting.failed_messages = 1;
            order.waiting.queues.clear();
            payment.breakers_open = Some(1);
            payment.unknown = 7;
            payment.refused_refunds = 1;
            payment.waiting.queues[0].consumers = 0;
        }
        let marked: Vec<_> = rows(&screen(Some(seen.clone())), 80, 24)
            .into_iter()
            .filter_map(|row| Some(row.strip_prefix("! ")?.split("  ").next()?.to_owned()))
            .collect();
        let expected =
            ["in flight", "queues", "failed messages", "breakers", "unknown", "refused refunds", "queues"];
        assert_eq!(marked, expected);

        let red = |has_colors| {
            let screen = Screen { has_colors, ..screen(Some(seen.clone())) };
            let cells = drawn(&screen, 80, 24).backend().buffer().content().to_vec();
            cells.iter().any(|cell| cell.fg != Color::Reset)
        };
        assert_eq!((red(true), red(false)), (true, false));
    }

    #[test]
    fn what_is_not_known_is_said_in_words() {
        let away = Overview { at: at("2026-01-02T03:04:05Z"), order: None, payment: None, books: None };
        let rows_of = |screen: &Screen| rows(screen, 80, 24).join("\n");
        let text = rows_of(&screen(Some(away)));
        assert!(text.contains("! Orders: the order service does not answer"), "{text}");
        assert!(text.contains("! Payments: the payment service does not answer"), "{text}");

        let mut young = overview();
        if let (Some(order), Some(payment)) = (&mut young.order, &mut young.payment) {
            order.samples.clear();
            payment.samples.clear();
            payment.breakers_open = None;
        }
        let text = rows_of(&screen(Some(young)));
        assert_eq!(text.matches("not known").count(), 6, "{text}");

        let broken = Screen { error: Some("no answer\u{1b}[2J".to_owned()), ..screen(None) };
        assert!(rows_of(&broken).contains("! no answer\\u001b[2J"));
        let stale = Screen { error: Some("no answer".to_owned()), ..screen(Some(overview())) };
        let text = rows_of(&stale);
        assert!(text.contains("! of 03:04:05 UTC, and none since: no answer") && text.contains("288.0 /s"));
    }

    #[test]
    fn a_pause_and_the_help_are_seen_and_any_size_is_drawn() {
        let paused = Screen { is_paused: true, ..screen(Some(overview())) };
        assert!(rows(&paused, 80, 24)[0].ends_with("paused at 03:04:05 UTC"));
        let help = Screen { shows_help: true, ..screen(Some(overview())) };
        assert!(rows(&help, 80, 24).iter().any(|row| row.contains("breakers         open")));
        for (width, height) in [(1, 1), (20, 3), (50, 10), (300, 90)] {
            assert_eq!(rows(&screen(Some(overview())), width, height).len(), usize::from(height));
        }
    }

    #[test]
    fn the_text_has_no_history_and_the_same_figures() {
        let gateway = "http://127.0.0.1:3000".parse().unwrap();
        let text = text(&gateway, &overview());
        assert!(
            text.starts_with(
                "paysaga http://127.0.0.1:3000  2026-01-02T03:04:05.678Z\nOrders (2 replicas)\n"
            )
        );
        assert!(text.contains("  accepted         288.0 /s\n"), "{text}");
        assert!(!text.contains('█'));
    }
}
