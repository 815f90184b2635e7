//! Turns a file in another encoding into UTF-8 while it is read.
//!
//! ISO 20022 asks for UTF-8; some banks still send Latin-1 or UTF-16 and say so. Input: bytes; what a byte order mark or the XML
//! declaration at their beginning names counts. Output: UTF-8. Guarantee: a file in UTF-8 passes through untouched; at most a few
//! blocks are held. Limit: a declaration that is not in the first block read is not seen; places in faults count bytes of
//! the UTF-8.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes decoded at once.
const BLOCK: usize = 16 * 1024;

/// A reader of UTF-8 over a reader of whatever was declared.
pub(crate) struct Transcoded<R> {
    inner: R,
    mode: Mode,
}

enum Mode {
    /// Nothing was read yet.
    Unknown,
    Utf8,
    Decoding(Box<Decoding>),
}

struct Decoding {
    decoder: Decoder,
    out: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R> Transcoded<R> {
    /// Over bytes of which nothing was read.
    pub(crate) const fn new(inner: R) -> Self {
        Self { inner, mode: Mode::Unknown }
    }

    /// Whether what is read was in another encoding, so that the declaration no longer speaks of it.
    pub(super) const fn is_decoding(&self) -> bool {
        matches!(self.mode, Mode::Decoding(_))
    }
}

/// What the first block names.
fn detect(first: &[u8]) -> Mode {
    let decoder = if first.starts_with(&[0xFE, 0xFF]) {
        UTF_16BE.new_decoder_with_bom_removal()
    } else if first.starts_with(&[0xFF, 0xFE]) {
        UTF_16LE.new_decoder_with_bom_removal()
    } else {
        match declared(first) {
            // What reads as ASCII is no UTF-16, whatever it says.
            Some(encoding) if ![UTF_8, UTF_16BE, UTF_16LE].contains(&encoding) => {
                encoding.new_decoder_without_bom_handling()
            }
            _ => return Mode::Utf8,
        }
    };
    Mode::Decoding(Box::new(Decoding { decoder, out: Vec::new(), at: 0, ended: false }))
}

/// The encoding of an XML declaration.
fn declared(first: &[u8]) -> Option<&'static Encoding> {
    let end = first.windows(2).position(|w| w == b"?>")?;
    let declaration = first.get(..end).filter(|d| d.starts_with(b"<?xml"))?;
    let at = declaration.windows(8).position(|w| w == b"encoding")? + 8;
    let mut quoted = declaration[at..].split(|b| matches!(b, b'"' | b'\''));
    let _equals = quoted.next()?;
    Encoding::for_label(quoted.next()?)
}

impl Decoding {
    fn fill<R: BufRead>(&mut self, inner: &mut R) -> io::Result<&[u8]> {
        while self.at == self.out.len() && !self.ended {
            let available = inner.fill_buf()?;
            let block = &available[..available.len().min(BLOCK)];
            self.ended = block.is_empty();
            let most = self.decoder.max_utf8_buffer_length(block.len()).unwrap_or(BLOCK * 4);
            self.out.resize(most, 0);
            let (_, read, written, _) = self.decoder.decode_to_utf8(block, &mut self.out, self.ended);
            self.out.truncate(written);
            self.at = 0;
            inner.consume(read);
        }
        Ok(&self.out[self.at..])
    }
}

impl<R: BufRead> BufRead for Transcoded<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if matches!(self.mode, Mode::Unknown) {
            self.mode = detect(self.inner.fill_buf()?);
        }
        match &mut self.mode {
            Mode::Decoding(decoding) => decoding.fill(&mut self.inner),
            Mode::Unknown | Mode::Utf8 => self.inner.fill_buf(),
        }
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        match &mut self.mode {
            Mode::Decoding(decoding) => decoding.at += amount,
            Mode::Unknown | Mode::Utf8 => self.inner.consume(amount),
        }
    }
}

impl<R: BufRead> Read for Transcoded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let len = available.len().min(buf.len());
        buf[..len].copy_from_slice(&available[..len]);
        self.consume(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn check(bytes: &[u8], expected: &str, decoding: bool) {
        for block in [64, 8192] {
            let mut input = Transcoded::new(BufReader::with_capacity(block, bytes));
            let mut text = String::new();
            input.read_to_string(&mut text).expect("UTF-8");
            assert_eq!((text.as_str(), input.is_decoding()), (expected, decoding));
        }
    }

    #[test]
    fn other_encodings_become_utf_8() {
        let long = "é".repeat(20_000);
        check("<a>é</a>".as_bytes(), "<a>é</a>", false);
        check(b"", "", false);
        let head = "<?xml version='1.0' encoding='ISO-8859-1'?>";
        let latin: Vec<u8> = head.bytes().chain([b'<', 0xE9, b'>']).collect();
        check(&latin, &format!("{head}<é>"), true);
        let many: Vec<u8> = head.bytes().chain(vec![0xE9; 20_000]).collect();
        check(&many, &format!("{head}{long}"), true);
        let head = "<?xml version=\"1.0\" encoding=\"windows-1252\" ?>";
        let euro: Vec<u8> = head.bytes().chain([0x80]).collect();
        check(&euro, &format!("{head}€"), true);
        let wide = |bytes: fn(u16) -> [u8; 2], mark: [u8; 2]| -> Vec<u8> {
            mark.into_iter().chain("<a>é€</a>".encode_utf16().flat_map(bytes)).collect()
        };
        check(&wide(u16::to_be_bytes, [0xFE, 0xFF]), "<a>é€</a>", true);
        check(&wide(u16::to_le_bytes, [0xFF, 0xFE]), "<a>é€</a>", true);
        // Says UTF-16 and is not; says nothing that is known; says UTF-8.
        for label in ["UTF-16", "nonsense", "utf-8"] {
            let text = format!("<?xml version=\"1.0\" encoding=\"{label}\"?><a>é</a>");
            check(text.as_bytes(), &text, false);
        }
    }
}
