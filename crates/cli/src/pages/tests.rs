use super::*;
use unthrottle_lab::sim::workloads::Workload;
use unthrottle_lab::sim::{Policies, watch};

fn page(seed: u64) -> Page {
    let workload = Workload { hours: 4, ..Workload::named("terraform").expect("known") };
    let run = |policy: Policies| {
        let timeline = watch(&workload, policy, seed).timeline;
        Run { name: policy.to_string(), timeline, clock: Clock::OfRun, is_open: policy == Policies::Ours }
    };
    let section = Section {
        title: workload.name.into(),
        about: vec!["<b>half & half</b>".into()],
        tables: vec![Table { heads: vec!["policy".into()], rows: vec![vec!["a\"<script>".into()]] }],
        runs: [Policies::Ours, Policies::Doubling].map(run).into(),
        ..Section::default()
    };
    Page { title: "runs".into(), sections: vec![section], ..Page::default() }
}

#[test]
fn a_page_has_its_result_first_then_its_table_and_its_caveats_last() {
    let page = Page { result: "the result".into(), caveats: vec!["a caveat".into()], ..page(1) };
    let html = page.html().expect("drawn");
    let body = body(&html);
    let places = ["<h1>", "the result", "<table>", "How to read the charts", "a caveat"].map(|part| body.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
}

#[test]
fn a_column_of_sentences_wraps_and_a_column_of_numbers_does_not() {
    let why = "3,640 records refused in 5 of 5 minutes. Would change 2 → 4 shards";
    let heads = ["stream", "refused", "why"].map(str::to_owned).into();
    let table = Table { heads, rows: vec![["a", "3,640", why].map(Cell::from).into()] };
    let section = Section { title: "s".into(), tables: vec![table], ..Section::default() };
    let page = Page { title: "t".into(), sections: vec![section], ..Page::default() };
    let html = page.html().expect("drawn");
    let body = roxmltree::Document::parse(body(&html)).expect("well-formed");
    let words: Vec<&str> = body
        .descendants()
        .filter(|node| node.attribute("class") == Some("words"))
        .filter_map(|node| node.text())
        .collect();
    assert_eq!(words, ["why", why]);
    assert!(html.contains(".words { text-align: left; white-space: normal;"));
}

#[test]
fn a_page_has_colours_for_a_dark_screen_and_a_layout_for_a_narrow_one() {
    let html = page(1).html().expect("drawn");
    let style = &html[html.find("<style>").expect("a style")..html.find("</style>").expect("an end")];
    let rule = |name: &str| {
        let of_rule = &style[style.find(name).unwrap_or_else(|| panic!("no {name}"))..];
        let end = of_rule.find("\n}").expect("an end");
        of_rule[..end].to_owned()
    };
    let dark = rule("@media (prefers-color-scheme: dark)");
    let narrow = rule("@media (max-width: 44rem)");
    // Each colour of the light screen has one for the dark.
    let light = &style[..style.find("@media").expect("a rule")];
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| c.is_whitespace() || c == ':');
        words.filter(|word| word.starts_with("--")).map(str::to_owned).collect()
    };
    assert!(style.contains("color-scheme: light dark") && names(light).len() >= 5);
    assert_eq!(names(&dark), names(light));
    // The cells of a row stand below each other, each with its heading, and nothing is cut.
    assert!(narrow.contains("td { display: block; }") && narrow.contains("content: attr(data-head)"), "{narrow}");
    assert!(style.contains(".scroll { overflow-x: auto; }") && style.contains("overflow-wrap: anywhere"));
    assert!(html.contains("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"));
}

/// The body as XML: a browser forgives more.
fn body(html: &str) -> &str {
    let begin = html.find("<body").expect("a body");
    &html[begin..html.find("</html>").expect("an end")]
}

#[test]
fn a_page_is_well_formed_and_all_text_in_it_is_text() {
    let html = page(1).html().expect("drawn");
    let body = roxmltree::Document::parse(body(&html)).expect("well-formed");
    let count = |name: &str| body.descendants().filter(|node| node.has_tag_name(name)).count();
    assert_eq!((count("svg"), count("b"), count("script")), (3, 0, 0), "the open one has its first incident, closer");
    assert!(body.descendants().any(|node| node.text() == Some("<b>half & half</b>")));
    let points = body.descendants().filter_map(|node| node.attribute("points")).flat_map(str::split_whitespace);
    assert!(points.clone().count() > 500);
    assert!(points.flat_map(|point| point.split(',')).all(|pixel| pixel.parse::<i32>().is_ok_and(|p| p >= 0)));
}

