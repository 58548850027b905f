//! What is known of an image, and of all: `status FILE`, `status --list`, `export provenance`.

use serde_json::Value;

use batchscribe::kit::hash;

use crate::cancel::call;
use crate::sandbox::Sandbox;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn a_text_can_be_traced_to_the_line_that_it_came_from() {
    let sandbox = Sandbox::new(6);
    assert!(sandbox.run().fault.is_none());
    let text = sandbox.text("tray_1/page0003.png").expect("a text");
    // From the workspace, from the image folder, and as it lies.
    let absolute = sandbox.corpus().join("tray_1/page0003.png");
    let named = ["in/tray_1/page0003.png", "tray_1/page0003.png", &absolute.to_string_lossy()].map(str::to_owned);
    let told = named.map(|name| call(&sandbox, &format!("status --json {name}")).1);
    assert!(told[0] == told[1] && told[1] == told[2], "{told:?}");
    let told: Value = serde_json::from_str(&told[0]).expect("one document");
    assert_eq!((&told["state"], &told["text_stands"]), (&"done".into(), &"ours".into()));
    assert_eq!(told["text_blake3_128"], hash::hex(&hash::short(text.as_bytes())));
    let request = &told["requests"][0];
    assert_eq!(request["verdict"], "accept");
    let price = sandbox.settings().models.price(&sandbox.settings().request.model).expect("a model with a price");
    let tokens = |key: &str| request["usage"][key].as_u64().expect("tokens");
    let cost = request["cost_usd"].as_f64().expect("a cost");
    assert!((cost - price.of(tokens("in"), tokens("out")).picos() as f64 / 1e12).abs() < 1e-12, "{request}");
    assert_eq!(request["finish"], "stop");
    let image = std::fs::read(&absolute).expect("image");
    assert_eq!(request["image"]["blake3_128"], hash::hex(&hash::short(&image)));
    let raw = sandbox.workspace().join("batch_return").join(request["raw"]["file"].as_str().expect("a file"));
    let raw = std::fs::read_to_string(raw).expect("raw file");
    let number = usize::try_from(request["raw"]["line"].as_u64().expect("a line")).expect("small");
    let line: Value = serde_json::from_str(raw.lines().nth(number - 1).expect("the line")).expect("JSON");
    assert_eq!(line["custom_id"], request["custom_id"]);
    let (_, out, _) = call(&sandbox, "status in/tray_1/page0003.png");
    assert!(
        out.starts_with("tray_1/page0003.png: done\n") && out.contains("\n text as it was written, BLAKE3 "),
        "{out}"
    );
    assert!(out.contains(&format!(
        "\n    raw answer in {}, line {number}\n",
        request["raw"]["file"].as_str().expect("a file")
    )));
    std::fs::write(sandbox.corpus().join("tray_1/page0003.png.txt"), "mine\n").expect("edit");
    let (_, out, _) = call(&sandbox, "status in/tray_1/page0003.png");
    assert!(out.contains("\n text edited by a person, "), "{out}");
    // An image that is gone is still known.
    std::fs::remove_file(&absolute).expect("gone");
    assert_eq!(call(&sandbox, "status in/tray_1/page0003.png").0, Some(0));
}

#[test]
fn every_request_is_exported_with_its_recipe_told_once() {
    let sandbox = Sandbox::new(6);
    assert!(sandbox.run().fault.is_none());
    call(&sandbox, "retry --path tray_0/page0000.png");
    assert!(sandbox.run().fault.is_none());
    let (exit, out, err) = call(&sandbox, "export provenance");
    assert_eq!((exit, err.as_str()), (Some(0), ""));
    let told = lines(&out);
    let of = |kind: &str| told.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((of("recipe"), of("attempt")), (1, 7), "{out}");
    let recipe = &told[0];
    assert!(recipe["prompt"].as_str().is_some_and(|prompt| prompt.starts_with("Transcribe all text")));
    assert!(told[1..].iter().all(|line| line["recipe"]["blake3_128"] == recipe["blake3_128"]));
    let with_text = told.iter().filter(|line| line["text"].is_object()).count();
    assert_eq!(with_text, 6, "a text belongs to the request that it came from");
    assert!(told[1..].iter().all(|line| line["raw"]["sha256"].is_string() && line["request_id"].is_string()), "{out}");
    let (exit, none, err) = call(&sandbox, "export provenance --out all.jsonl");
    assert_eq!((exit, none.as_str()), (Some(0), ""));
    assert!(err.starts_with("Wrote 8 lines to "), "{err}");
    assert_eq!(std::fs::read_to_string(sandbox.workspace().join("all.jsonl")).expect("file"), out);
    assert_eq!(call(&sandbox, "export nothing").0, Some(2));
}

#[test]
fn lists_tell_why() {
    let sandbox = Sandbox::new(2);
    sandbox.image("tray_0/page0000.png", 0);
    std::fs::write(sandbox.corpus().join("tray_0/broken.png"), "no image").expect("file");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(call(&sandbox, "status --list failed").1, "not_an_image\ttray_0/broken.png\n");
    for list in ["flagged", "rough", "edited"] {
        assert_eq!(call(&sandbox, &format!("status --list {list}")).1, "", "{list}");
    }
    let (_, out, _) = call(&sandbox, "status --json --list failed");
    assert_eq!(lines(&out)[0]["reason"], "not_an_image");
    let (_, _, err) = call(&sandbox, "retry");
    assert_eq!(
        err,
        "No image is to be put back.\n1 file has to be mended first; the next run measures them anew by itself.\n"
    );
}
