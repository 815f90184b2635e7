//! What a file is that should be plain text, and how lists differ that a spreadsheet program has saved.
//!
//! Input: the first bytes of a file, or a line. Output: what they are; the fields of the line. Guarantee: nothing is guessed
//! at: a separator is the one that the first line uses. Limit: quotation marks do not reach over a line's end here.

/// What a file begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Nothing that is told apart here.
    Text,
    /// UTF-16, by its byte order mark or its zero bytes.
    Utf16,
    /// An archive or a compressed file, by its name.
    Packed(&'static str),
}

/// What a file looks like from its first bytes.
pub fn looks(first: &[u8]) -> Looks {
    for (magic, name) in [
        (&b"PK\x03\x04"[..], "ZIP archive (or an Excel workbook)"),
        (b"PK\x05\x06", "ZIP archive (an empty one)"),
        (b"\x1f\x8b", "gzip file"),
        (b"\x28\xb5\x2f\xfd", "zstd file"),
        (b"\xfd7zXZ\x00", "xz file"),
        (b"BZh", "bzip2 file"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
        (b"Rar!", "RAR archive"),
        (b"PAR1", "Parquet file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook of an old Excel"),
        (b"%PDF", "PDF file"),
    ] {
        if first.starts_with(magic) {
            return Looks::Packed(name);
        }
    }
    let marked = first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff");
    // Two letters of ASCII in UTF-16 without its mark.
    let wide =
        matches!(first, [a, 0, b, 0, ..] | [0, a, 0, b, ..] if a.is_ascii_graphic() && b.is_ascii_graphic());
    if marked || wide { Looks::Utf16 } else { Looks::Text }
}

/// The separators that spreadsheet programs write, the standard's first.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// How the lines of a list are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    separator: char,
}

impl Dialect {
    /// The dialect of a list whose first line begins with the word `mark`; `None` where it does not.
    pub fn of(first_line: &str, mark: &str) -> Option<Self> {
        let text = first_line.strip_prefix('\u{feff}').unwrap_or(first_line);
        let rest = match text.strip_prefix('"') {
            Some(quoted) => quoted.strip_prefix(mark)?.strip_prefix('"')?,
            None => text.strip_prefix(mark)?,
        };
        let separator = rest.chars().next().filter(|c| SEPARATORS.contains(c))?;
        Some(Self { separator })
    }

    /// The fields of a line, without the quotation marks around them.
    pub fn fields(self, line: &str) -> Vec<String> {
        let text = line.strip_prefix('\u{feff}').unwrap_or(line);
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                '"' if quoted || field.trim().is_empty() => quoted = !quoted,
                c if c == self.separator && !quoted => fields.push(std::mem::take(&mut field)),
                c => field.push(c),
            }
        }
        fields.push(field);
        // Spreadsheets fill up short lines with empty fields.
        while fields.len() > 1 && fields.last().is_some_and(|f| f.trim().is_empty()) {
            fields.pop();
        }
        fields.iter().map(|f| f.trim().to_owned()).collect()
    }

    /// An amount as the dialect writes it, with a point for its decimal sign: who separates by semicolons writes commas.
    pub fn amount(self, text: &str) -> String {
        if self.separator == ',' { text.to_owned() } else { text.replacen(',', ".", 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        for (first, expected) in [
            (&b"household_id,region"[..], Looks::Text),
            (b"", Looks::Text),
            (b"PK\x03\x04\x14", Looks::Packed("ZIP archive (or an Excel workbook)")),
            (b"\x1f\x8b\x08", Looks::Packed("gzip file")),
            (b"\xff\xfeh\0o\0", Looks::Utf16),
            (b"\xfe\xff\0h", Looks::Utf16),
            (b"h\0o\0", Looks::Utf16),
            (b"\0h\0o", Looks::Utf16),
            (b"\xef\xbb\xbfH,x", Looks::Text),
        ] {
            assert_eq!(looks(first), expected, "{first:?}");
        }
    }

    #[test]
    fn lines_of_spreadsheets_are_read() {
        for (first, fields) in [
            ("H,a,b", &["H", "a", "b"][..]),
            ("\u{feff}H;a;b;;", &["H", "a", "b"]),
            ("\"H\";\"a;x\";\"b \"\"q\"\"\"", &["H", "a;x", "b \"q\""]),
            ("H\ta\tb", &["H", "a", "b"]),
            ("\"H\",\"a\", b ", &["H", "a", "b"]),
        ] {
            let dialect = Dialect::of(first, "H").unwrap();
            assert_eq!(dialect.fields(first), fields, "{first}");
        }
        for other in ["", "Hx,a", "h,a", "H", "\"H,a", "H a"] {
            assert_eq!(Dialect::of(other, "H"), None, "{other}");
        }
        let (comma, semicolon) = (Dialect::of("H,", "H").unwrap(), Dialect::of("H;", "H").unwrap());
        assert_eq!((comma.amount("5,00").as_str(), semicolon.amount("5,00").as_str()), ("5,00", "5.00"));
    }
}
