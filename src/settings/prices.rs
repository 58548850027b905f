//! What is charged here: the dated table's price through Batch, nothing, or nobody knows.

use std::sync::Arc;

use super::models::Models;
use super::{Engine, ProviderKind, Settings};
use crate::domain::money::{Charge, Charges, ListPrice, Price};
use crate::domain::recipe::Recipe;

/// Whose list the price of the built-in engines stands in.
const THIS_COMPUTER: &str = "this computer";
/// The day of that list, which never changes.
const ALWAYS: &str = "always";

/// What the lines of a recipe are charged under these settings. The built-in engines charge nothing, which is a price as well;
/// what a server behind them charges nobody knows.
#[must_use]
pub fn charges(settings: &Settings) -> Charges {
    let models = settings.models.clone();
    match (settings.provider.name, &settings.provider.engine) {
        (ProviderKind::OpenAi, _) => Arc::new(move |recipe| charge(recipe, listed(&models, &recipe.model)?)),
        (ProviderKind::Local, Engine::Ocr | Engine::Echo) => Arc::new(|recipe| charge(recipe, nothing())),
        (ProviderKind::Local, Engine::Url(_)) => Arc::new(|_| None),
    }
}

/// Without a bound on the output there is no worst case.
fn charge(recipe: &Recipe, list: ListPrice) -> Option<Charge> {
    Some(Charge { list, most_output: recipe.parameters.max_output_tokens?, input_percent: 100 })
}

fn listed(models: &Models, model: &str) -> Option<ListPrice> {
    let model = models.find(model)?;
    Some(ListPrice { price: model.price()?, as_of: model.as_of.clone(), source: "models.toml".to_owned() })
}

fn nothing() -> ListPrice {
    let price = Price { input: 0, cached: 0, output: 0 };
    ListPrice { price, as_of: ALWAYS.to_owned(), source: THIS_COMPUTER.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Flag, Sources, resolve, texts};

    #[test]
    fn the_provider_decides_what_a_model_costs() {
        let charged = |flags: &[(&str, &str)]| {
            let flag =
                |(key, value): &(&str, &str)| Flag { flag: "--set".into(), key: (*key).into(), value: (*value).into() };
            let sources = Sources {
                workspace: "/w".into(),
                current_dir: "/w".into(),
                config: None,
                no_config: true,
                flags: flags.iter().map(flag).collect(),
                environment: Environment::default(),
            };
            let settings = resolve(&sources).expect("good settings").settings;
            let recipe = texts::recipe(&settings, "Read.").expect("a recipe");
            charges(&settings)(&recipe).map(|charge| (charge.list.price.output, charge.list.source, charge.most_output))
        };
        let model = ("request.model", "gpt-4o");
        let listed = Some((5_000_000, "models.toml".to_owned(), 4000));
        assert_eq!(charged(&[("provider.name", "openai"), model]), listed);
        assert_eq!(charged(&[("provider.name", "openai"), ("request.model", "nobody-knows")]), None);
        assert_eq!(charged(&[("provider.name", "local"), model]), Some((0, THIS_COMPUTER.to_owned(), 4000)));
        let server = ("provider.engine", "http://127.0.0.1:9/v1");
        assert_eq!(charged(&[("provider.name", "local"), server, model]), None);
    }
}
