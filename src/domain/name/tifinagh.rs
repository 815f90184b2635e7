//! Tifinagh (the Neo-Tifinagh of IRCAM) in Latin letters, as Moroccan registers write Amazigh names.

/// What stands for a letter; `None` for a character of another script.
pub(super) fn latin(c: char) -> Option<&'static str> {
    Some(match c {
        'ⴰ' => "a",
        'ⴱ' | 'ⴲ' => "b",
        'ⴳ' | 'ⴴ' => "g",
        'ⴷ' | 'ⴸ' | 'ⴹ' | 'ⴺ' => "d",
        'ⴻ' => "e",
        'ⴼ' => "f",
        'ⴽ' | 'ⴿ' => "k",
        'ⵀ' | 'ⵁ' | 'ⵂ' | 'ⵃ' => "h",
        'ⵄ' => "a",
        'ⵅ' | 'ⵆ' => "kh",
        'ⵇ' | 'ⵈ' => "q",
        'ⵉ' => "i",
        'ⵊ' | 'ⵋ' | 'ⵌ' => "j",
        'ⵍ' => "l",
        'ⵎ' => "m",
        'ⵏ' | 'ⵐ' => "n",
        'ⵑ' => "gn",
        'ⵒ' => "p",
        'ⵓ' => "ou",
        'ⵔ' | 'ⵕ' => "r",
        'ⵖ' | 'ⵗ' => "gh",
        'ⵙ' | 'ⵚ' => "s",
        'ⵛ' => "ch",
        'ⵜ' | 'ⵝ' | 'ⵟ' => "t",
        'ⵞ' => "tch",
        'ⵠ' => "v",
        'ⵡ' => "w",
        'ⵢ' => "y",
        'ⵣ' | 'ⵤ' | 'ⵥ' => "z",
        'ⵦ' => "e",
        'ⵧ' => "o",
        // Says that the letter before is rounded.
        'ⵯ' => "",
        _ => return None,
    })
}
