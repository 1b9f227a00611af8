//! What the keys do: the selection, the order, the filter, and the page that is open.

use super::row::Row;
use chrono::{DateTime, Utc};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The order of the streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Sort {
    /// Who needs a person first.
    #[default]
    Urgency,
    Load,
    Refused,
    Name,
}

impl Sort {
    fn next(self) -> Sort {
        match self {
            Sort::Urgency => Sort::Load,
            Sort::Load => Sort::Refused,
            Sort::Refused => Sort::Name,
            Sort::Name => Sort::Urgency,
        }
    }
}

/// The page that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Page {
    #[default]
    List,
    /// The list, while a person types a filter.
    Filter,
    /// The selected stream. `scroll`: its first line.
    Stream {
        scroll: u16,
    },
    Keys,
}

/// What a key asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    /// To check the selected stream now.
    Explain,
}

/// The state of the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct Ui {
    pub page: Page,
    pub sort: Sort,
    pub filter: String,
    /// The name of the selected stream. It stays selected when the order changes.
    pub selected: Option<String>,
}

impl Ui {
    /// The rows that the filter leaves, in order. One of them is selected, if there is one.
    pub fn shown<'a>(&mut self, rows: &'a [Row], now: DateTime<Utc>) -> Vec<&'a Row> {
        let filter = self.filter.to_lowercase();
        let fits = |row: &&Row| {
            let code = row.document().map_or("", |document| document.code);
            row.stream.name.to_lowercase().contains(&filter) || code.contains(&filter)
        };
        let mut shown: Vec<&Row> = rows.iter().filter(fits).collect();
        let refused = |row: &Row| row.refused().0 + row.refused().1;
        let load = |row: &Row| row.utilization(now).unwrap_or(-1.0);
        shown.sort_by(|a, b| {
            let order = match self.sort {
                Sort::Urgency => a.urgency(now).cmp(&b.urgency(now)).then(refused(b).total_cmp(&refused(a))),
                Sort::Load => load(b).total_cmp(&load(a)),
                Sort::Refused => refused(b).total_cmp(&refused(a)),
                Sort::Name => std::cmp::Ordering::Equal,
            };
            order.then_with(|| a.stream.name.cmp(&b.stream.name))
        });
        if !shown.iter().any(|row| Some(&row.stream.name) == self.selected.as_ref()) {
            self.selected = shown.first().map(|row| row.stream.name.clone());
        }
        shown
    }

    /// Takes a key. `shown`: the names of the rows on the list, in order.
    pub fn key(&mut self, key: KeyEvent, shown: &[String]) -> Option<Wish> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Some(Wish::Quit);
        }
        if self.page == Page::Filter {
            self.filter_key(key.code);
            return None;
        }
        match (key.code, self.page) {
            (KeyCode::Char('q'), _) => return Some(Wish::Quit),
            (KeyCode::Char('e'), _) => return Some(Wish::Explain),
            (KeyCode::Esc, Page::List) => self.filter.clear(),
            (KeyCode::Esc | KeyCode::Backspace | KeyCode::Left, _) => self.page = Page::List,
            (KeyCode::Char('?'), _) => self.page = Page::Keys,
            (KeyCode::Char('s'), Page::List) => self.sort = self.sort.next(),
            (KeyCode::Char('/'), Page::List) => self.page = Page::Filter,
            (KeyCode::Enter | KeyCode::Right, Page::List) if self.selected.is_some() => {
                self.page = Page::Stream { scroll: 0 };
            }
            (code, page) => self.go(steps(code), page, shown),
        }
        None
    }

    fn filter_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.page = Page::List,
            KeyCode::Esc => {
                self.filter.clear();
                self.page = Page::List;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
    }

    /// Moves the selection, or the page of a stream.
    fn go(&mut self, steps: isize, page: Page, shown: &[String]) {
        if let Page::Stream { scroll } = page {
            let steps = i32::try_from(steps).unwrap_or_default();
            let scroll = u16::try_from((i32::from(scroll) + steps).max(0)).unwrap_or(scroll);
            self.page = Page::Stream { scroll };
            return;
        }
        let place = shown.iter().position(|name| Some(name) == self.selected.as_ref()).unwrap_or_default();
        let place = place.saturating_add_signed(steps).min(shown.len().saturating_sub(1));
        self.selected = shown.get(place).cloned();
    }
}

/// How far a key moves.
fn steps(code: KeyCode) -> isize {
    match code {
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::PageDown | KeyCode::Char(' ') => 10,
        KeyCode::PageUp => -10,
        // Far more than there are streams or lines, and no overflow.
        KeyCode::End | KeyCode::Char('G') => 60_000,
        KeyCode::Home | KeyCode::Char('g') => -60_000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_core::signal::{Home, StreamArn};

    fn press(ui: &mut Ui, code: KeyCode, shown: &[String]) -> Option<Wish> {
        ui.key(KeyEvent::new(code, KeyModifiers::NONE), shown)
    }

    #[test]
    fn keys_move_filter_sort_and_open_and_the_selection_stays_on_its_stream() {
        let home = Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() };
        let rows: Vec<Row> =
            ["clicks", "orders", "payments"].map(|name| Row::new(StreamArn::new(name, &home).expect("a name"))).into();
        let mut ui = Ui::default();
        let names = |ui: &mut Ui| -> Vec<String> {
            ui.shown(&rows, DateTime::UNIX_EPOCH).iter().map(|row| row.stream.name.clone()).collect()
        };
        let all = names(&mut ui);
        assert_eq!((all.len(), ui.selected.as_deref()), (3, Some("clicks")));
        press(&mut ui, KeyCode::End, &all);
        press(&mut ui, KeyCode::Up, &all);
        assert_eq!(ui.selected.as_deref(), Some("orders"));
        press(&mut ui, KeyCode::Char('s'), &all);
        assert_eq!(ui.sort, Sort::Load);
        for code in [KeyCode::Char('/'), KeyCode::Char('P'), KeyCode::Char('a'), KeyCode::Enter] {
            assert_eq!(press(&mut ui, code, &all), None);
        }
        assert_eq!((names(&mut ui), ui.selected.as_deref()), (vec!["payments".to_owned()], Some("payments")));
        press(&mut ui, KeyCode::Enter, &all);
        assert_eq!(ui.page, Page::Stream { scroll: 0 });
        press(&mut ui, KeyCode::Down, &all);
        assert_eq!(ui.page, Page::Stream { scroll: 1 });
        assert_eq!(press(&mut ui, KeyCode::Char('e'), &all), Some(Wish::Explain));
        press(&mut ui, KeyCode::Esc, &all);
        press(&mut ui, KeyCode::Esc, &all);
        assert_eq!((names(&mut ui).len(), ui.page), (3, Page::List), "the second Esc removes the filter");
        assert_eq!(press(&mut ui, KeyCode::Char('q'), &all), Some(Wish::Quit));
    }
}
