//! The content of a table's cell.

use crate::{
    model::figure::Figure,
    report::{
        number::{Style, parts},
        shown::star,
    },
};

/// The content of a cell. The back ends decide how it is written.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) enum Cell {
    /// Nothing.
    None,
    Text(String),
    /// A name that programs use: an id, a path.
    Name(String),
    /// Lines in a terminal; elsewhere they are joined by the second field.
    Lines(Vec<String>, &'static str),
    Figure(Shown),
}

/// A figure, and how much of it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Shown {
    pub(super) figure: Figure,
    style: Style,
    /// Whether the number of blocks and the smallest effect are shown with the interval.
    pub(super) whole: bool,
    /// What it measures, if that differs from what the column says.
    pub(super) of: Option<String>,
}

impl Cell {
    /// Lines, joined by `between` if a cell has one line; nothing if there are none.
    pub(in crate::report) fn lines(
        lines: impl IntoIterator<Item = String>,
        between: &'static str,
    ) -> Self {
        let lines: Vec<String> = lines.into_iter().collect();
        if lines.is_empty() { Self::None } else { Self::Lines(lines, between) }
    }

    /// A figure with its interval, number of blocks and smallest effect.
    pub(in crate::report) fn figure(figure: &Figure, style: Style) -> Self {
        Self::Figure(Shown { figure: figure.clone(), style, whole: true, of: None })
    }

    /// A figure with only its interval.
    pub(in crate::report) fn short(figure: &Figure, style: Style) -> Self {
        Self::Figure(Shown { figure: figure.clone(), style, whole: false, of: None })
    }

    /// Names what the figure measures; shown if there is a number.
    pub(in crate::report) fn of(self, item: Option<String>) -> Self {
        match self {
            Self::Figure(shown) => {
                let of = item.filter(|_| shown.figure.known().is_some());
                Self::Figure(Shown { of, ..shown })
            }
            other => other,
        }
    }

    /// The figure in it.
    pub(in crate::report) fn shown(&self) -> Option<&Figure> {
        match self {
            Self::Figure(shown) => Some(&shown.figure),
            _ => None,
        }
    }

    /// The content in one line; `None` if it is empty.
    pub(in crate::report) fn line(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Text(text) | Self::Name(text) => Some(text.clone()),
            Self::Lines(lines, between) => Some(lines.join(between)),
            Self::Figure(shown) => {
                let [number, interval, n] = shown.parts()?;
                let interval = [number, interval].join(" ");
                let whole = if shown.whole { format!("{interval}, {n}") } else { interval };
                let of = shown.of.iter().map(|item| format!(" {item}"));
                Some(whole.trim_end().to_owned() + &of.collect::<String>())
            }
        }
    }
}

impl Shown {
    /// Estimate, interval and the rest. The interval of one run has a star. A short figure without
    /// interval has only its estimate.
    pub(super) fn parts(&self) -> Option<[String; 3]> {
        let [number, interval, n] = parts(&self.figure, self.style)?;
        let found = self.figure.known()?;
        let interval = match found.lo.is_some() || self.whole {
            true => interval + star(found),
            false => String::new(),
        };
        Some([number, interval, n])
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<Inner: Into<Self>> From<Option<Inner>> for Cell {
    fn from(cell: Option<Inner>) -> Self {
        cell.map_or(Self::None, Into::into)
    }
}
