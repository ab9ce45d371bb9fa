//! Lines on paper: plots as SVG, one below the other, with nothing but what is needed to read
//! them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 220.0;
/// Room for the axes' numbers and names.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 34.0;
const COLOURS: [&str; 6] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf"];

/// A line, by its points from left to right.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Lines over one axis. The vertical one begins at 0.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What is shown, with its unit.
    pub title: String,
    /// What the horizontal axis counts.
    pub across: String,
    pub lines: Vec<Line>,
}

/// Writes plots into a file.
pub fn write(path: &Path, plots: &[Plot]) -> Result<()> {
    std::fs::write(path, svg(plots)).with_context(|| format!("{} can't be written", path.display()))
}

/// Plots as one picture.
pub fn svg(plots: &[Plot]) -> String {
    let height = HEIGHT * plots.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (number, plot) in plots.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate(0 {})\">", HEIGHT * number as f64);
        svg.push_str(&plot.draw());
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

impl Plot {
    fn draw(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let least = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
        let (least, most) = match points().map(|point| point.0).fold(f64::NEG_INFINITY, f64::max) {
            most if most > least => (least, most),
            most if most == least => (least - 1.0, most + 1.0),
            _ => (0.0, 1.0),
        };
        let highest = round_up(points().map(|point| point.1).fold(0.0, f64::max));
        let x = |value: f64| LEFT + (value - least) / (most - least) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / highest * (HEIGHT - TOP - BOTTOM);

        let mut svg = String::new();
        let title = escaped(&self.title);
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{title}</text>");
        for step in 0..=4 {
            let value = highest * f64::from(step) / 4.0;
            let (at, label) = (y(value), number(value));
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            );
            let value = least + (most - least) * f64::from(step) / 4.0;
            let (label, bottom) = (number(value), HEIGHT - BOTTOM + 16.0);
            let label = if step == 4 { format!("{label} {}", self.across) } else { label };
            let anchor = if step == 4 { "end" } else { "middle" };
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{bottom}\" text-anchor=\"{anchor}\">{}</text>",
                x(value),
                escaped(&label)
            );
        }
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let points: Vec<String> = line
                .points
                .iter()
                .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
                .collect();
            let (points, name) = (points.join(" "), escaped(&line.name));
            let _ = writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
                 <text x=\"{}\" y=\"18\" fill=\"{colour}\">{name}</text>",
                WIDTH / 2.0 - 60.0 + 100.0 * index as f64
            );
        }
        svg
    }
}

/// 1, 2 or 5 and noughts, so that the axis has numbers that can be read.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let magnitude = 10f64.powf(value.log10().floor());
    let fits = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].into_iter().map(|step| step * magnitude);
    fits.into_iter().find(|step| *step >= value).unwrap_or(value)
}

fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.1}M", value / 1e6),
        large if large >= 1e4 => format!("{:.0}k", value / 1e3),
        small if small < 10.0 && small.fract() != 0.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let line = Line { name: "a<b".to_owned(), points: vec![(0.0, 0.0), (10.0, 100.0)] };
        let plot = Plot { title: "t".to_owned(), across: "s".to_owned(), lines: vec![line] };
        let svg = svg(&[plot]);
        assert!(svg.contains("points=\"80.0,186.0 840.0,34.0\""), "{svg}");
        assert!(svg.contains("a&lt;b") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let plot = Plot { title: String::new(), across: String::new(), lines: Vec::new() };
        assert!(!svg(&[plot]).contains("NaN"));
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, end) in [(0.0, 1.0), (3.0, 4.0), (1_999.0, 2_000.0), (0.7, 0.8), (9.1, 10.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}");
        }
    }
}
