use super::*;

#[test]
fn the_compiled_in_table_reads() {
    let table: Table<Model> = toml::from_str(TABLE).expect("models.toml");
    assert_eq!(table.read_on, "2026-11-01");
    let names: std::collections::BTreeSet<_> = table.model.iter().map(|model| &model.name).collect();
    assert_eq!(names.len(), table.model.len());
    for model in Models::built_in().iter() {
        let priced =
            model.price().map(|price| price.input > 0 && price.cached <= price.input && price.output > price.input);
        assert_eq!(priced.unwrap_or(true), true, "{}", model.name);
        assert!(model.image.is_some() && !model.as_of.is_empty() && !model.source.is_empty(), "{}", model.name);
    }
}

/// USD per million tokens through Batch, in thousandths: input and output. Source: the price pages named in the table.
#[test]
fn prices_through_batch() {
    let rows = [
        ("gpt-4o", 1_250_000, 1_250_000, 5_000_000),
        ("gpt-4o-mini", 75_000, 75_000, 300_000),
        ("gpt-4.1", 1_000_000, 1_000_000, 4_000_000),
        ("gpt-4.1-mini", 200_000, 200_000, 800_000),
        ("gpt-4.1-nano", 50_000, 50_000, 200_000),
        ("o1", 7_500_000, 7_500_000, 30_000_000),
        ("o3", 1_000_000, 1_000_000, 4_000_000),
        ("o4-mini", 550_000, 550_000, 2_200_000),
        ("gpt-5", 625_000, 312_500, 5_000_000),
        ("gpt-5-mini", 125_000, 62_500, 1_000_000),
        ("gpt-5-nano", 25_000, 12_500, 200_000),
        ("gpt-5.1", 625_000, 312_500, 5_000_000),
        ("gpt-5.2", 875_000, 437_500, 7_000_000),
        ("gpt-5.4", 1_250_000, 625_000, 7_500_000),
        ("gpt-5.4-mini", 375_000, 187_500, 2_250_000),
        ("gpt-5.4-nano", 100_000, 50_000, 625_000),
        ("gpt-5.5", 2_500_000, 1_250_000, 15_000_000),
        ("gpt-5.6-sol", 2_000_000, 1_000_000, 10_000_000),
        ("gpt-5.6-terra", 1_000_000, 500_000, 6_000_000),
        ("gpt-5.6-luna", 100_000, 50_000, 600_000),
        ("gpt-6-astra", 5_000_000, 2_500_000, 25_000_000),
        ("gpt-6-sol", 1_000_000, 500_000, 5_000_000),
        ("gpt-6.1-sol", 1_000_000, 500_000, 5_000_000),
        ("gpt-6.1-terra", 500_000, 250_000, 2_500_000),
        ("gpt-6-luna", 50_000, 25_000, 250_000),
    ];
    let models = Models::built_in();
    for (name, input, cached, output) in rows {
        assert_eq!(models.price(name), Some(Price { input, cached, output }), "{name}");
    }
    let unpriced: Vec<&str> =
        models.iter().filter(|model| model.price().is_none()).map(|model| model.name.as_str()).collect();
    assert_eq!(unpriced, ["o1-pro", "computer-use-preview"]);
    assert_eq!(models.iter().count(), rows.len() + unpriced.len());
    for unknown in ["gpt-4o-chat-latest", "qwen3-vl", ""] {
        assert_eq!(models.price(unknown), None, "{unknown}: unknown is never zero");
    }
}

#[test]
fn a_model_ends_on_its_day() {
    let models = Models::built_in();
    let is_over = |name, day| models.find(name).expect("a row").is_over(day);
    assert!(is_over("o1", "2026-10-23") && !is_over("o3", "2026-12-10") && !is_over("gpt-5.6-luna", "2099-01-01"));
}

#[test]
fn what_a_model_takes() {
    let models = Models::built_in();
    let luna = models.abilities("gpt-5.6-luna");
    assert_eq!((luna.details.last(), luna.temperature, luna.max_output_tokens), (Some(&"original"), false, 128_000));
    let omni = models.abilities("gpt-4o");
    assert_eq!((omni.details.last(), omni.temperature, omni.max_output_tokens), (Some(&"high"), true, 16_384));
    let unknown = models.abilities("qwen3-vl");
    assert_eq!((unknown.efforts.len(), unknown.temperature, unknown.max_output_tokens), (0, false, 16_384));
}

#[test]
fn the_lowest_effort() {
    for (model, effort) in [
        ("gpt-4o", None),
        ("gpt-4.1-mini", None),
        ("o3", Some("low")),
        ("gpt-5-nano", Some("minimal")),
        ("gpt-5-mini-2025-08-07", Some("minimal")),
        ("gpt-5.6-luna", Some("none")),
        ("gpt-5.6-luna-2026-07-01", Some("none")),
        ("gpt-6-luna", Some("none")),
        ("qwen3-vl", None),
        ("", None),
    ] {
        assert_eq!(Models::built_in().lowest_effort(model).as_deref(), effort, "{model}");
    }
}
