//! A run over time as a picture: what came and what settled, what waited, and how long it took.

use std::time::Duration;

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::PathElement;
use plotters::series::LineSeries;
use plotters::style::{BLACK, BLUE, Color, RED, RGBColor, WHITE};

use super::report::{RateReport, Run, Second};

/// The size of one run's row of panels, in pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 300;

/// Panels beside each other.
const PANELS: usize = 3;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Why a picture can't be drawn.
type DrawingError = DrawingAreaErrorKind<std::io::Error>;

/// One line of a panel: its name, its colour, and its value in each second.
struct Line<'a> {
    name: &'a str,
    color: RGBColor,
    value: fn(&Second) -> f64,
}

/// A picture of runs, one row each, as SVG.
pub fn chart(runs: &[Run]) -> Result<String, DrawingError> {
    let mut svg = String::new();
    {
        let rows = u32::try_from(runs.len()).unwrap_or(1);
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT * rows)).into_drawing_area();
        root.fill(&WHITE)?;
        for (run, row) in runs.iter().zip(root.split_evenly((runs.len(), 1))) {
            draw_run(run, &row)?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn draw_run(run: &Run, row: &Area<'_>) -> Result<(), DrawingError> {
    let title = format!("{} stack, {:.0} orders/s due", run.stack, run.report.rate);
    let row = row.titled(&title, ("sans-serif", 18))?;
    let panels = row.split_evenly((1, PANELS));
    let [rate, backlog, settle] = [
        (
            "orders/s",
            vec![
                Line { name: "accepted", color: BLACK, value: |second| count(second.accepted) },
                Line { name: "settled", color: BLUE, value: |second| count(second.settled) },
            ],
        ),
        (
            "orders that wait",
            vec![Line { name: "backlog", color: RED, value: |second| count(second.backlog) }],
        ),
        (
            "ms until settled",
            vec![Line { name: "p99", color: RED, value: |second| milliseconds(second.settle_p99) }],
        ),
    ];
    for ((unit, lines), panel) in [rate, backlog, settle].into_iter().zip(&panels) {
        draw_panel(&run.report, unit, &lines, panel)?;
    }
    Ok(())
}

fn draw_panel(
    report: &RateReport,
    unit: &str,
    lines: &[Line<'_>],
    panel: &Area<'_>,
) -> Result<(), DrawingError> {
    let seconds = &report.timeline;
    let values = seconds.iter().flat_map(|second| lines.iter().map(|line| (line.value)(second)));
    let highest = values.fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(panel)
        .margin(10)
        .x_label_area_size(35)
        .y_label_area_size(60)
        .build_cartesian_2d(0..seconds.len(), 0.0..highest)?;
    chart.configure_mesh().x_desc("s").y_desc(unit).light_line_style(WHITE).draw()?;
    for line in lines {
        let points = seconds.iter().enumerate().map(|(number, second)| (number, (line.value)(second)));
        let style = line.color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 15, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .draw()
}

#[expect(clippy::cast_precision_loss, reason = "far fewer orders are sent in a second")]
const fn count(orders: u64) -> f64 {
    orders as f64
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
