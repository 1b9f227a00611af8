//! Findings: a card each, with what mends it.

use crate::screen::for_account;
use maud::{Markup, html};

/// The cards of one group.
#[derive(Debug, Default)]
pub(crate) struct Cards {
    pub title: String,
    /// The cards that the page shows before a click.
    pub open: Vec<Card>,
    /// The other ones, where nothing is wrong.
    pub folded: Vec<Card>,
}

/// A finding.
#[derive(Debug, Default)]
pub(crate) struct Card {
    /// The status, which is also the class of its colour: ok, unknown, warn or fail.
    pub status: String,
    pub code: String,
    /// What was seen.
    pub text: String,
    /// The money that it is about.
    pub money: Option<String>,
    /// What mends it, line by line.
    pub fix: Option<String>,
    /// The numbers.
    pub evidence: Vec<(String, String)>,
    /// An address, or a page of this project.
    pub source: String,
}

impl Cards {
    pub(super) fn html(&self) -> Markup {
        html! {
            h3 { (self.title) }
            @for card in &self.open { (card.html()) }
            @if !self.folded.is_empty() {
                details {
                    summary { "ok: " (self.folded.len()) }
                    @for card in &self.folded { (card.html()) }
                }
            }
        }
    }
}

impl Card {
    fn html(&self) -> Markup {
        html! {
            div class={ "card " (self.status) } {
                p { b .status { (self.status) } " " code { (self.code) } " " (self.text) }
                @if let Some(money) = &self.money { p { b { (money) } } }
                @if let Some(fix) = &self.fix { @for line in for_account(fix).lines() { pre { (line) } } }
                p .numbers {
                    @for (name, value) in &self.evidence { span { (name) ": " (value) } " " }
                    @if self.source.starts_with("https://") {
                        a href=(self.source) { "source" }
                    } @else {
                        span { "source: " (self.source) }
                    }
                }
            }
        }
    }
}