#[test]
fn each_mark_has_its_code_its_time_and_its_numbers() {
    let html = page(1).html().expect("drawn");
    let body = roxmltree::Document::parse(body(&html)).expect("well-formed");
    let marks: Vec<_> =
        body.descendants().filter(|n| n.attribute("class").is_some_and(|c| c.contains("mark "))).collect();
    let title = |of: &str| {
        let titles = marks.iter().filter_map(|mark| mark.children().find(|n| n.has_tag_name("title"))?.text());
        titles.into_iter().find(|title| title.contains(of)).map(str::to_owned)
    };
    let change = title("scale_shards").expect("a change");
    assert!(change.starts_with("1:0") && change.ends_with(": 4 → 7 shards"), "{change}");
    assert!(title("healthy").expect("a hold").ends_with("no capacity changed"));
    let external = title("another person").expect("a reshard");
    assert!(external.contains("reshard") && external.ends_with(" 4 shards, by another person or tool"), "{external}");
    let labels: BTreeSet<&str> = marks
        .iter()
        .flat_map(|mark| mark.children())
        .filter(|n| n.has_tag_name("text"))
        .filter_map(|n| n.text())
        .collect();
    assert!(["scale_shards", "healthy", "reshard"].iter().all(|code| labels.contains(code)), "{labels:?}");
}

#[test]
fn a_page_loads_nothing_and_is_the_same_for_the_same_seed() {
    let html = page(1).html().expect("drawn");
    for trace in ["http", "//", "src=", "url(", "@import", "<script", "<link"] {
        assert!(!html.contains(trace), "{trace}");
    }
    assert_eq!(html, page(1).html().expect("drawn"));
    assert_ne!(html, page(2).html().expect("drawn"));
}

#[test]
fn every_code_has_a_meaning() {
    for code in Remedy::VARIANTS.iter().chain(Reason::VARIANTS).chain(&["reshard", "switch_mode"]) {
        let meanings = meanings(&[*code].into());
        assert_eq!(meanings.len(), 1, "{code}: {meanings:?}");
        assert!(meanings[0].1.len() > 10, "{meanings:?}");
    }
}

#[test]
fn a_run_of_nothing_can_be_drawn() {
    let run = Run { name: "none".into(), timeline: Timeline::default(), clock: Clock::OfRun, is_open: true };
    assert!(run.html().is_ok());
}

#[test]
fn an_incident_that_is_a_line_of_a_day_is_shown_again_closer() {
    let day = Workload::named("step-2").expect("known");
    let run = |workload: &Workload| {
        let timeline = watch(workload, Policies::Ours, 1).timeline;
        Run { name: "ours".into(), timeline, clock: Clock::OfRun, is_open: true }
    };
    let svgs = |run: &Run| run.html().expect("drawn").into_string().matches("<svg").count();
    let whole = run(&day);
    assert_eq!(svgs(&whole), 2);
    let closer =
        chart::draw(&whole, chart::closer(&whole.timeline).expect("an incident")).expect("drawn").into_string();
    assert!(whole.timeline.marks().iter().all(|mark| closer.contains(&Clock::OfRun.exactly(mark.second))), "{closer}");
    let has = |time: &str| closer.lines().any(|line| line == time);
    assert!(has("1:00") && !has("0:00") && !has("12:00"), "{closer}");
    assert_eq!(svgs(&run(&Workload { hours: 2, ..day })), 1, "there it can be seen");
    assert_eq!(svgs(&run(&Workload::named("calm").expect("known"))), 1);
}

#[test]
fn forecasts_are_dots_beside_the_load_that_came() {
    let growth = Workload { hours: 6, ..Workload::named("growth").expect("known") };
    let page = |policy: Policies| {
        let timeline = watch(&growth, policy, 1).timeline;
        let run = Run { name: policy.to_string(), timeline, clock: Clock::OfRun, is_open: true };
        let section = Section { title: growth.name.into(), runs: vec![run], ..Section::default() };
        let page = Page { title: "runs".into(), sections: vec![section], ..Page::default() };
        let forecasts = page.sections[0].runs[0].timeline.forecasts().len();
        let html = page.html().expect("drawn");
        (forecasts, html.matches("<circle").count(), html.contains("expected: a load that the policy expects"))
    };
    let (forecasts, dots, is_explained) = page(Policies::OursForeseeing);
    assert!(forecasts > 0 && dots == forecasts && is_explained, "{forecasts} {dots} {is_explained}");
    assert_eq!(page(Policies::Ours), (0, 0, false));
}
