//! Refusals in words: what a model writes in the place of a transcription.
//!
//! Three signs must agree, because letters begin with "I am sorry", too: the text is short, it begins with a stock phrase, and it
//! speaks of the task. Phrases of fifteen languages, from answers of published runs.

/// Longest text in characters that is taken for a refusal.
const LONGEST: usize = 400;

/// How refusals begin.
const BEGINNINGS: [&str; 73] = [
    // English
    "i'm sorry",
    "i am sorry",
    "sorry, i",
    "sorry, but",
    "i can't",
    "i cannot",
    "i am unable",
    "i'm unable",
    "i am not able",
    "i'm not able",
    "i won't",
    "unfortunately, i",
    "i apologize",
    "my apologies",
    // German
    "es tut mir leid",
    "tut mir leid",
    "ich kann leider",
    "leider kann ich",
    "ich kann nicht",
    "ich kann diesen",
    "ich kann dieses",
    "ich kann das",
    // French
    "je suis désolé",
    "je suis désolée",
    "désolé",
    "je ne peux pas",
    "je ne suis pas en mesure",
    "malheureusement, je",
    // Spanish
    "lo siento",
    "no puedo",
    "lamento",
    "lamentablemente, no",
    // Italian
    "mi dispiace",
    "non posso",
    "non sono in grado",
    "purtroppo non",
    // Portuguese
    "sinto muito",
    "desculpe",
    "não posso",
    "lamento, mas",
    "infelizmente, não",
    // Dutch
    "het spijt me",
    "sorry, ik",
    "ik kan helaas",
    "ik kan niet",
    "helaas kan ik",
    // Czech, Slovak
    "omlouvám se",
    "bohužel nemohu",
    "je mi líto",
    "nemohu",
    "ospravedlňujem sa",
    "je mi ľúto",
    "bohužiaľ",
    // Polish
    "przepraszam",
    "przykro mi",
    "niestety, nie",
    "niestety nie",
    "nie mogę",
    // Danish, Norwegian, Swedish
    "beklager",
    "jeg kan desværre",
    "jeg kan ikke",
    "jag är ledsen",
    "tyvärr",
    "jag kan inte",
    // Hungarian
    "sajnálom",
    "sajnos nem",
    // Russian, Ukrainian
    "извините",
    "к сожалению",
    "я не могу",
    "вибачте",
    "на жаль",
    // Japanese, Chinese
    "申し訳",
    "抱歉",
];

/// What they speak of.
const TASK: [&str; 50] = [
    "image",
    "picture",
    "photo",
    "document",
    "transcri",
    "assist",
    "request",
    "content",
    "scan",
    "text in",
    "the page",
    "readable",
    "bild",
    "dokument",
    "transkri",
    "anfrage",
    "inhalt",
    "seite",
    "image",
    "demande",
    "contenu",
    "retranscri",
    "imagen",
    "solicitud",
    "contenido",
    "documento",
    "immagine",
    "richiesta",
    "contenuto",
    "trascri",
    "imagem",
    "pedido",
    "conteúdo",
    "afbeelding",
    "verzoek",
    "inhoud",
    "obráz",
    "přepis",
    "požadav",
    "obsah",
    "prepis",
    "obraz",
    "treści",
    "billede",
    "indhold",
    "bilden",
    "kép",
    "изображен",
    "画像",
    "图",
];

/// Whether `text` is a refusal.
#[must_use]
pub fn is_refusal(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST {
        return false;
    }
    let folded = text.to_lowercase().replace(['\u{2019}', '\u{2bc}', '\u{2018}'], "'");
    let folded = folded.trim_start_matches(['"', '[', '(', '*', '_', ' ']);
    let begins_so = BEGINNINGS.iter().any(|beginning| begins(folded, beginning));
    (begins_so || speaks_of_itself(folded)) && TASK.iter().any(|word| folded.contains(word))
}

/// A model that begins with what it is refuses only if it goes on with what it cannot do.
fn speaks_of_itself(text: &str) -> bool {
    begins(text, "as an ai") && ["can't", "cannot", "unable", "not able"].iter().any(|word| text.contains(word))
}

/// A phrase ends with its word; in scripts without blanks it ends anywhere.
fn begins(text: &str, phrase: &str) -> bool {
    let spaced = phrase.is_ascii() || phrase.contains(' ') || phrase.chars().all(|c| c < '\u{3000}');
    text.strip_prefix(phrase).is_some_and(|rest| !spaced || !rest.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_three_signs_and_letters_have_not() {
        let refusals = [
            "I'm sorry, but I can't assist with that request.",
            "As an AI language model, I cannot read this image.",
            "I\u{2019}m unable to transcribe the text in this image.",
            "Es tut mir leid, aber ich kann dieses Dokument nicht transkribieren.",
            "Je suis désolé, mais je ne peux pas transcrire cette image.",
            "Lo siento, no puedo ayudar con esa solicitud.",
            "Mi dispiace, ma non posso elaborare questa immagine.",
            "Omlouvám se, ale tento obrázek nemohu přepsat.",
            "申し訳ありませんが、この画像は読めません。",
            "抱歉,我无法识别这张图片。",
        ];
        for text in refusals {
            assert!(is_refusal(text), "{text}");
        }
        let letters = [
            "I am sorry to hear that you cannot come on Sunday.",
            "Es tut mir leid, dass Du krank bist. Deine Mutter",
            "I cannot tell you how glad I am. Yours ever, Anne",
            "As an AI, I have transcribed the text as well as I could.\nDear Sir",
            "Sorrynessimagetext",
            "The image of the saint was carried through the town.",
            "",
        ];
        for text in letters {
            assert!(!is_refusal(text), "{text}");
        }
        let long = format!("I'm sorry, but I can't assist with that request. {}", "word ".repeat(100));
        assert!(!is_refusal(&long));
    }
}
